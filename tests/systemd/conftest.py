"""A cluster of one node of namespaces, and beside it a machine that systemd runs; `make test-systemd`."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator

import pytest

from clusters import ROOT, LocalCluster
from deploy.machine.trust import fingerprint
from machines import Joinable
from systemd.machine import SystemdMachine


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Only `make test-systemd` has the time, and has installed what they need."""
    for item in items:
        if item.path.is_relative_to(ROOT / "tests/systemd"):
            item.add_marker(pytest.mark.root)
            if not os.environ.get("SAMPAN_TEST_SYSTEMD"):
                item.add_marker(pytest.mark.skip(reason="run by make test-systemd"))


@pytest.fixture(scope="session")
def joinable() -> Iterator[Joinable]:
    """The cluster, with busybox:test."""
    with LocalCluster.started(name="systemd", nodes=1) as cluster:
        cluster.build_busybox()
        ca = (cluster.places.pki / "ca.crt").read_text()
        yield Joinable(cluster, fingerprint(ssl.PEM_cert_to_DER_cert(ca)))


@pytest.fixture(scope="session")
def machine(joinable: Joinable) -> Iterator[SystemdMachine]:
    """A machine that is neither node nor server. Leave it as you found it."""
    with SystemdMachine(joinable.cluster, "m1", "172.30.0.201") as made:
        assert made.is_running() == "running"
        yield made
