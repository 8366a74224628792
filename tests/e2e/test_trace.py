"""kctl trace: the steps of a pod's start, with real times."""

from __future__ import annotations

import json

from clusters import LocalCluster

POD = """
apiVersion: v1
kind: Pod
metadata: {name: traced}
spec:
  initContainers: [{name: before, image: "busybox:test", command: ["true"]}]
  containers:
    - name: main
      image: busybox:test
      command: [httpd, -f, -p, "8080"]
      readinessProbe: {httpGet: {port: 8080, path: /bin/busybox}, periodSeconds: 1}
"""
STEPS = (
    "admitted", "stored", "scheduled", "bound", "seen", "volumes", "sandbox", "network", "image", "created", "started",
    "ready",
)  # fmt: skip


def test_every_step_of_a_start_has_its_time(cluster: LocalCluster, namespace: str) -> None:
    cluster.apply(namespace, POD, ready="traced")
    found = json.loads(cluster.kctl("trace", "pod/traced", "-n", namespace, "-o", "json"))
    steps = {(one["name"], one.get("container", "")): one for one in found["steps"]}
    assert all(one["exact"] for one in steps.values())
    assert {name for name, _ in steps} == set(STEPS)
    begins = [
        steps[key]["begin"]
        for key in (
            ("admitted", ""), ("stored", ""), ("scheduled", ""), ("bound", ""), ("sandbox", ""), ("network", ""),
            ("image", "before"), ("created", "before"), ("started", "before"), ("started", "main"), ("ready", ""),
        )
    ]  # fmt: skip
    assert begins == sorted(begins)
    sandbox, network = steps["sandbox", ""], steps["network", ""]
    assert sandbox["begin"] <= network["begin"] <= network["end"] <= sandbox["end"]
    assert found["milliseconds"] >= max(one["milliseconds"] for one in steps.values())
    shown = cluster.kctl("trace", "traced", "-n", namespace).splitlines()
    assert shown[0].startswith(f"pod/traced on {found['node']}: first ready after ")
    assert shown[-1].split()[:2] == ["first", "ready"]


def test_a_pod_without_a_node_has_come_as_far_as_it_has(cluster: LocalCluster, namespace: str) -> None:
    pod = POD.replace("spec:", "spec:\n  nodeSelector: {disk: ssd}", 1).replace("traced", "homeless")
    cluster.apply(namespace, pod)
    shown = cluster.kctl("trace", "homeless", "-n", namespace).splitlines()
    assert shown[0] == "pod/homeless, on no node yet: not ready yet"
    assert [line.split()[0] for line in shown[1:]] == ["STEP", "admitted", "stored"]
