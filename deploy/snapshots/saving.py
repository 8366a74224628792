"""Saving a cluster: it rests while it is copied, and goes on afterwards, whatever becomes of the copy."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from deploy import cluster, lookup, pausing, spec
from deploy.places import Places
from deploy.snapshots import contents, store
from deploy.snapshots.store import Snapshot
from sampan.errors import ClusterError


def save(name: str, tag: str | None, say: Callable[[str], None]) -> Snapshot:
    """Save a cluster that runs, is paused or is stopped. Raises ClusterError, and then nothing is kept."""
    places = lookup.cluster_places(name)
    began = time.time()
    chosen = store.check_tag(tag or time.strftime("%Y%m%d-%H%M%S", time.gmtime(began)))
    with store.locked(places) as root:
        store.clean(root)
        if (root / chosen).exists():
            raise ClusterError(
                where=f"cluster {name}",
                what=f"it has a snapshot {chosen!r} already",
                remedy=f"choose another name, or: kctl cluster snapshot delete {name} {chosen}",
            )
        contents.check_room(root, sum(contents.size(one) for one in contents.present(places)))
        made = root / store.UNFINISHED
        try:
            with pausing.held(places) if cluster.is_running(places) else contextlib.nullcontext():
                still = time.monotonic()
                made.mkdir(mode=0o700)
                for item in contents.present(places):
                    contents.copy(item, made / item.name)
                say(f"cluster {name} stood still for {time.monotonic() - still:.1f} s")
            described = spec.load(made / "cluster.yaml")
            nodes = tuple(one.name for one in described.spec.nodes)
            snapshot = Snapshot(chosen, began, contents.size(made), nodes, _notes(places))
            store.finish(root, made, snapshot)
        except BaseException:
            store.clean(root)
            raise
    return snapshot


def _notes(places: Places) -> tuple[str, ...]:
    machines = [one.name for one in spec.load(places.description).spec.nodes if one.driver == "vm"]
    return (f"no memory of {', '.join(machines)}: they boot anew",) if machines else ()
