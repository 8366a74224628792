"""One cluster for all tests of machines that join it: one node of namespaces, and everything real."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusters import LocalCluster
from deploy.machine.trust import fingerprint
from machines import Joinable, Machine


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(item.fspath).is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.root)
            if os.geteuid() != 0:
                item.add_marker(pytest.mark.skip(reason="needs root: namespaces, mounts, cgroups"))


@pytest.fixture(scope="session")
def joinable() -> Iterator[Joinable]:
    """The cluster. Leave it as you found it."""
    with LocalCluster.started(name="machines", nodes=1) as cluster:
        cluster.build_busybox()
        ca = (cluster.places.pki / "ca.crt").read_text()
        yield Joinable(cluster, fingerprint(ssl.PEM_cert_to_DER_cert(ca)))


@pytest.fixture
def machine(joinable: Joinable) -> Iterator[Machine]:
    """A machine that has not joined."""
    with joinable.machine("m1", "172.30.0.201") as made:
        yield made
