"""One three-node cluster for all tests that leave it as they found it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from clusters import LocalCluster

DESCRIPTION = """
apiVersion: sampan.dev/v1alpha1
kind: Cluster
metadata: {name: e2e}
spec:
  podPidsLimit: 200
  nodes: [{name: n1}, {name: n2}, {name: n3}]
"""


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
