"""Layers made by a build: a list of entries, or overlayfs's upper directory, as an archive that repeats byte for byte.

Always: entries are sorted, every time stamp is the build's (SOURCE_DATE_EPOCH or zero), no name of a user is written.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nodeagent.runtime.images import tarwrite
from nodeagent.runtime.images.digests import digest_of
from nodeagent.runtime.images.errors import FormatError
from nodeagent.runtime.images.merged import is_whiteout
from nodeagent.runtime.images.oci import LAYER_TAR, Descriptor, canonical
from nodeagent.runtime.images.tarstream import Kind
from nodeagent.runtime.images.unpack import OPAQUE_MARK, WHITEOUT

_KEPT_XATTRS = ("user.", "security.capability", "system.posix_acl_")
_KINDS = {
    stat.S_IFREG: Kind.FILE,
    stat.S_IFDIR: Kind.DIRECTORY,
    stat.S_IFLNK: Kind.SYMLINK,
    stat.S_IFIFO: Kind.FIFO,
    stat.S_IFCHR: Kind.CHAR_DEVICE,
    stat.S_IFBLK: Kind.BLOCK_DEVICE,
}


@dataclass(frozen=True, slots=True)
class Item:
    """One entry to write: `path` has no leading slash; content comes from the file `source` or from `content`."""

    path: str
    kind: Kind
    mode: int
    uid: int = 0
    gid: int = 0
    source: str = ""
    size: int = 0
    content: bytes | None = None
    link: str = ""
    device: int = 0
    xattrs: Mapping[str, bytes] = field(default_factory=dict)


def kind_of(status: os.stat_result) -> Kind | None:
    """The entry kind of a file; None for a socket, which no archive holds."""
    return _KINDS.get(stat.S_IFMT(status.st_mode))


def kept_xattrs(path: str) -> dict[str, bytes]:
    """The extended attributes that belong to the content, not to the machine or to overlayfs."""
    found = {}
    for name in os.listxattr(path, follow_symlinks=False):
        if name.startswith(_KEPT_XATTRS):
            found[name] = os.getxattr(path, name, follow_symlinks=False)
    return found


def key_of(items: Iterable[Item]) -> str:
    """A digest over everything that `write` would write."""
    total = hashlib.sha256()
    for item in items:
        content = ""
        if item.kind is Kind.FILE:
            hashed = hashlib.sha256()
            for chunk in _content(item):
                hashed.update(chunk)
            content = hashed.hexdigest()
        total.update(
            canonical(
                {
                    "path": os.fsencode(item.path).hex(),
                    "kind": item.kind.name,
                    "mode": item.mode,
                    "owner": [item.uid, item.gid],
                    "content": content,
                    "link": os.fsencode(item.link).hex(),
                    "device": item.device,
                    "xattrs": {key: value.hex() for key, value in item.xattrs.items()},
                }
            )
        )
    return "sha256:" + total.hexdigest()


def _content(item: Item) -> Iterator[bytes]:
    if item.content is not None:
        yield item.content
        return
    fd = os.open(item.source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(fd, "rb") as file:
        left = item.size
        while left and (chunk := file.read(min(left, 1 << 20))):
            left -= len(chunk)
            yield chunk
        if left or file.read(1):
            raise FormatError(item.source, "changed while it was read", "build again when nothing writes to it")


def write(items: Iterable[Item], path: Path, epoch: int) -> Descriptor:
    """Write the archive; its digest is its diff ID too, as it is not compressed. Raises FormatError, OSError."""
    hashed, count = hashlib.sha256(), 0
    with open(path, "xb") as file:

        def put(content: bytes) -> None:
            nonlocal count
            hashed.update(content)
            file.write(content)
            count += len(content)

        for item in items:
            size = len(item.content) if item.content is not None else item.size
            name = item.path + "/" if item.kind is Kind.DIRECTORY else item.path
            put(
                tarwrite.header(
                    name,
                    item.kind,
                    mode=item.mode,
                    uid=item.uid,
                    gid=item.gid,
                    size=size if item.kind is Kind.FILE else 0,
                    mtime=epoch,
                    link=item.link,
                    device=item.device,
                    xattrs=item.xattrs,
                )
            )
            if item.kind is Kind.FILE:
                for chunk in _content(item):
                    put(chunk)
                put(tarwrite.padding(size))
        put(tarwrite.END)
    return Descriptor(LAYER_TAR, "sha256:" + hashed.hexdigest(), count)


def upper_items(upper: Path) -> list[Item]:
    """What a command changed: overlayfs's upper directory, its whiteouts in the archive's form. Raises FormatError."""
    items: list[Item] = []
    first: dict[tuple[int, int], str] = {}
    _walk_upper(str(upper), "", items, first)
    return items


def _walk_upper(root: str, prefix: str, items: list[Item], first: dict[tuple[int, int], str]) -> None:
    for name in sorted(os.listdir(f"{root}/{prefix}" if prefix else root)):
        path = f"{prefix}/{name}" if prefix else name
        full = f"{root}/{path}"
        status = os.lstat(full)
        if is_whiteout(status):
            items.append(Item(f"{prefix}/{WHITEOUT}{name}".lstrip("/"), Kind.FILE, 0o600, content=b""))
            continue
        kind = kind_of(status)
        if kind is None:
            continue
        if name.startswith(WHITEOUT):
            raise FormatError(f"/{path}", "has a name that layers reserve for whiteouts", "remove it in the RUN step")
        overlay = {x for x in os.listxattr(full, follow_symlinks=False) if x.startswith("trusted.overlay.")}
        if overlay & {"trusted.overlay.redirect", "trusted.overlay.metacopy"}:
            raise FormatError(f"/{path}", "was moved or copied by overlayfs in a way that layers cannot express")
        inode = (status.st_dev, status.st_ino)
        linked = kind is Kind.FILE and status.st_nlink > 1
        if linked and inode in first:
            items.append(Item(path, Kind.HARD_LINK, stat.S_IMODE(status.st_mode), link=first[inode]))
            continue
        if linked:
            first[inode] = path
        items.append(item_of(path, full, status, kind))
        if kind is Kind.DIRECTORY:
            if "trusted.overlay.opaque" in overlay:
                items.append(Item(f"{path}/{OPAQUE_MARK}", Kind.FILE, 0o600, content=b""))
            _walk_upper(root, path, items, first)


def item_of(path: str, full: str, status: os.stat_result, kind: Kind) -> Item:
    """A file as it is: mode, owner, attributes and content."""
    return Item(
        path,
        kind,
        stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        source=full,
        size=status.st_size if kind is Kind.FILE else 0,
        link=os.readlink(full) if kind is Kind.SYMLINK else "",
        device=status.st_rdev if kind in (Kind.CHAR_DEVICE, Kind.BLOCK_DEVICE) else 0,
        xattrs={} if kind is Kind.SYMLINK else kept_xattrs(full),
    )


def step_key(*parts: object) -> str:
    """The cache key of a build step."""
    return digest_of(canonical({"step": [str(part) for part in parts], "format": 1}))
