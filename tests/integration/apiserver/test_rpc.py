"""Our gRPC client against gRPC's own server: sizes, errors, many at once, streams, TLS, and a peer that goes away."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from apiserver.rpc.channel import Channel
from apiserver.rpc.frames import CallError, Code
from sampan.certs import Authority

ECHO, FAIL, HANG, CHAT = "/test.Service/Echo", "/test.Service/Fail", "/test.Service/Hang", "/test.Service/Chat"
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class Service(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """Echoes, refuses, hangs, and talks."""

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()

    def service(self, details: Any) -> Any:
        if details.method == CHAT:
            return grpc.stream_stream_rpc_method_handler(self._chat)
        known = {ECHO: self._echo, FAIL: self._fail, HANG: self._hang}
        found = known.get(details.method)
        return grpc.unary_unary_rpc_method_handler(found) if found else None

    async def _echo(self, request: bytes, context: Any) -> bytes:
        return request

    async def _fail(self, request: bytes, context: Any) -> bytes:
        await context.abort(grpc.StatusCode.OUT_OF_RANGE, request.decode())
        raise AssertionError

    async def _hang(self, request: bytes, context: Any) -> bytes:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return b""

    async def _chat(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        async for one in requests:
            for _ in range(int(one)):
                yield bytes(100_000)
            if one == b"0":
                return


@asynccontextmanager
async def served(credentials: Any = None, port: int = 0) -> AsyncIterator[tuple[Service, int]]:
    service = Service()
    server = grpc.aio.server(options=[*OPTIONS, ("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((service,))
    address = f"127.0.0.1:{port}"
    port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    await server.start()
    try:
        yield service, port
    finally:
        await server.stop(None)


@asynccontextmanager
async def called(port: int, tls: Any = None) -> AsyncIterator[Channel]:
    channel = Channel(f"127.0.0.1:{port}", tls, (("hasleader", "true"),))
    try:
        yield channel
    finally:
        await channel.close()


async def test_messages_of_any_size_come_back() -> None:
    async with served() as (_, port), called(port) as channel:
        for size in (0, 1, 16_379, 16_380, 65_535, 3_000_000, 20_000_000):
            assert await channel.unary(ECHO, bytes(size), 60) == bytes(size)


async def test_many_at_once_keep_apart() -> None:
    async with served() as (_, port), called(port) as channel:
        asked = [f"{number}-".encode() * (number * 37 % 4000) for number in range(300)]
        assert await asyncio.gather(*(channel.unary(ECHO, one, 60) for one in asked)) == asked


async def test_an_error_has_code_and_words() -> None:
    async with served() as (_, port), called(port) as channel:
        with pytest.raises(CallError) as caught:
            await channel.unary(FAIL, "it's über 100 % gone".encode(), 30)
        assert (caught.value.code, caught.value.details) == (Code.OUT_OF_RANGE, "it's über 100 % gone")
        with pytest.raises(CallError) as caught:
            await channel.unary("/test.Service/Nothing", b"", 30)
        assert caught.value.code is Code.UNIMPLEMENTED


async def test_a_call_ends_at_its_time_and_the_next_goes_on() -> None:
    async with served() as (service, port), called(port) as channel:
        with pytest.raises(CallError) as caught:
            await channel.unary(HANG, b"", 0.1)
        assert caught.value.code is Code.DEADLINE_EXCEEDED
        async with asyncio.timeout(30):
            await service.cancelled.wait()
        assert await channel.unary(ECHO, b"still here", 30) == b"still here"


async def test_a_cancelled_call_is_cancelled_at_the_peer() -> None:
    async with served() as (service, port), called(port) as channel:
        await channel.unary(ECHO, b"", 30)
        task = asyncio.create_task(channel.unary(HANG, b"", 30))
        await channel.unary(ECHO, b"", 30)  # the call before has been sent
        task.cancel()
        async with asyncio.timeout(30):
            await service.cancelled.wait()


async def test_a_reader_that_rests_holds_up_its_own_stream_alone() -> None:
    async with served() as (_, port), called(port) as channel:
        chat = await channel.duplex(CHAT)
        chat.send(b"300")  # 30 MB, of which one window is taken for now
        chat.send(b"0")
        assert await chat.receive() == bytes(100_000)
        assert await channel.unary(ECHO, bytes(2_000_000), 60) == bytes(2_000_000)
        count = 1
        while await chat.receive() is not None:
            count += 1
        assert count == 300


async def test_a_peer_that_goes_ends_every_call_and_is_found_again() -> None:
    async with served() as (_, port), called(port) as channel:
        chat = await channel.duplex(CHAT)
        hanging = asyncio.create_task(channel.unary(HANG, b"", 60))
        await channel.unary(ECHO, b"", 30)
        waiting = asyncio.create_task(chat.receive())
        await asyncio.sleep(0)
    for task in (hanging, waiting):
        with pytest.raises(CallError):
            await task
    with pytest.raises(CallError) as caught:
        await channel.unary(ECHO, b"", 5)
    assert caught.value.code in (Code.UNAVAILABLE, Code.CANCELLED)
    again = Channel(f"127.0.0.1:{port}")
    with pytest.raises(CallError, match="failed to connect"):
        await again.unary(ECHO, b"", 5)
    async with served(port=port):
        async with asyncio.timeout(30):
            while True:
                try:
                    assert await again.unary(ECHO, b"back", 5) == b"back"
                    break
                except CallError:
                    await asyncio.sleep(0.05)
        await again.close()


async def test_a_closed_channel_lets_calls_end_and_begins_none() -> None:
    async with served() as (_, port):
        channel = Channel(f"127.0.0.1:{port}")
        await channel.unary(ECHO, b"", 30)
        running = asyncio.create_task(channel.unary(ECHO, bytes(5_000_000), 60))
        await asyncio.sleep(0)
        closing = asyncio.create_task(channel.close(0.5))
        assert await running == bytes(5_000_000)
        await closing
        with pytest.raises(CallError):
            await channel.unary(ECHO, b"", 5)


async def test_both_sides_show_their_certificates(tmp_path: Path) -> None:
    authority = Authority.create("test")
    server = authority.issue("etcd", hosts=("127.0.0.1",))
    client = authority.issue("apiserver")
    for name, data in (("ca", authority.pair.certificate), ("crt", client.certificate), ("key", client.key)):
        (tmp_path / name).write_bytes(data)
    credentials = grpc.ssl_server_credentials(
        [(server.key, server.certificate)], authority.pair.certificate, require_client_auth=True
    )

    def tls() -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(tmp_path / "ca"))
        context.load_cert_chain(tmp_path / "crt", tmp_path / "key")
        context.set_alpn_protocols(["h2"])
        return context

    async with served(credentials) as (_, port):
        async with called(port, tls) as channel:
            assert await channel.unary(ECHO, bytes(100_000), 30) == bytes(100_000)
        (tmp_path / "ca").write_bytes(Authority.create("another").pair.certificate)
        async with called(port, tls) as channel:
            with pytest.raises(CallError, match="CERTIFICATE_VERIFY_FAILED"):
                await channel.unary(ECHO, b"", 5)


async def test_a_peer_that_speaks_no_http_2_is_told_apart() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server, called(server.sockets[0].getsockname()[1]) as channel:
        with pytest.raises(CallError, match="failed to connect"):
            await channel.unary(ECHO, b"", 5)
