"""Port-forward: a client's streams to TCP connections on the sandbox's localhost.

Over SPDY (plain or tunnelled in a WebSocket) each connection is a pair of streams, data and error, with one request ID;
over the older WebSocket protocol each port is a pair of channels, which first carry the port's number.
"""

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from nodeagent.runtime import syscalls as sc
from nodeagent.runtime.state import Sandbox
from nodeagent.runtime.streaming import spdy
from nodeagent.runtime.streaming.channels import READ_BYTES, Gone, SpdyConnection, WebSocketConnection
from sampan import websocket as ws

_MOST_PAIRS = 256
_CONNECT_SECONDS = 10.0
_QUEUED = 32


def _socket_inside(netns: str, family: int) -> socket.socket:
    """A socket of another network namespace, made by a thread that goes there and ends."""
    found: list[socket.socket | OSError] = []

    def make() -> None:
        try:
            fd = os.open(netns, os.O_RDONLY | os.O_CLOEXEC)
            try:
                sc.setns(fd, sc.CLONE_NEWNET)  # moves this thread alone
            finally:
                os.close(fd)
            found.append(socket.socket(family, socket.SOCK_STREAM))
        except OSError as error:
            found.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if isinstance(found[0], OSError):
        raise found[0]
    return found[0]


async def connect(sandbox: Sandbox, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to the port on the sandbox's localhost, IPv4 first. Raises OSError with what both said."""
    if not 0 < port < 1 << 16:
        raise OSError(f"{port} is not a port")
    netns = sandbox.state.namespaces.get("net")
    loop = asyncio.get_running_loop()
    reasons = []
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            made = _socket_inside(netns, family) if netns else socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            reasons.append(f"{address}: {error}")
            continue
        made.setblocking(False)
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await loop.sock_connect(made, (address, port))
            return await asyncio.open_connection(sock=made)
        except (OSError, TimeoutError) as error:
            made.close()
            reasons.append(f"{address}: {error or 'timed out'}")
    raise OSError("; ".join(reasons))


@dataclass
class _Pair:
    request: str
    port: int = 0
    data: int = 0
    error: int = 0
    inbound: "asyncio.Queue[bytes]" = None  # type: ignore[assignment]  # made in __post_init__, inside a loop

    def __post_init__(self) -> None:
        self.inbound = asyncio.Queue(_QUEUED)


async def over_spdy(sandbox: Sandbox, connection: SpdyConnection) -> None:
    """Serve until the client goes (Gone)."""
    pairs: dict[str, _Pair] = {}
    by_stream: dict[int, _Pair] = {}

    def done(pair: _Pair) -> None:
        pairs.pop(pair.request, None)
        for stream in (pair.data, pair.error):
            by_stream.pop(stream, None)

    async with asyncio.TaskGroup() as tasks:
        served: list[asyncio.Task[None]] = []
        try:
            while True:
                frame = await connection.receive()
                match frame:
                    case spdy.SynStream(stream, headers, fin):
                        await _open(sandbox, connection, stream, headers, pairs, by_stream, tasks, served, done)
                        pair = by_stream.get(stream)
                        if fin and pair is not None and stream == pair.data:
                            await pair.inbound.put(b"")
                    case spdy.Data(stream, data, fin) if stream in by_stream:
                        pair = by_stream[stream]
                        if stream == pair.data:
                            if data:
                                await pair.inbound.put(data)
                            if fin:
                                await pair.inbound.put(b"")
                    case spdy.Reset(stream, _) if stream in by_stream and stream == by_stream[stream].data:
                        await by_stream[stream].inbound.put(b"")
        except Gone:
            for task in served:
                task.cancel()


async def _open(
    sandbox: Sandbox,
    connection: SpdyConnection,
    stream: int,
    headers: Mapping[str, str],
    pairs: dict[str, _Pair],
    by_stream: dict[int, _Pair],
    tasks: asyncio.TaskGroup,
    served: list[asyncio.Task[None]],
    done: Callable[[_Pair], None],
) -> None:
    kind, port = headers.get("streamtype", ""), headers.get("port", "")
    request = headers.get("requestid", "") or f"port-{port}"
    known = request in pairs
    if kind not in ("data", "error") or not port.isdigit() or (not known and len(pairs) >= _MOST_PAIRS):
        await connection.send(spdy.Reset(stream, 3))
        return
    pair = pairs.setdefault(request, _Pair(request, int(port)))
    if (pair.data if kind == "data" else pair.error) or pair.port != int(port):
        await connection.send(spdy.Reset(stream, 1))
        return
    setattr(pair, kind, stream)
    by_stream[stream] = pair
    await connection.send(spdy.SynReply(stream))
    if pair.data and pair.error:
        served[:] = [task for task in served if not task.done()]
        served.append(tasks.create_task(_serve(sandbox, connection, pair, done)))


async def _serve(sandbox: Sandbox, connection: SpdyConnection, pair: _Pair, done: Callable[[_Pair], None]) -> None:
    async def send(data: bytes) -> None:
        for start in range(0, len(data), READ_BYTES):
            await connection.send(spdy.Data(pair.data, data[start : start + READ_BYTES]))

    try:
        text = await _forward(sandbox, pair.port, pair.inbound, send)
        if text:
            await connection.send(spdy.Data(pair.error, text.encode()))
        await connection.send(spdy.Data(pair.error, b"", fin=True))
        await connection.send(spdy.Data(pair.data, b"", fin=True))
    except Gone:
        pass  # the reading side sees it too, and ends everything
    finally:
        done(pair)


async def _forward(
    sandbox: Sandbox,
    port: int,
    inbound: "asyncio.Queue[bytes]",
    send: Callable[[bytes], Awaitable[None]],
) -> str:
    """Copy both ways to the end of both. Returns what went wrong, "" if nothing."""
    try:
        reader, writer = await connect(sandbox, port)
    except OSError as error:
        return f"port {port} of pod {sandbox.config.metadata.name} cannot be reached: {error}"

    async def upload() -> None:
        while data := await inbound.get():
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()

    uploading = asyncio.ensure_future(upload())
    try:
        while data := await reader.read(READ_BYTES):
            await send(data)
    except OSError as error:
        return f"port {port} of pod {sandbox.config.metadata.name}: {error}"
    finally:
        uploading.cancel()
        await asyncio.gather(uploading, return_exceptions=True)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    return ""


async def over_websocket(sandbox: Sandbox, connection: WebSocketConnection, ports: list[int]) -> None:
    """Serve the ports until all are closed or the client goes."""
    inbound: list[asyncio.Queue[bytes]] = [asyncio.Queue(_QUEUED) for _ in ports]
    sending = asyncio.Lock()

    async def send(channel: int, data: bytes) -> None:
        async with sending:
            await connection.send(ws.BINARY, bytes((channel,)) + data)

    async def serve(index: int, port: int) -> None:
        async def send_data(data: bytes) -> None:
            await send(2 * index, data)

        with contextlib.suppress(Gone):
            text = await _forward(sandbox, port, inbound[index], send_data)
            if text:
                await send(2 * index + 1, text.encode())

    async def receive() -> None:
        with contextlib.suppress(Gone):
            while True:
                data = await connection.receive()
                if data and data[0] % 2 == 0 and data[0] // 2 < len(ports) and len(data) > 1:
                    await inbound[data[0] // 2].put(data[1:])

    for index, port in enumerate(ports):
        number = port.to_bytes(2, "little")
        await send(2 * index, number)
        await send(2 * index + 1, number)
    receiving = asyncio.ensure_future(receive())
    serving = [asyncio.ensure_future(serve(index, port)) for index, port in enumerate(ports)]
    everything = asyncio.ensure_future(asyncio.gather(*serving))
    try:
        await asyncio.wait((receiving, everything), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (receiving, *serving):
            task.cancel()
        await asyncio.gather(receiving, everything, return_exceptions=True)
    await connection.close()
