"""SPDY/3.1 frames, as far as Kubernetes' clients speak them (the SPDY Protocol, draft 3.1, sections 2.2 and 2.6).

`Decoder` and `Encoder` are pure: bytes in, frames out, and back. Header blocks are compressed with one zlib stream a
direction, both primed with the draft's dictionary. Sizes are bounded before anything is inflated or kept.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_VERSION = 3
_SYN_STREAM, _SYN_REPLY, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _HEADERS, _WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
_FIN = 1
_MOST_FRAME_BYTES = 1 << 20
_MOST_HEADER_BYTES = 64 << 10

_WORD_TEXT = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges "
    "age allow authorization cache-control connection content-base content-encoding content-language "
    "content-length content-location content-md5 content-range content-type date etag expect expires from host "
    "if-match if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards "
    "pragma proxy-authenticate proxy-authorization range referer retry-after server te trailer "
    "transfer-encoding upgrade user-agent vary via warning www-authenticate method get status "
)
_WORDS = tuple(_WORD_TEXT.split())
_TAIL = (
    ("200 OK", "version", "HTTP/1.1", "url", "public", "set-cookie", "keep-alive", "origin"),
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden"
    "404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,"
    "publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.",
)


def _counted(word: str) -> bytes:
    return struct.pack("!I", len(word)) + word.encode()


DICTIONARY = b"".join(_counted(word) for word in (*_WORDS, *_TAIL[0])) + _TAIL[1].encode()
"""Section 2.6.10.1: the words that a header block is likely to have, each behind its length, then common values."""


class SpdyError(Exception):
    """The peer broke the protocol."""


@dataclass(frozen=True, slots=True)
class SynStream:
    """A new stream. fin: its sender will send nothing on it."""

    stream: int
    headers: Mapping[str, str] = field(default_factory=dict)
    fin: bool = False


@dataclass(frozen=True, slots=True)
class SynReply:
    """The answer to a new stream."""

    stream: int
    headers: Mapping[str, str] = field(default_factory=dict)
    fin: bool = False


@dataclass(frozen=True, slots=True)
class Data:
    """Bytes of a stream. fin: its sender is done."""

    stream: int
    data: bytes
    fin: bool = False


@dataclass(frozen=True, slots=True)
class Reset:
    """A stream that ends at once. status: 1 protocol error, 3 refused, 5 cancelled."""

    stream: int
    status: int


@dataclass(frozen=True, slots=True)
class Ping:
    """To be sent back as it came."""

    id: int


@dataclass(frozen=True, slots=True)
class GoAway:
    """No new streams, please."""

    last_stream: int
    status: int = 0


Frame = SynStream | SynReply | Data | Reset | Ping | GoAway


class Encoder:
    """Frames to bytes. One for a connection and direction: header blocks build on those before."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(zlib.Z_DEFAULT_COMPRESSION, zdict=DICTIONARY)

    def encode(self, frame: Frame) -> bytes:
        """Raises ValueError for a frame that has no form on the wire."""
        match frame:
            case Data(stream, data, fin):
                return struct.pack("!II", stream & 0x7FFF_FFFF, _length(data) | (_FIN << 24 if fin else 0)) + data
            case SynStream(stream, headers, fin):
                return _control(_SYN_STREAM, fin, struct.pack("!IIBB", stream, 0, 0, 0) + self._block(headers))
            case SynReply(stream, headers, fin):
                return _control(_SYN_REPLY, fin, struct.pack("!I", stream) + self._block(headers))
            case Reset(stream, status):
                return _control(_RST_STREAM, False, struct.pack("!II", stream, status))
            case Ping(id):
                return _control(_PING, False, struct.pack("!I", id))
            case GoAway(last, status):
                return _control(_GOAWAY, False, struct.pack("!II", last, status))

    def _block(self, headers: Mapping[str, str]) -> bytes:
        plain = struct.pack("!I", len(headers))
        for name, value in headers.items():
            for text in (name.lower().encode(), value.encode()):
                plain += struct.pack("!I", len(text)) + text
        return self._deflate.compress(plain) + self._deflate.flush(zlib.Z_SYNC_FLUSH)


def _length(data: bytes) -> int:
    if len(data) >= 1 << 24:
        raise ValueError(f"a frame holds less than 16 MiB, not {len(data)} bytes")
    return len(data)


def _control(kind: int, fin: bool, payload: bytes) -> bytes:
    return struct.pack("!HHI", 0x8000 | _VERSION, kind, _length(payload) | (_FIN << 24 if fin else 0)) + payload


class Decoder:
    """Bytes to frames. Settings, window updates and trailing headers are taken and mean nothing here."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Every frame that is complete now. Raises SpdyError."""
        self._buffer += data
        while len(self._buffer) >= 8:
            first, second = struct.unpack_from("!II", self._buffer)
            length, flags = second & 0xFF_FFFF, second >> 24
            if length > _MOST_FRAME_BYTES:
                raise SpdyError(f"a frame of {length} bytes, at most {_MOST_FRAME_BYTES} are taken")
            if len(self._buffer) < 8 + length:
                return
            payload = bytes(self._buffer[8 : 8 + length])
            del self._buffer[: 8 + length]
            if not first >> 31:
                yield Data(first, payload, bool(flags & _FIN))
            else:
                frame = self._control(first >> 16 & 0x7FFF, first & 0xFFFF, flags, payload)
                if frame is not None:
                    yield frame

    def _control(self, version: int, kind: int, flags: int, payload: bytes) -> Frame | None:
        if version != _VERSION:
            raise SpdyError(f"SPDY version {version}, only {_VERSION} is spoken")
        try:
            if kind == _SYN_STREAM:
                (stream,) = struct.unpack_from("!I", payload)
                return SynStream(stream & 0x7FFF_FFFF, self._headers(payload[10:]), bool(flags & _FIN))
            if kind in (_SYN_REPLY, _HEADERS):
                (stream,) = struct.unpack_from("!I", payload)
                headers = self._headers(payload[4:])  # inflated in any case: the next block builds on it
                return SynReply(stream & 0x7FFF_FFFF, headers, bool(flags & _FIN)) if kind == _SYN_REPLY else None
            if kind == _RST_STREAM:
                stream, status = struct.unpack_from("!II", payload)
                return Reset(stream & 0x7FFF_FFFF, status)
            if kind == _PING:
                return Ping(struct.unpack_from("!I", payload)[0])
            if kind == _GOAWAY:
                last, status = struct.unpack_from("!II", payload)
                return GoAway(last & 0x7FFF_FFFF, status)
        except struct.error as error:
            raise SpdyError(f"a frame of kind {kind} is too short") from error
        if kind in (_SETTINGS, _WINDOW_UPDATE):
            return None
        raise SpdyError(f"a frame of unknown kind {kind}")

    def _headers(self, block: bytes) -> dict[str, str]:
        try:
            plain = self._inflate.decompress(block, _MOST_HEADER_BYTES)
        except zlib.error as error:
            raise SpdyError(f"a header block does not inflate: {error}") from error
        if self._inflate.unconsumed_tail:
            raise SpdyError(f"a header block inflates to more than {_MOST_HEADER_BYTES} bytes")
        texts, at = [], 4
        try:
            (count,) = struct.unpack_from("!I", plain)
            for _ in range(2 * count):
                (length,) = struct.unpack_from("!I", plain, at)
                if at + 4 + length > len(plain):
                    raise SpdyError("a header block is cut short")
                texts.append(plain[at + 4 : at + 4 + length].decode("utf-8", "replace"))
                at += 4 + length
        except struct.error as error:
            raise SpdyError("a header block is cut short") from error
        return dict(zip(texts[0::2], texts[1::2], strict=True))
