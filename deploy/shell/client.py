"""kctl's end of a session: local descriptors joined to a command on a node.

The socket leads to a relay (a VM) or straight to the node (namespaces); both speak the frames of frames.py on
channel 0. Elsewhere: raw terminals and window changes (kctl), how the socket is come by (reach.py).
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from deploy.shell.frames import MOST_PAYLOAD, WINDOW, Decoder, Frame, Kind, credit, encode, encode_json
from deploy.shell.session import Command
from sampan.errors import ClusterError

ANSWER_SECONDS = 60.0
"""A machine that boots under emulation answers within 20."""


@dataclass(frozen=True)
class Ends:
    """Local descriptors. `resized` is readable after the window has changed its size; -1 is none."""

    stdin: int = -1
    stdout: int = 1
    stderr: int = 2
    resized: int = -1


class _Joined:
    def __init__(self, stream: socket.socket, node: str, command: Command, ends: Ends, patience: float) -> None:
        self._patience = patience
        self._stream, self._node, self._command, self._ends = stream, node, command, ends
        self._decoder = Decoder()
        self._unsent = bytearray()
        self._credit = 0
        self._owed = 0
        self._stdin = ends.stdin
        self._answered = False

    def run(self) -> int:
        """Until the command has ended: its exit code."""
        self._stream.setblocking(False)
        self._unsent += encode_json(Kind.OPEN, 0, self._command.to_json())
        deadline = time.monotonic() + self._patience
        while True:
            ready = self._wait(None if self._answered else deadline)
            if self._ends.resized in ready:
                os.read(self._ends.resized, 4096)
                self._tell_size()
            if self._stdin in ready:
                self._give()
            if self._unsent:
                with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
                    del self._unsent[: self._stream.send(self._unsent[:65536])]
            if self._stream.fileno() in ready and (code := self._take()) is not None:
                return code

    def _wait(self, deadline: float | None) -> set[int]:
        poll = select.poll()
        poll.register(self._stream, select.POLLIN | (select.POLLOUT if self._unsent else 0))
        if self._stdin >= 0 and self._credit > 0 and len(self._unsent) < 4 * MOST_PAYLOAD:
            poll.register(self._stdin, select.POLLIN)
        if self._ends.resized >= 0:
            poll.register(self._ends.resized, select.POLLIN)
        left = None if deadline is None else max(0, int((deadline - time.monotonic()) * 1000))
        ready = {descriptor for descriptor, _ in poll.poll(left)}
        if not ready and deadline is not None and time.monotonic() >= deadline:
            raise ClusterError(
                where=f"node {self._node}",
                what=f"its shell has not answered for {self._patience:.0f} s: it boots still, or hangs",
                remedy=f"look at: kctl cluster console {self._node}",
            )
        return ready

    def _give(self) -> None:
        try:
            data = os.read(self._stdin, min(MOST_PAYLOAD, self._credit))
        except OSError:
            data = b""
        if not data:
            self._stdin = -1
            if self._command.tty:  # the terminal itself has gone
                self._unsent += encode(Kind.CLOSE, 0)
        self._credit -= len(data)
        self._unsent += encode(Kind.INPUT, 0, data)

    def _take(self) -> int | None:
        try:
            data = self._stream.recv(65536)
        except BlockingIOError:
            return None
        except OSError:
            data = b""
        if not data:
            raise self._lost("the connection to it ended before the command did: the node, or its shell, has died")
        for frame in self._decoder.feed(data):
            if (code := self._obey(frame)) is not None:
                return code
        return None

    def _obey(self, frame: Frame) -> int | None:
        self._answered = True
        match frame.kind:
            case Kind.OUTPUT | Kind.ERRORS:
                write_all(self._ends.stdout if frame.kind is Kind.OUTPUT else self._ends.stderr, frame.payload)
                self._owed += len(frame.payload)
                if self._owed >= WINDOW // 4:
                    self._unsent += credit(0, self._owed)
                    self._owed = 0
            case Kind.CREDIT:
                self._credit += int.from_bytes(frame.payload, "big")
            case Kind.EXIT:
                how = frame.json()
                if "error" in how:
                    raise self._lost(str(how["error"]))
                return int(how["code"])
            case _:
                return None
        return None

    def _lost(self, why: str) -> ClusterError:
        return ClusterError(where=f"node {self._node}", what=why, remedy=f"look at: kctl cluster console {self._node}")

    def _tell_size(self) -> None:
        with contextlib.suppress(OSError):
            columns, rows = os.get_terminal_size(self._ends.stdin)
            self._unsent += encode_json(Kind.RESIZE, 0, [rows, columns])


def run(stream: socket.socket, node: str, command: Command, ends: Ends, *, patience: float = ANSWER_SECONDS) -> int:
    """Run a command on a node; its exit code. Raises ClusterError when its outcome can't be known.

    `patience` is how many seconds the node may take until it begins.
    """
    return _Joined(stream, node, command, ends, patience).run()


def tell_time(path: Path) -> None:
    """Have the relay at `path` tell its machine what time it is; nobody waits for the answer. Raises OSError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
        stream.connect(str(path))
        stream.sendall(encode(Kind.CLOCK, 0))
        stream.shutdown(socket.SHUT_WR)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of it."""
    while data:
        data = data[os.write(descriptor, data) :]
