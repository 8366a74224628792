"""Exec and attach over a session's channels.

Always: when the client goes, an exec's processes are killed (an attached container goes on); the exit status is the
last thing the client hears, after all output.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import struct
import termios
from typing import Any

from nodeagent.runtime.descriptors import Reader, Writer
from nodeagent.runtime.errors import RuntimeFault
from nodeagent.runtime.forks import ForkError
from nodeagent.runtime.sessions import ExecProcess, Sessions, Ticket
from nodeagent.runtime.state import Container
from nodeagent.runtime.streaming.channels import ERROR, RESIZE, STDERR, STDIN, STDOUT, Channels, Gone

_MOST_BEHIND = 256  # chunks of output that an attached client may be behind before it is let go
_LINGER_SECONDS = 2.0
_DRAIN_SECONDS = 10.0


def status_of(code: int) -> dict[str, Any]:
    """The Status that tells a command's exit code, as clients of v4 and newer look for it."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def failure(text: str) -> dict[str, Any]:
    """The Status of a session that could not do its work."""
    return {"metadata": {}, "status": "Failure", "message": text, "reason": "InternalError", "code": 500}


async def tell_end(channels: Channels, status: dict[str, Any]) -> None:
    """Report how it ended: a Status from v4 on, before that only an error's text."""
    if channels.version >= 4:
        await channels.send(ERROR, json.dumps(status, separators=(",", ":")).encode())
    elif status["status"] != "Success":
        await channels.send(ERROR, str(status["message"]).encode())


def window_size(message: bytes) -> tuple[int, int] | None:
    """(rows, columns) of a resize message, None for nonsense or an empty size."""
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        size = json.loads(message)
        rows, columns = int(size.get("Height", 0)), int(size.get("Width", 0))
        if 0 < rows < 1 << 16 and 0 < columns < 1 << 16:
            return rows, columns
    return None


def resize(terminal: int, size: tuple[int, int]) -> None:
    """Tell a terminal its size; the kernel tells its processes (SIGWINCH)."""
    with contextlib.suppress(OSError):
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))


async def run_exec(sessions: Sessions, ticket: Ticket, channels: Channels) -> None:
    """Run the ticket's command for a client to its end. Raises Gone when the client goes; the command is dead then."""
    assert ticket.container is not None
    try:
        process = await sessions.start_exec(ticket.container, list(ticket.argv), tty=ticket.tty, stdin=ticket.stdin)
    except RuntimeFault as error:
        await tell_end(channels, failure(str(error)))
        return
    ended = False
    try:
        outputs = _outputs(process, ticket)
        copies = [asyncio.ensure_future(_copy(reader, channels, channel)) for reader, channel in outputs]
        inputs = asyncio.ensure_future(_take_input(process, channels))
        end = asyncio.ensure_future(_ended(process))
        try:
            while not end.done():
                working = {task for task in (end, inputs, *copies) if not task.done()}
                done, _ = await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()  # a client that is gone comes out of any of them
            ended = True
            await asyncio.wait(copies, timeout=_DRAIN_SECONDS if ticket.tty else _LINGER_SECONDS)
            for task in copies:
                if task.done():
                    task.result()
        finally:
            for task in (inputs, end, *copies):
                task.cancel()
            await asyncio.gather(inputs, end, *copies, return_exceptions=True)
            for reader, _ in outputs:
                reader.close()
        await tell_end(channels, status_of(process.ended.result().code))
    except ForkError as error:
        await tell_end(channels, failure(str(error)))
    finally:
        if not ended:
            await asyncio.shield(sessions.kill_exec(process))
        process.close()


async def _ended(process: ExecProcess) -> None:
    await asyncio.shield(process.ended)


def _outputs(process: ExecProcess, ticket: Ticket) -> list[tuple[Reader, int]]:
    if process.terminal >= 0:
        return [(Reader(os.dup(process.terminal)), STDOUT)]
    found = []
    for reader, channel, wanted in ((process.stdout, STDOUT, ticket.stdout), (process.stderr, STDERR, ticket.stderr)):
        assert reader is not None
        found.append((reader, channel if wanted else -1))
    return found


async def _copy(reader: Reader, channels: Channels, channel: int) -> None:
    while data := await reader.read():
        if channel >= 0:
            await channels.send(channel, data)


async def _take_input(process: ExecProcess, channels: Channels) -> None:
    """What the client sends, until it goes (which is raised)."""
    writer = Writer(os.dup(process.terminal)) if process.terminal >= 0 else process.stdin
    try:
        while True:
            channel, data, last = await channels.receive()
            if channel == STDIN and writer is not None:
                try:
                    await writer.write(data)
                except (BrokenPipeError, OSError):
                    writer.close()
                    writer = None
                    continue
                if last and process.terminal < 0:
                    writer.close()
            elif channel == RESIZE and process.terminal >= 0 and (size := window_size(data)) is not None:
                resize(process.terminal, size)
    finally:
        if writer is not None:
            writer.close()


async def run_attach(sessions: Sessions, ticket: Ticket, channels: Channels) -> None:
    """Give a client the container's output from now on, and its input. Raises Gone when the client goes."""
    container = ticket.container
    assert container is not None
    copier = sessions.runtime.copiers.get(container.id)
    if copier is None:
        await tell_end(channels, failure(f"container {container.id} is not running"))
        return
    behind: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue(_MOST_BEHIND)
    too_slow = asyncio.Event()

    def listen(stream: str, data: bytes) -> None:
        try:
            behind.put_nowait((STDOUT if stream == "stdout" else STDERR, data))
        except asyncio.QueueFull:
            too_slow.set()

    copier.listeners.add(listen)
    tasks = [
        asyncio.ensure_future(_forward(behind, channels, ticket)),
        asyncio.ensure_future(_take_attached(sessions, container, ticket, channels)),
        asyncio.ensure_future(too_slow.wait()),
        asyncio.ensure_future(container.ended.wait()),
    ]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        if too_slow.is_set():
            await tell_end(channels, failure("the client is too slow for the container's output"))
            return
        while not behind.empty():
            await _send_output(behind.get_nowait(), channels, ticket)
        await tell_end(channels, status_of(0))
    finally:
        copier.listeners.discard(listen)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _forward(behind: "asyncio.Queue[tuple[int, bytes]]", channels: Channels, ticket: Ticket) -> None:
    while True:
        await _send_output(await behind.get(), channels, ticket)


async def _send_output(chunk: tuple[int, bytes], channels: Channels, ticket: Ticket) -> None:
    channel, data = chunk
    if ticket.stdout if channel == STDOUT else ticket.stderr:
        await channels.send(channel, data)


async def _take_attached(sessions: Sessions, container: Container, ticket: Ticket, channels: Channels) -> None:
    writer: Writer | None = None
    if ticket.stdin and container.console >= 0:
        writer = Writer(os.dup(container.console))
    elif ticket.stdin and container.config.stdin:
        with contextlib.suppress(OSError):  # ENXIO: the container has closed its stdin
            writer = Writer(os.open(container.directory / "stdin", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    finished = False
    try:
        while True:
            channel, data, last = await channels.receive()
            if channel == STDIN and writer is not None:
                with contextlib.suppress(BrokenPipeError):
                    await writer.write(data)
                if last and container.console < 0:
                    finished = True
                    writer.close()
                    writer = None
                    await _end_stdin(sessions, container)
            elif channel == RESIZE and container.console >= 0 and (size := window_size(data)) is not None:
                resize(container.console, size)
    finally:
        if writer is not None:
            writer.close()
            if container.config.stdin_once and container.console < 0 and not finished:
                await asyncio.shield(_end_stdin(sessions, container))


async def _end_stdin(sessions: Sessions, container: Container) -> None:
    if container.config.stdin_once:
        with contextlib.suppress(ForkError):
            await sessions.runtime.forks.call("release", id=container.id, stdin=True)


__all__ = ["Gone", "failure", "run_attach", "run_exec", "status_of", "tell_end", "window_size"]
