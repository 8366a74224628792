"""Answers as bytes: what a client that is no library sees of HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest


class Wire:
    """One connection, requests as text."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, request: str) -> tuple[str, dict[str, str], bytes]:
        """Status line, headers by lower name, body."""
        self.writer.write(request.replace("\n", "\r\n").encode())
        async with asyncio.timeout(60):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            status, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            length = 0 if request.startswith("HEAD") else int(headers["content-length"])
            return status, headers, await self.reader.readexactly(length)

    async def ended(self) -> bool:
        """Whether the server closes the connection."""
        async with asyncio.timeout(60):
            return await self.reader.read() == b""


@pytest.fixture
async def wire(servers: Any) -> Any:
    servers.kubeconfig_of("wire", ("system:masters",))
    made = Wire(*await asyncio.open_connection("127.0.0.1", servers.server.port, ssl=servers.tls("wire")))
    yield made
    made.writer.close()


async def test_an_answer_says_length_type_and_date_and_the_connection_stays(wire: Wire) -> None:
    for _ in range(2):
        status, headers, body = await wire.ask("GET /version HTTP/1.1\nHost: a\n\n")
        assert status == "HTTP/1.1 200 OK"
        assert headers["content-type"] == "application/json"
        assert headers["date"].endswith(" GMT")
        assert "connection" not in headers
        assert body.startswith(b"{")


async def test_a_client_that_wants_to_end_is_told_so(wire: Wire) -> None:
    _, headers, _ = await wire.ask("GET /version HTTP/1.1\nHost: a\nConnection: close\n\n")
    assert headers["connection"] == "close"
    assert await wire.ended()


async def test_http_1_0_ends_after_an_answer_unless_it_asks_to_stay(wire: Wire) -> None:
    _, headers, _ = await wire.ask("GET /version HTTP/1.0\nConnection: keep-alive\n\n")
    assert headers["connection"] == "keep-alive"
    await wire.ask("GET /version HTTP/1.0\n\n")
    assert await wire.ended()


async def test_an_answer_to_head_has_no_body(wire: Wire) -> None:
    status, headers, _ = await wire.ask("HEAD /api/v1/pods HTTP/1.1\nHost: a\n\n")
    assert status.startswith("HTTP/1.1 405")
    assert int(headers["content-length"]) > 0
    status, _, body = await wire.ask("GET /version HTTP/1.1\nHost: a\n\n")  # begins where the head ended
    assert status == "HTTP/1.1 200 OK"
    assert body


async def test_a_body_that_is_too_large_ends_the_connection(wire: Wire) -> None:
    path = "/api/v1/namespaces/default/configmaps"
    status, headers, _ = await wire.ask(f"POST {path} HTTP/1.1\nHost: a\nContent-Length: 99999999\n\n")
    assert status.startswith("HTTP/1.1 413")
    assert headers["connection"] == "close"
    assert await wire.ended()
