"""Owners, modes and extended attributes of a layer's files: which are set, which are left out, which are refused.

security.capability, user.* and POSIX ACLs are set; SELinux, IMA and EVM labels of the builder's machine are left out;
what would be overlayfs's own, or is unknown, is refused.
"""

from __future__ import annotations

import os
import stat

from nodeagent.runtime.images.errors import FormatError, UnsafeLayer
from nodeagent.runtime.images.merged import Found
from nodeagent.runtime.images.tarstream import TarEntry

_KEPT_XATTRS = (b"user.", b"security.capability", b"system.posix_acl_")
_DROPPED_XATTRS = (b"security.", b"com.apple.", b"btrfs.", b"system.nfs4_acl", b"lustre.")
_REFUSED_XATTRS = (b"trusted.", b"user.overlay.")


def set_attributes(entry: TarEntry, fd: int, where: str) -> None:
    """Give an open file what its entry says. Raises FormatError, UnsafeLayer."""
    check_owner(entry, where)
    os.fchown(fd, entry.uid, entry.gid)
    os.fchmod(fd, entry.mode)
    for key, value in entry.xattrs.items():
        if key.startswith(_REFUSED_XATTRS):
            raise UnsafeLayer(where, f"sets the extended attribute {quoted(key)}")
        if key.startswith(_KEPT_XATTRS):
            try:
                os.setxattr(fd, key, value)
            except OSError as error:
                raise FormatError(where, f"extended attribute {quoted(key)}: {error.strerror}") from None
        elif not key.startswith(_DROPPED_XATTRS):
            raise UnsafeLayer(where, f"sets the unknown extended attribute {quoted(key)}")


def check_owner(entry: TarEntry, where: str) -> None:
    """Raises FormatError for an owner that the kernel can't have."""
    if entry.uid >= 2**32 - 1 or entry.gid >= 2**32 - 1:
        raise FormatError(where, f"has the owner {entry.uid}:{entry.gid}, beyond 32 bits")


def copy_attributes(lower: Found, fd: int) -> None:
    """Give an open file what a file of a lower layer has."""
    os.fchown(fd, lower.status.st_uid, lower.status.st_gid)
    os.fchmod(fd, stat.S_IMODE(lower.status.st_mode))
    for name in os.listxattr(lower.path, follow_symlinks=False):
        if name.encode().startswith(_KEPT_XATTRS):
            os.setxattr(fd, name, os.getxattr(lower.path, name, follow_symlinks=False))


def quoted(raw: bytes) -> str:
    """A name of an archive as an error may show it."""
    text = repr(os.fsdecode(raw).encode("utf-8", "replace").decode())
    return text if len(text) <= 120 else f"{text[:117]}...'"
