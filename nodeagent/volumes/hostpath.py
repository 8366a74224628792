"""hostPath: a path of the node, checked for what the pod says it is.

Source: the Kubernetes documentation, "hostPath volume types".
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from nodeagent.volumes.errors import VolumeError
from sampan.api import core_v1

CHECKS: dict[str, tuple[Callable[[int], bool], str]] = {
    "Directory": (stat.S_ISDIR, "a directory"),
    "File": (stat.S_ISREG, "a file"),
    "Socket": (stat.S_ISSOCK, "a socket file"),
    "CharDevice": (stat.S_ISCHR, "a character device"),
    "BlockDevice": (stat.S_ISBLK, "a block device"),
}


def host_path(source: core_v1.HostPathVolumeSource) -> Path:
    """The path, made first if its type says so. Raises VolumeError."""
    path = Path(source.path)
    if not path.is_absolute() or ".." in path.parts:
        raise VolumeError(f"hostPath {source.path!r} must be absolute and must not contain '..'")
    kind = source.type or ""
    try:
        match kind:
            case "":
                if not os.path.lexists(path):
                    # containerd and CRI-O make a directory of it, too
                    path.mkdir(parents=True, mode=0o755)
                return path
            case "DirectoryOrCreate":
                path.mkdir(parents=True, exist_ok=True, mode=0o755)
                kind = "Directory"
            case "FileOrCreate":
                if not path.exists():
                    path.touch(mode=0o644)
                kind = "File"
    except OSError as error:
        raise VolumeError(f"hostPath {path}: {error.strerror}") from None
    if kind not in CHECKS:
        raise VolumeError(f"hostPath type {kind!r} is not known")
    right, what = CHECKS[kind]
    try:
        mode = path.stat().st_mode
    except OSError:
        mode = 0
    if not right(mode):
        raise VolumeError(f"hostPath type check failed: {path} is not {what}")
    return path
