"""WebSocket's frames (RFC 6455), for both ends: the handshake's answer, bytes in, bytes out. No extensions.

Pure: no socket is touched here. A client masks its frames and a server does not, and neither takes the other's habit;
control frames come through in the middle of a fragmented message; a message is bounded.
"""

import base64
import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
_KEY_SUFFIX = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
MOST_MESSAGE_BYTES = 32 << 20


class WebSocketError(Exception):
    """The peer broke the protocol. `code` is the close code to tell it."""

    def __init__(self, text: str, code: int = 1002) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Message:
    """A whole message or a control frame. opcode is TEXT, BINARY, CLOSE, PING or PONG."""

    opcode: int
    data: bytes


def accept_key(key: str) -> str:
    """The answer to a Sec-WebSocket-Key (RFC 6455, 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key.encode() + _KEY_SUFFIX, usedforsecurity=False).digest()).decode()


def encode(opcode: int, data: bytes, mask: bytes = b"") -> bytes:
    """One message as one frame. A client's `mask` is four random bytes, a server has none."""
    bit = 0x80 if mask else 0
    if len(data) < 126:
        head = struct.pack("!BB", 0x80 | opcode, bit | len(data))
    elif len(data) < 1 << 16:
        head = struct.pack("!BBH", 0x80 | opcode, bit | 126, len(data))
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, bit | 127, len(data))
    return head + mask + (_masked(data, mask) if mask else data)


def _masked(data: bytes, mask: bytes) -> bytes:
    length = len(data)
    whole = (mask * (length // 4 + 1))[:length]
    return (int.from_bytes(data, "big") ^ int.from_bytes(whole, "big")).to_bytes(length, "big")


class Decoder:
    """Bytes in, messages out."""

    def __init__(self, most_bytes: int = MOST_MESSAGE_BYTES, *, from_client: bool = True) -> None:
        """`from_client`: whether the peer is the client, whose frames are masked."""
        self._most = most_bytes
        self._masked = from_client
        self._buffer = bytearray()
        self._parts = bytearray()
        self._opcode = 0

    def feed(self, data: bytes) -> Iterator[Message]:
        """Every message that is complete now. Raises WebSocketError."""
        self._buffer += data
        while (frame := self._frame()) is not None:
            final, opcode, payload = frame
            if opcode >= CLOSE:
                yield Message(opcode, payload)
                continue
            if (opcode == CONTINUATION) != bool(self._opcode):
                raise WebSocketError("a fragment is out of order")
            self._opcode = opcode or self._opcode
            self._parts += payload
            if len(self._parts) > self._most:
                raise WebSocketError(f"a message is longer than {self._most} bytes", 1009)
            if final:
                message = Message(self._opcode, bytes(self._parts))
                self._opcode, self._parts = 0, bytearray()
                yield message

    def _frame(self) -> tuple[bool, int, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        opcode, length, at = buffer[0] & 0x0F, buffer[1] & 0x7F, 2
        if buffer[0] & 0x70 or opcode not in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG):
            raise WebSocketError(f"frame of unknown kind {buffer[0]:#x}")
        if bool(buffer[1] & 0x80) != self._masked:
            raise WebSocketError("a client's frame is not masked" if self._masked else "a server's frame is masked")
        if length > 125:
            if opcode >= CLOSE:
                raise WebSocketError("a control frame is longer than 125 bytes")
            size = 2 if length == 126 else 8
            if len(buffer) < at + size:
                return None
            length, at = int.from_bytes(buffer[at : at + size], "big"), at + size
        if opcode >= CLOSE and not buffer[0] & 0x80:
            raise WebSocketError("a control frame is fragmented")
        if length > self._most:
            raise WebSocketError(f"a frame is longer than {self._most} bytes", 1009)
        start = at + 4 if self._masked else at
        if len(buffer) < start + length:
            return None
        payload = bytes(buffer[start : start + length])
        if self._masked:
            payload = _masked(payload, bytes(buffer[at:start]))
        final = bool(buffer[0] & 0x80)
        del buffer[: start + length]
        return final, opcode, payload
