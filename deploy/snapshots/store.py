"""The snapshots of a cluster: a directory each, under a name that is there only when all of it is."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from deploy import removal
from deploy.places import Places
from sampan.errors import ClusterError

TAG = re.compile(r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?")
RECORD = "snapshot.json"
UNFINISHED = ".saving"


@dataclass(frozen=True)
class Snapshot:
    """One snapshot. `created` is in seconds since 1970, `size` in bytes; `notes` say what is not in it."""

    tag: str
    created: float
    size: int
    nodes: tuple[str, ...]
    notes: tuple[str, ...] = field(default=())


def directory(places: Places) -> Path:
    """Where a cluster's snapshots lie."""
    return places.state / "snapshots"


def check_tag(tag: str) -> str:
    """The tag, if it is one. Raises ClusterError."""
    if not TAG.fullmatch(tag):
        raise ClusterError(
            where=f"snapshot {tag!r}",
            what="not 1 to 63 lower-case letters, digits, dots, dashes and underscores",
            remedy="choose another name",
        )
    return tag


@contextlib.contextmanager
def locked(places: Places) -> Iterator[Path]:
    """The directory, for this process alone. Raises ClusterError when another one works on it."""
    root = directory(places)
    root.mkdir(exist_ok=True, mode=0o700)
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ClusterError(
                where=f"cluster {places.name}",
                what="another snapshot is being saved, restored or deleted",
                remedy="wait until that has ended",
            ) from error
        yield root
    finally:
        os.close(descriptor)


def every(places: Places) -> list[Snapshot]:
    """All whole snapshots, the oldest first."""
    root = directory(places)
    found = [one for path in root.glob("*/" + RECORD) if (one := _read(path)) is not None] if root.is_dir() else []
    return sorted(found, key=lambda one: (one.created, one.tag))


def find(places: Places, tag: str | None) -> Snapshot:
    """A snapshot by its tag, or the newest. Raises ClusterError that names those that there are."""
    known = every(places)
    wanted = [one for one in known if tag is None or one.tag == tag]
    if not wanted:
        raise ClusterError(
            where=f"cluster {places.name}",
            what="it has no snapshot" if tag is None else f"it has no snapshot {tag!r}",
            remedy=f"its snapshots are: {', '.join(one.tag for one in known) or 'none'}",
        )
    return wanted[-1]


def finish(root: Path, made: Path, snapshot: Snapshot) -> None:
    """Give a finished directory its name, durably."""
    record = made / RECORD
    record.write_text(json.dumps(asdict(snapshot), indent=1) + "\n")
    for path in (record, made, root):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if path == made:
            made.rename(root / snapshot.tag)


def delete(places: Places, tag: str) -> None:
    """Remove a snapshot. Raises ClusterError when there is none of that name."""
    check_tag(tag)
    with locked(places) as root:
        find(places, tag)
        doomed = root / f".deleting-{tag}"
        removal.remove_tree(doomed)
        (root / tag).rename(doomed)  # from here on it is not listed
        removal.remove_tree(doomed)


def clean(root: Path) -> None:
    """Remove what operations that were killed have left. The caller holds the lock."""
    for path in root.glob(".*"):
        removal.remove_tree(path)


def _read(record: Path) -> Snapshot | None:
    if not TAG.fullmatch(record.parent.name):
        return None
    try:
        value = json.loads(record.read_text())
        return Snapshot(
            record.parent.name,
            float(value["created"]),
            int(value["size"]),
            tuple(value["nodes"]),
            tuple(value["notes"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
