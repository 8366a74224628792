"""A cluster at rest: it costs nothing, wakes by itself, and nobody in it takes the gap for somebody's death."""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusters import LocalCluster
from deploy import cgroups, freezer

GRACE_SECONDS = 3
FROZEN_SECONDS = 3 * GRACE_SECONDS
DESCRIPTION = f"""
apiVersion: sampan.dev/v1alpha1
kind: Cluster
metadata: {{name: rest}}
spec:
  nodes: [{{name: n1}}, {{name: n2}}]
  timing: {{nodeLeaseSeconds: {GRACE_SECONDS}, nodeMonitorGraceSeconds: {GRACE_SECONDS}}}
"""
PROBED = """
apiVersion: v1
kind: Pod
metadata: {name: probed}
spec:
  containers:
    - name: main
      image: busybox:test
      command: [sh, -c, 'mkdir -p /w; httpd -p 8080 -h /w; while true; do date > /w/n; sleep 0.1; done']
      livenessProbe: {httpGet: {path: /n, port: 8080}, periodSeconds: 1, failureThreshold: 1, timeoutSeconds: 1}
      readinessProbe: {httpGet: {path: /n, port: 8080}, periodSeconds: 1, failureThreshold: 1}
"""


@pytest.fixture(scope="module")
def resting() -> Iterator[LocalCluster]:
    """Two nodes that would be found dead after three seconds of silence, and a pod that one bad probe restarts."""
    with LocalCluster.started(name="rest", description=DESCRIPTION) as cluster:
        cluster.build_busybox()
        cluster.eventually(lambda: cluster.get("serviceaccount", "default"))
        cluster.apply("default", PROBED, ready="probed")
        yield cluster


def processor_seconds(cluster: LocalCluster) -> float:
    """What all frozen processes have used, by the kernel's own account of each."""
    ticks = 0
    for path in (f"{cluster.places.cgroup}/control-plane", f"{cluster.places.cgroup}/nodes"):
        for pid in cgroups.processes(path):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / 100


def test_frozen_for_three_times_the_grace_nobody_is_missed(resting: LocalCluster) -> None:
    before = resting.get("pod", "probed")
    ready = {one["metadata"]["name"]: _ready(one) for one in resting.get("nodes")}
    assert "is paused" in resting.kctl("cluster", "pause", "rest")
    assert "already" in resting.kctl("cluster", "pause", "rest")
    assert "paused" in resting.kctl("cluster", "status", "rest", code=1)
    assert "paused" in resting.kctl("cluster", "list")
    assert freezer.is_frozen(f"{resting.places.cgroup}/nodes/n1")
    used = processor_seconds(resting)
    time.sleep(FROZEN_SECONDS)  # the length of the gap is what is tested
    assert processor_seconds(resting) == used
    assert resting.run("kctl", "cluster", "shell", "n1", "--cluster", "rest", "--", "true", code=1).stderr == (
        "error: cluster rest: it is paused; kctl cluster resume rest\n"
    )

    assert "running again" in resting.kctl("cluster", "resume", "rest")
    assert "already" in resting.kctl("cluster", "resume", "rest")
    time.sleep(2 * GRACE_SECONDS)  # nothing may happen
    after = resting.get("pod", "probed")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["status"]["containerStatuses"][0]["restartCount"] == 0
    assert "deletionTimestamp" not in after["metadata"]
    assert {one["metadata"]["name"]: _ready(one) for one in resting.get("nodes")} == ready
    reasons = {one["reason"] for one in resting.get("events")}
    assert not reasons & {"NodeNotReady", "Unhealthy", "Killing", "TaintManagerEviction"}


def _ready(node: dict) -> tuple[str, str]:  # type: ignore[type-arg]  # JSON
    one = next(one for one in node["status"]["conditions"] if one["type"] == "Ready")
    return one["status"], one["lastTransitionTime"]


def test_a_new_connection_to_the_api_wakes_it(resting: LocalCluster) -> None:
    resting.kctl("cluster", "pause", "rest")
    assert len(resting.get("nodes")) == 2
    assert "running" in resting.kctl("cluster", "status", "rest")


def test_a_request_on_an_open_connection_wakes_it_and_a_closed_one_does_not(resting: LocalCluster) -> None:
    pki = resting.places.pki
    context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    context.load_cert_chain(str(pki / "admin.crt"), str(pki / "admin.key"))
    port = int(resting.kctl("cluster", "list").split("127.0.0.1:")[1].split()[0])
    kept, dropped = (http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=20) for _ in range(2))
    for one in (kept, dropped):
        one.request("GET", "/version")
        one.getresponse().read()
    resting.kctl("cluster", "pause", "rest")
    dropped.close()
    time.sleep(0.3)  # it must not wake: there is nothing to wait for
    assert freezer.is_frozen(f"{resting.places.cgroup}/nodes/n1")
    kept.request("GET", "/version")
    assert kept.getresponse().status == 200
    kept.close()


def test_a_paused_cluster_can_be_changed_and_stopped(resting: LocalCluster) -> None:
    resting.kctl("cluster", "pause", "rest")
    resting.kctl("cluster", "node", "disconnect", "n2", "--cluster", "rest")
    assert not freezer.is_frozen(f"{resting.places.cgroup}/nodes/n1")
    resting.kctl("cluster", "node", "connect", "n2", "--cluster", "rest")
    resting.kctl("cluster", "pause", "rest")
    resting.kctl("cluster", "stop", "rest")
    assert not cgroups.processes(resting.places.cgroup)
