"""One path of a volume, bound to a place of its own, so that no symlink a container makes can lead it elsewhere.

The path is resolved beneath the volume by openat2(2); what was found is bind-mounted by its file descriptor, so that
what is mounted is what was checked.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from nodeagent.volumes.errors import VolumeError
from nodeagent.volumes.mounts import MS_BIND, MS_REC, O_PATH, mount, mounts_under, open_beneath, unmount


def bind_sub_path(volume: Path, sub_path: str, place: Path) -> Path:
    """Bind `volume`/`sub_path` to `place`, made as a directory if it is not there. Returns `place`.

    Raises VolumeError when it leads out of the volume.
    """
    parts = [part for part in sub_path.split("/") if part not in ("", ".")]
    if sub_path.startswith("/") or ".." in parts:
        raise VolumeError(f"subPath {sub_path!r} must be relative and must not contain '..'")
    for target in mounts_under(place):
        unmount(target)
    if volume.is_file():  # a hostPath file, which has nothing beneath it
        raise VolumeError(f"subPath {sub_path!r}: the volume is a file")
    root = os.open(volume, O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found = _reach(root, parts, stat.S_IMODE(os.fstat(root).st_mode))
    except OSError as error:
        raise VolumeError(f"subPath {sub_path!r}: {error.strerror}") from None
    finally:
        os.close(root)
    try:
        _make_place(place, is_directory=stat.S_ISDIR(os.fstat(found).st_mode))
        mount(f"/proc/self/fd/{found}", place, flags=MS_BIND | MS_REC)
    finally:
        os.close(found)
    return place


def _reach(root: int, parts: list[str], mode: int) -> int:
    """A descriptor of the path; directories that are missing are made with the volume's mode."""
    path = "."
    here = open_beneath(root, path, O_PATH)
    try:
        for part in parts:
            path = f"{path}/{part}"
            try:
                there = open_beneath(root, path, O_PATH)
            except FileNotFoundError:
                os.mkdir(part, mode, dir_fd=here)
                there = open_beneath(root, path, O_PATH)
                status = os.fstat(here)
                os.chown(f"/proc/self/fd/{there}", status.st_uid, status.st_gid)
                os.chmod(f"/proc/self/fd/{there}", mode)
            os.close(here)
            here = there
    except BaseException:
        os.close(here)
        raise
    return here


def _make_place(place: Path, *, is_directory: bool) -> None:
    if place.is_dir() != is_directory and os.path.lexists(place):
        place.rmdir() if place.is_dir() else place.unlink()
    place.parent.mkdir(parents=True, exist_ok=True)
    if is_directory:
        place.mkdir(exist_ok=True)
    else:
        place.touch()
