"""Unpacking one layer into a tree that overlayfs can take as a lower directory.

Sources: OCI image-spec v1.1 layer.md (whiteouts), kernel documentation overlayfs.rst. Always: nothing is created,
linked, changed or removed outside the tree, whatever the archive says, because every directory is opened by
openat2(2) with RESOLVE_IN_ROOT and every last component is taken literally; and a layer that fails leaves nothing.

Rules for what a layer may hold:
- names: no `..`; a leading `/` or `./` means the root. A symbolic link in the middle of a path is followed inside
  the root.
- whiteouts become 0:0 character devices, opaque markers `trusted.overlay.opaque`; a layer may not bring either
  itself.
- devices: the harmless ones are made; others below /dev are left out (a container gets a /dev of its own), elsewhere
  refused.
- extended attributes: see attributes.py.
Elsewhere: directories (directories.py), openat2 (beneath.py), the tar format (tarstream.py), compression and its bombs
(compression.py).
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nodeagent.runtime.images.attributes import check_owner, copy_attributes, quoted, set_attributes
from nodeagent.runtime.images.beneath import lstat_in, open_in_root
from nodeagent.runtime.images.compression import Plain
from nodeagent.runtime.images.digests import DigestingReader, Readable
from nodeagent.runtime.images.directories import Directories
from nodeagent.runtime.images.errors import FormatError, UnsafeLayer
from nodeagent.runtime.images.merged import OPAQUE, MergedView, Parts, is_opaque, is_whiteout, split
from nodeagent.runtime.images.tarstream import Kind, TarEntry, TarReader

WHITEOUT = ".wh."
OPAQUE_MARK = ".wh..wh..opq"
_HARMLESS = {(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2)}


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one layer may ask of the machine."""

    entries: int = 1_000_000
    bytes: int = 64 << 30
    blob_bytes: int = 32 << 30
    depth: int = 256
    ratio: int = 200
    """Plain bytes for one compressed byte, once there are more than `ratio_from` plain bytes."""
    ratio_from: int = 256 << 20


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Unpacked:
    """`bytes` of file content and the number of `entries` (inodes, about)."""

    bytes: int
    entries: int


def unpack_layer(
    source: Readable,
    tree: Path,
    *,
    media_type: str,
    diff_id: str | None,
    lowers: Sequence[Path],
    where: str,
    limits: Limits = DEFAULT_LIMITS,
) -> Unpacked:
    """Make the directory `tree` from a layer archive over the layers `lowers` (topmost first).

    Raises FormatError, UnsafeLayer, DigestMismatch, OSError (the disk); then `tree` does not exist.
    """
    limited = Plain(
        source,
        where,
        media_type=media_type,
        most=limits.bytes,
        ratio=limits.ratio,
        ratio_from=limits.ratio_from,
    )
    plain = DigestingReader(limited)
    tree.mkdir(mode=0o700)
    try:
        root = os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            layer = _Tree(root, MergedView(lowers), where, limits)
            reader = TarReader(plain, where)
            for entry in reader:
                layer.add(entry, reader)
            reader.drain()
            if diff_id is not None:
                plain.finish(diff_id, where)
            layer.finish()
        finally:
            os.close(root)
    except BaseException:
        shutil.rmtree(tree, ignore_errors=True)
        raise
    return Unpacked(layer.bytes, layer.entries)


class _Tree:
    def __init__(self, root: int, below: MergedView, where: str, limits: Limits) -> None:
        self.root = root
        self.below = below
        self.where = where
        self.limits = limits
        self.bytes = 0
        self._entries = 1
        self._root_is_opaque = False
        self._whiteouts: set[Parts] = set()
        self.directories = Directories(root, below, where, limits.depth)
        lower = below.find(())
        if lower is not None:
            copy_attributes(lower, root)
        else:
            os.fchmod(root, 0o755)

    @property
    def entries(self) -> int:
        """Inodes, about: the archive's entries, the root, and directories that are only implied."""
        return self._entries + self.directories.made

    # Entries

    def add(self, entry: TarEntry, reader: TarReader) -> None:
        """Put one entry into the tree. Raises UnsafeLayer, FormatError, OSError."""
        self._entries += 1
        if self.entries > self.limits.entries:
            raise UnsafeLayer(self.where, f"has more than {self.limits.entries} entries")
        name = quoted(entry.name)
        try:
            self.directories.next_entry()
            parts = self._parts(entry.name, name)
            self._add(entry, parts, name, reader)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE):
                raise
            raise FormatError(f"{self.where}, {name}", f"cannot be unpacked: {error.strerror}") from None

    def _add(self, entry: TarEntry, parts: Parts, name: str, reader: TarReader) -> None:
        if not parts:
            if entry.kind is not Kind.DIRECTORY:
                raise self._unsafe(name, "would replace the root directory")
            set_attributes(entry, self.root, f"{self.where}, {name}")
            self.directories.times[""] = entry.mtime_ns
            return
        base = parts[-1]
        if any(part.startswith(WHITEOUT) for part in parts[:-1]):
            if any(part.startswith(".wh..wh.") for part in parts[:-1]):
                return  # aufs's own directories, which Docker leaves out too
            raise self._unsafe(name, "is below a whiteout")
        if base.startswith(WHITEOUT):
            self._whiteout(parts[:-1], base, name)
            return
        parent = self.directories.at(parts[:-1])
        made = self._MAKERS[entry.kind]
        made(self, entry, parent, base, name, reader)
        if entry.kind is Kind.DIRECTORY:
            self.directories.times["/".join(parts)] = entry.mtime_ns

    def _file(self, entry: TarEntry, parent: int, base: str, name: str, reader: TarReader) -> None:
        self._clear(parent, base)
        fd = os.open(base, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=parent)
        try:
            for chunk in reader.data():
                self._count(len(chunk))
                view = memoryview(chunk)
                while view:
                    view = view[os.write(fd, view) :]
            set_attributes(entry, fd, f"{self.where}, {name}")
            os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))
        finally:
            os.close(fd)

    def _make_directory(self, entry: TarEntry, parent: int, base: str, name: str, reader: TarReader) -> None:
        there = lstat_in(parent, base)
        if there is None or not stat.S_ISDIR(there.st_mode):
            self._clear(parent, base)
            os.mkdir(base, 0o700, dir_fd=parent)
        fd = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            if there is not None and is_whiteout(there):
                os.setxattr(fd, OPAQUE, b"y")
            set_attributes(entry, fd, f"{self.where}, {name}")
        finally:
            os.close(fd)

    def _symlink(self, entry: TarEntry, parent: int, base: str, name: str, reader: TarReader) -> None:
        if not entry.link or b"\0" in entry.link or len(entry.link) > 4095:
            raise FormatError(f"{self.where}, {name}", "is a symbolic link without a usable target")
        self._clear(parent, base)
        os.symlink(os.fsdecode(entry.link), base, dir_fd=parent)
        check_owner(entry, f"{self.where}, {name}")
        os.chown(base, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=False)
        os.utime(base, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=parent, follow_symlinks=False)

    def _hard_link(self, entry: TarEntry, parent: int, base: str, name: str, reader: TarReader) -> None:
        shown = quoted(entry.link)
        target = self._parts(entry.link, f"{name}, hard link to {shown}")
        if not target or any(part.startswith(WHITEOUT) for part in target):
            raise self._unsafe(name, f"is a hard link to {shown}, which is no file")
        try:
            source = open_in_root(self.root, "/".join(target[:-1]) or ".", os.O_PATH | os.O_DIRECTORY)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                raise
            source = -1
        try:
            there = lstat_in(source, target[-1]) if source >= 0 else None
            if there is None:
                self._copy_up(target, parent, base, name, shown)
                return
            if is_whiteout(there) or stat.S_ISDIR(there.st_mode):
                raise self._unsafe(name, f"is a hard link to {shown}, which is no file")
            same = lstat_in(parent, base)
            if same is not None and (same.st_dev, same.st_ino) == (there.st_dev, there.st_ino):
                if target[-1] == base and os.fstat(source).st_ino == os.fstat(parent).st_ino:
                    raise self._unsafe(name, "is a hard link to itself")
                return
            self._clear(parent, base)
            os.link(target[-1], base, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
        finally:
            if source >= 0:
                os.close(source)

    def _copy_up(self, target: Parts, parent: int, base: str, name: str, shown: str) -> None:
        """A hard link to a file of a lower layer: in a tree of its own that file must come along."""
        _, found = self.below.follow(target, last=False)
        if found is None or not found.is_file:
            raise FormatError(f"{self.where}, {name}", f"is a hard link to {shown}, which does not exist")
        self._clear(parent, base)
        with open(found.path, "rb") as content:
            fd = os.open(
                base, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=parent
            )
            try:
                while chunk := content.read(1 << 20):
                    self._count(len(chunk))
                    view = memoryview(chunk)
                    while view:
                        view = view[os.write(fd, view) :]
                copy_attributes(found, fd)
                os.utime(fd, ns=(found.status.st_mtime_ns, found.status.st_mtime_ns))
            finally:
                os.close(fd)

    def _device(self, entry: TarEntry, parent: int, base: str, name: str, reader: TarReader) -> None:
        kind = stat.S_IFCHR if entry.kind is Kind.CHAR_DEVICE else stat.S_IFBLK
        number = (entry.major, entry.minor)
        if kind == stat.S_IFCHR and number == (0, 0):
            raise self._unsafe(name, "is a 0:0 character device, overlayfs's whiteout in disguise")
        if kind == stat.S_IFBLK or number not in _HARMLESS:
            if split(os.fsdecode(entry.name))[0] == "dev":
                return
            raise self._unsafe(name, f"is a device node ({entry.major}:{entry.minor}) outside /dev")
        self._node(kind, os.makedev(*number), entry, parent, base, name)

    def _fifo(self, entry: TarEntry, parent: int, base: str, name: str, reader: TarReader) -> None:
        self._node(stat.S_IFIFO, 0, entry, parent, base, name)

    def _node(self, kind: int, device: int, entry: TarEntry, parent: int, base: str, name: str) -> None:
        check_owner(entry, f"{self.where}, {name}")
        self._clear(parent, base)
        os.mknod(base, kind | 0o600, device, dir_fd=parent)
        os.chown(base, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=False)
        os.chmod(f"/proc/self/fd/{parent}/{base}", entry.mode)
        os.utime(base, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=parent, follow_symlinks=False)

    _MAKERS = {  # noqa: RUF012 - a table of methods, as constant as the class
        Kind.FILE: _file,
        Kind.DIRECTORY: _make_directory,
        Kind.SYMLINK: _symlink,
        Kind.HARD_LINK: _hard_link,
        Kind.CHAR_DEVICE: _device,
        Kind.BLOCK_DEVICE: _device,
        Kind.FIFO: _fifo,
    }

    def _whiteout(self, directory: Parts, base: str, name: str) -> None:
        if base == OPAQUE_MARK:
            if not directory:
                self._root_is_opaque = True
                return
            parent = self.directories.at(directory)
            os.setxattr(f"/proc/self/fd/{parent}", OPAQUE, b"y")
            return
        if base.startswith(".wh..wh."):
            return  # aufs's own files
        hidden = base.removeprefix(WHITEOUT)
        if hidden in ("", ".", ".."):
            raise self._unsafe(name, f"is a whiteout of {hidden!r}, which is no file name")
        parent = self.directories.at(directory)
        there = lstat_in(parent, hidden)
        if there is None:
            os.mknod(hidden, stat.S_IFCHR, os.makedev(0, 0), dir_fd=parent)
            self._whiteouts.add((*self.directories.place_of(parent), hidden))
        elif stat.S_ISDIR(there.st_mode):
            # The layer has a directory of that name itself: only what is below it in lower layers goes.
            os.setxattr(f"/proc/self/fd/{parent}/{hidden}", OPAQUE, b"y", follow_symlinks=False)

    def finish(self) -> None:
        """What can only be done when all entries are there: an opaque root, and the directories' times."""
        if self._root_is_opaque and (lower := self.below.find(())) is not None:
            for name in self.below.names(lower):
                self._whiteout((), WHITEOUT + name, name)
        self.directories.close()
        for parts in self._whiteouts:
            self._drop_if_idle(parts)
        for path, mtime in self.directories.times.items():
            with suppress(FileNotFoundError, NotADirectoryError):
                fd = open_in_root(self.root, path or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
                try:
                    os.utime(fd, ns=(mtime, mtime))
                finally:
                    os.close(fd)

    def _drop_if_idle(self, parts: Parts) -> None:
        """Remove a whiteout that hides nothing: overlayfs would list it in directories that it does not merge."""
        directories = [parts[:depth] for depth in range(1, len(parts))]
        if self.below.find(parts) is not None and not any(self._is_opaque(path) for path in directories):
            return
        with suppress(FileNotFoundError, NotADirectoryError):
            parent = open_in_root(self.root, "/".join(parts[:-1]) or ".", os.O_PATH | os.O_DIRECTORY)
            try:
                there = lstat_in(parent, parts[-1])
                if there is not None and is_whiteout(there):
                    os.unlink(parts[-1], dir_fd=parent)
            finally:
                os.close(parent)

    def _is_opaque(self, parts: Parts) -> bool:
        try:
            fd = open_in_root(self.root, "/".join(parts), os.O_RDONLY | os.O_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            return False
        try:
            return is_opaque(f"/proc/self/fd/{fd}/.")
        finally:
            os.close(fd)

    # Single files

    def _clear(self, parent: int, base: str) -> None:
        """Make room for an entry: the later of two of one name counts."""
        there = lstat_in(parent, base)
        if there is None:
            return
        if stat.S_ISDIR(there.st_mode):
            shutil.rmtree(base, dir_fd=parent)
        else:
            os.unlink(base, dir_fd=parent)

    def _count(self, size: int) -> None:
        self.bytes += size
        if self.bytes > self.limits.bytes:
            raise UnsafeLayer(self.where, f"unpacks to more than {self.limits.bytes} bytes")

    def _parts(self, raw: bytes, name: str) -> Parts:
        if not raw or b"\0" in raw or len(raw) > 4095:
            raise FormatError(f"{self.where}, {name}", "has an unusable name (empty, too long, or with a NUL)")
        parts = tuple(part for part in os.fsdecode(raw).split("/") if part not in ("", "."))
        if ".." in parts:
            raise self._unsafe(name, "has '..' in its name")
        if any(len(os.fsencode(part)) > 255 for part in parts):
            raise FormatError(f"{self.where}, {name}", "has a name component of more than 255 bytes")
        if len(parts) > self.limits.depth:
            raise UnsafeLayer(self.where, f"has directories more than {self.limits.depth} deep")
        return parts

    def _unsafe(self, name: str, what: str) -> UnsafeLayer:
        return UnsafeLayer(f"{self.where}, {name}", what)
