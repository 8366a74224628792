"""Putting a cluster back: the copy is made first and in full, then the cluster stops and names are exchanged."""

from __future__ import annotations

from collections.abc import Callable

from deploy import cluster, lookup, removal
from deploy.snapshots import contents, exchange, store
from deploy.snapshots.store import Snapshot


def restore(name: str, tag: str | None, say: Callable[[str], None]) -> Snapshot:
    """Make a cluster what it was. One that runs is stopped and started again. Raises ClusterError."""
    places = lookup.cluster_places(name)
    with store.locked(places) as root:
        exchange.finish(places)
        snapshot = store.find(places, None if tag is None else store.check_tag(tag))
        contents.present(places)  # refuses what is mounted in there
        contents.check_room(root, snapshot.size)
        coming, ready = exchange.names(places)
        coming.mkdir(mode=0o700)
        try:
            for item in sorted((root / snapshot.tag).iterdir()):
                if item.name in contents.ITEMS:
                    contents.copy(item, coming / item.name)
        except BaseException:
            removal.remove_tree(coming)
            raise
        running = cluster.is_running(places)
        if running:
            cluster.stop(name, say)
        ready.touch()
        exchange.finish(places)
        say(f"cluster {name}: state of {snapshot.tag} is back")
    if running:
        cluster.start(name, None, say)
    return snapshot
