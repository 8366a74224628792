"""A link in a network namespace of its own, to plug machines into, and an etcd cluster that spans three of them."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any

from clusters import PATIENCE, LocalCluster
from deploy import control
from deploy.machine.server_setup import ServerPlaces
from machines import Machine
from sampan.certs import Authority
from virtual_machine import VirtualMachine

AnyMachine = Machine | VirtualMachine
ADDRESS = "10.77.0.254"
HOLD = """
import sys
from deploy import links, syscalls
syscalls.unshare(syscalls.CLONE_NEWNET)
links.make_bridge(sys.argv[1], 24)
print("up", flush=True)
sys.stdin.read()
"""


class Link:
    """A bridge. To a Machine it looks as a local cluster does: an environment, and a process that holds the network."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="sampan-link-", dir="/var/tmp"))
        self.environment = os.environ | {
            "HOME": str(self.home),
            "KUBECONFIG": str(self.home / "kubeconfig"),
            "NO_COLOR": "1",
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '/usr/bin:/bin')}",
        }
        self.environment["SAMPAN_IMAGE_STORE"] = str(self.home / "images")
        self._holder = subprocess.Popen(
            [sys.executable, "-c", HOLD, ADDRESS], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b"up\n"
        pid = self.home / "pid"
        pid.write_text(str(self._holder.pid))
        self.places = SimpleNamespace(pid=pid)

    def command(self, *words: str) -> list[str]:
        """A command line that runs on this link, beside the machines."""
        return ["nsenter", f"--target={self._holder.pid}", "--net", *words]

    def plug(self, machine: str, plugged: bool) -> None:
        """Pull a machine's cable, or put it back."""
        code = f"from deploy import links; links.set_plugged({machine!r}, {plugged})"
        subprocess.run(self.command(sys.executable, "-c", code), check=True)

    def client(self, kubeconfig: Path, pace: int = 1) -> Client:
        """An administrator's command lines, run beside the machines. `pace` is the servers'."""
        return Client(self, kubeconfig, pace)

    def close(self) -> None:
        """End it."""
        self._holder.kill()
        self._holder.wait()
        subprocess.run(["rm", "-rf", "--one-file-system", str(self.home)], check=True)

    def __enter__(self) -> Link:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Client(LocalCluster):
    """kctl with one kubeconfig, with LocalCluster's ways of asking and as much more patience as the servers need."""

    def __init__(self, link: Link, kubeconfig: Path, pace: int) -> None:
        self.pace = pace
        self.timeout = f"--timeout={PATIENCE * pace:.0f}s"
        self.name = "ha"
        self.environment = link.environment | {"KUBECONFIG": str(kubeconfig)}
        self._link = link

    def run(
        self, *words: str, stdin: str | None = None, code: int | None = 0, timeout: float = PATIENCE
    ) -> subprocess.CompletedProcess[str]:
        """Run a program on the link."""
        return super().run(*self._link.command(*words), stdin=stdin, code=code, timeout=timeout * self.pace)

    def eventually(self, question: Callable[[], Any], patience: float = PATIENCE) -> Any:
        """Ask until the answer is true."""
        return super().eventually(question, patience * self.pace)


class EtcdCluster:
    """One etcd member a machine, with TLS from an authority of its own."""

    def __init__(self, directory: Path, machines: Sequence[AnyMachine]) -> None:
        self.directory = directory
        authority = Authority.create("etcd of the test")
        hosts = [machine.address for machine in machines]
        self.ca = directory / "etcd-ca.crt"
        self.ca.write_bytes(authority.pair.certificate)
        for name, served in (("etcd", ["127.0.0.1", *hosts]), ("client", [])):
            authority.issue(name, hosts=served).write(directory / f"{name}.crt", directory / f"{name}.key")
        self.urls = ",".join(f"https://{host}:2379" for host in hosts)
        self._cluster = ",".join(f"{one.name}=https://{one.address}:2380" for one in machines)
        for machine in machines:
            self.start(machine)

    @property
    def flags(self) -> list[str]:
        """What `sampan server` is given."""
        certificate, key = self.directory / "client.crt", self.directory / "client.key"
        return ["--etcd", self.urls, "--etcd-ca", str(self.ca), "--etcd-cert", str(certificate), "--etcd-key", str(key)]

    def start(self, machine: AnyMachine) -> None:
        """Start a machine's member; it ends with the machine."""
        machine.take(*self.directory.glob("*.crt"), *self.directory.glob("*.key"))
        client, peer = (f"https://{machine.address}:{port}" for port in (2379, 2380))
        pair = [str(self.directory / "etcd.crt"), str(self.directory / "etcd.key")]
        flags = {
            "name": machine.name,
            "data-dir": machine.home / "etcd",
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": self._cluster,
            "initial-cluster-token": "ha",
            "trusted-ca-file": self.ca,
            "cert-file": pair[0],
            "key-file": pair[1],
            "client-cert-auth": "true",
            "peer-trusted-ca-file": self.ca,
            "peer-cert-file": pair[0],
            "peer-key-file": pair[1],
            "peer-client-cert-auth": "true",
            "heartbeat-interval": 100 * machine.pace,
            "election-timeout": 1000 * machine.pace,
            "log-level": "warn",
            "logger": "zap",
        }
        log = (machine.home / "etcd.log").open("ab")
        words = ["etcd", *(f"--{name}={value}" for name, value in flags.items())]
        subprocess.Popen(machine.inside(*words), stdout=log, stderr=log, env=machine.environment, cwd="/")


class Server:
    """`sampan server` in a machine."""

    def __init__(self, machine: AnyMachine, *flags: str) -> None:
        self.machine = machine
        self.log = machine.home / "server.log"
        words = [*machine.program, "server", "--log-files", *flags]
        self.process = subprocess.Popen(
            machine.inside(*words), stdout=self.log.open("ab"), stderr=subprocess.STDOUT, env=machine.environment
        )

    def stop(self) -> int:
        """End it in order, as a service manager does; its exit code."""
        control.ask(ServerPlaces.of(self.machine.places).control, {"do": "stop"})
        return self.process.wait(30)

    def said(self, beginning: str, seconds: float = PATIENCE) -> str:
        """The rest of the first line that begins so, once it is there. Raises AssertionError."""
        seconds *= self.machine.pace
        deadline = time.monotonic() + seconds
        while True:
            text = self.log.read_text()
            for line in text.splitlines():
                if line.strip().startswith(beginning):
                    return line.strip().removeprefix(beginning).strip()
            assert self.process.poll() is None, f"the server ended:\n{text}"
            assert time.monotonic() < deadline, f"no line {beginning!r} after {seconds:.0f} s:\n{text}"
            time.sleep(0.1)
