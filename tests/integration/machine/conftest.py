"""One cluster for all tests of machines that join it: one node of namespaces, and everything real."""

from __future__ import annotations

import json
import os
import secrets
import string
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clusters import LocalCluster
from deploy.machine.trust import fingerprint
from machines import Machine

SERVER = "https://172.30.0.1:6443"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(item.fspath).is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.root)
            if os.geteuid() != 0:
                item.add_marker(pytest.mark.skip(reason="needs root: namespaces, mounts, cgroups"))


@dataclass(frozen=True)
class Joinable:
    """A cluster, and what a machine has to know to join it."""

    cluster: LocalCluster
    ca_hash: str
    server: str = SERVER

    def token(self, *, seconds: float = 3600, node: str = "") -> str:
        """A new bootstrap token."""
        alphabet = string.ascii_lowercase + string.digits
        identity, secret = ("".join(secrets.choice(alphabet) for _ in range(n)) for n in (6, 16))
        data = {
            "token-id": identity,
            "token-secret": secret,
            "expiration": (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "usage-bootstrap-authentication": "true",
        } | ({"node-name": node} if node else {})
        self.cluster.kubectl(
            "create", "-f", "-",
            stdin=json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Secret",
                    "metadata": {"name": f"bootstrap-token-{identity}", "namespace": "kube-system"},
                    "type": "bootstrap.kubernetes.io/token",
                    "stringData": data,
                }
            ),
        )  # fmt: skip
        return f"{identity}.{secret}"

    def join(self, *, token: str = "") -> tuple[str, ...]:
        """The command line."""
        return ("join", self.server, "--token", token or self.token(), "--ca-hash", self.ca_hash)

    def ready(self, node: str) -> None:
        """Wait until a node is Ready."""
        self.cluster.kubectl("wait", "--for=create", f"node/{node}", "--timeout=60s")
        self.cluster.kubectl("wait", "--for=condition=Ready", f"node/{node}", "--timeout=60s")


@pytest.fixture(scope="session")
def joinable() -> Iterator[Joinable]:
    """The cluster. Leave it as you found it."""
    import ssl

    with LocalCluster.started(name="machines", nodes=1) as cluster:
        cluster.build_busybox()
        ca = (cluster.places.pki / "ca.crt").read_text()
        yield Joinable(cluster, fingerprint(ssl.PEM_cert_to_DER_cert(ca)))


@pytest.fixture
def machine(joinable: Joinable) -> Iterator[Machine]:
    """A machine that has not joined."""
    with Machine(joinable.cluster, "m1", "172.30.0.201") as made:
        yield made
