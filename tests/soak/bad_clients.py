"""Clients that hold connections and do not use them as they should."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from api import Api

AT_ONCE = 50


class Held(Protocol):
    """A connection that is held."""

    def close(self) -> None: ...


async def _silent(api: Api) -> Held:
    """A TCP connection whose TLS handshake never begins."""
    sock = socket.socket()
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, api.address)
    return sock


async def _half_greeted(api: Api) -> Held:
    """The first bytes of a TLS handshake, and no more."""
    sock = socket.socket()
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, api.address)
    await asyncio.get_running_loop().sock_sendall(sock, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    return sock


async def _mute(api: Api) -> Held:
    """TLS is ready, and no request comes."""
    _, writer = await asyncio.open_connection(*api.address, ssl=api.context)
    return writer


async def _slow(api: Api) -> Held:
    """The headers of a request have no end."""
    _, writer = await asyncio.open_connection(*api.address, ssl=api.context)
    writer.write(b"GET /api/v1/pods HTTP/1.1\r\nHost: api\r\nX-Slow: ")
    await writer.drain()
    return writer


async def _slow_body(api: Api) -> Held:
    """The body of a request has no end."""
    _, writer = await asyncio.open_connection(*api.address, ssl=api.context)
    writer.write(
        b"POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: api\r\nContent-Type: application/json\r\n"
        b'Content-Length: 100000\r\n\r\n{"apiVersion": '
    )
    await writer.drain()
    return writer


async def _deaf(api: Api) -> Held:
    """A watch of everything that is never read, with a small window."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, api.address)
    reader, writer = await asyncio.open_connection(
        sock=sock, ssl=api.context, server_hostname=api.address[0], limit=1024
    )
    writer.write(b"GET /api/v1/pods?watch=true HTTP/1.1\r\nHost: api\r\n\r\n")
    await writer.drain()
    await reader.readline()
    writer.transport.pause_reading()  # type: ignore[attr-defined]  # every stream transport has it
    return writer


KINDS = (_silent, _half_greeted, _mute, _slow, _slow_body)


@asynccontextmanager
async def holding(api: Api, half_open: int, deaf: int) -> AsyncIterator[None]:
    """Hold so many connections of all kinds, in equal shares, and so many watches that nobody reads."""
    made: list[Held] = []
    gate = asyncio.Semaphore(AT_ONCE)

    async def make(number: int) -> None:
        async with gate:
            made.append(await (KINDS[number % len(KINDS)](api) if number < half_open else _deaf(api)))

    try:
        await asyncio.gather(*(make(number) for number in range(half_open + deaf)))
        yield
    finally:
        close(made)


def close(made: Sequence[Held]) -> None:
    """Close them, whatever state they are in."""
    for one in made:
        with contextlib.suppress(OSError):
            one.close()
