"""One HTTP/2 connection and the gRPC calls on it.

Always: what is asked in one turn of the loop leaves in one write; a call ends exactly once, with an answer or a
CallError; a message waits here while the peer's flow control has no room for it; a duplex call that is not read stops
its peer, and no other call. A connection that has lost its peer says so to all its calls.
Elsewhere: bytes (frames.py, headers.py), connecting (channel.py), which calls are tried again (apiserver/storage.py).
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import cast

from apiserver.rpc.frames import (
    ACK,
    END_HEADERS,
    END_STREAM,
    HEAD,
    LONGEST_FRAME,
    MESSAGE,
    PREFACE,
    PRIORITISED,
    RESETS,
    Broken,
    CallError,
    Code,
    Ending,
    Kind,
    Setting,
    ending,
    first_message,
    frame,
    message,
    read_settings,
    request_block,
    settings,
    unpadded,
    window_update,
)

Metadata = tuple[tuple[str, str], ...]
FIRST_WINDOW = 65_535
"""What either side may send at first."""
STREAM_WINDOW = 8 * 2**20
"""What a call's peer may send before somebody reads it."""
CONNECTION_WINDOW = 64 * 2**20
LAST_STREAM = 2**31 - 1
MOST_WINDOW = 2**31 - 1
KEEPALIVE_SECONDS = 10.0
"""etcd takes offence at pings more often than every 5 s."""
KEEPALIVE_TIMEOUT = 5.0
MOST_ENDINGS = 256
CANCEL = (8).to_bytes(4, "big")


class Call:
    """One call's stream."""

    __slots__ = ("ended", "ending", "number", "owed", "received", "unsent", "window")

    def __init__(self) -> None:
        self.number = 0
        self.window = 0
        """Bytes that the peer takes of this call."""
        self.unsent = b""
        self.received = bytearray()
        self.owed = 0
        """Bytes received that the peer has not been given back."""
        self.ending = Ending(None, "")
        self.ended = False

    def took(self, connection: Connection) -> None:
        """Something was received. Raises Broken."""

    def finish(self, error: CallError | None) -> None:
        """The call is over."""


class Unary(Call):
    """One message there, one back."""

    __slots__ = ("answer", "deadline")

    def __init__(self, answer: asyncio.Future[bytes], deadline: float) -> None:
        super().__init__()
        self.answer, self.deadline = answer, deadline

    def took(self, connection: Connection) -> None:
        """An answer is taken as it comes, however big it is."""
        connection.give_back(self)

    def finish(self, error: CallError | None) -> None:
        """Give the answer to who waits."""
        if self.answer.done():
            return
        found = None
        if error is None:
            try:
                found = first_message(self.received)
            except Broken as broken:
                error = CallError(Code.INTERNAL, str(broken))
        if error is not None:
            self.answer.set_exception(error)
        elif found is None:
            self.answer.set_exception(CallError(Code.INTERNAL, "the call ended well, but without a whole answer"))
        else:
            self.answer.set_result(found)


class Duplex(Call):
    """Messages both ways, for as long as it lasts."""

    __slots__ = ("_connection", "_error", "_held", "_inbox", "_waiter")

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection
        self._inbox: deque[bytes] = deque()
        self._held = 0
        self._error: CallError | None = None
        self._waiter: asyncio.Future[None] | None = None

    def send(self, data: bytes) -> None:
        """Send a message. Raises CallError when the call is over."""
        if self.ended:
            raise self._error or CallError(Code.CANCELLED, "the call has ended")
        self._connection.send(self, message(data), last=False)

    async def receive(self) -> bytes | None:
        """The next message; None when the peer has ended the call well. Raises CallError."""
        while not self._inbox:
            if self.ended:
                if self._error is not None:
                    raise self._error
                return None
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        data = self._inbox.popleft()
        self._held -= len(data)
        if self.owed and not self.ended and self._held < STREAM_WINDOW:
            self._connection.give_back(self, at_once=True)
        return data

    def cancel(self) -> None:
        """End it from this side; whoever receives is told CANCELLED."""
        self._connection.abandon(self, CallError(Code.CANCELLED, "the call was cancelled"))

    def took(self, connection: Connection) -> None:
        """Sort out messages; a reader that is behind by a whole window gets no more for now."""
        while (found := first_message(self.received)) is not None:
            del self.received[: MESSAGE.size + len(found)]
            self._inbox.append(found)
            self._held += len(found)
        if self._held < STREAM_WINDOW:
            connection.give_back(self)
        if self._inbox:
            self._wake()

    def finish(self, error: CallError | None) -> None:
        """Let the reader see the end, after what has arrived."""
        self._error = error
        self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


class Connection(asyncio.Protocol):
    """An HTTP/2 connection. Made by channel.py."""

    def __init__(self, authority: str, *, secure: bool, metadata: Metadata = ()) -> None:
        self._authority, self._secure, self._metadata = authority, secure, metadata
        self._loop = asyncio.get_running_loop()
        self.settled: asyncio.Future[None] = self._loop.create_future()
        """Done when the peer has shown that it speaks HTTP/2. Raises CallError."""
        self.usable = True
        """New calls may begin here."""
        self._transport: asyncio.Transport | None = None
        self._calls: dict[int, Call] = {}
        self._next = 1
        self._most = LAST_STREAM
        self._room: deque[asyncio.Future[None]] = deque()
        self._blocks: dict[str, bytes] = {}
        self._endings: dict[bytes, Ending] = {}
        self._out: list[bytes] = []
        self._in = b""
        self._headers: tuple[int, int, bytes] | None = None
        self._window = self._call_window = FIRST_WINDOW
        self._longest = LONGEST_FRAME
        self._blocked: dict[int, Call] = {}
        self._owed = 0
        self._heard = self._loop.time()
        self._sweeper: asyncio.TimerHandle | None = None
        self._keepalive: asyncio.TimerHandle | None = None
        self._why: CallError | None = None

    # Calls

    async def unary(self, path: str, request: bytes, seconds: float) -> bytes:
        """Call and wait for the answer. Raises CallError."""
        deadline = self._loop.time() + seconds
        if len(self._calls) >= self._most:
            await self._wait_for_room(deadline)
        answer: asyncio.Future[bytes] = self._loop.create_future()
        call = Unary(answer, deadline)
        self._begin(call, path)
        self.send(call, message(request), last=True)
        if self._sweeper is None:
            self._sweeper = self._loop.call_at(deadline, self._sweep)
        try:
            return await answer
        finally:
            if not call.ended:
                self.abandon(call, CallError(Code.CANCELLED, "the call was cancelled"))

    async def duplex(self, path: str) -> Duplex:
        """Begin a call of many messages. Raises CallError."""
        if len(self._calls) >= self._most:
            await self._wait_for_room(self._loop.time() + KEEPALIVE_TIMEOUT)
        call = Duplex(self)
        self._begin(call, path)
        return call

    async def _wait_for_room(self, deadline: float) -> None:
        """The peer allows so many calls at once."""
        while self.usable and len(self._calls) >= self._most:
            turn: asyncio.Future[None] = self._loop.create_future()
            self._room.append(turn)
            try:
                async with asyncio.timeout_at(deadline):
                    await turn
            except TimeoutError:
                raise CallError(Code.DEADLINE_EXCEEDED, "too many calls are under way") from None

    def _begin(self, call: Call, path: str) -> None:
        if not self.usable:
            why = self._why
            raise CallError(why.code, why.details) if why else CallError(Code.UNAVAILABLE, "the connection is closed")
        call.number, call.window = self._next, self._call_window
        self._next += 2
        if self._next > LAST_STREAM:
            self.usable = False
        self._calls[call.number] = call
        block = self._blocks.get(path)
        if block is None:
            block = self._blocks[path] = request_block(path, self._authority, self._secure, self._metadata)
        self._write(frame(Kind.HEADERS, END_HEADERS, call.number, block))

    def send(self, call: Call, data: bytes, *, last: bool) -> None:
        """Send, now or when there is room; `last` for the last that will be sent of a call."""
        size = len(data)
        if self._blocked or size > self._longest or size > self._window or size > call.window:
            call.unsent += data
            self._blocked[call.number] = call
            self._pump()
            return
        self._window -= size
        call.window -= size
        self._write(frame(Kind.DATA, END_STREAM if last else 0, call.number, data))

    def _pump(self) -> None:
        """Send what flow control allows of what waits, the oldest first."""
        for number, call in list(self._blocked.items()):
            while call.unsent:
                size = min(self._longest, self._window, call.window, len(call.unsent))
                if size <= 0:
                    break
                part, call.unsent = call.unsent[:size], call.unsent[size:]
                self._window -= size
                call.window -= size
                last = not call.unsent and isinstance(call, Unary)
                self._write(frame(Kind.DATA, END_STREAM if last else 0, number, part))
            if not call.unsent:
                del self._blocked[number]
            if self._window <= 0:
                return

    def give_back(self, call: Call, *, at_once: bool = False) -> None:
        """Let a call's peer send as much again as was received."""
        if not call.ended and (at_once or call.owed > STREAM_WINDOW // 4):
            self._write(window_update(call.number, call.owed))
            call.owed = 0

    def abandon(self, call: Call, error: CallError) -> None:
        """End a call from this side."""
        if not call.ended:
            if self._transport is not None and not self._transport.is_closing():
                self._write(frame(Kind.RST_STREAM, 0, call.number, CANCEL))
            self._end(call, error)

    def _end(self, call: Call, error: CallError | None) -> None:
        call.ended = True
        self._calls.pop(call.number, None)
        self._blocked.pop(call.number, None)
        call.finish(error)
        while self._room and len(self._calls) < self._most:
            turn = self._room.popleft()
            if not turn.done():
                turn.set_result(None)
                break
        if not self.usable and not self._calls:
            self.close()

    def _sweep(self) -> None:
        """End the calls whose time is over: they are the oldest."""
        self._sweeper = None
        now = self._loop.time()
        for call in list(self._calls.values()):
            if not isinstance(call, Unary):
                continue
            if call.deadline > now:
                self._sweeper = self._loop.call_at(call.deadline, self._sweep)
                return
            self.abandon(call, CallError(Code.DEADLINE_EXCEEDED, "no answer in time"))

    # The connection

    def retire(self) -> None:
        """Begin no more calls; it closes when those under way have ended."""
        self.usable = False
        if not self._calls:
            self.close()

    def close(self) -> None:
        """End it now; calls under way are told that it is unavailable."""
        self._lost(CallError(Code.UNAVAILABLE, "the connection was closed"))
        if self._transport is not None:
            self._flush()
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are not derived from it
        ours = {Setting.HEADER_TABLE_SIZE: 0, Setting.ENABLE_PUSH: 0, Setting.INITIAL_WINDOW_SIZE: STREAM_WINDOW}
        self._write(PREFACE + settings(ours) + window_update(0, CONNECTION_WINDOW - FIRST_WINDOW))
        self._keepalive = self._loop.call_later(KEEPALIVE_SECONDS, self._ping)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell all calls."""
        self._lost(CallError(Code.UNAVAILABLE, f"the connection was lost: {exc}" if exc else "the connection was lost"))

    def _lost(self, why: CallError) -> None:
        self.usable = False
        self._why = self._why or why
        for timer in (self._sweeper, self._keepalive):
            if timer is not None:
                timer.cancel()
        if not self.settled.done():
            self.settled.set_exception(why)
            self.settled.exception()  # nobody may be waiting any more
        calls, self._calls = self._calls, {}
        for call in calls.values():
            self._end(call, CallError(why.code, why.details))  # one each: whoever raises it adds a trace
        for turn in self._room:
            if not turn.done():
                turn.set_result(None)

    def _ping(self) -> None:
        """Ask a peer that has been silent; one that does not answer is gone."""
        silent = self._loop.time() - self._heard
        if silent < KEEPALIVE_SECONDS or not self._calls:
            self._keepalive = self._loop.call_later(max(1.0, KEEPALIVE_SECONDS - silent), self._ping)
            if not self._calls:
                self._heard = self._loop.time()
            return
        self._write(frame(Kind.PING, 0, 0, b"keepaliv"))
        self._keepalive = self._loop.call_later(KEEPALIVE_TIMEOUT, self._answered, self._heard)

    def _answered(self, before: float) -> None:
        if self._heard > before:
            self._ping()
            return
        self._lost(CallError(Code.UNAVAILABLE, "the peer does not answer pings"))
        if self._transport is not None:
            self._transport.abort()

    def _write(self, data: bytes) -> None:
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(data)

    def _flush(self) -> None:
        out, self._out = self._out, []
        if out and self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(out))

    # What arrives

    def data_received(self, data: bytes) -> None:
        """Take frames apart."""
        self._heard = self._loop.time()
        if self._in:
            data = self._in + data
        at, end = 0, len(data)
        try:
            while end - at >= 9:
                high, low, kind, flags, stream = HEAD.unpack_from(data, at)
                size = high << 8 | low
                if size > LONGEST_FRAME:
                    raise Broken(f"a frame of {size} bytes")
                if end - at < 9 + size:
                    break
                self._frame(kind, flags, stream & LAST_STREAM, data[at + 9 : at + 9 + size])
                at += 9 + size
        except Broken as error:
            self._lost(CallError(Code.UNAVAILABLE, f"the peer breaks HTTP/2: {error}"))
            if self._transport is not None:
                self._transport.abort()
            return
        self._in = data[at:]

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if self._headers is not None and (kind != Kind.CONTINUATION or stream != self._headers[0]):
            raise Broken("something else amid headers")
        match kind:
            case Kind.DATA:
                self._data(flags, stream, payload)
            case Kind.HEADERS:
                block = unpadded(payload, flags)
                self._block(stream, flags & END_STREAM, block, whole=bool(flags & END_HEADERS))
            case Kind.CONTINUATION:
                if self._headers is None:
                    raise Broken("headers go on that have not begun")
                _, last, before = self._headers
                self._block(stream, last, before + payload, whole=bool(flags & END_HEADERS))
            case Kind.RST_STREAM:
                if (call := self._calls.get(stream)) is not None:
                    reason = int.from_bytes(payload, "big")
                    code = RESETS.get(reason, Code.INTERNAL)
                    self._end(call, CallError(code, f"the peer gave up the call (HTTP/2 error {reason})"))
            case Kind.SETTINGS if not flags & ACK:
                self._settings(payload)
            case Kind.PING if not flags & ACK:
                self._write(frame(Kind.PING, ACK, 0, payload))
            case Kind.GOAWAY:
                self._go_away(payload)
            case Kind.WINDOW_UPDATE:
                self._window_update(stream, payload)
            case Kind.PUSH_PROMISE:
                raise Broken("a push, which was declined")

    def _data(self, flags: int, stream: int, payload: bytes) -> None:
        self._owed += len(payload)
        if self._owed > CONNECTION_WINDOW // 4:
            self._write(window_update(0, self._owed))
            self._owed = 0
        call = self._calls.get(stream)
        if call is None:  # of a call that was given up
            return
        call.owed += len(payload)
        call.received += unpadded(payload, flags & ~PRIORITISED)
        call.took(self)
        if flags & END_STREAM:
            self._end(call, CallError(Code.INTERNAL, "the call ended without a status"))

    def _block(self, stream: int, last: int, block: bytes, *, whole: bool) -> None:
        if not whole:
            if len(block) > 16 * LONGEST_FRAME:
                raise Broken("headers without an end")
            self._headers = (stream, last, block)
            return
        self._headers = None
        call = self._calls.get(stream)
        if call is None:
            return
        says = self._endings.get(block)
        if says is None:
            if len(self._endings) >= MOST_ENDINGS:
                self._endings.clear()
            says = self._endings[block] = ending(block)
        if says.code is not None:
            call.ending = says
        if last:
            if call.unsent:
                self._write(frame(Kind.RST_STREAM, 0, stream, CANCEL))
            code = call.ending.code
            if code is Code.OK:
                self._end(call, None)
            else:
                details = call.ending.details or "the call ended without a status"
                self._end(call, CallError(code if code is not None else Code.UNKNOWN, details))

    def _settings(self, payload: bytes) -> None:
        for key, value in read_settings(payload):
            if key == Setting.MAX_CONCURRENT_STREAMS:
                self._most = value
            elif key == Setting.INITIAL_WINDOW_SIZE:
                for call in self._calls.values():
                    call.window += value - self._call_window
                self._call_window = value
            elif key == Setting.MAX_FRAME_SIZE:
                self._longest = value
        self._write(frame(Kind.SETTINGS, ACK, 0))
        if not self.settled.done():
            self.settled.set_result(None)
        self._pump()

    def _window_update(self, stream: int, payload: bytes) -> None:
        more = int.from_bytes(payload, "big") & MOST_WINDOW
        if not stream:
            self._window += more
        elif (call := self._calls.get(stream)) is not None:
            call.window += more
        if self._blocked:
            self._pump()

    def _go_away(self, payload: bytes) -> None:
        """Calls that the peer has not looked at may be tried elsewhere; the others end as they end."""
        last = int.from_bytes(payload[:4], "big") & LAST_STREAM
        self.usable = False
        for call in [one for one in self._calls.values() if one.number > last]:
            self._end(call, CallError(Code.UNAVAILABLE, "the peer is going away"))
        if not self._calls:
            self.close()
