"""The machine protocol and saved memory, against a real QEMU that has no guest."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.places import NodePlaces
from deploy.vm import memory
from deploy.vm.qmp import Qmp, QmpError
from sampan.errors import ClusterError

QEMU = ("qemu-system-x86_64", "-no-user-config", "-nodefaults", "-display", "none", "-accel", "tcg", "-m", "16M", "-S")


class Machine:
    """A QEMU of its own, with a disk that can be written and one that can't."""

    def __init__(self, directory: Path) -> None:
        self.own = NodePlaces("m", directory / "state", directory, directory, "/none")
        self.own.state.mkdir()
        self.disk = self.own.state / "disk.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(self.disk), "8M"], check=True)
        self.code = directory / "code.raw"
        self.code.write_bytes(bytes(1 << 20))
        self.start()

    def start(self, *more: str) -> None:
        socket_ = memory.socket_of(self.own)
        socket_.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [
                *QEMU,
                *("-chardev", f"socket,id=qmp,path={socket_},server=on,wait=off", "-mon", "chardev=qmp,mode=control"),
                *("-drive", f"if=none,id=disk,file={self.disk},format=qcow2", "-device", "virtio-blk-pci,drive=disk"),
                *("-drive", f"if=none,id=code,file={self.code},format=raw,readonly=on"),
                *("-device", "virtio-blk-pci,drive=code"),
                *more,
            ]
        )
        deadline = time.monotonic() + 30
        while not socket_.exists():
            assert self.process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def snapshots(self) -> str:
        return subprocess.run(
            ["qemu-img", "snapshot", "-U", "-l", str(self.disk)], check=True, capture_output=True, text=True
        ).stdout


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    one = Machine(tmp_path)
    yield one
    one.stop()


def connect(machine: Machine, patience: float = 10.0) -> Qmp:
    return Qmp.connect(memory.socket_of(machine.own), "m", patience)


def test_a_question_is_answered_and_a_refusal_has_qemus_words(machine: Machine) -> None:
    with connect(machine) as qmp:
        assert qmp.ask("query-status")["status"] == "prelaunch"
        with pytest.raises(QmpError, match="node m: QEMU refuses nosuch: The command nosuch has not been found"):
            qmp.ask("nosuch")
        with pytest.raises(QmpError, match="QEMU refuses job-dismiss"):
            qmp.ask("job-dismiss", id="x")
        assert qmp.ask("query-status")["status"] == "prelaunch", "an error does not end the connection"


def test_events_between_answers_are_kept(machine: Machine) -> None:
    with connect(machine) as qmp:
        qmp.ask("cont")
        qmp.ask("stop")
        assert qmp.wait_for_event("RESUME", 5)["event"] == "RESUME"
        assert qmp.wait_for_event("STOP", 5)["event"] == "STOP"
        with pytest.raises(QmpError, match="no event STOP within"):
            qmp.wait_for_event("STOP", 0.2)


def test_a_frozen_qemu_is_given_up_in_time_and_a_dead_one_at_once(machine: Machine) -> None:
    with connect(machine, 0.5) as qmp:
        os.kill(machine.process.pid, signal.SIGSTOP)
        with pytest.raises(QmpError, match="query-status: QEMU does not answer in time"):
            qmp.ask("query-status")
    machine.process.kill()
    os.kill(machine.process.pid, signal.SIGCONT)
    machine.process.wait()
    with pytest.raises(QmpError, match=r"QEMU can't be asked at .*qmp\.sock: Connection refused"):
        connect(machine)


def test_what_does_not_speak_qmp_is_named(tmp_path: Path) -> None:
    path = tmp_path / "other.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        pid = os.fork()
        if pid == 0:
            listening.accept()[0].sendall(b"hello\n[1]\n")
            os._exit(0)
        with pytest.raises(QmpError, match="not JSON: b'hello'"):
            Qmp.connect(path, "m", 5)
        os.waitpid(pid, 0)
    with pytest.raises(ClusterError, match="No such file"):
        Qmp.connect(tmp_path / "none.sock", "m", 5)


def test_memory_is_saved_in_the_disk_and_taken_up_once(machine: Machine) -> None:
    told = memory.save(machine.own)
    assert memory.TAG in machine.snapshots()
    copy = machine.disk.read_bytes()
    memory.discard(machine.own)
    memory.discard(machine.own)
    assert memory.TAG not in machine.snapshots()
    assert not memory.take_up(machine.own), "the machine itself has no mark"

    machine.stop()
    machine.disk.write_bytes(copy)
    memory.mark(machine.own.state, told)
    machine.start()
    assert memory.is_marked(machine.own)
    assert memory.take_up(machine.own)
    assert not memory.is_marked(machine.own)
    assert memory.TAG not in machine.snapshots(), "it is of no use a second time"
    with connect(machine) as qmp:
        assert qmp.ask("query-status")["status"] == "running"


def test_memory_of_another_version_of_the_programs_is_not_used(machine: Machine) -> None:
    told = memory.save(machine.own)
    memory.mark(machine.own.state, told)
    assert memory.programs_of(machine.own) == machine.code
    memory.mark(machine.own.state, told | {"readOnly": ["/other.raw"]})
    assert memory.programs_of(machine.own) is None
    with pytest.raises(QmpError, match="of another version than its saved memory; it boots"):
        memory.take_up(machine.own)
    assert not memory.is_marked(machine.own)
    with connect(machine) as qmp:
        assert qmp.ask("query-status")["status"] == "running"


def test_a_machine_that_can_not_be_saved_says_why_and_keeps_its_disk(machine: Machine) -> None:
    machine.stop()
    machine.start("-drive", "if=none,id=n,driver=null-co,size=1M,read-only=on", "-device", "nvme,drive=n,serial=x")
    with pytest.raises(QmpError, match="nvme"):
        memory.save(machine.own)
    assert memory.TAG not in machine.snapshots()
