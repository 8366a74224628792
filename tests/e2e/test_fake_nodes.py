"""Fake nodes beside real ones: they come, take pods, and go."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clusters import LocalCluster

MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 12
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      nodeSelector: {sampan.dev/fake: "true"}
      tolerations: [{key: sampan.dev/fake, operator: Exists}]
      containers: [{name: c, image: there-is-no-such-image}]
---
apiVersion: batch/v1
kind: Job
metadata: {name: sums}
spec:
  completions: 3
  parallelism: 3
  template:
    spec:
      nodeSelector: {sampan.dev/fake: "true"}
      tolerations: [{key: sampan.dev/fake, operator: Exists}]
      restartPolicy: Never
      containers: [{name: c, image: there-is-no-such-image}]
---
apiVersion: v1
kind: Pod
metadata:
  name: crashes
  annotations: {sampan.dev/fake-end-after: 1s, sampan.dev/fake-exit-code: "3"}
spec:
  nodeSelector: {sampan.dev/fake: "true"}
  tolerations: [{key: sampan.dev/fake, operator: Exists}]
  containers: [{name: c, image: there-is-no-such-image}]
"""


@pytest.fixture
def fakes(cluster: LocalCluster) -> Iterator[list[str]]:
    """Four fake nodes with a taint, in two zones."""
    said = cluster.kctl("node", "add", "--fake", "4", "--zones", "2", "--taint", "--cluster", cluster.name)
    assert "4 fake nodes: fake-1, fake-2, fake-3, fake-4" in said
    yield [f"fake-{number}" for number in range(1, 5)]
    left = len([one for one in cluster.get("nodes") if one["metadata"]["name"].startswith("fake-")])
    cluster.kctl("node", "remove", "--fake", str(left), "--cluster", cluster.name)


def test_fake_nodes_take_pods_play_them_and_go(cluster: LocalCluster, namespace: str, fakes: list[str]) -> None:
    nodes = {one["metadata"]["name"]: one for one in cluster.get("nodes", "-l", "sampan.dev/fake=true")}
    assert sorted(nodes) == fakes
    zones = [nodes[name]["metadata"]["labels"]["topology.kubernetes.io/zone"] for name in fakes]
    assert zones == ["zone-1", "zone-2", "zone-1", "zone-2"]
    assert not any("podCIDR" in one["spec"] for one in nodes.values())
    cluster.apply(namespace, MANIFEST)
    cluster.kubectl("rollout", "status", "-n", namespace, "deployment/web", "--timeout=60s")
    cluster.kubectl("wait", "-n", namespace, "--for=condition=Complete", "job/sums", "--timeout=60s")
    web = cluster.get("pods", "-n", namespace, "-l", "app=web")
    assert len({one["status"]["podIP"] for one in web}) == 12
    assert {one["spec"]["nodeName"] for one in web} == set(fakes)
    crashed = cluster.run("kubectl", "logs", "-n", namespace, "crashes", code=1)
    assert "crashes is on a fake node: it has no containers, so there are no logs" in crashed.stderr
    executed = cluster.run("kubectl", "exec", "-n", namespace, "crashes", "--", "true", code=1)
    assert "it has no containers, so nothing can be executed in one" in executed.stderr
    cluster.eventually(lambda: "CrashLoopBackOff" in cluster.kubectl("get", "pods", "-n", namespace, "crashes"))
    cluster.kubectl("delete", "deployment", "web", "-n", namespace)
    cluster.eventually(lambda: not cluster.get("pods", "-n", namespace, "-l", "app=web"))
    cluster.kctl("node", "remove", "fake-2", "--cluster", cluster.name)
    assert "fake-2" not in cluster.kubectl("get", "nodes")
    refused = cluster.run("kctl", "node", "disconnect", "fake-1", "--cluster", cluster.name, code=1)
    assert "it has neither disk nor cable" in refused.stderr
