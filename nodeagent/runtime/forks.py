"""The runtime's side of the fork server: one connection, many requests under way, exits as they come.

Always: an answer goes to the request whose seq it carries; a lost connection fails what is under way with
ForkServerGone and is made again; whoever follows exits is told `on_connected` after each new connection, to compare.
"""

import array
import asyncio
import contextlib
import json
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sampan.limits import Doing, told
from sampan.logs import fields

log = logging.getLogger("sampan.runtime")

_INLINE_BYTES = 60 << 10
_MOST_PACKET = 64 << 10
_RECONNECT_FIRST, _RECONNECT_MOST = 0.05, 2.0


class ForkError(Exception):
    """The fork server could not do it: its words, and the errno if the kernel said no."""

    def __init__(self, text: str, code: int = 0) -> None:
        super().__init__(text)
        self.code = code


class ForkServerGone(ForkError):
    """The connection broke before the answer came: whether it was done is to be asked afresh."""


@dataclass(slots=True)
class Answer:
    """A reply and the descriptors that came with it, which are the receiver's to close."""

    body: dict[str, Any]
    fds: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended. finished is in nanoseconds since 1970; known is False if nobody saw its status."""

    code: int
    signal: int
    oom: bool
    finished: int
    known: bool

    @classmethod
    def of(cls, told: dict[str, Any]) -> "Ended":
        return cls(told["code"], told["signal"], told["oom"], told["finished"], told["known"])


class ForkClient:
    """A connection to the fork server at `path`. Run `run()` in a TaskGroup; calls wait until it is connected."""

    def __init__(
        self,
        path: str,
        *,
        on_exit: Callable[[str, Ended], None] | None = None,
        on_connected: Callable[[], Awaitable[None]] | None = None,
        on_gone: Callable[[], None] | None = None,
    ) -> None:
        self.path = path
        self._on_exit = on_exit
        self._on_connected = on_connected
        self._on_gone = on_gone
        self._socket: socket.socket | None = None
        self._connected = asyncio.Event()
        self._seq = 0
        self._waiting: dict[int, asyncio.Queue[Answer | ForkError]] = {}
        self._exits: dict[str, asyncio.Future[Ended]] = {}
        self._writing = asyncio.Lock()

    @property
    def connected(self) -> bool:
        """Whether there is a fork server at the other end now."""
        return self._connected.is_set()

    async def until_connected(self, seconds: float) -> None:
        """Wait for a fork server, but not long. Raises ForkServerGone."""
        try:
            async with asyncio.timeout(seconds):
                await self._connected.wait()
        except TimeoutError:
            raise ForkServerGone(f"no fork server answers at {self.path}") from None

    async def run(self) -> None:
        """Stay connected until cancelled."""
        delay = _RECONNECT_FIRST
        while True:
            try:
                await self._converse()
                delay = _RECONNECT_FIRST
            except OSError:
                await asyncio.sleep(delay)
                delay = min(delay * 2, _RECONNECT_MOST)

    async def _converse(self) -> None:
        loop = asyncio.get_running_loop()
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.setblocking(False)
        connected: asyncio.Task[None] | None = None
        try:
            await loop.sock_connect(connection, self.path)
            self._socket = connection
            self._connected.set()
            broken: asyncio.Future[None] = loop.create_future()
            loop.add_reader(connection.fileno(), self._receive, connection, broken)
            if self._on_connected is not None:
                connected = asyncio.ensure_future(self._on_connected())
            await broken
        finally:
            self._lost()
            loop.remove_reader(connection.fileno())
            connection.close()
            if connected is not None:
                connected.cancel()
                await asyncio.wait((connected,))  # unlike awaiting it, this lets our own cancellation through
                if not connected.cancelled() and connected.exception() is not None:
                    log.error("adoption failed", extra=fields(error=repr(connected.exception())))
            gone = ForkServerGone("the fork server went away before it answered")
            for queue in self._waiting.values():
                queue.put_nowait(gone)
            for future in self._exits.values():
                if not future.done():
                    future.set_exception(gone)
                    future.exception()  # an exec that nobody waits for any more
            self._exits.clear()

    def _lost(self) -> None:
        self._connected.clear()
        self._socket = None
        if self._on_gone is not None:
            self._on_gone()

    def _receive(self, connection: socket.socket, broken: "asyncio.Future[None]") -> None:
        for _ in range(64):
            try:
                data, ancillary, _, _ = connection.recvmsg(
                    _MOST_PACKET, socket.CMSG_SPACE(16 * array.array("i").itemsize), socket.MSG_CMSG_CLOEXEC
                )
            except BlockingIOError:
                return
            except OSError:
                data, ancillary = b"", []
            fds = array.array("i")
            for level, kind, content in ancillary:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
            if not data:
                if not broken.done():
                    broken.set_result(None)
                return
            self._dispatch(json.loads(data), list(fds))

    def _dispatch(self, body: dict[str, Any], fds: list[int]) -> None:
        if body.get("event") == "exit":
            ended = Ended.of(body)
            future = self._exits.pop(body["id"], None)
            if future is not None:
                if not future.done():
                    future.set_result(ended)
            elif self._on_exit is not None:
                self._on_exit(body["id"], ended)
            return
        queue = self._waiting.get(body.get("seq", -1))
        if queue is None:
            for fd in fds:
                os.close(fd)
        elif "error" in body:
            code = body.get("errno") or 0
            queue.put_nowait(ForkError(told(body["error"], code, Doing.FORK), code))
        else:
            queue.put_nowait(Answer(body, fds))

    async def call(self, op: str, fds: Sequence[int] = (), /, **request: Any) -> Answer:
        """Ask for one thing. Raises ForkError in the fork server's words."""
        async with self._asking(op, fds, request) as queue:
            answer = await queue.get()
        if isinstance(answer, ForkError):
            raise answer
        return answer

    @contextlib.asynccontextmanager
    async def _asking(
        self, op: str, fds: Sequence[int], request: dict[str, Any]
    ) -> AsyncIterator[asyncio.Queue[Answer | ForkError]]:
        await self._connected.wait()
        self._seq += 1
        seq = self._seq
        queue: asyncio.Queue[Answer | ForkError] = asyncio.Queue()
        self._waiting[seq] = queue
        try:
            await self._send({"op": op, "seq": seq, **request}, list(fds))
            yield queue
        finally:
            del self._waiting[seq]
            while not queue.empty():  # came too late for whoever asked
                late = queue.get_nowait()
                for fd in late.fds if isinstance(late, Answer) else ():
                    os.close(fd)

    async def _send(self, body: dict[str, Any], fds: list[int]) -> None:
        data = json.dumps(body).encode()
        memory = -1
        if len(data) > _INLINE_BYTES:
            memory = os.memfd_create("request", os.MFD_CLOEXEC)
            view = memoryview(data)
            while view:
                view = view[os.write(memory, view) :]
            data, fds = b'{"body": true}', [memory, *fds]
        try:
            async with self._writing:
                connection = self._socket
                if connection is None:
                    raise ForkServerGone("the fork server is not there")
                while True:
                    try:
                        socket.send_fds(connection, [data], fds)
                        return
                    except BlockingIOError:
                        await _writable(connection)
                    except OSError as error:
                        self._lost()  # before the end of the connection is read
                        raise ForkServerGone(f"the fork server went away: {error}") from error
        finally:
            if memory >= 0:
                os.close(memory)

    async def listed(self) -> list[Answer]:
        """Every container that the fork server follows: body["process"], and a pidfd if it runs."""
        found: list[Answer] = []
        async with self._asking("list", (), {}) as queue:
            while True:
                answer = await queue.get()
                if isinstance(answer, ForkError):
                    for one in found:
                        for fd in one.fds:
                            os.close(fd)
                    raise answer
                if answer.body.get("end"):
                    return found
                found.append(answer)

    async def exec(self, name: str, fds: Sequence[int], /, **request: Any) -> tuple[Answer, "asyncio.Future[Ended]"]:
        """Start a process in a container; the future is its end."""
        future: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        self._exits[name] = future
        try:
            return await self.call("exec", fds, id=name, **request), future
        except BaseException:
            self._exits.pop(name, None)
            raise


async def _writable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_writer(connection.fileno(), wake)
    try:
        await ready
    finally:
        loop.remove_writer(connection.fileno())
