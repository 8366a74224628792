"""etcd and API servers for tests: real processes on loopback, in a directory of the test's own.

with Servers(directory) as servers:
    servers.kubeconfig        # the administrator's
    servers.kubeconfig_of("system:node:n1", ("system:nodes",))
    servers.server.kill(); servers.start_server()
"""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from sampan.certs import Authority, signing_key

ROOT = Path(__file__).resolve().parent.parent
ENDS_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")
"""A test run that is killed leaves no process behind."""
KUBECTL = Path(sys.executable).parent / "kubectl"


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Etcd:
    """One etcd member without TLS, on loopback."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self._peer = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def endpoint(self) -> str:
        """Where clients connect."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Its process; 0 when it does not run."""
        return self._process.pid if self._process is not None else 0

    def start(self) -> None:
        """Start it; returns at once."""
        peer = f"http://127.0.0.1:{self._peer}"
        log = (self.directory / "etcd.log").open("ab")
        self._process = subprocess.Popen(
            [
                *ENDS_WITH_US, "etcd", "--data-dir", str(self.directory / "etcd"),
                "--listen-client-urls", self.endpoint, "--advertise-client-urls", self.endpoint,
                "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                "--initial-cluster", f"default={peer}", "--log-level", "warn",
            ],
            stdout=log,
            stderr=log,
        )  # fmt: skip

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class ApiServer:
    """One API server process."""

    def __init__(self, config: Path, log: Path, port: int) -> None:
        self.port = port
        self.log = log
        self.process = subprocess.Popen(
            [*ENDS_WITH_US, sys.executable, "-m", "apiserver.main", "--config", str(config)],
            stderr=log.open("ab"),
            cwd=ROOT,
        )

    def wait(self, context: ssl.SSLContext, seconds: float = 20) -> None:
        """Return when /readyz says so. Raises RuntimeError with the log's end."""
        give_up = time.monotonic() + seconds
        while time.monotonic() < give_up and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"https://127.0.0.1:{self.port}/readyz", context=context, timeout=2):
                    return
            except OSError:
                time.sleep(0.05)
        self.kill()
        raise RuntimeError(f"the API server is not ready:\n{self.log.read_text()[-4000:]}")

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()

    def stop(self, seconds: float = 6) -> int:
        """SIGTERM; the exit status. Raises subprocess.TimeoutExpired."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


class Servers:
    """etcd, a CA, one API server at first, and credentials."""

    def __init__(self, directory: Path, **settings: Any) -> None:
        self.directory = directory
        self.settings = settings
        self.authority = Authority.create("test")
        self.ca = directory / "ca.pem"
        self.ca.write_bytes(self.authority.pair.certificate)
        self._pair("server", "apiserver", (), ("127.0.0.1", "localhost"))
        self._pair("kubelet-client", "kube-apiserver-kubelet-client", ("system:masters",))
        (directory / "sa.key").write_bytes(signing_key())
        self.etcd = Etcd(directory)
        self.servers: list[ApiServer] = []
        try:
            self.start_server()
            self.server.wait(self.tls())
        except BaseException:
            self.close()
            raise
        self.kubeconfig = self.kubeconfig_of("kubernetes-admin", ("system:masters",))

    @property
    def server(self) -> ApiServer:
        """The newest API server."""
        return self.servers[-1]

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"https://127.0.0.1:{self.server.port}"

    def _pair(self, name: str, user: str, groups: Sequence[str] = (), hosts: Sequence[str] = ()) -> tuple[Path, Path]:
        pair = self.authority.issue(user, groups=groups, hosts=hosts)
        certificate, key = self.directory / f"{name}.pem", self.directory / f"{name}.key"
        certificate.write_bytes(pair.certificate)
        key.write_bytes(pair.key)
        return certificate, key

    def start_server(self, port: int = 0) -> ApiServer:
        """One more API server over the same etcd; does not wait for it."""
        port = port or free_port()
        here = self.directory
        config = here / f"apiserver-{port}.json"
        config.write_text(
            json.dumps(
                {
                    "etcd": {"endpoints": [self.etcd.endpoint]},
                    "tls": {
                        "cert": str(here / "server.pem"),
                        "key": str(here / "server.key"),
                        "client_ca": str(self.ca),
                    },
                    "kubelet_client": {
                        "cert": str(here / "kubelet-client.pem"),
                        "key": str(here / "kubelet-client.key"),
                        "ca": str(self.ca),
                    },
                    "service_account": {"signing_key": str(here / "sa.key")},
                    "listen": [f"127.0.0.1:{port}"],
                    "advertise_address": "127.0.0.1",
                }
                | self.settings
            )
        )
        self.servers.append(ApiServer(config, here / f"apiserver-{port}.log", port))
        return self.servers[-1]

    def tls(self, name: str = "") -> ssl.SSLContext:
        """A client's context; with the certificate `name` (a file name without suffix) if given."""
        context = ssl.create_default_context(cafile=str(self.ca))
        if name:
            context.load_cert_chain(self.directory / f"{name}.pem", self.directory / f"{name}.key")
        return context

    def kubeconfig_of(self, user: str, groups: Sequence[str] = (), *, token: str = "") -> Path:
        """A kubeconfig for a client certificate, or for a token."""
        name = user.replace(":", "-")
        path = self.directory / f"{name}.kubeconfig"
        if token:
            credentials: dict[str, str] = {"token": token}
        else:
            certificate, key = self._pair(name, user, groups)
            credentials = {
                "client-certificate-data": base64.b64encode(certificate.read_bytes()).decode(),
                "client-key-data": base64.b64encode(key.read_bytes()).decode(),
            }
        cluster = {"server": self.url, "certificate-authority-data": base64.b64encode(self.ca.read_bytes()).decode()}
        path.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [{"name": "test", "cluster": cluster}],
                    "users": [{"name": user, "user": credentials}],
                    "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
                    "current-context": "test",
                }
            )
        )
        return path

    def kubectl(self, *arguments: str, stdin: str = "", check: bool = True, kubeconfig: Path | None = None) -> str:
        """Run the real kubectl; its standard output, and error output too when `check` is off."""
        done = subprocess.run(
            [str(KUBECTL), *arguments],
            input=stdin.encode(),
            capture_output=True,
            timeout=60,
            env=os.environ | {"KUBECONFIG": str(kubeconfig or self.kubeconfig), "HOME": str(self.directory)},
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stderr.decode()}")
        return done.stdout.decode() + ("" if check else done.stderr.decode())

    def close(self) -> None:
        """End everything."""
        for server in self.servers:
            if server.process.poll() is None:
                server.kill()
        self.etcd.kill()

    def __enter__(self) -> Servers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
