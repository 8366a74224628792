"""Saving a cluster: it rests while it is copied, and goes on afterwards, whatever becomes of the copy."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deploy import cluster, lookup, pausing, spec
from deploy.places import Places
from deploy.shell import client, reach
from deploy.shell.session import Command
from deploy.snapshots import contents, store
from deploy.snapshots.store import Snapshot
from deploy.vm import memory
from deploy.vm.qmp import QmpError
from sampan.errors import ClusterError

SYNC_SECONDS = 15.0
"""How long a machine may take to begin to write out; one that hangs is saved as it is."""


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
        machines = [one for one in spec.load(places.description).spec.nodes if one.driver == "vm"]
        memories = sum(one.machine_memory for one in machines)
        contents.check_room(root, sum(contents.size(one) for one in contents.present(places)) + 2 * memories)
        made = root / store.UNFINISHED
        try:
            made.mkdir(mode=0o700)
            if cluster.is_running(places):
                notes = _copy_at_rest(places, made, say)
            else:
                _copy(places, made)
                notes = ()
            described = spec.load(made / "cluster.yaml")
            nodes = tuple(one.name for one in described.spec.nodes)
            snapshot = Snapshot(chosen, began, contents.size(made), nodes, notes)
            store.finish(root, made, snapshot)
        except BaseException:
            store.clean(root)
            raise
    return snapshot


def _copy(places: Places, made: Path) -> None:
    for item in contents.present(places):
        contents.copy(item, made / item.name)


def _copy_at_rest(places: Places, made: Path, say: Callable[[str], None]) -> tuple[str, ...]:
    """Copy a cluster that stands still, with its machines' memory. Returns what is not in the copy, and why."""
    described = spec.load(places.description).spec.nodes
    machines = [places.node(one.name) for one in described if one.driver == "vm"]
    machines = [one for one in machines if memory.socket_of(one).exists()]
    saved: dict[str, dict[str, Any]] = {}
    notes: list[str] = []
    for one in machines:
        if not _write_out(places, one.name):
            notes.append(f"{one.name} did not answer: what it had not written to its disk yet is missing if it boots")
    with pausing.held(places):
        still = time.monotonic()
        try:
            for one in machines:
                try:
                    saved[one.name] = memory.save(one)
                except QmpError as error:
                    notes.append(f"{one.name} boots anew: {error.what}")
            _copy(places, made)
        finally:
            for one in machines:
                if one.name in saved:
                    memory.discard(one)
    say(f"cluster {places.name} stood still for {time.monotonic() - still:.1f} s")
    for name, told in saved.items():
        memory.mark(made / "nodes" / name, told)
    return tuple(notes)


def _write_out(places: Places, node: str) -> bool:
    """Have a machine write all that it holds back: its memory may be of no use when it is restored."""
    try:
        with reach.connect(places, node) as stream:
            return client.run(stream, node, Command(("sync",)), client.Ends(), patience=SYNC_SECONDS) == 0
    except ClusterError:
        return False
