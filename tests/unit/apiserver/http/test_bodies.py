"""Unfinished bodies are bounded, each and all together."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from aiohttp import StreamReader, web
from aiohttp.base_protocol import BaseProtocol

from apiserver.http.bodies import MOST_BODY, Bodies
from sampan.errors import ApiError


class Incoming:
    """As much of a request as a body is read from."""

    can_read_body = True
    content_length = None
    transport = None
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        protocol = BaseProtocol(loop)
        protocol.connection_made(asyncio.Transport())
        self.content = StreamReader(protocol, 2**30, loop=loop)


def begin(bodies: Bodies, incoming: Incoming) -> asyncio.Task[bytes]:
    return asyncio.ensure_future(bodies.read(cast(web.BaseRequest, incoming)))


async def test_a_body_is_read_to_its_end_and_then_counts_no_more() -> None:
    bodies, incoming = Bodies(), Incoming()
    reading = begin(bodies, incoming)
    incoming.content.feed_data(b"ab")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert bodies.unfinished == 2
    incoming.content.feed_data(b"cd")
    incoming.content.feed_eof()
    assert await reading == b"abcd"
    assert bodies.unfinished == 0


@pytest.mark.parametrize(("bound", "code"), [(3, 429), (10 * MOST_BODY, 413)])
async def test_too_much_is_refused_and_forgotten(bound: int, code: int) -> None:
    bodies = Bodies(bound)
    first, second = Incoming(), Incoming()
    waiting: Any = begin(bodies, first)
    first.content.feed_data(b"ab")
    await asyncio.sleep(0)
    reading = begin(bodies, second)
    second.content.feed_data(b"x" * (2 if code == 429 else MOST_BODY + 1))
    with pytest.raises(ApiError) as refused:
        await reading
    assert refused.value.code == code
    assert bodies.unfinished == 2
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert bodies.unfinished == 0
