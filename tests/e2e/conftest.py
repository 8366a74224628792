"""One three-node cluster for all tests that do not harm it; each test works in a namespace of its own."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator

import pytest

from clusters import LocalCluster

pytest.register_assert_rewrite("resource_rules")

DESCRIPTION = """
apiVersion: sampan.dev/v1alpha1
kind: Cluster
metadata: {name: e2e}
spec:
  podPidsLimit: 200
  nodes: [{name: n1}, {name: n2}, {name: n3}]
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here drives whole clusters."""
    for item in items:
        if "e2e" in item.path.parts:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.root)


@pytest.fixture(scope="session")
def cluster() -> Iterator[LocalCluster]:
    """A cluster of three nodes with the demo's images and busybox:test. Leave it as you found it.

    $SAMPAN_TEST_CLUSTER names one that runs already, to be used as it is.
    """
    if running := os.environ.get("SAMPAN_TEST_CLUSTER"):
        yield LocalCluster.running(running)
        return
    with LocalCluster.started(description=DESCRIPTION) as started:
        started.build_webapp("v1", "v2")
        started.build_busybox()
        yield started


@contextlib.contextmanager
def a_namespace(cluster: LocalCluster) -> Iterator[str]:
    name = f"t-{uuid.uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", name)
    cluster.eventually(lambda: cluster.get("serviceaccount", "default", "-n", name))
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def namespace(cluster: LocalCluster) -> Iterator[str]:
    """A namespace of the test's own, gone afterwards."""
    with a_namespace(cluster) as name:
        yield name


@pytest.fixture(scope="module")
def shared(cluster: LocalCluster) -> Iterator[str]:
    """A namespace that a file's tests share."""
    with a_namespace(cluster) as name:
        yield name
