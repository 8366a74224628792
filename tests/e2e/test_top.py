"""The metrics API, measured when it is asked for, by kctl top and the real kubectl."""

from __future__ import annotations

import json

from clusters import LocalCluster

PODS = """
apiVersion: v1
kind: Pod
metadata: {name: busy, labels: {kind: busy}}
spec: {terminationGracePeriodSeconds: 0, containers: [{name: main, image: "busybox:test",
       command: [sh, -c, "while true; do :; done"], resources: {limits: {cpu: 200m}}}]}
---
apiVersion: v1
kind: Pod
metadata: {name: calm}
spec: {terminationGracePeriodSeconds: 0, containers: [{name: main, image: "busybox:test", command: [sleep, "9999"]}]}
"""


def test_what_pods_and_nodes_use_is_told(cluster: LocalCluster, namespace: str) -> None:
    cluster.apply(namespace, PODS, ready="busy")
    cluster.kubectl("wait", "-n", namespace, "--for=condition=Ready", "pod/calm", "--timeout=60s")

    def used() -> dict[str, int]:
        lines = cluster.kubectl("top", "pods", "-n", namespace, "--no-headers").splitlines()
        found = {name: int(cpu.removesuffix("m")) for name, cpu, _ in map(str.split, lines)}
        assert found["busy"] > 50
        return found

    found = cluster.eventually(used)
    assert found["calm"] < 50
    assert found["busy"] < 400
    first, *lines = cluster.kctl("top", "pods", "-n", namespace, "--sort-by=cpu").splitlines()
    assert first.split() == ["NAME", "CPU(cores)", "MEMORY(bytes)"]
    assert [line.split()[0] for line in lines] == ["busy", "calm"]
    chosen = cluster.kctl("top", "pod", "-n", namespace, "-l", "kind=busy", "--containers", "--no-headers").split()
    assert chosen[:2] == ["busy", "main"]
    ours, theirs = cluster.kctl("top", "nodes"), cluster.kubectl("top", "nodes")
    assert ours.splitlines()[0].split() == theirs.splitlines()[0].split()
    assert [line.split()[0] for line in ours.splitlines()] == [line.split()[0] for line in theirs.splitlines()]
    assert len(ours.splitlines()) == 4
    path = f"/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods/busy"
    raw = json.loads(cluster.kubectl("get", "--raw", path))
    assert (raw["kind"], raw["containers"][0]["name"]) == ("PodMetrics", "main")
    missing = cluster.run("kubectl", "top", "pod", "nobody", "-n", namespace, code=1).stderr
    assert "NotFound" in missing
