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
- extended attributes: security.capability, user.* and POSIX ACLs are set, SELinux, IMA and EVM labels of the
  builder's machine are left out, others refused.
Elsewhere: the tar format (tarstream.py), compression and its bombs (compression.py).
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nodeagent.runtime.images.compression import Plain
from nodeagent.runtime.images.digests import DigestingReader, Readable
from nodeagent.runtime.images.errors import FormatError, ImageError, UnsafeLayer
from nodeagent.runtime.images.merged import MOST_LINKS, OPAQUE, Found, MergedView, Parts, is_opaque, is_whiteout, split
from nodeagent.runtime.images.tarstream import Kind, TarEntry, TarReader

WHITEOUT = ".wh."
OPAQUE_MARK = ".wh..wh..opq"
_HARMLESS = {(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2)}
_KEPT_XATTRS = (b"user.", b"security.capability", b"system.posix_acl_")
_DROPPED_XATTRS = (b"security.", b"com.apple.", b"btrfs.", b"system.nfs4_acl", b"lustre.")
_REFUSED_XATTRS = (b"trusted.", b"user.overlay.")

_SYS_OPENAT2 = 437
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_IN_ROOT = 0x10


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def open_in_root(root: int, path: str, flags: int) -> int:
    """openat2(2) with RESOLVE_IN_ROOT: links and `..` stay below the directory `root`. Raises OSError."""
    how = _OpenHow(flags | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)
    fd: int = _libc.syscall(
        ctypes.c_long(_SYS_OPENAT2),
        ctypes.c_int(root),
        ctypes.c_char_p(os.fsencode(path)),
        ctypes.byref(how),
        ctypes.c_size_t(ctypes.sizeof(how)),
    )
    if fd == -1:
        code = ctypes.get_errno()
        raise OSError(code, f"openat2 {path!r} in root: {os.strerror(code)}")
    return fd


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
        self.entries = 1
        self._links = 0
        self._prefix = os.readlink(f"/proc/self/fd/{root}")
        self._root_is_opaque = False
        self._whiteouts: set[Parts] = set()
        self._times: dict[str, int] = {}
        self._parent: tuple[Parts, int] | None = None
        lower = below.find(())
        if lower is not None:
            self._like(lower, root)
        else:
            os.fchmod(root, 0o755)

    # Entries

    def add(self, entry: TarEntry, reader: TarReader) -> None:
        """Put one entry into the tree. Raises UnsafeLayer, FormatError, OSError."""
        self.entries += 1
        if self.entries > self.limits.entries:
            raise UnsafeLayer(self.where, f"has more than {self.limits.entries} entries")
        name = self._show(entry.name)
        try:
            self._links = 0
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
            self._attributes(entry, self.root, name)
            self._times[""] = entry.mtime_ns
            return
        base = parts[-1]
        if any(part.startswith(WHITEOUT) for part in parts[:-1]):
            if any(part.startswith(".wh..wh.") for part in parts[:-1]):
                return  # aufs's own directories, which Docker leaves out too
            raise self._unsafe(name, "is below a whiteout")
        if base.startswith(WHITEOUT):
            self._whiteout(parts[:-1], base, name)
            return
        parent = self._directory_of(parts[:-1])
        made = self._MAKERS[entry.kind]
        made(self, entry, parent, base, name, reader)
        if entry.kind is Kind.DIRECTORY:
            self._times["/".join(parts)] = entry.mtime_ns

    def _file(self, entry: TarEntry, parent: int, base: str, name: str, reader: TarReader) -> None:
        self._clear(parent, base)
        fd = os.open(base, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=parent)
        try:
            for chunk in reader.data():
                self._count(len(chunk))
                view = memoryview(chunk)
                while view:
                    view = view[os.write(fd, view) :]
            self._attributes(entry, fd, name)
            os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))
        finally:
            os.close(fd)

    def _make_directory(self, entry: TarEntry, parent: int, base: str, name: str, reader: TarReader) -> None:
        there = self._lstat(parent, base)
        if there is None or not stat.S_ISDIR(there.st_mode):
            self._clear(parent, base)
            os.mkdir(base, 0o700, dir_fd=parent)
        fd = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            if there is not None and is_whiteout(there):
                os.setxattr(fd, OPAQUE, b"y")
            self._attributes(entry, fd, name)
        finally:
            os.close(fd)

    def _symlink(self, entry: TarEntry, parent: int, base: str, name: str, reader: TarReader) -> None:
        if not entry.link or b"\0" in entry.link or len(entry.link) > 4095:
            raise FormatError(f"{self.where}, {name}", "is a symbolic link without a usable target")
        self._clear(parent, base)
        os.symlink(os.fsdecode(entry.link), base, dir_fd=parent)
        self._owner(entry, name)
        os.chown(base, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=False)
        os.utime(base, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=parent, follow_symlinks=False)

    def _hard_link(self, entry: TarEntry, parent: int, base: str, name: str, reader: TarReader) -> None:
        shown = self._show(entry.link)
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
            there = self._lstat(source, target[-1]) if source >= 0 else None
            if there is None:
                self._copy_up(target, parent, base, name, shown)
                return
            if is_whiteout(there) or stat.S_ISDIR(there.st_mode):
                raise self._unsafe(name, f"is a hard link to {shown}, which is no file")
            same = self._lstat(parent, base)
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
                self._like(found, fd)
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
        self._owner(entry, name)
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
            parent = self._directory_of(directory)
            os.setxattr(f"/proc/self/fd/{parent}", OPAQUE, b"y")
            return
        if base.startswith(".wh..wh."):
            return  # aufs's own files
        hidden = base.removeprefix(WHITEOUT)
        if hidden in ("", ".", ".."):
            raise self._unsafe(name, f"is a whiteout of {hidden!r}, which is no file name")
        parent = self._directory_of(directory)
        there = self._lstat(parent, hidden)
        if there is None:
            os.mknod(hidden, stat.S_IFCHR, os.makedev(0, 0), dir_fd=parent)
            self._whiteouts.add((*self._real(parent), hidden))
        elif stat.S_ISDIR(there.st_mode):
            # The layer has a directory of that name itself: only what is below it in lower layers goes.
            os.setxattr(f"/proc/self/fd/{parent}/{hidden}", OPAQUE, b"y", follow_symlinks=False)

    def finish(self) -> None:
        """What can only be done when all entries are there: an opaque root, and the directories' times."""
        if self._root_is_opaque and (lower := self.below.find(())) is not None:
            for name in self.below.names(lower):
                self._whiteout((), WHITEOUT + name, name)
        self._forget_parent()
        for parts in self._whiteouts:
            self._drop_if_idle(parts)
        for path, mtime in self._times.items():
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
                there = self._lstat(parent, parts[-1])
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

    # Directories

    def _directory_of(self, parts: Parts) -> int:
        """The directory's descriptor, made if need be, valid until the next call."""
        if self._parent is None or self._parent[0] != parts:
            self._forget_parent()
            self._parent = (parts, self._directory(parts))
        return self._parent[1]

    def _forget_parent(self) -> None:
        if self._parent is not None:
            os.close(self._parent[1])
            self._parent = None

    def _directory(self, parts: Parts) -> int:
        if len(parts) > self.limits.depth:
            raise UnsafeLayer(self.where, f"has directories more than {self.limits.depth} deep")
        try:
            return open_in_root(self.root, "/".join(parts) or ".", os.O_PATH | os.O_DIRECTORY)
        except OSError as error:
            if error.errno == errno.ENOSYS:
                raise ImageError(self.where, "the kernel has no openat2", "use Linux 5.6 or later") from None
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                raise
        parent = self._directory(parts[:-1])
        try:
            return self._implied(parent, parts[-1], "/".join(parts))
        finally:
            os.close(parent)

    def _implied(self, parent: int, base: str, shown: str) -> int:
        """A directory that the archive uses without having it: the lower layers' one, seen from this layer."""
        real = self._real(parent)
        there = self._lstat(parent, base)
        lower = None
        if there is None:
            lower = self.below.find((*real, base))
        elif stat.S_ISLNK(there.st_mode):
            return self._through(real, os.readlink(base, dir_fd=parent), shown)
        elif is_whiteout(there):
            os.unlink(base, dir_fd=parent)
        else:
            raise FormatError(f"{self.where}, {shown!r}", "is used as a directory but is a file")
        if lower is not None and lower.is_symlink:
            return self._through(real, os.readlink(lower.path), shown)
        os.mkdir(base, 0o755, dir_fd=parent)
        self.entries += 1
        fd = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        if there is not None:
            os.setxattr(fd, OPAQUE, b"y")
        if lower is not None and lower.is_directory:
            self._like(lower, fd)
            self._times["/".join((*real, base))] = lower.status.st_mtime_ns
        else:
            os.fchmod(fd, 0o755)
            self._times["/".join((*real, base))] = 0
        return fd

    def _real(self, directory: int) -> Parts:
        """Where an open directory lies in the tree, whatever links led there."""
        return split(os.readlink(f"/proc/self/fd/{directory}").removeprefix(self._prefix))

    def _through(self, directory: Parts, target: str, shown: str) -> int:
        self._links += 1
        if self._links > MOST_LINKS:
            raise self._unsafe(repr(shown), "leads through too many symbolic links")
        start = () if target.startswith("/") else directory
        return self._directory(split("/".join((*start, target))))

    def _like(self, lower: Found, fd: int) -> None:
        os.fchown(fd, lower.status.st_uid, lower.status.st_gid)
        os.fchmod(fd, stat.S_IMODE(lower.status.st_mode))
        for name in os.listxattr(lower.path, follow_symlinks=False):
            if name.encode().startswith(_KEPT_XATTRS):
                os.setxattr(fd, name, os.getxattr(lower.path, name, follow_symlinks=False))

    # Single files

    def _clear(self, parent: int, base: str) -> None:
        """Make room for an entry: the later of two of one name counts."""
        there = self._lstat(parent, base)
        if there is None:
            return
        if stat.S_ISDIR(there.st_mode):
            shutil.rmtree(base, dir_fd=parent)
        else:
            os.unlink(base, dir_fd=parent)

    def _attributes(self, entry: TarEntry, fd: int, name: str) -> None:
        self._owner(entry, name)
        os.fchown(fd, entry.uid, entry.gid)
        os.fchmod(fd, entry.mode)
        for key, value in entry.xattrs.items():
            if key.startswith(_REFUSED_XATTRS):
                raise self._unsafe(name, f"sets the extended attribute {self._show(key)}")
            if key.startswith(_KEPT_XATTRS):
                try:
                    os.setxattr(fd, key, value)
                except OSError as error:
                    raise FormatError(
                        f"{self.where}, {name}", f"extended attribute {self._show(key)}: {error.strerror}"
                    ) from None
            elif not key.startswith(_DROPPED_XATTRS):
                raise self._unsafe(name, f"sets the unknown extended attribute {self._show(key)}")

    def _owner(self, entry: TarEntry, name: str) -> None:
        if entry.uid >= 2**32 - 1 or entry.gid >= 2**32 - 1:
            raise FormatError(f"{self.where}, {name}", f"has the owner {entry.uid}:{entry.gid}, beyond 32 bits")

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

    def _show(self, raw: bytes) -> str:
        text = repr(os.fsdecode(raw).encode("utf-8", "replace").decode())
        return text if len(text) <= 120 else f"{text[:117]}...'"

    def _unsafe(self, name: str, what: str) -> UnsafeLayer:
        return UnsafeLayer(f"{self.where}, {name}", what)

    @staticmethod
    def _lstat(parent: int, base: str) -> os.stat_result | None:
        try:
            return os.stat(base, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return None
