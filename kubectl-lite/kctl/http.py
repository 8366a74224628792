"""HTTP/1.1 over one TLS connection, as little as an API server needs.

`http.client` would cost more to import than a whole `kctl get` may take. Bodies are read whole or line by line;
chunked transfer is undone (RFC 9112). The connection is used again when the server allows.
"""

from __future__ import annotations

import socket

from sampan.api_error import SampanError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any, BinaryIO

LINE_LIMIT = 65536
HEADER_LIMIT = 200
NOTICES = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 2),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 15_000),
)
"""A machine without power is noticed in 15 to 20 s, where there is another to go on to."""
PATIENCE = 2.0
"""Seconds for a connection to a server that is not the last one known."""


class ConnectionFailed(SampanError):
    """The server can't be reached, or does not speak HTTP."""


class Response:
    """A status, headers (names in lower case), and a body that is read once."""

    def __init__(self, status: int, headers: list[tuple[str, str]], stream: BinaryIO) -> None:
        self.status = status
        self.headers = headers
        self._stream = stream
        self._chunked = "chunked" in self.header("transfer-encoding")
        length = self.header("content-length")
        self._left: int | None = int(length) if length.isdigit() else None
        if status in (204, 304) or status < 200:
            self._left, self._chunked = 0, False

    def header(self, name: str) -> str:
        """The first value, or an empty text."""
        return next((value for key, value in self.headers if key == name), "")

    def read(self) -> bytes:
        """The whole body."""
        return b"".join(self.chunks())

    def chunks(self) -> Iterator[bytes]:
        """The body in pieces, as they come."""
        if self._chunked:
            yield from self._chunks()
            return
        while self._left is None or self._left > 0:
            data = self._stream.read1(65536 if self._left is None else min(65536, self._left))  # type: ignore[attr-defined]  # a BufferedReader
            if not data:
                if self._left:
                    raise ConnectionFailed("the server closed the connection in the middle of an answer")
                return
            if self._left is not None:
                self._left -= len(data)
            yield data

    def _chunks(self) -> Iterator[bytes]:
        while True:
            line = self._stream.readline(LINE_LIMIT).split(b";")[0].strip()
            try:
                size = int(line, 16)
            except ValueError as error:
                raise ConnectionFailed("the server closed the connection in the middle of an answer") from error
            if size == 0:
                while self._stream.readline(LINE_LIMIT) not in (b"\r\n", b""):
                    pass
                return
            left = size
            while left:
                data = self._stream.read1(left)  # type: ignore[attr-defined]  # a BufferedReader
                if not data:
                    raise ConnectionFailed("the server closed the connection in the middle of an answer")
                left -= len(data)
                yield data
            self._stream.readline(LINE_LIMIT)

    def lines(self) -> Iterator[bytes]:
        """The body line by line, for watches and logs; each line keeps its newline."""
        rest = b""
        for chunk in self.chunks():
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                yield line + b"\n"
        if rest:
            yield rest


def ascii_or_text(name: str) -> str | bytes:
    """A host's name as bytes where that is possible."""
    return name.encode("ascii") if name.isascii() else name


class Connection:
    """One connection to one of a cluster's servers, the first that takes it, opened at the first request."""

    def __init__(
        self, servers: Sequence[str], context: ssl.SSLContext | None, server_name: str, timeout: float | None
    ) -> None:
        self._servers = servers
        self._context = context
        self._given_name = server_name
        self._timeout = timeout
        self._socket: socket.socket | None = None
        self._stream: BinaryIO | None = None
        self._choose(servers[0])

    def _choose(self, server: str) -> None:
        rest = server.split("://", 1)[1]
        authority, slash, path = rest.partition("/")
        host, colon, port = authority.rpartition(":")
        if not colon or not port.isdigit():
            host, port = authority, "443" if self._context else "80"
        self.server = server
        self._authority = authority
        self._prefix = slash + path if slash else ""
        if not host or int(port) > 65535:
            raise ConnectionFailed(f"{server!r} is no server's address; give https://HOST:PORT")
        self._host, self._port = host.strip("[]"), int(port)
        self._server_name = self._given_name or self._host

    def request(
        self, method: str, path: str, headers: Iterable[tuple[str, str]], body: bytes | None = None
    ) -> Response:
        """Send one request. Raises ConnectionFailed."""
        reused = self._socket is not None
        self.open()
        message = self.head(method, path, headers, body)
        try:
            return self._exchange(message)
        except (ConnectionError, EOFError) as error:
            self.close()
            if reused and method == "GET":  # an idle connection that the server had closed meanwhile
                return self._exchange(message)
            raise self._failure(error) from error
        except OSError as error:
            self.close()
            raise self._failure(error) from error

    def head(self, method: str, path: str, headers: Iterable[tuple[str, str]], body: bytes | None = None) -> bytes:
        """A request as bytes, its body at the end. Raises ConnectionFailed for a header that can't be one."""
        lines = [f"{method} {self._prefix}{path} HTTP/1.1", f"Host: {self._authority}"]
        lines += [f"{name}: {value}" for name, value in headers]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        if any(mark in line for line in lines for mark in "\r\n\0"):
            raise ConnectionFailed("a header has a line break in it; check the token and the server's address")
        try:
            return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")
        except UnicodeEncodeError as error:
            raise ConnectionFailed(f"a header can't carry {error.object[error.start : error.end]!r}") from error

    def open(self) -> socket.socket:
        """The connected socket itself, for upgraded streams. Raises ConnectionFailed."""
        if self._socket is None:
            first: ConnectionFailed | None = None
            for server in self._servers:
                self._choose(server)
                try:
                    self._socket = self._connected(last=server == self._servers[-1])
                    break
                except (OSError, ValueError) as error:  # a name that can't be one is a ValueError
                    first = first or self._failure(error)
            if self._socket is None:
                assert first is not None
                raise first
            self._stream = self._socket.makefile("rb")
        return self._socket

    def _connected(self, *, last: bool) -> socket.socket:
        """A connection to the chosen server. A machine without power is not waited for while there is another."""
        patience = self._timeout if last else min(self._timeout or PATIENCE, PATIENCE)
        # Bytes, because a text would go through the IDNA codec, whose import takes longer than the handshake.
        address: tuple[Any, int] = (ascii_or_text(self._host), self._port)
        raw = socket.create_connection(address, patience)
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if len(self._servers) > 1:
                for level, option, value in NOTICES:
                    raw.setsockopt(level, option, value)
            context, name = self._context, ascii_or_text(self._server_name)
            made = context.wrap_socket(raw, server_hostname=name) if context else raw
        except BaseException:
            raw.close()
            raise
        made.settimeout(self._timeout)
        return made

    @property
    def stream(self) -> BinaryIO:
        """What comes from the server, buffered."""
        self.open()
        assert self._stream is not None
        return self._stream

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
        self._socket = self._stream = None

    def _exchange(self, message: bytes) -> Response:
        self.open().sendall(message)
        while True:
            response = self._head()
            if response.status != 100:
                return response

    def _head(self) -> Response:
        stream = self.stream
        first = stream.readline(LINE_LIMIT)
        if not first:
            raise EOFError
        parts = first.split(None, 2)
        if len(parts) < 2 or not parts[0].startswith(b"HTTP/1.") or not parts[1].isdigit():
            raise ConnectionFailed(f"{self.server} does not speak HTTP/1.1: it answered {first[:60]!r}")
        headers: list[tuple[str, str]] = []
        while (line := stream.readline(LINE_LIMIT)) not in (b"\r\n", b"\n", b""):
            if len(headers) > HEADER_LIMIT:
                raise ConnectionFailed(f"{self.server} sends more than {HEADER_LIMIT} headers")
            name, _, value = line.decode("latin-1").partition(":")
            headers.append((name.strip().lower(), value.strip()))
        return Response(int(parts[1]), headers, stream)

    def _failure(self, error: BaseException) -> ConnectionFailed:
        if isinstance(error, ConnectionRefusedError):
            return ConnectionFailed(
                f"The connection to the server {self._authority} was refused - did you specify the right host or port?"
            )
        if isinstance(error, TimeoutError):
            return ConnectionFailed(f"Unable to connect to the server: {self._authority}: timed out")
        reason = getattr(error, "verify_message", "")
        text = f"tls: failed to verify certificate: {reason}" if reason else str(error) or type(error).__name__
        return ConnectionFailed(f"Unable to connect to the server: {text}")
