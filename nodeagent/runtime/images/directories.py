"""The directories of a layer that is being unpacked: found, or made where the archive implies them.

A directory that the archive uses without having it is the lower layers' one, seen from this layer, with its owner and
mode. A symbolic link in the middle of a path is followed inside the root, whichever layer it is in.
"""

from __future__ import annotations

import errno
import os
import stat

from nodeagent.runtime.images.attributes import copy_attributes
from nodeagent.runtime.images.beneath import lstat_in, open_in_root
from nodeagent.runtime.images.errors import FormatError, ImageError, UnsafeLayer
from nodeagent.runtime.images.merged import MOST_LINKS, OPAQUE, MergedView, Parts, is_whiteout, split


class Directories:
    """Those of the tree `root`, over the layers `below`, at most `depth` deep."""

    def __init__(self, root: int, below: MergedView, where: str, depth: int) -> None:
        self._root = root
        self._below = below
        self._where = where
        self._depth = depth
        self._prefix = os.readlink(f"/proc/self/fd/{root}")
        self._links = 0
        self._parent: tuple[Parts, int] | None = None
        self.made = 0
        """How many were made because the archive implies them."""
        self.times: dict[str, int] = {}
        """When each was changed, by path, in nanoseconds: set when all is unpacked."""

    def next_entry(self) -> None:
        """Count the links that a path leads through from nothing again."""
        self._links = 0

    def at(self, parts: Parts) -> int:
        """The directory's descriptor, made if need be, valid until the next call."""
        if self._parent is None or self._parent[0] != parts:
            self.close()
            self._parent = (parts, self._directory(parts))
        return self._parent[1]

    def close(self) -> None:
        if self._parent is not None:
            os.close(self._parent[1])
            self._parent = None

    def _directory(self, parts: Parts) -> int:
        if len(parts) > self._depth:
            raise UnsafeLayer(self._where, f"has directories more than {self._depth} deep")
        try:
            return open_in_root(self._root, "/".join(parts) or ".", os.O_PATH | os.O_DIRECTORY)
        except OSError as error:
            if error.errno == errno.ENOSYS:
                raise ImageError(self._where, "the kernel has no openat2", "use Linux 5.6 or later") from None
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                raise
        parent = self._directory(parts[:-1])
        try:
            return self._implied(parent, parts[-1], "/".join(parts))
        finally:
            os.close(parent)

    def _implied(self, parent: int, base: str, shown: str) -> int:
        """A directory that the archive uses without having it: the lower layers' one, seen from this layer."""
        real = self.place_of(parent)
        there = lstat_in(parent, base)
        lower = None
        if there is None:
            lower = self._below.find((*real, base))
        elif stat.S_ISLNK(there.st_mode):
            return self._through(real, os.readlink(base, dir_fd=parent), shown)
        elif is_whiteout(there):
            os.unlink(base, dir_fd=parent)
        else:
            raise FormatError(f"{self._where}, {shown!r}", "is used as a directory but is a file")
        if lower is not None and lower.is_symlink:
            return self._through(real, os.readlink(lower.path), shown)
        os.mkdir(base, 0o755, dir_fd=parent)
        self.made += 1
        fd = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        if there is not None:
            os.setxattr(fd, OPAQUE, b"y")
        if lower is not None and lower.is_directory:
            copy_attributes(lower, fd)
            self.times["/".join((*real, base))] = lower.status.st_mtime_ns
        else:
            os.fchmod(fd, 0o755)
            self.times["/".join((*real, base))] = 0
        return fd

    def place_of(self, directory: int) -> Parts:
        """Where an open directory lies in the tree, whatever links led there."""
        return split(os.readlink(f"/proc/self/fd/{directory}").removeprefix(self._prefix))

    def _through(self, directory: Parts, target: str, shown: str) -> int:
        self._links += 1
        if self._links > MOST_LINKS:
            raise UnsafeLayer(f"{self._where}, {shown!r}", "leads through too many symbolic links")
        start = () if target.startswith("/") else directory
        return self._directory(split("/".join((*start, target))))
