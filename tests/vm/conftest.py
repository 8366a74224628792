"""One cluster of a namespace node and a virtual machine for all tests here; `make test-vm` runs them."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from bench.vm import cpu_seconds, qemu_pid
from clusters import ROOT
from vm_cluster import Machines

pytest.register_assert_rewrite("resource_rules")
PIDS_LIMIT = 200
"""As tests/resource_rules.py expects it."""

DESCRIPTION = f"""
apiVersion: sampan.dev/v1alpha1
kind: Cluster
metadata: {{name: vms}}
spec:
  podPidsLimit: {PIDS_LIMIT}
  nodes: [{{name: n1}}, {{name: v1, driver: vm, cpus: 1, memory: 768Mi}}]
  timing: {{nodeLeaseSeconds: 12, nodeMonitorGraceSeconds: 12}}
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Only `make test-vm` has the time, and has installed what they need."""
    here = [item for item in items if "vm" in item.path.relative_to(ROOT / "tests").parts[:1]]
    for item in here:
        item.add_marker(pytest.mark.root)
        if not os.environ.get("SAMPAN_TEST_VM"):
            item.add_marker(pytest.mark.skip(reason="run by make test-vm"))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Machines]:
    """The cluster, with busybox:test."""
    with Machines.started(name="vms", description=DESCRIPTION, patience=900) as cluster:
        assert isinstance(cluster, Machines)
        cluster.qemu_seconds = cpu_seconds(qemu_pid(cluster.places.node("v1")))
        cluster.build_busybox()
        yield cluster


@pytest.fixture(scope="module")
def shared(cluster: Machines) -> Iterator[str]:
    """A namespace that a file's tests share."""
    name = "shared"
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, timeout=180)
