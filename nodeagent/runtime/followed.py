"""What the fork server knows of a process that it follows, and what lies on disk of it.

Imports stay as small as the fork server's.
"""

import contextlib
import json
import os
import socket
from typing import Any


class Process:
    """One process that we follow. `code` and `signal` are set once it has ended."""

    def __init__(self, name: str, pid: int, pidfd: int, started: int) -> None:
        self.name = name
        self.pid = pid
        self.pidfd = pidfd
        self.started = started
        self.boot = boot_id()
        self.container = ""  # of an exec: whose; "sandbox" for the first process of a pod's PID namespace
        self.cgroup = ""  # told back to whoever asks; nothing here depends on it
        self.connection: socket.socket | None = None  # of an exec: who asked
        self.oom_file = ""
        self.oom_before = 0
        self.procs_files: list[str] = []
        self.kill_rest = False
        self.held: list[int] = []
        self.stdin_writer = -1  # open until the container shall see the end of its input
        self.console = -1
        self.stagehand = -1  # while it starts in a user namespace: the pidfd of who builds its mounts (children.py)
        self.user: list[Any] = []
        self.warnings: list[str] = []
        self.exit: dict[str, Any] | None = None


class Pending:
    """A start whose child has not reached exec yet."""

    def __init__(self, process: Process, report: socket.socket, connection: socket.socket, seq: int) -> None:
        self.process = process
        self.report = report
        self.connection = connection
        self.seq = seq
        self.executed = 0
        self.error: dict[str, Any] | None = None

    def go_on(self) -> None:
        """Let the child come to its exec: from now on somebody will follow it, whoever dies."""
        with contextlib.suppress(OSError):  # it has failed, and says so
            self.report.send(b"go on")


def boot_id() -> str:
    """Which run of the machine this is (random(4)): after another boot the same number and start time name another."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read().strip()
    except OSError:
        return ""


def start_time(pid: int) -> int:
    """When a process began, in clock ticks since boot; with its number it names it for good. 0 if it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return 0


def zombie_status(pid: int, started: int) -> int | None:
    """The wait status of a process that has ended and is not reaped yet (proc(5), field 52 of stat), else None."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return int(fields[49]) if fields[0] in (b"Z", b"X") and int(fields[19]) == started else None
    except (OSError, IndexError, ValueError):
        return None


def oom_kills(path: str) -> int:
    """How many processes the kernel has killed in a cgroup for want of memory (memory.events, memory.oom_control)."""
    try:
        with open(path, "rb") as file:
            for line in file:
                if line.startswith(b"oom_kill "):
                    return int(line.split()[1])
    except OSError:
        pass
    return 0


def write_exit(state_dir: str, name: str, value: dict[str, Any]) -> None:
    """Write how a process ended; it is on the disk, name and all, before this returns.

    A start's record needs no more than to survive us: a machine that crashes takes its containers along. No file is
    ever replaced: ext4 answers a rename over another file with a flush of milliseconds.
    """
    path = f"{state_dir}/processes/{name}.exit"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, json.dumps(value).encode())
        os.fsync(fd)
    finally:
        os.close(fd)


_EXECUTED = b"\nexecuted"


def open_record(path: str) -> int:
    """A start's record, empty. What is recorded goes to its end, from us and from the child that we start."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)


def mark_executed(record: int) -> None:
    """By the child, in its record: the next thing that it does is exec. Who finds no mark knows that it never did."""
    with contextlib.suppress(OSError):  # a full disk: it only matters if the fork server dies too
        os.write(record, _EXECUTED)


def read_record(path: str) -> tuple[dict[str, Any], bool]:
    """A start's record, and whether the process came as far as exec. Raises OSError, ValueError."""
    with open(path, "rb") as file:
        text, mark, _ = file.read().partition(_EXECUTED)
    return dict(json.loads(text)), bool(mark)


def recorded_exit(state_dir: str, name: str) -> dict[str, Any] | None:
    """How a process ended, as write_exit left it."""
    try:
        with open(f"{state_dir}/processes/{name}.exit", "rb") as file:
            return dict(json.load(file))
    except (OSError, ValueError):  # not there, or we died while it was written and had told nobody
        return None
