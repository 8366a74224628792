"""A session's channels (stdin, stdout, stderr, error, resize), over WebSocket or SPDY alike.

`receive` gives what the client sends, in order; `send` waits while the client is slow. Protocol names are those of
Kubernetes' remote command protocol, v1 ("channel.k8s.io") to v5.
"""

import asyncio
import base64
import binascii
from typing import Protocol

from nodeagent.runtime.streaming import spdy
from sampan import websocket as ws

STDIN, STDOUT, STDERR, ERROR, RESIZE = 0, 1, 2, 3, 4
_CLOSE_SIGNAL = 255  # v5: [255, channel] says that the client will send nothing more on it
_STREAM_TYPES = {"stdin": STDIN, "stdout": STDOUT, "stderr": STDERR, "error": ERROR, "resize": RESIZE}
_SETUP_SECONDS = 30.0
_CLOSE_SECONDS = 2.0
READ_BYTES = 64 << 10
_MOST_WAITING = 1 << 20


class Gone(Exception):
    """The client has left, or broken the protocol."""


class Channels(Protocol):
    """One session's channels."""

    version: int
    """Of the remote command protocol, 1 to 5: from 4 on the error channel carries a Status."""

    async def receive(self) -> tuple[int, bytes, bool]:
        """(channel, bytes, whether that was the channel's end). Raises Gone."""

    async def send(self, channel: int, data: bytes) -> None:
        """Raises Gone."""

    async def close(self) -> None:
        """End the session politely; never raises."""


class WebSocketConnection:
    """Messages of one WebSocket; pings are answered on the way."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._decoder = ws.Decoder()
        self._ready: list[ws.Message] = []

    async def receive(self) -> bytes:
        """The next message's bytes, text or binary. Raises Gone."""
        while True:
            while self._ready:
                message = self._ready.pop(0)
                match message.opcode:
                    case ws.PING:
                        await self.send(ws.PONG, message.data)
                    case ws.CLOSE:
                        raise Gone("the client closed the session")
                    case ws.TEXT | ws.BINARY:
                        return message.data
            try:
                data = await self._reader.read(READ_BYTES)
                if not data:
                    raise Gone("the connection broke")
                self._ready += self._decoder.feed(data)
            except ws.WebSocketError as error:
                await self.close(error.code)
                raise Gone(str(error)) from error
            except OSError as error:
                raise Gone(str(error)) from error

    async def send(self, opcode: int, data: bytes) -> None:
        """Raises Gone."""
        try:
            self._writer.write(ws.encode(opcode, data))
            await self._writer.drain()
        except OSError as error:
            raise Gone(str(error)) from error

    async def close(self, code: int = 1000) -> None:
        """Say goodbye and wait a moment for the answer."""
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self.send(ws.CLOSE, code.to_bytes(2, "big"))
                while True:
                    await self.receive()
        except (Gone, TimeoutError):
            return


_WEBSOCKET_PROTOCOLS = {
    "v5.channel.k8s.io": (5, False),
    "v4.channel.k8s.io": (4, False),
    "v3.channel.k8s.io": (3, False),
    "v2.channel.k8s.io": (2, False),
    "channel.k8s.io": (1, False),
    "v4.base64.channel.k8s.io": (4, True),
    "base64.channel.k8s.io": (1, True),
    "": (1, False),
}


def choose(offered: list[str], known: dict[str, tuple[int, bool]] | None = None) -> str | None:
    """The newest subprotocol that both sides know; "" if none was offered, None if none fits."""
    table = _WEBSOCKET_PROTOCOLS if known is None else known
    if not offered:
        return ""
    fitting = [name for name in table if name in offered]
    return fitting[0] if fitting else None


class WebSocketChannels:
    """A byte before each message names its channel; base64 protocols use a digit and encode the rest."""

    def __init__(self, connection: WebSocketConnection, protocol: str) -> None:
        self.version, self._base64 = _WEBSOCKET_PROTOCOLS[protocol]
        self._connection = connection

    async def receive(self) -> tuple[int, bytes, bool]:
        while True:
            data = await self._connection.receive()
            if not data:
                continue
            if self._base64:
                try:
                    return data[0] - ord("0"), base64.b64decode(data[1:], validate=True), False
                except binascii.Error as error:
                    raise Gone(f"a message is not base64: {error}") from error
            if data[0] == _CLOSE_SIGNAL and self.version >= 5:
                if len(data) != 2:
                    raise Gone("a close signal names one channel")
                return data[1], b"", True
            return data[0], data[1:], False

    async def send(self, channel: int, data: bytes) -> None:
        if self._base64:
            await self._connection.send(ws.TEXT, str(channel).encode() + base64.b64encode(data))
        else:
            await self._connection.send(ws.BINARY, bytes((channel,)) + data)

    async def close(self) -> None:
        await self._connection.close()


class ByteStream(Protocol):
    """What SPDY runs over: a connection, or a WebSocket that tunnels one."""

    async def read(self) -> bytes:
        """Some bytes, b"" at the end."""

    async def write(self, data: bytes) -> None:
        """Raises Gone."""

    async def close(self) -> None:
        """Never raises."""


class PlainStream:
    """A connection's own bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self) -> bytes:
        try:
            return await self._reader.read(READ_BYTES)
        except OSError:
            return b""

    async def write(self, data: bytes) -> None:
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            raise Gone(str(error)) from error

    async def close(self) -> None:
        """The connection is its server's to close."""


class TunnelStream:
    """Bytes in a WebSocket's binary messages, cut anywhere."""

    def __init__(self, connection: WebSocketConnection) -> None:
        self._connection = connection

    async def read(self) -> bytes:
        try:
            while not (data := await self._connection.receive()):
                continue
        except Gone:
            return b""
        return data

    async def write(self, data: bytes) -> None:
        await self._connection.send(ws.BINARY, data)

    async def close(self) -> None:
        await self._connection.close()


class SpdyConnection:
    """Frames over a byte stream. Pings are answered on the way."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._encoder = spdy.Encoder()
        self._decoder = spdy.Decoder()
        self._ready: list[spdy.Frame] = []
        self._writing = asyncio.Lock()

    async def receive(self) -> spdy.Frame:
        """The next frame that is not a ping. Raises Gone."""
        while True:
            while self._ready:
                frame = self._ready.pop(0)
                if isinstance(frame, spdy.Ping):
                    if frame.id % 2:  # the client's; an even one answers ours
                        await self.send(frame)
                    continue
                if isinstance(frame, spdy.GoAway):
                    continue
                return frame
            data = await self._stream.read()
            if not data:
                raise Gone("the connection broke")
            try:
                self._ready += self._decoder.feed(data)
            except spdy.SpdyError as error:
                raise Gone(str(error)) from error

    async def send(self, frame: spdy.Frame) -> None:
        """Raises Gone. One at a time: a header block builds on the one before."""
        async with self._writing:
            await self._stream.write(self._encoder.encode(frame))

    async def close(self) -> None:
        """Never raises."""
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self.send(spdy.GoAway(0))
        except (Gone, TimeoutError):
            pass
        await self._stream.close()


class SpdyChannels:
    """A SPDY stream a channel. `opened` waits until the client has made all that are expected."""

    def __init__(self, connection: SpdyConnection, version: int) -> None:
        self.version = version
        self._connection = connection
        self._by_channel: dict[int, int] = {}
        self._by_stream: dict[int, int] = {}
        self._early: list[tuple[int, bytes, bool]] = []

    async def opened(self, expected: set[int]) -> None:
        """Raises Gone if they don't come."""
        waiting = 0
        try:
            async with asyncio.timeout(_SETUP_SECONDS):
                while not expected <= self._by_channel.keys():
                    event = await self._next()
                    if event is not None:
                        waiting += len(event[1])
                        if waiting > _MOST_WAITING:
                            raise Gone("too much was sent before all streams were open")
                        self._early.append(event)
        except TimeoutError:
            raise Gone(f"the client did not open its streams within {_SETUP_SECONDS:.0f} s") from None

    async def _next(self) -> tuple[int, bytes, bool] | None:
        frame = await self._connection.receive()
        match frame:
            case spdy.SynStream(stream, headers, fin):
                channel = _STREAM_TYPES.get(headers.get("streamtype", ""))
                if channel is None or channel in self._by_channel:
                    await self._connection.send(spdy.Reset(stream, 3))
                    return None
                await self._connection.send(spdy.SynReply(stream))
                self._by_channel[channel], self._by_stream[stream] = stream, channel
                return (channel, b"", True) if fin else None
            case spdy.Data(stream, data, fin) if stream in self._by_stream:
                return self._by_stream[stream], data, fin
            case spdy.Reset(stream, _) if stream in self._by_stream:
                return self._by_stream[stream], b"", True
        return None

    async def receive(self) -> tuple[int, bytes, bool]:
        if self._early:
            return self._early.pop(0)
        while (event := await self._next()) is None:
            continue
        return event

    async def send(self, channel: int, data: bytes) -> None:
        if channel in self._by_channel and data:
            await self._connection.send(spdy.Data(self._by_channel[channel], data))

    async def close(self) -> None:
        try:
            for channel in (STDOUT, STDERR, ERROR):
                if channel in self._by_channel:
                    await self._connection.send(spdy.Data(self._by_channel[channel], b"", fin=True))
        except Gone:
            return
        await self._connection.close()
