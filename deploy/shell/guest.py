"""The node's end of the shell: one loop, no threads, that serves all sessions of a byte stream.

In a VM the stream is the virtio-serial port dev.sampan.shell, and this runs for as long as the machine does. It sets
the machine's clock as well, because the host knows how long the guest was stopped. In a node of namespaces the stream
is a socket, and this ends with it.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from pathlib import Path

from deploy.shell.frames import MOST_PAYLOAD, WINDOW, Decoder, Frame, Kind, credit, encode, encode_json
from deploy.shell.session import Command, Session

PORT = "dev.sampan.shell"
MOST_SESSIONS = 64
MOST_UNSENT = 4 * MOST_PAYLOAD
HANG_UP_SECONDS = 5.0
"""A command that outlives the hang-up for so long is killed."""
AWAY_SECONDS = 0.5
"""How often a port that nobody holds open at the host is looked at: it can't be waited for."""


class Guest:
    """All sessions of one stream."""

    def __init__(self, descriptor: int, *, keep_open: bool) -> None:
        os.set_blocking(descriptor, False)
        self._stream = descriptor
        self._keep_open = keep_open
        self._decoder = Decoder()
        self._unsent = bytearray()
        self._sessions: dict[int, Session] = {}
        self._ending: list[Session] = []
        """Sessions that nobody listens to any more and whose commands still run."""
        self._away = False

    def run(self) -> None:
        """Serve. Returns when the stream has ended and all commands have; with `keep_open`, never."""
        self._send(encode(Kind.HELLO, 0))
        while True:
            self._turn()
            if self._away and not self._keep_open:
                self._end_all()
                if not self._ending:
                    return

    # -- the loop -----------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        poll = select.poll()
        if not self._away:
            poll.register(self._stream, select.POLLIN | (select.POLLOUT if self._unsent else 0))
        owners = self._register(poll)
        if self._away and not self._keep_open and not self._ending and not self._sessions:
            return
        for descriptor, events in poll.poll(self._wait()):
            if descriptor == self._stream:
                self._serve_stream(events)
            elif descriptor in owners:
                self._serve_session(owners[descriptor], descriptor)
        self._tidy()
        if self._away and self._keep_open:
            self._away = False  # look again: perhaps somebody has opened it

    def _register(self, poll: select.poll) -> dict[int, int]:
        owners = {}
        for channel, one in self._sessions.items():
            if one.credit > 0 and len(self._unsent) < MOST_UNSENT:
                for descriptor in one.outlets:
                    poll.register(descriptor, select.POLLIN)
                    owners[descriptor] = channel
            if one.inlet is not None and one.pending:
                poll.register(one.inlet, select.POLLOUT | (select.POLLIN if one.inlet in owners else 0))
                owners[one.inlet] = channel
            if one.code is None:
                poll.register(one.pidfd, select.POLLIN)
                owners[one.pidfd] = channel
        for one in self._ending:
            poll.register(one.pidfd, select.POLLIN)
        return owners

    def _wait(self) -> int | None:
        """Milliseconds until something is due."""
        waits = [max(0.0, one.kill_at - time.monotonic()) for one in self._ending if one.kill_at is not None]
        if self._away and self._keep_open:
            waits.append(AWAY_SECONDS)
        return int(min(waits) * 1000) + 1 if waits else None

    def _serve_stream(self, events: int) -> None:
        if events & select.POLLOUT:
            self._flush()
        if not events & (select.POLLIN | select.POLLHUP | select.POLLERR):
            return
        try:
            data = os.read(self._stream, 65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._end_all()
            self._away = True
            return
        for frame in self._decoder.feed(data):
            try:
                self._obey(frame)
            except (ValueError, TypeError) as error:  # one frame that makes no sense must not end all sessions
                print(f"shell: {frame.kind.name} frame: {error}", file=sys.stderr, flush=True)

    def _serve_session(self, channel: int, descriptor: int) -> None:
        one = self._sessions.get(channel)
        if one is None:
            return
        if descriptor == one.pidfd:
            one.reap()
            return
        if one.pending and descriptor == one.inlet:
            self._feed(channel, one)
        if descriptor in one.outlets and one.credit > 0:
            self._forward(channel, one, descriptor)

    def _forward(self, channel: int, one: Session, descriptor: int) -> bool:
        """Send some output; whether there was any."""
        data = one.read(descriptor)
        if data:
            one.credit -= len(data)
            self._send(encode(Kind.ERRORS if one.outlets[descriptor] else Kind.OUTPUT, channel, data))
        elif data is not None:
            one.close_outlet(descriptor)
        return bool(data)

    def _feed(self, channel: int, one: Session) -> None:
        one.write()
        if one.taken >= WINDOW // 4:
            self._send(credit(channel, one.taken))
            one.taken = 0

    def _tidy(self) -> None:
        """Report commands that have ended once all that they wrote is sent; kill what does not hang up."""
        for channel, one in list(self._sessions.items()):
            if one.code is None:
                continue
            # A child of the command may hold its output open for ever: what is there now is all that counts.
            dry = True
            for descriptor in list(one.outlets):
                while one.credit > 0 and len(self._unsent) < MOST_UNSENT and descriptor in one.outlets:
                    if not self._forward(channel, one, descriptor):
                        break
                dry = dry and one.credit > 0 and len(self._unsent) < MOST_UNSENT
            if dry:
                self._send(encode_json(Kind.EXIT, channel, {"code": one.code}))
                one.close()
                del self._sessions[channel]
        now = time.monotonic()
        for one in list(self._ending):
            if one.kill_at is not None and now >= one.kill_at:
                one.kill_at = None
                one.signal(signal.SIGKILL)
            if one.reap():
                one.close()
                self._ending.remove(one)

    # -- frames -------------------------------------------------------------------------------------------------

    def _obey(self, frame: Frame) -> None:
        channel = frame.channel
        match frame.kind:
            case Kind.RESET:
                self._end_all()
                self._unsent.clear()
                self._send(encode(Kind.HELLO, 0, frame.payload))
            case Kind.CLOCK:
                self._send(encode(Kind.CLOCK, channel, str(set_clock(int(frame.payload))).encode()))
            case Kind.OPEN:
                self._open(channel, frame)
            case Kind.CLOSE:
                if (gone := self._sessions.pop(channel, None)) is not None:
                    self._let_go(gone)
            case _ if (one := self._sessions.get(channel)) is not None:
                self._pass_on(channel, one, frame)
            case _:
                return

    def _open(self, channel: int, frame: Frame) -> None:
        try:
            if len(self._sessions) >= MOST_SESSIONS:
                raise OSError(f"{MOST_SESSIONS} sessions are open on this node already")
            if channel in self._sessions:
                raise ValueError(f"session {channel} is open already")
            self._sessions[channel] = Session(Command.from_json(frame.json()))
        except (OSError, ValueError) as error:
            self._send(encode_json(Kind.EXIT, channel, {"error": str(error)}))
            return
        self._send(credit(channel, WINDOW))

    def _pass_on(self, channel: int, one: Session, frame: Frame) -> None:
        match frame.kind:
            case Kind.INPUT:
                one.pending += frame.payload
                one.input_ended = one.input_ended or not frame.payload
                self._feed(channel, one)
            case Kind.CREDIT:
                one.credit += int.from_bytes(frame.payload, "big")
            case Kind.RESIZE:
                rows, columns = frame.json()
                with contextlib.suppress(OSError):
                    one.resize(int(rows), int(columns))
            case _:
                return

    def _end_all(self) -> None:
        for one in self._sessions.values():
            self._let_go(one)
        self._sessions.clear()

    def _let_go(self, one: Session) -> None:
        one.hang_up()
        for descriptor in list(one.outlets):
            one.close_outlet(descriptor)
        if one.inlet is not None:
            os.close(one.inlet)
            one.inlet = None
        one.kill_at = time.monotonic() + HANG_UP_SECONDS
        self._ending.append(one)

    def _send(self, data: bytes) -> None:
        self._unsent += data
        self._flush()

    def _flush(self) -> None:
        try:
            while self._unsent:
                count = os.write(self._stream, self._unsent[:65536])
                del self._unsent[:count]
        except BlockingIOError:
            return
        except OSError:  # nobody is at the other end; a RESET will start afresh
            self._unsent.clear()


def set_clock(nanoseconds: int) -> int:
    """Set the machine's clock to a time since 1970. Returns by how many nanoseconds it was behind; 0 if it may not.

    Less than a tenth of a second is left alone: it is within what the way here takes.
    """
    behind = nanoseconds - time.time_ns()
    if abs(behind) < 100_000_000:
        return 0
    try:
        time.clock_settime_ns(time.CLOCK_REALTIME, time.time_ns() + behind)
    except PermissionError:
        return 0
    return behind


def find_port(ports: Path = Path("/sys/class/virtio-ports")) -> Path | None:
    """The device file of the shell's port; no udev is needed."""
    for entry in sorted(ports.glob("*")):
        with contextlib.suppress(OSError):
            if (entry / "name").read_text().strip() == PORT:
                return Path("/dev") / entry.name
    return None


def main() -> int:
    """Serve the machine's port for ever. Returns 1 when there is no port."""
    port = find_port()
    if port is None:
        print(f"shell: no virtio-serial port {PORT}", file=sys.stderr)
        return 1
    Guest(os.open(port, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC), keep_open=True).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
