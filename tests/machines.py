"""A machine for tests: namespaces of its own, plugged into a local cluster's link, that know nothing of the cluster.

with Machine(cluster, "m1", directory) as machine:
    machine.sampan("join", url, "--token", token, "--ca-hash", ca_hash)
    with machine.node():
        ...
    machine.sampan("leave")
    assert machine.traces() == before
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType

from clusters import PATIENCE, LocalCluster
from deploy import cgroups
from deploy.machine.places import MachinePlaces

UNSHARE = ("--fork", "--mount-proc", "--kill-child")
NAMESPACES = ("--net", "--mount", "--pid", "--uts", "--ipc", "--cgroup")
REAPER = """
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
print("up", flush=True)
while True:
    signal.sigwait([signal.SIGCHLD])
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
"""
"""Process 1 of a machine."""
# Mounts elsewhere are copies of the test machine's own, which come and go with other tests.
TRACES = r"""
echo mounts; awk '{print $5}' /proc/self/mountinfo | grep -e '^HOME' -e '^RUN' | sort
echo links; ip -o link show | sed 's/^[0-9]*: //; s/[@:].*//' | sort
echo addresses; ip -4 -o address show | awk '{print $2, $4}' | sort
echo routes; ip -4 route show table all | sort
echo rules; nft list ruleset
echo sysctls; cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/eth0/rp_filter
P=$(ps -e -o args=); echo processes; echo "$P" | grep -v -e '^ps -e' -e '^sh -c' -e '<defunct>'
"""


@dataclass(frozen=True)
class Joinable:
    """A cluster, and what a machine has to know to join it."""

    cluster: LocalCluster
    ca_hash: str
    server: str = "https://172.30.0.1:6443"

    def token(self, *flags: str) -> str:
        """A new bootstrap token."""
        return self.cluster.kctl("token", "create", *flags).strip()

    def expired_token(self) -> tuple[str, str]:
        """A token whose time is over, and when that was."""
        token = self.token()
        name = f"bootstrap-token-{token.partition('.')[0]}"
        ended = (datetime.now(UTC) - timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        patch = json.dumps({"stringData": {"expiration": ended}})
        self.cluster.kubectl("patch", "-n", "kube-system", "secret", name, "-p", patch)
        return token, ended

    def join(self, *, token: str = "") -> tuple[str, ...]:
        """The command line."""
        return ("join", self.server, "--token", token or self.token(), "--ca-hash", self.ca_hash)

    @contextlib.contextmanager
    def machine(self, name: str, address: str) -> Iterator[Machine]:
        """A machine on the cluster's link; its Node, which a test that failed may leave, is deleted afterwards."""
        try:
            with Machine(self.cluster, name, address) as made:
                yield made
        finally:
            self.cluster.kubectl("delete", "node", name, "--ignore-not-found")

    def ready(self, node: str) -> None:
        """Wait until a node is Ready."""
        self.cluster.kubectl("wait", "--for=create", f"node/{node}", "--timeout=60s")
        self.cluster.kubectl("wait", "--for=condition=Ready", f"node/{node}", "--timeout=60s")


class Machine:
    """One machine. `address` is on the link of the cluster's nodes."""

    pace = 1
    """How many times more patience one has with it than with this machine."""
    program = (sys.executable, "-m", "deploy.machine")
    """`sampan`, as it is called inside."""

    def __init__(self, cluster: LocalCluster, name: str, address: str) -> None:
        self.cluster = cluster
        self.name = name
        self.address = address
        self.home = Path(tempfile.mkdtemp(prefix="sampan-machine-", dir="/var/tmp"))
        self.run_directory = Path(tempfile.mkdtemp(prefix="sampan-", dir="/run"))
        self.environment = cluster.environment | {
            "SAMPAN_HOME": str(self.home / "sampan"),
            "SAMPAN_RUN": str(self.run_directory / "sampan"),
        }
        self.places = MachinePlaces(self.home / "sampan/machine", self.run_directory / "sampan/machine")
        self._boot()

    def _boot(self) -> None:
        self._init = subprocess.Popen(
            [
                "unshare",
                *NAMESPACES,
                "--fork",
                "--mount-proc",
                "--kill-child",
                sys.executable,
                "-I",
                "-S",
                "-c",
                REAPER,
            ],
            stdout=subprocess.PIPE,
            cwd="/",
        )
        assert self._init.stdout is not None
        assert self._init.stdout.readline() == b"up\n"
        children = Path(f"/proc/{self._init.pid}/task/{self._init.pid}/children").read_text()
        self.pid = int(children.split()[0])
        self._plug()

    def reboot(self) -> None:
        """Pull the power and put it back: no process, mount, interface or file below /run survives."""
        self._end()
        subprocess.run(["rm", "-rf", "--one-file-system", str(self.run_directory / "sampan")], check=True)
        self._boot()

    def _end(self) -> None:
        cgroups.kill(self.places.cgroup)
        self._init.kill()
        self._init.wait()

    def _plug(self) -> None:
        supervisor = self.cluster.places.pid.read_text().strip()
        _python(f"--net=/proc/{supervisor}/ns/net", code=f"links.plug({self.name!r}, {self.pid})")
        code = f"links.configure_node({self.address!r}, 24); syscalls.set_hostname({self.name!r})"
        _python(f"--target={self.pid}", "--net", "--uts", code=code)

    def inside(self, *command: str) -> list[str]:
        """A command line that runs in this machine."""
        return ["nsenter", f"--target={self.pid}", "--all", *command]

    def sampan(self, *arguments: str, check: bool = True, timeout: float = PATIENCE) -> str:
        """Run `sampan`; both its outputs. Raises AssertionError when it fails, or with `check` off when it does not."""
        done = subprocess.run(
            self.inside(*self.program, *arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self.environment,
            timeout=timeout,
            check=False,
        )
        text = done.stdout.decode()
        assert (done.returncode == 0) is check, f"sampan {' '.join(arguments)}: exit code {done.returncode}\n{text}"
        return text

    def python(self, code: str, *arguments: str) -> str:
        """Run Python in this machine; what it prints. Raises AssertionError when it fails."""
        done = subprocess.run(
            self.inside(sys.executable, "-c", code, *arguments),
            capture_output=True,
            env=self.environment,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def take(self, *files: Path) -> None:
        """Have files of the test machine at the same paths: it sees them as they are."""
        assert all(file.exists() for file in files)

    def take_images(self) -> None:
        """Put the cluster's images into this machine's store."""
        source = Path(self.cluster.environment["SAMPAN_HOME"], "images")
        subprocess.run(["cp", "-a", str(source), self.environment["SAMPAN_HOME"]], check=True)

    def shell(self, script: str) -> str:
        """Run a shell script in this machine; its output."""
        done = subprocess.run(self.inside("sh", "-c", script), capture_output=True, timeout=PATIENCE, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def start_node(self) -> subprocess.Popen[bytes]:
        """Start `sampan node` in the background."""
        log = (self.home / "node.log").open("ab")
        command = self.inside(*self.program, "node", "--log-files")
        return subprocess.Popen(command, stdout=log, stderr=log, env=self.environment, cwd="/")

    @contextlib.contextmanager
    def node(self) -> Iterator[subprocess.Popen[bytes]]:
        """`sampan node` for as long as the block runs; it may have ended by itself before."""
        process = self.start_node()
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait(20)

    def traces(self) -> str:
        """All of the machine that a node could leave something in, to compare before with after."""
        directories = sorted(str(path) for root in (self.home, self.run_directory) for path in root.rglob("*"))
        shown = [path for path in directories if not path.endswith("node.log")]
        held = [str(one) for one in cgroups.hierarchies() if Path(f"{one}{self.places.cgroup}").exists()]
        script = TRACES.replace("HOME", str(self.home)).replace("RUN", str(self.run_directory))
        return self.shell(script) + "\n".join(["directories", *shown, "cgroups", *held])

    def close(self) -> None:
        """End it and all that is in it."""
        self._end()
        cgroups.remove(self.places.cgroup)
        for directory in (self.home, self.run_directory):
            subprocess.run(["rm", "-rf", "--one-file-system", str(directory)], check=True)

    def __enter__(self) -> Machine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            for log in (*self.home.glob("node.log"), *self.places.node("").log.glob("*.log")):
                print(f"--- {log}\n{log.read_text()[-4000:]}", file=sys.stderr)
        self.close()


def _python(*where: str, code: str) -> None:
    """Run a line of Python in other namespaces."""
    subprocess.run(
        ["nsenter", *where, sys.executable, "-c", f"from deploy import links, syscalls; {code}"], check=True, timeout=20
    )


def until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait for a condition. Raises AssertionError."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not true within {seconds} s"
        time.sleep(0.05)
