"""Upgraded connections: a server that takes over, one that dials, and bytes through both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from sampan.upgrade import Opened, Refused, UpgradeError, forward, open_upgrade, take_over

HEADERS = (("Connection", "Upgrade"), ("Upgrade", "SPDY/3.1"), ("X-Stream-Protocol-Version", "v4.channel.k8s.io"))


async def listen(answer: web.Server) -> tuple[asyncio.Server, int]:
    server = await asyncio.get_running_loop().create_server(answer, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


@pytest.fixture
async def chain() -> AsyncIterator[int]:
    """A port that passes everything on to an echo server."""

    async def echo(request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/refuse":
            return web.Response(status=403, text="no")
        pipe = take_over(request, (("Connection", "Upgrade"), ("Upgrade", request.headers["Upgrade"]), ("X-Mine", "1")))
        while data := await pipe.reader.read(65536):
            pipe.transport.write(data)
            await pipe.drain()
        pipe.close()
        from sampan.upgrade import Hijacked

        return Hijacked()

    behind, behind_port = await listen(web.Server(echo))

    async def proxy(request: web.BaseRequest) -> web.StreamResponse:
        return await forward(request, "127.0.0.1", behind_port, request.raw_path)

    front, front_port = await listen(web.Server(proxy))
    yield front_port
    front.close()
    behind.close()


@pytest.mark.parametrize("protocol", ["SPDY/3.1", "websocket"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_bytes_pass_both_ways_through_two_servers(chain: int, protocol: str, method: str) -> None:
    headers = (("Connection", "Upgrade"), ("Upgrade", protocol))
    opened = await open_upgrade("127.0.0.1", chain, "/x?command=a&command=b", headers, method=method)
    assert isinstance(opened, Opened)
    assert ("X-Mine", "1") in opened.headers
    sent = bytes(range(256)) * 20_000

    async def write() -> None:
        for at in range(0, len(sent), 65536):
            opened.pipe.transport.write(sent[at : at + 65536])
            await opened.pipe.drain()

    writer = asyncio.create_task(write())
    assert await asyncio.wait_for(opened.pipe.reader.readexactly(len(sent)), 20) == sent
    await writer
    opened.pipe.close()


async def test_a_refusal_comes_through(chain: int) -> None:
    answer = await open_upgrade("127.0.0.1", chain, "/refuse", HEADERS)
    assert isinstance(answer, Refused)
    assert (answer.code, answer.body) == (403, b"no")


async def test_nobody_there_is_an_error_that_says_where() -> None:
    with pytest.raises(UpgradeError, match=r"dial 127\.0\.0\.1:1:"):
        await open_upgrade("127.0.0.1", 1, "/", HEADERS)


async def test_line_breaks_in_headers_are_refused(chain: int) -> None:
    with pytest.raises(UpgradeError, match="line break"):
        await open_upgrade("127.0.0.1", chain, "/", (("X", "a\r\nb"),))
