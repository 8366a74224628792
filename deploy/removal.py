"""Removing a directory tree that users may have mounted things into, without touching what is theirs.

Nothing below a mount point is looked at, no symbolic link is followed, nothing is unmounted.
"""

from __future__ import annotations

import os
from pathlib import Path


def mount_points(root: Path) -> list[Path]:
    """The mount points at or below `root` in this mount namespace (proc_pid_mountinfo(5))."""
    real = os.path.realpath(root)
    found = []
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            target = line.split(" ")[4].encode("utf-8", "surrogateescape").decode("unicode_escape")
            if target == real or target.startswith(real + "/"):
                found.append(Path(target))
    return found


def remove_tree(root: Path) -> list[Path]:
    """Remove `root`. Returns the mount points that were left, with the directories that lead to them."""
    if not root.exists() and not root.is_symlink():
        return []
    kept = mount_points(root)
    protected = {os.fspath(path) for path in kept}
    _empty(Path(os.path.realpath(root)), protected)
    return kept


def _empty(directory: Path, protected: set[str]) -> None:
    if os.fspath(directory) in protected:
        return
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                _empty(Path(entry.path), protected)
            else:
                os.unlink(entry.path)
    if not any(os.fspath(point).startswith(os.fspath(directory) + "/") for point in protected):
        os.rmdir(directory)
