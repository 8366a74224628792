"""Sessions by way of a relay, with processes for QEMU and its guest: whoever dies, the others learn it and go on."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.shell import client, relay
from deploy.shell.frames import Decoder, Kind, encode, encode_json
from deploy.shell.guest import Guest
from deploy.shell.session import Command
from sampan.errors import ClusterError

PATIENCE = 20.0


class Machine:
    """A relay, and a "machine": a process that takes one connection after the other and serves it as a guest does."""

    def __init__(self, directory: Path) -> None:
        self.qemu, self.mux = directory / "qemu.sock", directory / "mux.sock"
        self.guest = self._forked(self._serve)
        self.relay = self._forked(lambda: relay.run(self.qemu, self.mux))

    @staticmethod
    def _forked(run: Callable[[], object]) -> int:
        pid = os.fork()
        if pid == 0:
            with contextlib.suppress(BaseException):
                run()
            os._exit(0)
        return pid

    def _serve(self) -> None:
        self.qemu.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(self.qemu))
            listening.listen(1)
            while True:
                connection, _ = listening.accept()
                Guest(connection.fileno(), keep_open=False).run()
                connection.close()

    def restart(self, which: str) -> None:
        self.kill(which)
        again = self._serve if which == "guest" else lambda: relay.run(self.qemu, self.mux)
        setattr(self, which, self._forked(again))

    def kill(self, which: str) -> None:
        pid = getattr(self, which)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

    def connect(self) -> socket.socket:
        deadline = time.monotonic() + PATIENCE
        while True:
            stream = socket.socket(socket.AF_UNIX)
            try:
                stream.connect(str(self.mux))
            except OSError:
                stream.close()
                assert time.monotonic() < deadline, "the relay is not there"
                time.sleep(0.05)
            else:
                return stream

    def run(self, *words: str, stdin: bytes = b"", stdout: int | None = None) -> tuple[int, bytes]:
        """Exit code and output of a command."""
        in_read, in_write = os.pipe()
        out_read, out_write = os.pipe()
        pieces: list[bytes] = []

        def feed() -> None:
            with contextlib.suppress(BrokenPipeError), os.fdopen(in_write, "wb") as pipe:
                pipe.write(stdin)

        def drain() -> None:
            with os.fdopen(out_read, "rb") as pipe:
                pieces.append(pipe.read())

        threads = [threading.Thread(target=one, daemon=True) for one in (feed, drain)]
        for one in threads:
            one.start()
        try:
            with self.connect() as stream:
                code = client.run(stream, "m", Command(words), client.Ends(in_read, out_write, out_write))
        finally:
            os.close(in_read)
            os.close(out_write)
            threads[1].join(PATIENCE)
        return code, b"".join(pieces)

    def eventually(self, *words: str) -> tuple[int, bytes]:
        """As `run`, again and again while the machine is not there."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self.run(*words)
            except ClusterError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    one = Machine(tmp_path)
    one.eventually("true")
    yield one
    for which in ("relay", "guest"):
        one.kill(which)


def test_output_and_exit_code_pass_the_relay(machine: Machine) -> None:
    assert machine.run("sh", "-c", "cat; exit 4", stdin=b"hello") == (4, b"hello")
    data = os.urandom(1 << 20) * 3
    assert machine.run("cat", stdin=data) == (0, data)


def test_one_that_does_not_read_stops_only_itself(machine: Machine) -> None:
    with machine.connect() as stuck:
        stuck.sendall(encode_json(Kind.OPEN, 0, Command(("cat", "/dev/zero")).to_json()))
        assert stuck.recv(1)
        for _ in range(3):
            assert machine.run("echo", "on") == (0, b"on\n")


def test_a_machine_that_dies_ends_its_sessions_with_a_reason(machine: Machine) -> None:
    failed: list[str] = []

    def wait() -> None:
        try:
            machine.run("sleep", "1000")
        except ClusterError as error:
            failed.append(str(error))

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.3)  # the command is to run
    machine.kill("guest")
    waiting.join(PATIENCE)
    assert failed == [
        "node m: the machine ended (QEMU closed its end); look at: kctl cluster console m",
    ]
    with pytest.raises(ClusterError, match="does not run"):
        machine.run("true")
    machine.guest = machine._forked(machine._serve)
    assert machine.eventually("echo", "back") == (0, b"back\n")


def test_a_relay_that_dies_is_succeeded_and_its_sessions_are_hung_up(machine: Machine, tmp_path: Path) -> None:
    mark = tmp_path / "pid"

    def wait() -> None:
        with contextlib.suppress(ClusterError):
            machine.run("sh", "-c", f"echo $$ > {mark}; exec sleep 1000")

    waiting = threading.Thread(target=wait)
    waiting.start()
    deadline = time.monotonic() + PATIENCE
    while not (mark.exists() and mark.read_text().strip()) and time.monotonic() < deadline:
        time.sleep(0.02)
    pid = int(mark.read_text())
    machine.restart("relay")
    waiting.join(PATIENCE)
    assert machine.eventually("echo", "again") == (0, b"again\n")
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline, "the command was to be hung up"
        time.sleep(0.02)


def test_the_clock_is_told_by_the_relay_and_left_alone_when_it_is_right(machine: Machine) -> None:
    client.tell_time(machine.mux)
    with machine.connect() as stream:
        stream.settimeout(PATIENCE)
        stream.sendall(encode(Kind.CLOCK, 0))
        (answer,) = Decoder().feed(stream.recv(4096))
    assert (answer.kind, answer.payload) == (Kind.CLOCK, b"0")
