"""Each test works in a namespace of its own, of the cluster that all share (shared_cluster.py)."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator

import pytest

from clusters import LocalCluster

pytest.register_assert_rewrite("resource_rules")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here drives whole clusters."""
    for item in items:
        if "e2e" in item.path.parts:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.root)


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
