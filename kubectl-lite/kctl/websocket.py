"""A WebSocket to the API server, over a connection that never blocks. Its frames: sampan/websocket.py.

Python's TLS objects must not be read and written by two threads at once, so one thread does both and waits by poll(2).
"""

from __future__ import annotations

import base64
import os
import select
import ssl
import struct
from collections.abc import Iterable

from kctl.http import ConnectionFailed
from kctl.session import Session, fail
from kctl.urls import with_query
from sampan.api_error import ApiError, SampanError
from sampan.websocket import BINARY, CLOSE, PING, PONG, Decoder, Message, WebSocketError, accept_key, encode

HEAD_LIMIT = 64 * 1024
READ_BYTES = 64 * 1024


class UpgradeRefused(SampanError):
    """The server does not open the stream; it says why."""


class WebSocket:
    """An open WebSocket to the API server."""

    def __init__(self, session: Session, path: str, query: Iterable[tuple[str, str]], protocols: Iterable[str]) -> None:
        """Raises ConnectionFailed, or ApiError when the server says no."""
        self._connection = session.connect()
        self._socket = self._connection.open()
        key = base64.b64encode(os.urandom(16)).decode()
        self._decoder = Decoder(from_client=False)
        self._out = bytearray()
        self.closed = False
        upgrade = [
            *session.headers("*/*"),
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", key),
            ("Sec-WebSocket-Protocol", ", ".join(protocols)),
        ]
        try:
            self._socket.sendall(self._connection.head("GET", with_query(path, query), upgrade))
            headers, rest = self._handshake()
        except OSError as error:
            raise ConnectionFailed(f"Unable to connect to the server: {error}") from error
        if headers.get("sec-websocket-accept") != accept_key(key):
            raise ConnectionFailed("the server's WebSocket handshake is not an answer to ours")
        self.protocol = headers.get("sec-websocket-protocol", "")
        self._early = self._decode(rest)
        self._socket.setblocking(False)

    def _handshake(self) -> tuple[dict[str, str], bytes]:
        data = b""
        while b"\r\n\r\n" not in data:
            more = self._socket.recv(READ_BYTES)
            if not more or len(data) > HEAD_LIMIT:
                raise ConnectionFailed("the server closed the connection during the WebSocket handshake")
            data += more
        head, _, rest = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        status = first.split(" ")[1:2]
        if status != ["101"]:
            self._refused(int(status[0]) if status and status[0].isdigit() else 500, headers, rest)
        return headers, rest

    def _refused(self, status: int, headers: dict[str, str], body: bytes) -> None:
        length = headers.get("content-length", "")
        wanted = min(int(length), READ_BYTES) if length.isdigit() else READ_BYTES
        self._socket.settimeout(5)
        while len(body) < wanted:
            more = self._socket.recv(READ_BYTES)
            if not more:
                break
            body += more
        self.close()
        try:
            fail(status, body)
        except ApiError as error:
            raise UpgradeRefused(f"unable to upgrade connection: {error.message}") from error

    def _decode(self, data: bytes) -> list[Message]:
        try:
            return list(self._decoder.feed(data))
        except WebSocketError as error:
            raise ConnectionFailed(f"the server broke the WebSocket protocol: {error}") from error

    def fileno(self) -> int:
        """For poll(2)."""
        return self._socket.fileno()

    @property
    def waiting(self) -> int:
        """How many bytes are not sent yet."""
        return len(self._out)

    @property
    def interest(self) -> int:
        """What to poll the connection for."""
        return select.POLLIN | (select.POLLOUT if self._out else 0)

    def send(self, data: bytes, opcode: int = BINARY) -> None:
        """Queue a message, and send what can be sent now."""
        self._out += encode(opcode, data, os.urandom(4))
        self.flush()

    def flush(self) -> None:
        """Send what can be sent now. Raises ConnectionFailed."""
        try:
            while self._out:
                del self._out[: self._socket.send(self._out)]
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError as error:
            self.closed = True
            raise ConnectionFailed(f"the connection to the server broke: {error}") from error

    def receive(self) -> list[Message]:
        """The messages that are there now; pings are answered on the way. Sets `closed` at the end."""
        found, self._early = self._early, []
        while not self.closed:
            try:
                data = self._socket.recv(READ_BYTES)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                break
            except OSError:
                data = b""
            if not data:
                self.closed = True
                break
            found += self._decode(data)
        kept = []
        for message in found:
            if message.opcode == PING:
                self.send(message.data, PONG)
            elif message.opcode == CLOSE:
                self.closed = True
            elif message.opcode != PONG:
                kept.append(message)
        return kept

    def close(self) -> None:
        """Say goodbye and close."""
        try:
            if not self.closed:
                self.send(struct.pack("!H", 1000), CLOSE)
        except ConnectionFailed:
            pass
        self.closed = True
        self._connection.close()
