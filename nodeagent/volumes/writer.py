"""Files that change all at once: a directory of links into `..data`, itself a link that one rename(2) moves.

A container that has the volume mounted sees the old files or the new ones, never a mixture.
Source: the Kubernetes documentation, "Mounted ConfigMaps are updated automatically"; the layout is upstream's, so
programs that watch `..data` work.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nodeagent.volumes.errors import VolumeError

DATA = "..data"
NEW_DATA = "..data_tmp"
LONGEST_PATH = 4096
LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class File:
    """One projected file. `user` owns it, root when None."""

    data: bytes
    mode: int = 0o644
    user: int | None = None


def check_path(path: str) -> None:
    """A relative path that stays below its directory, as projected items may name. Raises VolumeError."""
    parts = path.split("/")
    if not path or path.startswith("/"):
        raise VolumeError(f"invalid path {path!r}: must be relative and not empty")
    if len(path.encode()) > LONGEST_PATH or any(len(part.encode()) > LONGEST_NAME for part in parts):
        raise VolumeError("invalid path: too long")
    if "\0" in path:
        raise VolumeError(f"invalid path {path!r}: has a NUL")
    if any(part in ("..", ".", "") for part in parts):
        raise VolumeError(f"invalid path {path!r}: must not contain '..', '.' or empty parts")
    if parts[0].startswith(".."):
        raise VolumeError(f"invalid path {path!r}: must not start with '..'")


def write_atomically(target: Path, files: Mapping[str, File], *, group: int | None = None) -> bool:
    """Make `target` show exactly these files. Returns whether anything changed. Raises VolumeError, OSError."""
    for path in files:
        check_path(path)
    target.mkdir(parents=True, exist_ok=True)
    old = _current(target)
    if old is not None and _same(target / old, files, group):
        return False
    made = Path(tempfile.mkdtemp(prefix="..", suffix=".new", dir=target))
    try:
        _fill(made, files, group)
        link = target / NEW_DATA
        if os.path.lexists(link):
            link.unlink()
        link.symlink_to(made.name)
        os.rename(link, target / DATA)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    _link_names(target, {path.partition("/")[0] for path in files})
    for entry in os.scandir(target):
        if entry.name.startswith("..") and entry.name not in (DATA, made.name) and not entry.is_symlink():
            shutil.rmtree(entry.path, ignore_errors=True)
    return True


def _current(target: Path) -> str | None:
    try:
        name = os.readlink(target / DATA)
    except OSError:
        return None
    return name if "/" not in name and name.startswith("..") else None


def _same(directory: Path, files: Mapping[str, File], group: int | None) -> bool:
    found = set()
    for here, _, names in os.walk(directory):
        for name in names:
            path = Path(here) / name
            relative = str(path.relative_to(directory))
            wanted = files.get(relative)
            if wanted is None or path.is_symlink() or path.read_bytes() != wanted.data:
                return False
            status = path.stat()
            if status.st_mode & 0o7777 != wanted.mode or status.st_uid != (wanted.user or 0):
                return False
            if group is not None and status.st_gid != group:
                return False
            found.add(relative)
    return found == set(files)


def _fill(made: Path, files: Mapping[str, File], group: int | None) -> None:
    made.chmod(0o755)
    for path, file in files.items():
        place = made / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(file.data)
        if file.user is not None or group is not None:
            os.chown(place, file.user if file.user is not None else -1, group if group is not None else -1)
        place.chmod(file.mode)  # after chown, which clears set-id bits
    if group is not None:
        for here, _, _ in os.walk(made):
            os.chown(here, -1, group)
            os.chmod(here, 0o2775)


def _link_names(target: Path, wanted: set[str]) -> None:
    for entry in list(os.scandir(target)):
        if not entry.name.startswith("..") and entry.name not in wanted and entry.is_symlink():
            os.unlink(entry.path)
    for name in wanted:
        place = target / name
        if not os.path.lexists(place):
            place.symlink_to(f"{DATA}/{name}")
