"""A cluster that was stopped, or whose machine lost power, comes back as it was: same pods, addresses and volumes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from clusters import LocalCluster
from deploy import cgroups

APP = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: notes}
spec:
  replicas: 4
  selector: {matchLabels: {app: notes}}
  template:
    metadata: {labels: {app: notes}}
    spec:
      terminationGracePeriodSeconds: 1
      volumes: [{name: data, emptyDir: {}}]
      containers:
      - name: notes
        image: busybox:test
        command: [sh, -c, "echo $HOSTNAME >>/data/starts; exec httpd -f -p 8080 -h /data"]
        volumeMounts: [{name: data, mountPath: /data}]
        readinessProbe: {httpGet: {port: 8080, path: /starts}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: notes}
spec:
  selector: {app: notes}
  ports: [{port: 80, targetPort: 8080}]
"""


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[LocalCluster]:
    with LocalCluster.started(name="again", nodes=2) as cluster:
        cluster.build_busybox()
        cluster.apply("default", APP)
        cluster.kubectl("rollout", "status", "deployment/notes", "--timeout=60s")
        yield cluster


def stopped(cluster: LocalCluster) -> None:
    """Ended in order."""
    cluster.kctl("cluster", "stop", cluster.name, timeout=90)
    assert "stopped" in cluster.kctl("cluster", "list")


def rebooted(cluster: LocalCluster) -> None:
    """What a power cut leaves: no process, so no mount, namespace or interface of theirs, no cgroup, an empty /run."""
    cgroups.kill(cluster.places.cgroup)
    cgroups.remove(cluster.places.cgroup)
    shutil.rmtree(cluster.places.run)


@pytest.mark.parametrize("interrupt", [stopped, rebooted])
def test_what_comes_back_is_what_there_was(two_nodes: LocalCluster, interrupt: Callable[[LocalCluster], None]) -> None:
    cluster = two_nodes

    def pods() -> dict[str, Any]:
        return {pod["metadata"]["name"]: pod for pod in cluster.get("pods", "-l", "app=notes")}

    def identity() -> dict[str, Any]:
        return {
            "pods": {name: (pod["metadata"]["uid"], pod["status"]["podIP"]) for name, pod in pods().items()},
            "nodes": {node["metadata"]["name"]: node["status"]["addresses"] for node in cluster.get("nodes")},
            "service": cluster.get("service", "notes")["spec"]["clusterIP"],
            "server": cluster.kubectl("config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}"),
        }

    def restarts() -> dict[str, int]:
        assert all(pod["status"]["phase"] == "Running" for pod in pods().values())
        assert all(pod["status"]["containerStatuses"][0]["ready"] for pod in pods().values())
        return {name: pod["status"]["containerStatuses"][0]["restartCount"] for name, pod in pods().items()}

    before, counts = identity(), restarts()
    interrupt(cluster)
    assert not cgroups.processes(cluster.places.cgroup)
    cluster.kctl("cluster", "start", cluster.name, timeout=120)

    again = {name: count + 1 for name, count in counts.items()}
    cluster.eventually(lambda: restarts() == again)
    assert identity() == before
    for name in again:
        starts = cluster.kubectl("exec", name, "--", "cat", "/data/starts").split()
        assert starts == [name] * (again[name] + 1), "the volume is the one that the pod had"
    first = next(iter(again))
    asked = f"timeout 5 wget -q -O - http://{before['service']}/starts"
    cluster.eventually(lambda: cluster.inside("default", first, asked).startswith("notes-"))
