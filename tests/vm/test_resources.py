"""Limits, requests and images on a node that is a virtual machine: cgroup v2 alone, and the machine's image store."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusters import LocalCluster
from resource_rules import *  # noqa: F403  one text for every kind of node
from resource_rules import Place
from vm_cluster import Machines

pytestmark = [pytest.mark.vm, pytest.mark.root]


@pytest.fixture(scope="module")
def machine(cluster: Machines) -> LocalCluster:
    """The cluster that all tests here share."""
    return cluster


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


def test_a_tag_that_is_built_again_on_the_machine_is_what_the_next_pod_gets(place: Place, tmp_path: Path) -> None:
    said = []
    for version in ("one", "two"):
        (tmp_path / "Dockerfile").write_text(f"FROM busybox:test\nENV VERSION={version}\n")
        place.cluster.kctl("image", "build", "-t", "moving:v1", str(tmp_path))
        manifest = f"""
apiVersion: v1
kind: Pod
metadata: {{name: moving-{version}}}
spec:
  nodeName: {place.node}
  restartPolicy: Never
  containers: [{{name: main, image: "moving:v1", imagePullPolicy: Never, command: [sh, -c, "echo $VERSION"]}}]
"""
        place.cluster.apply(place.namespace, manifest)
        assert place.ended(f"moving-{version}")["exitCode"] == 0
        said.append(place.cluster.kubectl("logs", "-n", place.namespace, f"moving-{version}"))
    assert said == ["one\n", "two\n"]
    names = [name for image in place.cluster.get("node", place.node)["status"]["images"] for name in image["names"]]
    assert "docker.io/library/busybox:test" in names
