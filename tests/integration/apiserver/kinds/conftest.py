"""An etcd and an API server of their own, on loopback, and the real kubectl."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from sampan.certs import Authority, signing_key

ROOT = Path(__file__).parents[4]
KUBECTL = Path(sys.executable).parent / "kubectl"
DEADLINE_SECONDS = 30.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@dataclass(frozen=True)
class Cluster:
    """How to ask the server, as the administrator or as someone else."""

    port: int
    where: Path
    ca: Authority

    def kubectl(self, *arguments: str, stdin: str = "", fails: bool = False) -> str:
        """Run kubectl; what it prints, or what it complains of if it is to fail."""
        done = subprocess.run(
            [
                str(KUBECTL),
                f"--kubeconfig={self.where / 'kubeconfig'}",
                f"--cache-dir={self.where / 'cache'}",
                *arguments,
            ],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )
        assert (done.returncode != 0) is fails, done.stdout + done.stderr
        return done.stderr if fails else done.stdout

    def apply(self, *objects: dict[str, Any]) -> str:
        """kubectl apply."""
        return self.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(objects))

    def get(self, kind: str, name: str, namespace: str = "default") -> Any:
        """An object."""
        return json.loads(self.kubectl("get", kind, name, "-n", namespace, "-o", "json"))

    def context(self, user: str) -> ssl.SSLContext:
        """TLS with the certificate of a user."""
        made = ssl.create_default_context(cafile=str(self.where / "ca.crt"))
        made.load_cert_chain(self.where / f"{user}.crt", self.where / f"{user}.key")
        return made

    def ask(
        self, method: str, path: str, body: Any = None, *, user: str = "admin", media: str = "application/json"
    ) -> Any:
        """One request: (code, decoded answer)."""
        request = urllib.request.Request(
            f"https://127.0.0.1:{self.port}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": media, "Accept": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, context=self.context(user), timeout=DEADLINE_SECONDS) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


def end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def until_ready(cluster: Cluster, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait for /readyz."""
    until = time.monotonic() + DEADLINE_SECONDS
    while True:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(OSError):
            request = f"https://127.0.0.1:{cluster.port}/readyz"
            with urllib.request.urlopen(request, context=cluster.context("admin"), timeout=5):
                return
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.1)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A running server."""
    where = tmp_path_factory.mktemp("apiserver")
    ca = Authority.create("test")
    (where / "ca.crt").write_bytes(ca.pair.certificate)
    users = {"admin": ("system:masters",), "system:node:n1": ("system:nodes",)}
    for user, groups in users.items():
        ca.issue(user, groups=groups).write(where / f"{user}.crt", where / f"{user}.key")
    ca.issue("server", hosts=("127.0.0.1", "localhost")).write(where / "server.crt", where / "server.key")
    (where / "sa.key").write_bytes(signing_key())
    client, peer, port = free_port(), free_port(), free_port()
    config = {
        "etcd": {"endpoints": [f"http://127.0.0.1:{client}"]},
        "tls": {"cert": f"{where}/server.crt", "key": f"{where}/server.key", "client_ca": f"{where}/ca.crt"},
        "service_account": {"signing_key": f"{where}/sa.key"},
        "listen": [f"127.0.0.1:{port}"],
        "advertise_address": "127.0.0.1",
    }
    (where / "config.json").write_text(json.dumps(config))
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "c",
                "cluster": {"server": f"https://127.0.0.1:{port}", "certificate-authority": f"{where}/ca.crt"},
            }
        ],
        "users": [
            {"name": "u", "user": {"client-certificate": f"{where}/admin.crt", "client-key": f"{where}/admin.key"}}
        ],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    (where / "kubeconfig").write_text(yaml.safe_dump(kubeconfig))
    log = where / "log"
    with log.open("wb") as sink:
        etcd = subprocess.Popen(
            [
                "etcd", "--name=t", f"--data-dir={where}/etcd", f"--listen-client-urls=http://127.0.0.1:{client}",
                f"--advertise-client-urls=http://127.0.0.1:{client}", f"--listen-peer-urls=http://127.0.0.1:{peer}",
                f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
                f"--initial-cluster=t=http://127.0.0.1:{peer}", "--unsafe-no-fsync",
            ],
            stdout=sink, stderr=sink,
        )  # fmt: skip
        server = subprocess.Popen(
            [sys.executable, "-m", "apiserver.main", "--config", str(where / "config.json")],
            stdout=sink,
            stderr=sink,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
    try:
        made = Cluster(port, where, ca)
        until_ready(made, server, log)
        made.apply(
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "default"}}
        )
        yield made
    finally:
        end(server)
        end(etcd)
