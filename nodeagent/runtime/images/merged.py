"""Layers in overlayfs form seen as one tree, without mounting them: what lies at a path, and where.

The rules are overlayfs's (kernel documentation, "whiteouts and opaque directories"). Layers do not change once they
are in the store, so a look is never out of date. Symbolic links are followed by us, inside the root, never by the
kernel.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

OPAQUE = "trusted.overlay.opaque"
MOST_LINKS = 40

Parts = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """What a path is: its topmost file, and for a directory all layers' directories that make it up."""

    path: str
    status: os.stat_result
    merged: tuple[str, ...] = ()

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.status.st_mode)

    @property
    def is_symlink(self) -> bool:
        return stat.S_ISLNK(self.status.st_mode)

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.status.st_mode)


def is_whiteout(status: os.stat_result) -> bool:
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def is_opaque(path: str) -> bool:
    try:
        return os.getxattr(path, OPAQUE, follow_symlinks=False) == b"y"
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.ENOTSUP):
            return False
        raise


def split(path: str) -> Parts:
    """The components of a path, `..` taken textually and never above the root."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return tuple(parts)


class MergedView:
    """`layers` are directories, topmost first."""

    def __init__(self, layers: Sequence[str | os.PathLike[str]]) -> None:
        self._layers = tuple(os.fspath(layer) for layer in layers)

    def find(self, parts: Parts) -> Found | None:
        """What is at exactly this path: no component is followed if it is a symbolic link."""
        if not self._layers:
            return None
        here = Found(self._layers[0], os.lstat(self._layers[0]), self._layers)
        for part in parts:
            step = self._step(here, part)
            if step is None:
                return None
            here = step
        return here

    def follow(self, parts: Parts, *, last: bool = True) -> tuple[Parts, Found | None]:
        """Where a path leads inside the root, following links (the last component's only if `last`).

        A path that does not exist leads to itself as far as that is known. Raises OSError (ELOOP).
        """
        done: Parts = ()
        todo = list(parts)
        links = 0
        here = self.find(())
        while todo:
            part = todo.pop(0)
            if part == "..":
                done = done[:-1]
                here = self.find(done)
                continue
            found = self._step(here, part) if here is not None else None
            if found is not None and found.is_symlink and (todo or last):
                links += 1
                if links > MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), "/".join(parts))
                target = os.readlink(found.path)
                todo[:0] = [p for p in target.split("/") if p not in ("", ".")]
                if target.startswith("/"):
                    done, here = (), self.find(())
                continue
            done, here = (*done, part), found
        return done, here

    def names(self, directory: Found) -> list[str]:
        """The names in a directory, sorted."""
        names: dict[str, bool] = {}
        for layer in directory.merged:
            for item in os.scandir(layer):
                if item.name not in names:
                    names[item.name] = not is_whiteout(item.stat(follow_symlinks=False))
        return sorted(name for name, there in names.items() if there)

    def child(self, directory: Found, name: str) -> Found | None:
        return self._step(directory, name)

    def _step(self, here: Found, part: str) -> Found | None:
        merged: list[str] = []
        top: os.stat_result | None = None
        for layer in here.merged:
            path = f"{layer}/{part}"
            status = None
            with suppress(FileNotFoundError):
                status = os.lstat(path)
            if status is None:
                continue
            if is_whiteout(status):
                break
            if not stat.S_ISDIR(status.st_mode):
                if top is None:
                    return Found(path, status)
                break
            top = top or status
            merged.append(path)
            if is_opaque(path):
                break
        return Found(merged[0], top, tuple(merged)) if top is not None else None
