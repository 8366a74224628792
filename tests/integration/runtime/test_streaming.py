"""Exec, attach and port-forward over WebSocket and SPDY, as kubectl and other clients speak them."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aiohttp
import pytest

from nodeagent.runtime.streaming import spdy
from sampan.cri import api_pb2 as cri

from .conftest import until

STDIN, STDOUT, STDERR, ERROR, RESIZE = 0, 1, 2, 3, 4


class Session:
    """A WebSocket client of a session; what came is kept by channel."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.came: dict[int, bytes] = {}
        self.closed = asyncio.Event()

    async def follow(self) -> None:
        async for message in self.socket:
            data = message.data
            if isinstance(data, str):
                channel, content = int(data[0]), base64.b64decode(data[1:])
            else:
                channel, content = data[0], data[1:]
            self.came[channel] = self.came.get(channel, b"") + content
        self.closed.set()

    async def send(self, channel: int, data: bytes) -> None:
        await self.socket.send_bytes(bytes((channel,)) + data)

    async def end(self) -> dict:
        """Wait for the session's end; its Status."""
        async with asyncio.timeout(20):
            await self.closed.wait()
        return json.loads(self.came[ERROR])


@asynccontextmanager
async def websocket(url: str, protocol: str = "v5.channel.k8s.io", query: str = "") -> AsyncIterator[Session]:
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(url + query, protocols=(protocol,) if protocol else (), max_msg_size=0) as socket,
    ):
        assert (socket.protocol or "") == protocol
        session = Session(socket)
        following = asyncio.create_task(session.follow())
        try:
            yield session
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


async def exec_url(machine, container: str, argv: list[str], **wish: bool) -> str:
    options = {"stdin": False, "stdout": True, "stderr": not wish.get("tty", False), **wish}
    response = await machine.cri.Exec(cri.ExecRequest(container_id=container, cmd=argv, **options))
    return str(response.url)


@pytest.mark.parametrize("protocol", ["v5.channel.k8s.io", "v4.channel.k8s.io"])
async def test_exec_streams_output_and_tells_the_exit_code(machine, protocol: str) -> None:
    container = await machine.run(await machine.sandbox(), ["sleep", "1000"])
    url = await exec_url(machine, container, ["sh", "-c", "echo out; echo err >&2; exit 3"])
    async with websocket(url, protocol) as session:
        status = await session.end()
    assert (session.came[STDOUT], session.came[STDERR]) == (b"out\n", b"err\n")
    assert (status["status"], status["reason"]) == ("Failure", "NonZeroExitCode")
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]


async def test_exec_success_and_a_command_that_cannot_run(machine) -> None:
    container = await machine.run(await machine.sandbox(), ["sleep", "1000"])
    async with websocket(await exec_url(machine, container, ["true"])) as session:
        assert (await session.end())["status"] == "Success"
    async with websocket(await exec_url(machine, container, ["nothere"])) as session:
        status = await session.end()
    assert status["status"] == "Failure"
    assert "executable file not found in $PATH" in status["message"]


async def test_base64_protocol_and_plain_errors_of_the_first_version(machine) -> None:
    container = await machine.run(await machine.sandbox(), ["sleep", "1000"])
    url = await exec_url(machine, container, ["sh", "-c", "echo out; exit 2"])
    async with websocket(url, "base64.channel.k8s.io") as session:
        async with asyncio.timeout(20):
            await session.closed.wait()
    assert session.came[STDOUT] == b"out\n"
    assert b"exit status 2" in session.came[ERROR]


async def test_stdin_reaches_the_command_and_v5_can_close_it(machine) -> None:
    container = await machine.run(await machine.sandbox(), ["sleep", "1000"])
    async with websocket(await exec_url(machine, container, ["wc", "-c"], stdin=True)) as session:
        await session.send(STDIN, b"x" * 300_000)
        await session.send(STDIN, b"y" * 5)
        await session.socket.send_bytes(bytes((255, STDIN)))
        status = await session.end()
    assert status["status"] == "Success"
    assert session.came[STDOUT] == b"300005\n"


async def test_a_terminal_has_a_size_and_takes_keys(machine) -> None:
    container = await machine.run(await machine.sandbox(), ["sleep", "1000"])
    url = await exec_url(machine, container, ["sh"], stdin=True, tty=True)
    async with websocket(url) as session:
        await session.send(RESIZE, b'{"Width": 123, "Height": 45}')
        await session.send(STDIN, b"tty; stty size; echo $TERM\n")
        await until(lambda: b"45 123" in session.came.get(STDOUT, b""))
        assert b"/dev/pts/0" in session.came[STDOUT]
        await session.send(STDIN, b"sleep 600\n")
        await until_runs(machine, container, b"sleep 600")
        await session.send(STDIN, b"\x03")
        await session.send(STDIN, b"echo code $?; exit 6\n")
        status = await session.end()
    assert b"code 130" in session.came[STDOUT]
    assert status["details"]["causes"][0]["message"] == "6"


async def until_runs(machine, container: str, text: bytes, *, gone: bool = False) -> None:
    async def look() -> bool:
        return (text in (await machine.exec(container, ["ps"])).stdout) != gone

    await until(look)


@pytest.mark.parametrize("tty", [False, True])
async def test_a_broken_session_takes_its_processes_along(machine, tty: bool) -> None:
    container = await machine.run(await machine.sandbox(), ["sleep", "1000"])
    url = await exec_url(machine, container, ["sh", "-c", "sleep 601; true"], stdin=True, tty=tty)
    async with websocket(url) as session:
        await until_runs(machine, container, b"sleep 601")
        session.socket._response.connection.transport.abort()
    await until_runs(machine, container, b"sleep 601", gone=True)


async def test_a_url_is_good_once(machine) -> None:
    container = await machine.run(await machine.sandbox(), ["sleep", "1000"])
    url = await exec_url(machine, container, ["true"])
    async with websocket(url) as session:
        await session.end()
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await http.ws_connect(url)
        assert caught.value.status == 404
        guess = url.rsplit("/", 1)[0] + "/" + "A" * 32
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await http.ws_connect(guess)
        fresh = await exec_url(machine, container, ["true"])
        async with http.get(fresh) as answer:
            assert answer.status == 426


async def test_output_of_a_megabyte_arrives_whole(machine) -> None:
    container = await machine.run(await machine.sandbox(), ["sleep", "1000"])
    async with websocket(await exec_url(machine, container, ["head", "-c", "5000000", "/dev/zero"])) as session:
        await session.end()
    assert session.came[STDOUT] == bytes(5_000_000)


async def test_attach_shows_output_and_feeds_a_terminal(machine) -> None:
    sandbox = await machine.sandbox()
    container = await machine.run(sandbox, ["sh"], tty=True, stdin=True)
    request = cri.AttachRequest(container_id=container, stdin=True, stdout=True, tty=True)
    url = (await machine.cri.Attach(request)).url
    async with websocket(url) as session:
        await session.send(STDIN, b"echo he''llo\n")
        await until(lambda: b"hello\r\n" in session.came.get(STDOUT, b""))
        await session.send(STDIN, b"exit 4\n")
        await session.end()
    assert (await machine.exited(container)).exit_code == 4
    assert "hello\r\n" in machine.text()


async def test_attached_stdin_ends_with_its_client_if_it_is_for_one(machine) -> None:
    sandbox = await machine.sandbox()
    container = await machine.run(sandbox, ["sh", "-c", "cat; echo ended"], stdin=True, stdin_once=True)
    url = (await machine.cri.Attach(cri.AttachRequest(container_id=container, stdin=True, stdout=True))).url
    async with websocket(url) as session:
        await session.send(STDIN, b"some input\n")
        await until(lambda: b"some input\n" in session.came.get(STDOUT, b""))
    assert (await machine.exited(container)).exit_code == 0
    assert machine.text() == "some input\nended\n"


# Port-forward

SERVER = ["sh", "-c", "while true; do echo answer | nc -l -p 8080; done"]


async def listening(machine, container: str) -> None:
    async def look() -> bool:
        return b":1F90" in (await machine.exec(container, ["cat", "/proc/net/tcp", "/proc/net/tcp6"])).stdout

    await until(look)


async def test_port_forward_over_websocket_channels(machine) -> None:
    sandbox = await machine.sandbox()
    await listening(machine, await machine.run(sandbox, SERVER))
    url = (await machine.cri.PortForward(cri.PortForwardRequest(pod_sandbox_id=sandbox))).url
    async with websocket(url, "v4.channel.k8s.io", "?port=8080&port=9999") as session:
        await until(lambda: session.came.get(0, b"").endswith(b"answer\n") and len(session.came.get(3, b"")) > 2)
    assert session.came[0] == (8080).to_bytes(2, "little") + b"answer\n"
    assert session.came[3].startswith((9999).to_bytes(2, "little") + b"port 9999 of pod pod cannot be reached")


class SpdyClient:
    """A SPDY client over any pair of read and write."""

    def __init__(self, read, write) -> None:
        self.read, self.write = read, write
        self.encoder, self.decoder = spdy.Encoder(), spdy.Decoder()
        self.came: dict[int, bytes] = {}
        self.ended: set[int] = set()
        self.next = 1

    async def send(self, *frames: spdy.Frame) -> None:
        for frame in frames:
            await self.write(self.encoder.encode(frame))

    async def open(self, **headers: str) -> int:
        stream, self.next = self.next, self.next + 2
        await self.send(spdy.SynStream(stream, headers))
        return stream

    async def until_ended(self, *streams: int) -> None:
        async with asyncio.timeout(20):
            while not set(streams) <= self.ended:
                data = await self.read()
                assert data, "the connection ended early"
                for frame in self.decoder.feed(data):
                    if isinstance(frame, spdy.Data):
                        self.came[frame.stream] = self.came.get(frame.stream, b"") + frame.data
                        if frame.fin:
                            self.ended.add(frame.stream)
                    elif isinstance(frame, spdy.Reset):
                        self.ended.add(frame.stream)


@asynccontextmanager
async def spdy_connection(url: str, protocol: str) -> AsyncIterator[SpdyClient]:
    target = urlsplit(url)
    reader, writer = await asyncio.open_connection(target.hostname, target.port)
    writer.write(
        f"POST {target.path} HTTP/1.1\r\nHost: {target.netloc}\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
        f"X-Stream-Protocol-Version: {protocol}\r\n\r\n".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    assert f"X-Stream-Protocol-Version: {protocol}".encode() in head

    async def write(data: bytes) -> None:
        writer.write(data)
        await writer.drain()

    try:
        yield SpdyClient(lambda: reader.read(65536), write)
    finally:
        writer.close()


async def test_exec_over_spdy(machine) -> None:
    container = await machine.run(await machine.sandbox(), ["sleep", "1000"])
    url = await exec_url(machine, container, ["sh", "-c", "cat; echo err >&2; exit 8"], stdin=True)
    async with spdy_connection(url, "v4.channel.k8s.io") as client:
        error = await client.open(streamtype="error")
        stdin = await client.open(streamtype="stdin")
        stdout = await client.open(streamtype="stdout")
        stderr = await client.open(streamtype="stderr")
        await client.send(spdy.Data(stdin, b"through spdy\n"), spdy.Data(stdin, b"", fin=True))
        await client.until_ended(error, stdout, stderr)
    assert (client.came[stdout], client.came[stderr]) == (b"through spdy\n", b"err\n")
    assert json.loads(client.came[error])["details"]["causes"][0]["message"] == "8"


HTTP_SERVER = ["sh", "-c", "mkdir /www; echo answer > /www/index.html; httpd -f -p 8080 -h /www"]


async def ask(client: SpdyClient, request: str) -> bytes:
    error = await client.open(streamtype="error", port="8080", requestid=request)
    data = await client.open(streamtype="data", port="8080", requestid=request)
    await client.send(spdy.Data(data, b"GET / HTTP/1.0\r\n\r\n"))
    await client.until_ended(error, data)
    assert client.came[error] == b""
    return client.came[data]


async def test_port_forward_over_spdy_and_tunnelled_in_a_websocket(machine) -> None:
    sandbox = await machine.sandbox()
    await listening(machine, await machine.run(sandbox, HTTP_SERVER))

    async def url() -> str:
        return str((await machine.cri.PortForward(cri.PortForwardRequest(pod_sandbox_id=sandbox))).url)

    async with spdy_connection(await url(), "portforward.k8s.io") as client:
        for request in ("0", "1"):
            assert (await ask(client, request)).endswith(b"answer\n")
        error = await client.open(streamtype="error", port="9999", requestid="2")
        data = await client.open(streamtype="data", port="9999", requestid="2")
        await client.until_ended(error, data)
        assert b"port 9999 of pod pod cannot be reached" in client.came[error]
    tunnel = "SPDY/3.1+portforward.k8s.io"
    async with aiohttp.ClientSession() as http, http.ws_connect(await url(), protocols=(tunnel,)) as socket:
        assert socket.protocol == tunnel

        async def write(data: bytes) -> None:
            for start in range(0, len(data), 7):  # a tunnel may cut anywhere
                await socket.send_bytes(data[start : start + 7])

        client = SpdyClient(socket.receive_bytes, write)
        for request in ("0", "1"):
            assert (await ask(client, request)).endswith(b"answer\n")
