"""The host's end of a VM's shell port: the one owner of QEMU's socket, which takes a single connection.

Each client (kctl) connects to a socket of ours and has one session; here its frames get a channel of their own. A
client that dies is a hung-up line, a machine that dies ends its sessions with an error that says so, and a relay that
was killed and started again tells the node to drop what its predecessor left.

Runs as a child of the supervisor; plain select, no threads. Nothing is looked at by time but a QEMU that is not there.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from deploy.shell.frames import PADDING, Decoder, Frame, Kind, encode, encode_json

FIRST_RETRY, MOST_RETRY = 0.1, 2.0
MOST_WAITING = 1 << 20
"""Bytes for one client; more than all its windows, so only one that ignores them gets there."""

ENDED = "the machine ended (QEMU closed its end)"
RESTARTED = "the node's shell process ended and was started anew"


@dataclass(eq=False)
class _Client:
    socket: socket.socket
    channel: int
    decoder: Decoder = field(default_factory=Decoder)
    unsent: bytearray = field(default_factory=bytearray)
    last: bool = False
    """Its session is over: what is unsent is all it still gets."""


class Relay:
    """One VM's sessions."""

    def __init__(self, machine: Path, listening: socket.socket) -> None:
        self._machine = machine
        self._listening = listening
        self._selector = selectors.DefaultSelector()
        self._selector.register(listening, selectors.EVENT_READ, self._accept)
        self._clients: dict[int, _Client] = {}
        self._next = 1
        self._guest: socket.socket | None = None
        self._decoder = Decoder()
        self._unsent = bytearray()
        self._nonce = b""
        self._there = False
        """The node has answered our RESET."""
        self._waiting: list[Frame] = []
        self._retry = FIRST_RETRY
        self._connect_at = 0.0

    def run(self) -> None:
        """Serve until the process is told to end."""
        while True:
            wait: float | None = None
            if self._guest is None:
                wait = self._connect_at - time.monotonic()
                if wait <= 0:
                    self._connect()
                    continue
            for key, events in self._selector.select(wait):
                key.data(events)

    # -- the node -----------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        guest = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            guest.connect(str(self._machine))
        except OSError:  # QEMU is not there (any more, or yet)
            guest.close()
            self._connect_at = time.monotonic() + self._retry
            self._retry = min(self._retry * 2, MOST_RETRY)
            return
        guest.setblocking(False)
        self._retry = FIRST_RETRY
        self._guest, self._decoder, self._there = guest, Decoder(), False
        self._nonce = os.urandom(8)
        self._unsent = bytearray(PADDING + encode(Kind.RESET, 0, self._nonce))
        self._selector.register(guest, selectors.EVENT_READ | selectors.EVENT_WRITE, self._serve_guest)

    def _serve_guest(self, events: int) -> None:
        if self._guest is None:  # lost while the same events were looked at
            return
        try:
            if events & selectors.EVENT_WRITE and self._unsent:
                del self._unsent[: self._guest.send(self._unsent[:65536])]
            data = self._guest.recv(65536) if events & selectors.EVENT_READ else None
        except BlockingIOError:
            data = None
        except OSError:
            data = b""
        if data == b"":
            self._lost()
            return
        for frame in self._decoder.feed(data or b""):
            self._hear(frame)
        self._selector.modify(self._guest, self._interest(self._unsent), self._serve_guest)

    def _lost(self) -> None:
        assert self._guest is not None
        self._selector.unregister(self._guest)
        self._guest.close()
        self._guest, self._there = None, False
        self._waiting.clear()
        self._connect_at = time.monotonic() + self._retry
        self._end_all(ENDED)

    def _hear(self, frame: Frame) -> None:
        if frame.kind is Kind.HELLO:
            if frame.payload == self._nonce:
                self._there = True
                self._tell(Frame(Kind.CLOCK, 0))  # a machine that was restored has the time of then
                waiting, self._waiting = self._waiting, []
                for one in waiting:
                    self._tell(one)
            elif not frame.payload:
                if self._there:
                    self._there = False
                    self._end_all(RESTARTED)
                self._nonce = os.urandom(8)
                self._unsent += encode(Kind.RESET, 0, self._nonce)
            return
        client = self._clients.get(frame.channel)
        if client is not None and self._there:
            client.last = client.last or frame.kind in (Kind.EXIT, Kind.CLOCK)
            self._give(client, encode(frame.kind, 0, frame.payload))

    def _tell(self, frame: Frame) -> None:
        """Send a client's frame, once the node is there."""
        if not self._there:
            self._waiting.append(frame)
            return
        payload = str(time.time_ns()).encode() if frame.kind is Kind.CLOCK else frame.payload
        self._unsent += encode(frame.kind, frame.channel, payload)
        if self._guest is not None:
            self._selector.modify(self._guest, self._interest(self._unsent), self._serve_guest)

    # -- clients ------------------------------------------------------------------------------------------------

    def _accept(self, _: int) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
            connection, _address = self._listening.accept()
            connection.setblocking(False)
            client = _Client(connection, self._next)
            self._next += 1
            self._clients[client.channel] = client
            self._selector.register(connection, selectors.EVENT_READ, partial(self._serve, client))
            if self._guest is None:
                self._end(client, "the machine does not run (no QEMU at its socket)")

    def _serve(self, client: _Client, events: int) -> None:
        if client.channel not in self._clients:  # dropped while the same events were looked at
            return
        try:
            if events & selectors.EVENT_WRITE and client.unsent:
                del client.unsent[: client.socket.send(client.unsent[:65536])]
            data = client.socket.recv(65536) if events & selectors.EVENT_READ else None
        except BlockingIOError:
            data = None
        except OSError:
            data = b""
        if data == b"" or (client.last and not client.unsent) or len(client.unsent) > MOST_WAITING:
            self._drop(client)
            return
        for frame in client.decoder.feed(data or b""):
            if not client.last and frame.kind not in (Kind.RESET, Kind.HELLO):
                self._tell(Frame(frame.kind, client.channel, frame.payload))
        self._poll(client)

    def _give(self, client: _Client, data: bytes) -> None:
        client.unsent += data
        self._poll(client)

    def _poll(self, client: _Client) -> None:
        self._selector.modify(client.socket, self._interest(client.unsent), partial(self._serve, client))

    def _drop(self, client: _Client) -> None:
        self._selector.unregister(client.socket)
        client.socket.close()
        del self._clients[client.channel]
        self._waiting = [one for one in self._waiting if one.channel != client.channel]
        if not client.last and self._there:
            self._tell(Frame(Kind.CLOSE, client.channel))

    def _end(self, client: _Client, why: str) -> None:
        if not client.last:
            client.last = True
            self._give(client, encode_json(Kind.EXIT, 0, {"error": why}))

    def _end_all(self, why: str) -> None:
        for client in self._clients.values():
            self._end(client, why)

    @staticmethod
    def _interest(unsent: bytearray) -> int:
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if unsent else 0)


def run(machine: Path, listen: Path) -> int:
    """Relay between QEMU's socket `machine` and clients of `listen`, until killed."""
    listen.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(listen))
        listen.chmod(0o600)
        listening.listen(16)
        listening.setblocking(False)
        Relay(machine, listening).run()
    return 0
