"""Exec and attach: our standard streams joined to a container's, over channel.k8s.io in a WebSocket.

Each message begins with a channel's number; channel 3 brings a Status at the end, channel 4 takes window sizes, and in
v5 the bytes 255, N say that no more comes on channel N. Source: KEP-4006.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from kctl.errors import UsageError
from kctl.http import ConnectionFailed
from kctl.websocket import WebSocket

STDIN, STDOUT, STDERR, ERROR, RESIZE = 0, 1, 2, 3, 4
CLOSE_SIGNAL = 255
PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
CHUNK = 32 * 1024
MOST_UNSENT = 1 << 20


class Streams:
    """Where the local ends are. None for what is not connected."""

    def __init__(self, stdin: int | None = None, stdout: int | None = 1, stderr: int | None = 2) -> None:
        self.stdin, self.stdout, self.stderr = stdin, stdout, stderr

    def out(self, channel: int) -> int | None:
        """The descriptor that a channel's bytes go to."""
        return {STDOUT: self.stdout, STDERR: self.stderr}.get(channel)


def join(socket: WebSocket, streams: Streams, *, tty: bool = False) -> int:
    """Copy until the other side ends; the remote exit code. Raises UsageError with what the server reports."""
    with window_changes(tty) as changes:
        return _Joined(socket, streams, tty, changes).run()


class _Joined:
    def __init__(self, socket: WebSocket, streams: Streams, tty: bool, changes: int | None) -> None:
        self._socket, self._streams, self._tty, self._changes = socket, streams, tty, changes
        self._stdin = streams.stdin
        self._status: dict[str, Any] | None = None

    def run(self) -> int:
        if self._changes is not None:
            self._tell_size()
        self._take()
        while not self._socket.closed:
            for descriptor in self._wait():
                if descriptor == self._stdin:
                    self._give()
                elif descriptor == self._changes:
                    os.read(descriptor, 4096)
                    self._tell_size()
            if self._socket.closed:
                break
            self._socket.flush()
            self._take()
        self._socket.close()
        if self._status is None:
            raise ConnectionFailed("the connection ended before the command did; its outcome is not known")
        return exit_code(self._status)

    def _wait(self) -> list[int]:
        poll = select.poll()
        poll.register(self._socket.fileno(), self._socket.interest)
        if self._stdin is not None and self._socket.waiting < MOST_UNSENT:
            poll.register(self._stdin, select.POLLIN)
        if self._changes is not None:
            poll.register(self._changes, select.POLLIN)
        return [descriptor for descriptor, _ in poll.poll()]

    def _give(self) -> None:
        """What we read goes to the command; our end is its end."""
        assert self._stdin is not None
        try:
            data = os.read(self._stdin, CHUNK)
        except OSError:
            data = b""
        if data:
            self._socket.send(bytes([STDIN]) + data)
            return
        self._stdin = None
        if self._socket.protocol.startswith("v5"):
            self._socket.send(bytes([CLOSE_SIGNAL, STDIN]))

    def _take(self) -> None:
        """What the command wrote goes out; the last word is how it ended."""
        for message in self._socket.receive():
            channel, data = message.data[:1], message.data[1:]
            if not channel:
                continue
            if channel[0] == ERROR:
                self._status = _status(data)
            elif (descriptor := self._streams.out(channel[0])) is not None:
                write_all(descriptor, data)

    def _tell_size(self) -> None:
        try:
            width, height = os.get_terminal_size(0)
        except OSError:
            return
        self._socket.send(bytes([RESIZE]) + json.dumps({"Width": width, "Height": height}).encode())


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of it."""
    while data:
        data = data[os.write(descriptor, data) :]


def _status(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {"status": "Failure", "message": data.decode(errors="replace")}


def exit_code(status: dict[str, Any]) -> int:
    """The remote exit code in a Status. Raises UsageError for any other failure."""
    if status.get("status") == "Success":
        return 0
    if status.get("reason") == "NonZeroExitCode":
        for cause in (status.get("details") or {}).get("causes") or ():
            if cause.get("reason") == "ExitCode" and str(cause.get("message", "")).isdigit():
                return int(cause["message"])
    reason = "Internal error occurred: " if status.get("reason") == "InternalError" else ""
    message = str(status.get("message") or "the server reports a failure without a reason")
    raise UsageError(message if message.startswith(reason) else reason + message)


@contextmanager
def raw_terminal(active: bool) -> Iterator[None]:
    """The terminal on standard input hands over each key as it is, and is put back in any case."""
    if not active:
        yield
        return
    import termios
    import tty

    before = termios.tcgetattr(0)
    try:
        tty.setraw(0, termios.TCSADRAIN)  # the default would throw away what was typed ahead
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


@contextmanager
def window_changes(active: bool) -> Iterator[int | None]:
    """A descriptor that is readable after the window's size has changed."""
    if not active:
        yield None
        return
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    before: Callable[[int, Any], Any] | int | None = signal.signal(signal.SIGWINCH, lambda *_: None)
    woken = signal.set_wakeup_fd(theirs, warn_on_full_buffer=False)
    try:
        yield ours
    finally:
        signal.set_wakeup_fd(woken)
        signal.signal(signal.SIGWINCH, before)
        os.close(ours)
        os.close(theirs)


def wants_terminal(tty: bool, stdin: bool, *, quiet: bool = False) -> bool:
    """Whether to ask for a terminal: only with one on standard input, as kubectl has it."""
    if not tty or not stdin:
        return False
    if not os.isatty(0) and not quiet:
        print("Unable to use a TTY - input is not a terminal or the right kind of file", file=sys.stderr)
    return os.isatty(0)
