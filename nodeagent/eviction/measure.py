"""How much disk directories take: counted by walking them, never through a mount or a symlink."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

BLOCK = 512


@dataclass(frozen=True, slots=True)
class DiskUse:
    """Bytes that are allocated, and files."""

    bytes: int = 0
    inodes: int = 0

    def __add__(self, other: DiskUse) -> DiskUse:
        return DiskUse(self.bytes + other.bytes, self.inodes + other.inodes)


def disk_use(path: Path) -> DiskUse:
    """All below a directory on its own filesystem; a file with several names counts once. Zero if it is not there."""
    try:
        root = os.lstat(path)
    except OSError:
        return DiskUse()
    size, inodes, seen, waiting = root.st_blocks * BLOCK, 1, set[int](), [os.fspath(path)]
    if not stat.S_ISDIR(root.st_mode):
        return DiskUse(size, inodes)
    while waiting:
        for entry in _entries(waiting.pop()):
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if status.st_dev != root.st_dev or status.st_ino in seen:
                continue
            if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
                seen.add(status.st_ino)
            size += status.st_blocks * BLOCK
            inodes += 1
            if stat.S_ISDIR(status.st_mode):
                waiting.append(entry.path)
    return DiskUse(size, inodes)


def _entries(path: str) -> Iterable[os.DirEntry[str]]:
    try:
        with os.scandir(path) as found:
            return list(found)
    except OSError:
        return ()
