"""Directory trees: taken away without leaving them, and given to a group.

Always: nothing is deleted through a mount or a symlink. Every mount below is unmounted first; if one is left, nothing
is deleted at all.
"""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from nodeagent.volumes.errors import VolumeError
from nodeagent.volumes.mounts import mounts_under, unmount


def remove_tree(path: Path) -> None:
    """Unmount all below `path` and delete it. Fine to repeat. Raises VolumeError, OSError."""
    if not os.path.lexists(path):
        return
    if path.is_symlink():
        raise VolumeError(f"{path} is a symlink, and is left alone")
    for target in mounts_under(path):
        unmount(target)
    if left := mounts_under(path):
        raise VolumeError(f"{left[0]} is still mounted: nothing below {path} is deleted")
    assert shutil.rmtree.avoids_symlink_attacks
    shutil.rmtree(path)


def give_to_group(path: Path, group: int, *, only_if_root_differs: bool = False, read_only: bool = False) -> None:
    """fsGroup: everything in a volume belongs to the group, which may read it, and write unless `read_only`.

    `only_if_root_differs` is fsGroupChangePolicy OnRootMismatch. Symlinks change owner, not their targets.
    """
    extra = 0o440 if read_only else 0o660
    root = path.stat()
    if only_if_root_differs and root.st_gid == group:
        wanted = extra | 0o110 | stat.S_ISGID
        if root.st_mode & wanted == wanted:
            return
    for _, directories, files, here in os.fwalk(path, topdown=False, follow_symlinks=False):
        for name in (*files, *directories):
            _give(name, here, group, extra)
    _give(str(path), None, group, extra)


def _give(name: str, here: int | None, group: int, extra: int) -> None:
    status = os.stat(name, dir_fd=here, follow_symlinks=False)
    os.chown(name, -1, group, dir_fd=here, follow_symlinks=False)
    if stat.S_ISLNK(status.st_mode):
        return
    mode = stat.S_IMODE(status.st_mode) | extra
    if stat.S_ISDIR(status.st_mode):
        mode |= stat.S_ISGID | 0o110
    os.chmod(name, mode, dir_fd=here)
