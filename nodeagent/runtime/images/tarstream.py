"""Reading tar streams from strangers: POSIX.1-2001 (pax) and GNU headers become typed entries, memory stays bounded.

The standard library's reader takes a header's word for its size; this one believes nothing: checksums, numbers,
sizes of extended headers and names are checked before they are used. Sparse files and other rarities are refused,
not guessed at. Elsewhere: what an entry may do to a disk (unpack.py), writing (build/layer.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from nodeagent.runtime.images.digests import Readable
from nodeagent.runtime.images.errors import FormatError

BLOCK = 512
CHUNK = 1 << 18
EXTENDED_BYTES = 1 << 20
_DECIMAL = re.compile(r"(-?)([0-9]{1,12})(?:\.([0-9]{1,20}))?\Z")
_XATTR = b"SCHILY.xattr."


class Kind(Enum):
    FILE = b"0"
    HARD_LINK = b"1"
    SYMLINK = b"2"
    CHAR_DEVICE = b"3"
    BLOCK_DEVICE = b"4"
    DIRECTORY = b"5"
    FIFO = b"6"


@dataclass(slots=True)
class TarEntry:
    name: bytes
    kind: Kind
    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    link: bytes
    major: int
    minor: int
    xattrs: dict[bytes, bytes] = field(default_factory=dict)


class TarReader:
    """Iterates over the entries; `data()` gives the current file's bytes. Raises FormatError, naming the entry."""

    def __init__(self, source: Readable, where: str) -> None:
        self._source = source
        self._where = where
        self._left = 0
        self._padding = 0
        self._number = 0

    def __iter__(self) -> Iterator[TarEntry]:
        while (entry := self._next()) is not None:
            yield entry

    def data(self) -> Iterator[bytes]:
        """The bytes of the current entry that have not been read yet, in chunks."""
        while self._left:
            chunk = self._exactly(min(self._left, CHUNK))
            self._left -= len(chunk)
            yield chunk

    def drain(self) -> None:
        """Read what follows the end mark, so that digests cover it."""
        while self._source.read(CHUNK):
            pass

    def _wrong(self, what: str, remedy: str = "") -> FormatError:
        return FormatError(f"{self._where}, tar entry {self._number}", what, remedy)

    def _exactly(self, size: int) -> bytes:
        first = self._source.read(size)
        if len(first) == size:
            return first
        parts = [first]
        missing = size - len(first)
        while missing:
            part = self._source.read(missing)
            if not part:
                raise self._wrong("the archive ends in the middle of it", "it is truncated: fetch it again")
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def _skip_data(self) -> None:
        for _ in self.data():
            pass
        if self._padding:
            self._exactly(self._padding)
            self._padding = 0

    def _header(self) -> bytes | None:
        """The next header block; None at the end of the archive (zero blocks, or nothing at all)."""
        first = self._source.read(BLOCK)
        if not first:
            return None
        if len(first) < BLOCK:
            first += self._exactly(BLOCK - len(first))
        if first.count(0) == BLOCK:
            return None
        return first

    def _next(self) -> TarEntry | None:
        self._skip_data()
        pax: dict[bytes, bytes] = {}
        long_name = long_link = None
        while True:
            header = self._header()
            if header is None:
                if pax or long_name or long_link:
                    raise self._wrong("the archive ends after an extended header")
                return None
            self._number += 1
            self._check_sum(header)
            flag = header[156:157]
            size = self._field(header, 124, 12, "size")
            if flag in b"xgXLK" and flag:
                content = self._extended(size)
                if flag == b"L":
                    long_name = content.split(b"\0", 1)[0]
                elif flag == b"K":
                    long_link = content.split(b"\0", 1)[0]
                elif flag != b"g":
                    pax.update(self._records(content))
                continue
            return self._entry(header, size, pax, long_name, long_link)

    def _extended(self, size: int) -> bytes:
        if size > EXTENDED_BYTES:
            raise self._wrong(f"has an extended header of {size} bytes, at most {EXTENDED_BYTES} are allowed")
        content = self._exactly(size)
        self._exactly(-size % BLOCK)
        return content

    def _records(self, content: bytes) -> dict[bytes, bytes]:
        records: dict[bytes, bytes] = {}
        at = 0
        while at < len(content):
            if content[at : at + 1] == b"\0":
                break
            space = content.find(b" ", at, at + 12)
            digits = content[at:space] if space > 0 else b""
            if not digits.isdigit():
                raise self._wrong("has a broken pax record (no length)")
            end = at + int(digits)
            if end > len(content) or end <= space + 1 or content[end - 1 : end] != b"\n":
                raise self._wrong("has a broken pax record (wrong length)")
            key, equals, value = content[space + 1 : end - 1].partition(b"=")
            if not equals or not key:
                raise self._wrong("has a broken pax record (no '=')")
            records[key] = value
            at = end
        return records

    def _check_sum(self, header: bytes) -> None:
        stored = header[148:156].strip(b" \0")
        total = sum(header) - sum(header[148:156]) + 8 * 32
        if not re.fullmatch(rb"[0-7]+", stored) or int(stored, 8) != total:
            raise self._wrong("has a wrong header checksum", "it is damaged or no tar archive")

    def _field(self, header: bytes, start: int, length: int, what: str) -> int:
        raw = header[start : start + length]
        if raw[0] & 0x80:
            value = int.from_bytes(raw[1:], "big")
            if raw[0] != 0x80 or value >= 1 << 63:
                raise self._wrong(f"has a {what} out of range")
            return value
        text = raw.strip(b" \0")
        if not text:
            return 0
        try:
            if not text.isalnum():
                raise ValueError
            return int(text, 8)
        except ValueError:
            raise self._wrong(f"has a {what} that is no octal number: {text!r}") from None

    def _pax_number(self, pax: dict[bytes, bytes], key: bytes, default: int) -> int:
        if key not in pax:
            return default
        if not pax[key].isdigit() or len(pax[key]) > 18:
            raise self._wrong(f"has pax {key.decode()} {pax[key][:40]!r}, not a number")
        return int(pax[key])

    def _mtime(self, header: bytes, pax: dict[bytes, bytes]) -> int:
        if b"mtime" not in pax:
            if header[136] == 0xFF:
                return 0  # before 1970, in GNU's negative numbers
            return self._field(header, 136, 12, "mtime") * 10**9
        match = _DECIMAL.match(pax[b"mtime"].decode("ascii", "replace"))
        if not match:
            raise self._wrong(f"has pax mtime {pax[b'mtime'][:40]!r}, not a time")
        sign, whole, part = match.groups()
        value = int(whole) * 10**9 + int((part or "")[:9].ljust(9, "0"))
        return -value if sign else value

    def _entry(
        self, header: bytes, size: int, pax: dict[bytes, bytes], long_name: bytes | None, long_link: bytes | None
    ) -> TarEntry:
        name = header[:100].split(b"\0", 1)[0]
        if header[257:263] == b"ustar\0" and (prefix := header[345:500].split(b"\0", 1)[0]):
            name = prefix + b"/" + name
        name = pax.get(b"path", long_name if long_name is not None else name)
        link = header[157:257].split(b"\0", 1)[0]
        link = pax.get(b"linkpath", long_link if long_link is not None else link)
        flag = header[156:157]
        if any(key.startswith(b"GNU.sparse") for key in pax) or flag == b"S":
            raise self._wrong(
                f"{name!r} is a sparse file, which layers may not have", "pack the layer without --sparse"
            )
        if flag in (b"\0", b"0", b"7"):
            kind = Kind.DIRECTORY if name.endswith(b"/") else Kind.FILE
        else:
            try:
                kind = Kind(flag)
            except ValueError:
                raise self._wrong(f"{name!r} has the unknown type {flag!r}") from None
        size = self._pax_number(pax, b"size", size)
        if size >= 1 << 62:
            raise self._wrong(f"{name!r} claims to have {size} bytes")
        if kind is Kind.FILE:
            self._left, self._padding = size, -size % BLOCK
        elif size and kind in (Kind.HARD_LINK, Kind.DIRECTORY, Kind.SYMLINK):
            # Readers disagree on whether such bytes are there, so an archive could show each another content.
            raise self._wrong(f"{name!r} has content though it is no file")
        return TarEntry(
            name=name,
            kind=kind,
            mode=self._field(header, 100, 8, "mode") & 0o7777,
            uid=self._pax_number(pax, b"uid", self._field(header, 108, 8, "uid")),
            gid=self._pax_number(pax, b"gid", self._field(header, 116, 8, "gid")),
            size=size if kind is Kind.FILE else 0,
            mtime_ns=self._mtime(header, pax),
            link=link,
            major=self._field(header, 329, 8, "device major") if header[257:262] == b"ustar" else 0,
            minor=self._field(header, 337, 8, "device minor") if header[257:262] == b"ustar" else 0,
            xattrs={key[len(_XATTR) :]: value for key, value in pax.items() if key.startswith(_XATTR)},
        )
