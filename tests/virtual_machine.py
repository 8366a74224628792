"""A virtual machine for tests, plugged into a link: it knows nothing of a cluster, as tests/machines.py's know nothing.

It has Machine's ways of being asked, its own kernel, disk and memory, and no more in common with this machine than a
shell by a serial port. Its power can be cut at any moment.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from clusters import PATIENCE, ROOT
from deploy import links
from deploy.machine.places import MachinePlaces
from deploy.places import NodePlaces
from deploy.vm import acceleration, code, ext4, image, qemu
from machines import until

if TYPE_CHECKING:
    from ha.link import Link

MEMORY = 768 << 20
DISK_BYTES = 4 << 30
PACE = 4
"""How many times more patience one has with it: Python is 13 times slower when emulated, and most of a wait is not
Python's."""
TAP = 9
POWER_ON = f"""
import ctypes, os, signal, sys
from deploy import links
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
os.dup2(links.open_tap(sys.argv[1]), {TAP})
os.execvp(sys.argv[2], sys.argv[2:])
"""
RELAY = """
import ctypes, pathlib, signal, sys
from deploy.shell import relay
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
relay.run(*map(pathlib.Path, sys.argv[1:]))
"""
ENTER = """
import json, socket, sys
from deploy.shell import client
from deploy.shell.session import Command
stream = socket.socket(socket.AF_UNIX)
stream.connect(sys.argv[1])
command = Command(tuple(sys.argv[4:]), environment=json.loads(sys.argv[3]))
sys.exit(client.run(stream, sys.argv[2], command, client.Ends(), patience=900))
"""
ENVIRONMENT = {
    "PYTHONPATH": "/opt/sampan:/usr/lib/sampan",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYDANTIC_DISABLE_PLUGINS": "__all__",
    "LC_ALL": "C.UTF-8",
    "SAMPAN_HOME": "/var/lib/sampan",
    "SAMPAN_RUN": "/run/sampan",
}
"""As deploy/vm/init.sh has it."""
LOGS = "/var/lib/sampan/machine/server/logs/*.log"


@functools.cache
def node_image() -> image.Image:
    """What the machines boot: asked for once, because apt takes its time to say which packages there are."""
    os.environ.setdefault("SAMPAN_VM_STORE", str(ROOT / ".tools/vm-images"))  # not the machine's own
    return image.ensure(lambda what, _: print(f"node image: {what}", flush=True))


class Bootable(Protocol):
    """What a machine boots from, as a node image has it."""

    @property
    def disk(self) -> Path: ...
    @property
    def kernel(self) -> Path: ...
    @property
    def initrd(self) -> Path: ...


class VirtualMachine:
    """One machine. `address` is on the link."""

    pace = PACE
    program = ("/usr/bin/python3", "-S", "-OO", "-m", "deploy.machine")
    shell_environment: Mapping[str, str] = ENVIRONMENT

    def __init__(self, link: Link, name: str, address: str) -> None:
        self.name = name
        self.address = address
        self.home = Path(tempfile.mkdtemp(prefix="sampan-vm-", dir="/var/tmp"))
        self.run_directory = Path(tempfile.mkdtemp(prefix="sampan-", dir="/run"))
        self.environment = link.environment
        self.places = MachinePlaces(Path("/var/lib/sampan/machine"), Path("/run/sampan/machine"))
        self._link = link
        self._shell = self.run_directory / "shell-mux.sock"
        self._running: list[subprocess.Popen[bytes]] = []
        self.boots = self.boot_files()
        try:
            self._make_disk()
            self.power_on()
        except BaseException:
            self.close()
            raise

    @staticmethod
    def boot_files() -> Bootable:
        """The disk that its own lies over, the kernel, and what this unpacks first."""
        return node_image()

    def _make_disk(self) -> None:
        options = ("-q", "-f", "qcow2", "-F", "raw", "-b", str(self.boots.disk))
        ext4.run("qemu-img", "create", *options, str(self.disk), str(DISK_BYTES), where=self.name)

    @property
    def disk(self) -> Path:
        """What it has written over what it boots."""
        return self.home / "disk.qcow2"

    def power_on(self) -> None:
        """Boot it, the first time or after its power went."""
        told = {
            "name": self.name,
            "role": "machine",
            "address": self.address,
            "prefixLength": 24,
            "machineId": self.name.encode().hex().rjust(32, "0"),
            "mounts": [],
        }
        machine = self.home / "machine.json"
        machine.write_text(json.dumps(told))
        made = qemu.Machine(
            own=NodePlaces(self.name, self.home, self.run_directory, self.home, ""),
            cpus=1,
            memory=MEMORY,
            mac=links.mac(self.name),
            acceleration=acceleration.find(self._link.home, self.boots.kernel),
            kernel=self.boots.kernel,
            initrd=self.boots.initrd,
            disk=self.disk,
            code=code.ensure(),
            files={"machine": machine},
        )
        self._start(self._link.command(sys.executable, "-c", POWER_ON, self.name, *qemu.arguments(made, TAP)))
        port = self.run_directory / "shell.sock"
        until(port.exists)
        self._start([sys.executable, "-c", RELAY, str(port), str(self._shell)])
        until(self._shell.exists)  # commands wait there until the machine has booted

    def power_off(self) -> None:
        """Cut its power; its disk stays."""
        for process in self._running:
            process.kill()
            process.wait()
        self._running.clear()
        for socket in self.run_directory.glob("*.sock"):
            socket.unlink()

    def _start(self, words: list[str]) -> None:
        log = (self.home / "power.log").open("ab")
        self._running.append(
            subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", close_fds=True)
        )

    def inside(self, *command: str) -> list[str]:
        """A command line that runs in this machine; it ends with an error when the machine does."""
        return [sys.executable, "-c", ENTER, str(self._shell), self.name, json.dumps(self.shell_environment), *command]

    def sampan(self, *arguments: str, check: bool = True) -> str:
        """Run `sampan`; both its outputs. Raises AssertionError when it fails, or with `check` off when it does not."""
        return self._run(*self.program, *arguments, check=check)

    def shell(self, script: str) -> str:
        """Run a shell script in this machine; both its outputs."""
        return self._run("sh", "-c", script)

    def take(self, *files: Path) -> None:
        """Put copies of this machine's files at the same paths there, for root's eyes."""
        for file in files:
            place, text = shlex.quote(str(file)), shlex.quote(file.read_text())
            self.shell(f"umask 077; mkdir -p {shlex.quote(str(file.parent))}; printf %s {text} > {place}")

    def _run(self, *command: str, check: bool = True, patience: float = PATIENCE) -> str:
        done = subprocess.run(
            self.inside(*command),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self.environment,
            timeout=patience * self.pace,
            check=False,
        )
        text = done.stdout.decode()
        assert (done.returncode == 0) is check, f"{' '.join(command)}: exit code {done.returncode}\n{text}"
        return text

    def console(self) -> str:
        """What it has said since its power went on."""
        return (self.home / "console.log").read_text(errors="replace")

    def close(self) -> None:
        """Cut its power, and forget it."""
        self.power_off()
        for directory in (self.home, self.run_directory):
            subprocess.run(["rm", "-rf", "--one-file-system", str(directory)], check=True)

    def __enter__(self) -> VirtualMachine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is not None and self.home.exists():
                print(f"--- {self.name}'s console\n{self.console()[-4000:]}", file=sys.stderr)
                with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):  # it may hang
                    print(self._run("sh", "-c", f"tail -n 20 {LOGS}", patience=PATIENCE / self.pace), file=sys.stderr)
        finally:
            self.close()
