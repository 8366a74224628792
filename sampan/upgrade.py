"""Upgraded HTTP connections as raw bytes: taking one over from aiohttp, opening one, and copying between two.

The API server and the node agent are nothing but pipes for exec, attach and port-forward, whatever is spoken inside
(WebSocket, SPDY/3.1): the handshake's headers are passed on, then bytes, with back-pressure both ways.
Source: RFC 9110, "Upgrade"; RFC 6455, "Opening Handshake".
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

CHUNK = 64 * 1024
MOST_HEAD = 64 * 1024
MOST_REFUSAL = 1024 * 1024
CONNECT_SECONDS = 10.0
HANDSHAKE_SECONDS = 30.0
HOP_BY_HOP = {"host", "content-length", "transfer-encoding", "authorization", "connection", "upgrade", "keep-alive"}
Headers = tuple[tuple[str, str], ...]


class UpgradeError(Exception):
    """The other side could not be reached, or answered no HTTP."""


@dataclass
class Pipe:
    """One end of a connection that carries bytes."""

    reader: asyncio.StreamReader
    transport: asyncio.Transport
    drain: Any
    """An async function that returns when more may be written."""

    def close(self) -> None:
        """Send what is buffered, then close."""
        self.transport.close()


@dataclass
class Opened:
    """The other side has answered 101."""

    headers: Headers
    pipe: Pipe


@dataclass
class Refused:
    """The other side has answered something else."""

    code: int
    headers: Headers
    body: bytes


def is_upgrade(headers: Mapping[str, str]) -> bool:
    """Whether a request asks to change the protocol."""
    return "upgrade" in headers.get("Connection", "").lower() and bool(headers.get("Upgrade"))


def passed_on(headers: Iterable[tuple[str, str]]) -> Headers:
    """The headers that go along to the other side, the upgrade's own among them."""
    kept = tuple((name, value) for name, value in headers if name.lower() not in HOP_BY_HOP)
    protocol = tuple((name, value) for name, value in headers if name.lower() == "upgrade")
    return (*kept, ("Connection", "Upgrade"), *protocol) if protocol else kept


async def open_upgrade(
    host: str,
    port: int,
    target: str,
    headers: Headers,
    *,
    method: str = "GET",
    tls: ssl.SSLContext | None = None,
    server_name: str | None = None,
    unix: str = "",
) -> Opened | Refused:
    """Ask a server to upgrade. `unix` is a socket's path instead of host and port. Raises UpgradeError."""
    where = unix or f"{host}:{port}"
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            if unix:
                reader, writer = await asyncio.open_unix_connection(unix, limit=MOST_HEAD)
            else:
                reader, writer = await asyncio.open_connection(
                    host, port, ssl=tls, server_hostname=(server_name or host) if tls else None, limit=MOST_HEAD
                )
    except (OSError, TimeoutError) as error:
        raise UpgradeError(f"dial {where}: {error or 'no answer in time'}") from error
    name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"{method} {target} HTTP/1.1", f"Host: {name if not unix else 'localhost'}"]
    lines += [f"{key}: {value}" for key, value in headers]
    if method == "POST":
        lines.append("Content-Length: 0")
    if any(any(bad in line for bad in "\r\n\0") for line in lines):
        writer.close()
        raise UpgradeError("a header contains a line break")
    writer.write("\r\n".join([*lines, "", ""]).encode("latin-1", "replace"))
    try:
        async with asyncio.timeout(HANDSHAKE_SECONDS):
            await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
            code, found = read_head(head)
            if code != 101:
                body = await _body(reader, {key.lower(): value for key, value in found})
                writer.close()
                return Refused(code, found, body)
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
        writer.close()
        raise UpgradeError(f"{where} did not answer the upgrade: {error or 'no answer in time'}") from error
    return Opened(found, Pipe(reader, writer.transport, writer.drain))  # type: ignore[arg-type]  # a stream's transport


def read_head(head: bytes) -> tuple[int, Headers]:
    """Status and headers of a response. Raises ValueError."""
    first, *rest = head.decode("latin-1").split("\r\n")
    version, _, status = first.partition(" ")
    if not version.startswith("HTTP/1."):
        raise ValueError(f"no HTTP/1 response: {first[:80]!r}")
    headers = []
    for line in rest:
        if line:
            name, colon, value = line.partition(":")
            if not colon:
                raise ValueError(f"malformed header {line[:80]!r}")
            headers.append((name.strip(), value.strip()))
    return int(status[:3]), tuple(headers)


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        parts: list[bytes] = []
        size = 0
        while count := int((await reader.readline()).split(b";")[0] or b"0", 16):
            size += count
            if size > MOST_REFUSAL:
                break
            parts.append(await reader.readexactly(count))
            await reader.readline()
        return b"".join(parts)
    if "content-length" in headers:
        return await reader.readexactly(min(int(headers["content-length"]), MOST_REFUSAL))
    return await reader.read(MOST_REFUSAL)


class _Tap:
    """Stands where aiohttp has its WebSocket parser, and hands everything to a stream."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Bytes from the client."""
        self._reader.feed_data(data)
        return False, b""

    def feed_eof(self) -> None:
        """The client has gone."""
        self._reader.feed_eof()


class Hijacked(web.StreamResponse):
    """What a handler returns after it took the connection over: aiohttp writes nothing more."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Nothing to send."""
        return None

    async def write_eof(self, data: Any = b"") -> None:
        """Nothing to send."""


def take_over(request: web.BaseRequest, headers: Headers) -> Pipe:
    """Answer 101 with these headers, and take the connection over. Raises UpgradeError when the client has gone."""
    protocol, transport = request.protocol, request.transport
    if transport is None or transport.is_closing():
        raise UpgradeError("the client has gone")
    reader = asyncio.StreamReader(limit=CHUNK)
    reader.set_transport(transport)
    lines = ["HTTP/1.1 101 Switching Protocols", *(f"{name}: {value}" for name, value in headers), "", ""]
    transport.write("\r\n".join(lines).encode("latin-1", "replace"))
    protocol.keep_alive(False)
    protocol.set_parser(_Tap(reader))  # type: ignore[arg-type]  # the two methods of a parser that are called
    return Pipe(reader, transport, protocol._drain_helper)


async def join(one: Pipe, other: Pipe) -> None:
    """Copy both ways until either side ends, then close both."""
    tasks = [asyncio.ensure_future(_copy(one, other)), asyncio.ensure_future(_copy(other, one))]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        one.close()
        other.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _copy(source: Pipe, target: Pipe) -> None:
    try:
        while data := await source.reader.read(CHUNK):
            target.transport.write(data)
            await target.drain()
    except (ConnectionError, OSError):
        return


async def forward(
    request: web.BaseRequest,
    host: str,
    port: int,
    target: str,
    *,
    tls: ssl.SSLContext | None = None,
    server_name: str | None = None,
    unix: str = "",
    headers: Headers | None = None,
) -> web.StreamResponse:
    """Pass an upgrade request on, with its method and headers, and be a pipe until it ends. Raises UpgradeError."""
    sent = passed_on(tuple(request.headers.items())) if headers is None else headers
    answer = await open_upgrade(
        host, port, target, sent, method=request.method, tls=tls, server_name=server_name, unix=unix
    )
    if isinstance(answer, Refused):
        response = web.Response(body=answer.body, status=answer.code)
        kind = next((value for name, value in answer.headers if name.lower() == "content-type"), "")
        if kind:
            response.headers["Content-Type"] = kind
        return response
    try:
        client = take_over(request, answer.headers)
    except UpgradeError:
        answer.pipe.close()
        raise
    await join(client, answer.pipe)
    return Hijacked()
