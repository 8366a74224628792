"""Limits and requests on a node that is a virtual machine: cgroup v2 alone."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import pytest

from clusters import LocalCluster
from resource_rules import *  # noqa: F403  one text for every kind of node
from resource_rules import PIDS_LIMIT, Place

PATIENCE = 420.0
DESCRIPTION = f"""
apiVersion: sampan.dev/v1alpha1
kind: Cluster
metadata: {{name: limits}}
spec:
  podPidsLimit: {PIDS_LIMIT}
  nodes: [{{name: n1}}]
"""


@pytest.fixture(scope="module")
def machine() -> Iterator[LocalCluster]:
    """A cluster with the virtual machine v1; $SAMPAN_TEST_CLUSTER names one that runs already."""
    if running := os.environ.get("SAMPAN_TEST_CLUSTER"):
        yield LocalCluster.running(running)
        return
    with LocalCluster.started(name="limits", description=DESCRIPTION) as started:
        size = ("--cpus", "1", "--memory", "768Mi")
        words = ("cluster", "node", "add", "v1", "--driver", "vm", *size, "--cluster", "limits")
        started.kctl(*words, timeout=PATIENCE)
        started.build_busybox()
        yield started


@pytest.fixture(scope="module")
def place(machine: LocalCluster) -> Iterator[Place]:
    """The virtual machine, with a namespace for the pods."""
    name = f"t-{uuid.uuid4().hex[:8]}"
    machine.kubectl("create", "namespace", name)
    machine.eventually(lambda: machine.get("serviceaccount", "default", "-n", name))
    yield Place(machine, "v1", name)
    machine.kubectl("delete", "namespace", name, "--wait=false")


def test_the_node_runs_cgroup_v2_alone(pods: Place) -> None:
    assert pods.version == 2
    assert not pods.inside("looker", "ls -d /cgroups/memory 2>/dev/null || true").strip()


def test_the_node_has_what_its_machine_has(pods: Place) -> None:
    status = pods.cluster.get("node", pods.node)["status"]
    memory = int(status["capacity"]["memory"].removesuffix("Ki"))
    assert status["capacity"]["cpu"] == "1"
    assert 600 << 10 < memory < 768 << 10
    assert status["nodeInfo"]["osImage"].startswith("Debian")
    top = pods.directories("guaranteed")[0].rpartition("/")[0]
    assert [int(text) for text in pods.above((top, "", "memory.max"))] == [memory << 10]
