"""Container logs as a reader wants them: CRI-format files, rotated ones before the current one, followed as they grow.

A line in a file is `<RFC 3339 time> <stdout|stderr> <P|F> <text>`; P is a part of a line that goes on.
Always: memory is bounded by one read and one line; a follower sleeps in inotify(7), and sees rotation.
Source: the CRI's log format (Kubernetes, kubelet-cri-logging); the query of pods/log in the API reference.
"""

from __future__ import annotations

import asyncio
import ctypes
import gzip
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from sampan.limits import Doing, told

CHUNK = 64 * 1024
IN_MODIFY, IN_MOVED_FROM, IN_MOVED_TO, IN_CREATE = 0x002, 0x040, 0x080, 0x100
WATCHED = IN_MODIFY | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE
LOOK_AGAIN_SECONDS = 30.0

libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What of a log, and how. `tail` counts lines; `since` is a moment; `limit` is bytes of output."""

    follow: bool = False
    tail: int | None = None
    since: datetime | None = None
    timestamps: bool = False
    limit: int | None = None
    stream: str = "All"


@dataclass(frozen=True, slots=True)
class Line:
    """One entry of a log file."""

    time: bytes
    stream: bytes
    partial: bool
    text: bytes


def parse(raw: bytes) -> Line | None:
    """An entry without its line feed; None for what is none."""
    parts = raw.split(b" ", 3)
    if len(parts) < 3 or parts[1] not in (b"stdout", b"stderr") or parts[2][:1] not in (b"P", b"F"):
        return None
    return Line(parts[0], parts[1], parts[2].startswith(b"P"), parts[3] if len(parts) == 4 else b"")


def moment(time: bytes) -> datetime | None:
    """The time of an entry; nanoseconds are cut to microseconds."""
    text = time.decode("ascii", "replace")
    whole, dot, rest = text.partition(".")
    if dot:
        digits = rest.rstrip("Z")
        zone = ""
        for sign in "+-":
            if sign in digits:
                digits, _, offset = digits.partition(sign)
                zone = sign + offset
        text = f"{whole}.{digits[:6]}{zone or 'Z'}"
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def files_of(path: Path) -> list[Path]:
    """The files of one container's log, oldest first: `0.log.<time>.gz`, `0.log.<time>`, `0.log`."""
    rotated = []
    if path.parent.is_dir():
        for entry in os.scandir(path.parent):
            if entry.name.startswith(path.name + ".") and entry.is_file(follow_symlinks=False):
                stem = entry.name.removesuffix(".gz")
                if not entry.name.endswith(".tmp"):
                    rotated.append((stem, Path(entry.path)))
    ordered = [found for _, found in sorted(rotated)]
    return [*ordered, path] if path.exists() else ordered


def remove_logs(directory: Path, relative: str) -> None:
    """Drop one container's log, rotated files included."""
    if relative:
        for path in files_of(directory / relative):
            path.unlink(missing_ok=True)


def open_log(path: Path) -> IO[bytes]:
    """A log file for reading, unpacked on the way."""
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]  # a BufferedIOBase


def count_back(file: IO[bytes], lines: int) -> tuple[int, int]:
    """Where the last `lines` entries of a file begin, and how many there are (fewer if the file is shorter)."""
    if lines <= 0:
        return file.seek(0, os.SEEK_END), 0
    end = file.seek(0, os.SEEK_END)
    found, position = 0, end
    while position > 0:
        size = min(CHUNK, position)
        position -= size
        file.seek(position)
        data = file.read(size)
        # the feed that ends the last entry begins no other
        stop = len(data) - 1 if position + size == end and data.endswith(b"\n") else len(data)
        while (at := data.rfind(b"\n", 0, stop)) != -1:
            found += 1
            if found == lines:
                return position + at + 1, lines
            stop = at
    return 0, found + (1 if end else 0)


def starting_points(files: list[Path], tail: int | None) -> list[tuple[Path, int]]:
    """Which files to read, from where, to show the last `tail` lines (all when None)."""
    if tail is None:
        return [(path, 0) for path in files]
    points: list[tuple[Path, int]] = []
    left = tail
    for path in reversed(files):
        with open_log(path) as file:
            start, found = count_back(file, left)
        points.append((path, start))
        left -= found
        if left <= 0:
            break
    points.reverse()
    return points


class Shown:
    """Turns entries into output, and knows when enough has been written."""

    def __init__(self, options: LogOptions) -> None:
        self._options = options
        self._left = options.limit
        self._in_line: dict[bytes, bool] = {}

    @property
    def full(self) -> bool:
        """The limit is reached."""
        return self._left is not None and self._left <= 0

    def show(self, line: Line) -> bytes:
        """The output of one entry; empty when it is not wanted."""
        options = self._options
        if options.stream != "All" and line.stream != options.stream.lower().encode():
            return b""
        if options.since is not None and (when := moment(line.time)) is not None and when < options.since:
            return b""
        goes_on = self._in_line.get(line.stream, False)
        self._in_line[line.stream] = line.partial
        output = b"" if goes_on or not options.timestamps else line.time + b" "
        output += line.text + (b"" if line.partial else b"\n")
        if self._left is not None:
            output = output[: self._left]
            self._left -= len(output)
        return output


def entries(buffer: bytearray) -> Iterator[Line]:
    """Take all whole entries out of a buffer."""
    start = 0
    while (end := buffer.find(b"\n", start)) != -1:
        line = parse(bytes(buffer[start:end]))
        start = end + 1
        if line is not None:
            yield line
    del buffer[:start]


class Watch:
    """inotify(7) on one directory; `changed` waits for anything to happen in it."""

    def __init__(self, directory: Path) -> None:
        self._fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            code = ctypes.get_errno()
            raise OSError(code, told(f"inotify_init1: {os.strerror(code)}", code, Doing.WATCH_START))
        if libc.inotify_add_watch(self._fd, os.fsencode(directory), WATCHED) < 0:
            code = ctypes.get_errno()
            os.close(self._fd)
            text = f"inotify_add_watch {directory}: {os.strerror(code)}"
            raise OSError(code, told(text, code, Doing.WATCH_ADD))
        self._event = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._fd, self._read)

    def _read(self) -> None:
        try:
            os.read(self._fd, CHUNK)
        except BlockingIOError:
            return
        self._event.set()

    def poke(self) -> None:
        """Something else happened that a waiter wants to know."""
        self._event.set()

    async def changed(self) -> None:
        """Wait until something happened since the last time."""
        try:
            async with asyncio.timeout(LOOK_AGAIN_SECONDS):
                await self._event.wait()
        except TimeoutError:
            pass
        self._event.clear()

    def close(self) -> None:
        """Stop watching."""
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)


async def read_log(
    path: Path,
    options: LogOptions,
    *,
    alive: Callable[[], bool],
    on_change: Callable[[Callable[[], None]], Callable[[], None]],
) -> AsyncGenerator[bytes, None]:
    """The output, piece by piece. Following, it ends when `alive` says no and all is read.

    `on_change` registers a callback for changes of what `alive` says, and returns what takes it back.
    """
    shown = Shown(options)
    if not options.follow:
        for place, start in starting_points(files_of(path), options.tail):
            with open_log(place) as file:
                file.seek(start)
                async for output in _drain(file, shown):
                    yield output
            if shown.full:
                return
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    watch = Watch(path.parent)
    undo = on_change(watch.poke)
    try:
        points = starting_points(files_of(path), options.tail)
        for place, start in points[:-1]:
            with open_log(place) as file:
                file.seek(start)
                async for output in _drain(file, shown):
                    yield output
        start = points[-1][1] if points else 0
        async for output in _follow(path, start, shown, watch, alive):
            yield output
    finally:
        undo()
        watch.close()


async def _drain(file: IO[bytes], shown: Shown) -> AsyncIterator[bytes]:
    """Everything to the end of a file."""
    buffer = bytearray()
    while data := file.read(CHUNK):
        buffer += data
        output = b"".join(map(shown.show, entries(buffer)))
        if output:
            yield output
        if shown.full:
            return
        await asyncio.sleep(0)


async def _follow(
    path: Path, start: int, shown: Shown, watch: Watch, alive: Callable[[], bool]
) -> AsyncIterator[bytes]:
    """The current file as it grows, and its successors when it is rotated."""
    file: IO[bytes] | None = None
    buffer = bytearray()
    try:
        while True:
            going_on = alive()  # asked before reading: what came before the end is read in any case
            if file is None and path.exists():
                file = path.open("rb")
                file.seek(start)
                start = 0
            if file is not None:
                while data := file.read(CHUNK):
                    buffer += data
                    output = b"".join(map(shown.show, entries(buffer)))
                    if output:
                        yield output
                    if shown.full:
                        return
                if _replaced(file, path):
                    file.close()
                    file = None
                    buffer.clear()
                    continue
            if not going_on:
                return
            await watch.changed()
    finally:
        if file is not None:
            file.close()


def _replaced(file: IO[bytes], path: Path) -> bool:
    try:
        return os.stat(path).st_ino != os.fstat(file.fileno()).st_ino
    except FileNotFoundError:
        return False
