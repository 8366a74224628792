"""Writing tar archives that are the same for the same content: pax headers, no user names, whole seconds."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Mapping

from nodeagent.runtime.images.tarstream import BLOCK, Kind

END = bytes(2 * BLOCK)


def header(
    name: str,
    kind: Kind,
    *,
    mode: int = 0o644,
    uid: int = 0,
    gid: int = 0,
    size: int = 0,
    mtime: int = 0,
    link: str = "",
    device: int = 0,
    xattrs: Mapping[str, bytes] | None = None,
) -> bytes:
    """The header block(s) of one entry; its content must follow, padded to a block (`padding`)."""
    info = tarfile.TarInfo(name)
    info.type = kind.value
    info.mode = mode
    info.uid, info.gid = uid, gid
    info.size = size
    info.mtime = mtime
    info.linkname = link
    info.devmajor, info.devminor = os.major(device), os.minor(device)
    info.pax_headers = {
        f"SCHILY.xattr.{key}": value.decode("utf-8", "surrogateescape") for key, value in sorted((xattrs or {}).items())
    }
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def padding(size: int) -> bytes:
    return bytes(-size % BLOCK)
