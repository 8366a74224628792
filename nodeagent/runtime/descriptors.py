"""Reading and writing descriptors (pipes, FIFOs, terminals) from asyncio, with backpressure and nothing buffered."""

import asyncio
import errno
import os

_READ_BYTES = 32 << 10


class Reader:
    """Owns a descriptor until `close`."""

    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)
        self._fd = fd

    async def read(self) -> bytes:
        """Some bytes, or b"" at the end (a terminal's end is its last user's leaving)."""
        while self._fd >= 0:
            try:
                return os.read(self._fd, _READ_BYTES)
            except BlockingIOError:
                await _ready(self._fd, writing=False)
            except OSError as error:
                if error.errno == errno.EIO:
                    return b""
                raise
        return b""

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Writer:
    """Owns a descriptor until `close`."""

    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)
        self._fd = fd

    async def write(self, data: bytes) -> None:
        """Write all of it. Raises BrokenPipeError when nobody will read it."""
        view = memoryview(data)
        while view:
            if self._fd < 0:
                raise BrokenPipeError(errno.EPIPE, "closed on our side")
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:
                await _ready(self._fd, writing=True)
            except OSError as error:
                if error.errno == errno.EIO:
                    raise BrokenPipeError(errno.EPIPE, "the terminal has no user any more") from error
                raise

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


async def _ready(fd: int, *, writing: bool) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    own = os.dup(fd)  # one descriptor can be watched once a direction; a copy is nobody else's

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    try:
        (loop.add_writer if writing else loop.add_reader)(own, wake)
        await ready
    finally:
        (loop.remove_writer if writing else loop.remove_reader)(own)
        os.close(own)
