"""From a container's FIFOs to its CRI log file: `TIME stream P|F text`, a line each.

Always: what was read is written before more is read, so a slow disk slows the container and nothing piles up here; a
line without its end yet is written at once, marked P, so nothing waits in memory for a newline when we are killed.
A full disk pauses the copying; the container waits.
Elsewhere: rotation is the agent's (it renames the file and asks for `reopen`).
"""

import asyncio
import errno
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

_READ_BYTES = 64 << 10
_MOST_LINE_BYTES = 16 << 10
_FULL_DISK_SECONDS = 1.0
_TURNS = 4  # reads of one stream before the others have theirs

Listener = Callable[[str, bytes], None]


def timestamp(nanoseconds: int) -> bytes:
    """RFC 3339 with nanoseconds, UTC."""
    seconds, rest = divmod(nanoseconds, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z".encode()


def entries(stream: str, data: bytes, at: bytes) -> Iterator[bytes]:
    """Log lines for one read of a stream, each with at most 16 KiB of its text."""
    start = 0
    while start < len(data):
        newline = data.find(b"\n", start, start + _MOST_LINE_BYTES + 1)
        if newline >= 0:
            yield b"%s %s F %s\n" % (at, stream.encode(), data[start:newline])
            start = newline + 1
        else:
            piece = data[start : start + _MOST_LINE_BYTES]
            yield b"%s %s P %s\n" % (at, stream.encode(), piece)
            start += len(piece)


class LogCopier:
    """Copies one container's output until it is drained after the container's end.

    streams: name to descriptor (non-blocking, for reading), which the copier closes. now: nanoseconds since 1970.
    """

    def __init__(self, path: str, streams: dict[str, int], now: Callable[[], int]) -> None:
        self.path = path
        self.listeners: set[Listener] = set()
        self.drained = asyncio.Event()
        self._streams = dict(streams)
        self._now = now
        self._ending = False
        self._paused: asyncio.TimerHandle | None = None
        self._file = self._open()
        for name, fd in self._streams.items():
            self._watch(name, fd)

    def _open(self) -> int:
        if not self.path:
            return -1
        os.makedirs(os.path.dirname(self.path), 0o755, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        return os.open(self.path, flags, 0o640)

    def _watch(self, name: str, fd: int) -> None:
        asyncio.get_running_loop().add_reader(fd, self._copy, name, fd)

    def _copy(self, name: str, fd: int) -> None:
        for _ in range(_TURNS):
            try:
                data = os.read(fd, _READ_BYTES)
            except BlockingIOError:
                if self._ending:
                    self._finish(name)
                return
            except OSError as error:
                if error.errno != errno.EIO:  # a terminal whose last user has gone
                    raise
                data = b""
            if not data:
                self._finish(name)
                return
            for listener in tuple(self.listeners):
                listener(name, data)
            if not self._write(b"".join(entries(name, data, timestamp(self._now())))):
                return

    def _write(self, text: bytes) -> bool:
        if self._file < 0:
            return True
        view = memoryview(text)
        try:
            while view:
                view = view[os.write(self._file, view) :]
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            self._pause(bytes(view))
            return False
        return True

    def _pause(self, rest: bytes) -> None:
        loop = asyncio.get_running_loop()
        for fd in self._streams.values():
            loop.remove_reader(fd)
        self._paused = loop.call_later(_FULL_DISK_SECONDS, self._resume, rest)

    def _resume(self, rest: bytes) -> None:
        self._paused = None
        if self._write(rest):
            for name, fd in list(self._streams.items()):
                self._watch(name, fd)
                if self._ending:
                    self._copy(name, fd)

    def _finish(self, name: str) -> None:
        fd = self._streams.pop(name, -1)
        if fd >= 0:
            asyncio.get_running_loop().remove_reader(fd)
            os.close(fd)
        if not self._streams:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1
            self.drained.set()

    def end(self) -> None:
        """The container has exited: finish when nothing is left to read."""
        self._ending = True
        if self._paused is None:
            for name, fd in list(self._streams.items()):
                self._drain(name, fd)

    def _drain(self, name: str, fd: int) -> None:
        if name in self._streams and self._paused is None:
            self._copy(name, fd)
            if name in self._streams:
                asyncio.get_running_loop().call_soon(self._drain, name, fd)

    def reopen(self) -> None:
        """Start a new file at the path, after the old one was moved away. Raises OSError; the old one stays then."""
        new = self._open()
        old, self._file = self._file, new
        if old >= 0:
            os.close(old)

    def abandon(self) -> None:
        """Stop copying at once; what is unread stays in the FIFOs for the next copier."""
        self._ending = False
        if self._paused is not None:
            self._paused.cancel()
        for name in list(self._streams):
            self._finish(name)
