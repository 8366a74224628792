"""The frames that carry shell sessions over one byte stream, and how a reader finds them again after a break.

A frame is a header (magic, kind, check, channel, length) and a payload. The other end of a virtio-serial port can die
in the middle of a frame, so whoever opens the port anew sends `PADDING` first: what is left of a broken frame
swallows it, and the reader skips bytes until a header is right again. Pure: no I/O here.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from enum import IntEnum
from typing import Any, NamedTuple


class Kind(IntEnum):
    """What a frame says. "->" is from kctl to the node."""

    RESET = 1
    """-> All sessions end; the payload comes back in a HELLO."""
    HELLO = 2
    """<- The node's end is there. The payload is that of a RESET, or empty when it has just started."""
    OPEN = 3
    """-> A session begins; JSON, see Command."""
    INPUT = 4
    """-> Standard input; an empty payload is its end."""
    OUTPUT = 5
    """<- Standard output, or what a terminal shows."""
    ERRORS = 6
    """<- Standard error."""
    RESIZE = 7
    """-> JSON [rows, columns]."""
    EXIT = 8
    """<- The session's last frame; JSON, {"code": N} or {"error": TEXT}."""
    CLOSE = 9
    """-> Nobody listens any more: hang up."""
    CREDIT = 10
    """Both ways: so many more bytes may be sent on this channel."""
    CLOCK = 11
    """-> Nanoseconds since 1970: what time it is. <- By how many the node's clock was behind."""


class Frame(NamedTuple):
    """One frame."""

    kind: Kind
    channel: int
    payload: bytes = b""

    def json(self) -> Any:
        """The payload as JSON. Raises ValueError."""
        return json.loads(self.payload)


MAGIC = 0x5A6E
_HEAD = struct.Struct(">HBBII")
MOST_PAYLOAD = 16 * 1024
WINDOW = 128 * 1024
"""Bytes that may be under way in one direction of a session."""
PADDING = bytes(_HEAD.size + MOST_PAYLOAD)
_KINDS = frozenset(int(kind) for kind in Kind)


def _check(kind: int, channel: int, length: int) -> int:
    return zlib.crc32(struct.pack(">BII", kind, channel, length)) & 0xFF


def encode(kind: Kind, channel: int, payload: bytes = b"") -> bytes:
    """A frame as bytes. Raises ValueError when the payload is larger than MOST_PAYLOAD."""
    if len(payload) > MOST_PAYLOAD:
        raise ValueError(f"{len(payload)} bytes in a {kind.name} frame; at most {MOST_PAYLOAD} fit")
    return _HEAD.pack(MAGIC, kind, _check(kind, channel, len(payload)), channel, len(payload)) + payload


def encode_json(kind: Kind, channel: int, value: Any) -> bytes:
    """A frame whose payload is JSON. Raises ValueError when it is too large."""
    return encode(kind, channel, json.dumps(value).encode())


def credit(channel: int, count: int) -> bytes:
    """A CREDIT frame."""
    return encode(Kind.CREDIT, channel, count.to_bytes(4, "big"))


class Decoder:
    """Frames out of a byte stream that may have been cut anywhere."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are whole now."""
        buffer = self._buffer
        buffer += data
        start = 0
        while len(buffer) - start >= _HEAD.size:
            magic, kind, check, channel, length = _HEAD.unpack_from(buffer, start)
            right = magic == MAGIC and kind in _KINDS and length <= MOST_PAYLOAD
            if not right or check != _check(kind, channel, length):
                found = buffer.find(MAGIC.to_bytes(2, "big"), start + 1)
                start = found if found >= 0 else len(buffer) - 1
                continue
            end = start + _HEAD.size + length
            if len(buffer) < end:
                break
            frame = Frame(Kind(kind), channel, bytes(buffer[start + _HEAD.size : end]))
            start = end
            yield frame
        del buffer[:start]
