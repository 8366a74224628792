"""The exchange of a cluster's state for a copy of another time, which a crash may interrupt anywhere.

`finish` goes on wherever that was. It is called by the next restore, and by the next start before anything else.
"""

from __future__ import annotations

from pathlib import Path

from deploy import removal
from deploy.places import Places
from deploy.snapshots import contents, store


def finish_interrupted(places: Places) -> None:
    """Finish what a process that died has left. Raises ClusterError while a living one is at it."""
    if any(path.exists() for path in names(places)):
        with store.locked(places):
            finish(places)


def finish(places: Places) -> None:
    """Complete a restore that was cut short in its exchange of names, or undo one that was cut short before."""
    coming, ready = names(places)
    if ready.exists():
        gone = places.state / ".replaced"
        for name in contents.ITEMS:
            new, old = coming / name, places.state / name
            if new.exists():
                gone.mkdir(exist_ok=True, mode=0o700)
                if old.exists():
                    removal.remove_tree(gone / name)
                    old.rename(gone / name)
                new.rename(old)
        removal.remove_tree(gone)
        removal.remove_tree(coming)
        ready.unlink()
    removal.remove_tree(coming)


def names(places: Places) -> tuple[Path, Path]:
    """Where a copy is made ready, and the mark that it is whole."""
    return places.state / ".restoring", places.state / ".restoring-ready"
