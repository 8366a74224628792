"""HTTP/2's frames (RFC 9113, sections 4 and 6) and gRPC's status: bytes to values and back. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from urllib.parse import unquote

from apiserver.rpc.headers import HeaderError, fields, literal, number, text
from sampan.errors import SampanError

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD = struct.Struct(">HBBBI")
"""Length (24 bits), type, flags, stream."""
MESSAGE = struct.Struct(">BI")
"""Before each message of gRPC: whether it is compressed, and its length."""
END_STREAM = ACK = 0x1
END_HEADERS, PADDED, PRIORITISED = 0x4, 0x8, 0x20
LONGEST_FRAME = 16_384


class Kind(IntEnum):
    """A frame's type."""

    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


class Setting(IntEnum):
    """A parameter of a SETTINGS frame."""

    HEADER_TABLE_SIZE = 1
    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5


class Code(IntEnum):
    """How a call ended ("Status codes and their use in gRPC")."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


RESETS = {7: Code.UNAVAILABLE, 8: Code.CANCELLED, 11: Code.RESOURCE_EXHAUSTED, 12: Code.PERMISSION_DENIED}
"""What a stream's error code means for the call ("gRPC over HTTP/2", Errors); the others are internal."""
ANSWERS = {
    "400": Code.INTERNAL,
    "401": Code.UNAUTHENTICATED,
    "403": Code.PERMISSION_DENIED,
    "404": Code.UNIMPLEMENTED,
    "429": Code.UNAVAILABLE,
    "502": Code.UNAVAILABLE,
    "503": Code.UNAVAILABLE,
    "504": Code.UNAVAILABLE,
}
"""What an HTTP status without a gRPC one means ("HTTP to gRPC status code mapping")."""


class CallError(SampanError):
    """A call that ended otherwise than well."""

    def __init__(self, code: Code, details: str) -> None:
        super().__init__(f"{code.name}: {details}")
        self.code, self.details = code, details


class Broken(SampanError):
    """The peer breaks HTTP/2's rules; the connection cannot be used any more."""


@dataclass(frozen=True, slots=True)
class Ending:
    """What a block of headers says of how a call ends; `code` is None while it does not say."""

    code: Code | None
    details: str


def ending(block: bytes) -> Ending:
    """Read a block of headers or trailers. Raises Broken."""
    code: Code | None = None
    answer, details = "200", ""
    try:
        for name, value in fields(block):
            if name == "grpc-status":
                known = value.isdecimal() and int(value) <= max(Code)
                code = Code(int(value)) if known else Code.UNKNOWN
            elif name == "grpc-message":
                details = unquote(value)
            elif name == ":status":
                answer = value
    except HeaderError as error:
        raise Broken(f"the peer's headers cannot be read: {error}") from error
    if code is None and answer != "200":
        return Ending(ANSWERS.get(answer, Code.UNKNOWN), f"the peer answered with HTTP status {answer}")
    return Ending(code, details)


def request_block(path: str, authority: str, secure: bool, metadata: tuple[tuple[str, str], ...]) -> bytes:
    """The headers of a call."""
    block = b"\x83" + (b"\x87" if secure else b"\x86")  # :method POST, :scheme
    block += number(4, 4) + text(path.encode()) + number(1, 4) + text(authority.encode())  # :path, :authority
    block += literal(b"te", b"trailers") + literal(b"content-type", b"application/grpc")
    return block + b"".join(literal(name.encode(), value.encode()) for name, value in metadata)


def frame(kind: Kind, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame."""
    size = len(payload)
    return HEAD.pack(size >> 8, size & 255, kind, flags, stream) + payload


def settings(values: dict[Setting, int]) -> bytes:
    """A SETTINGS frame."""
    return frame(Kind.SETTINGS, 0, 0, b"".join(struct.pack(">HI", key, value) for key, value in values.items()))


def window_update(stream: int, more: int) -> bytes:
    """Allow the peer to send so many bytes more."""
    return frame(Kind.WINDOW_UPDATE, 0, stream, more.to_bytes(4, "big"))


def read_settings(payload: bytes) -> Iterator[tuple[int, int]]:
    """Identifier and value of each. Raises Broken."""
    if len(payload) % 6:
        raise Broken(f"settings of {len(payload)} bytes")
    yield from struct.iter_unpack(">HI", payload)


def unpadded(payload: bytes, flags: int) -> bytes:
    """The payload of a DATA or HEADERS frame without padding and priority. Raises Broken."""
    low, high = 0, len(payload)
    if flags & PADDED:
        if not payload or payload[0] >= len(payload):
            raise Broken("a frame is all padding")
        low, high = 1, high - payload[0]
    if flags & PRIORITISED:
        low += 5
    if low > high:
        raise Broken("a frame is too short")
    return payload[low:high]


def message(data: bytes) -> bytes:
    """A message as gRPC frames it."""
    return MESSAGE.pack(0, len(data)) + data


def first_message(data: bytes | bytearray) -> bytes | None:
    """The first message of what has arrived, None if it has not arrived whole. Raises Broken."""
    if len(data) < MESSAGE.size:
        return None
    compressed, size = MESSAGE.unpack_from(data)
    if compressed:
        raise Broken("a compressed message, where none was asked for")
    end = MESSAGE.size + size
    return bytes(data[MESSAGE.size : end]) if len(data) >= end else None
