"""kctl debug: a container beside those of a pod, a copy of a pod, a node."""

from __future__ import annotations

from clusters import LocalCluster

POD = """
apiVersion: v1
kind: Pod
metadata: {name: app, labels: {app: app}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - {name: main, image: "busybox:test", command: [sh, -c, "echo crashing; exit 1"]}
    - {name: side, image: "busybox:test", command: [sleep, "4242"], livenessProbe: {exec: {command: ["true"]}}}
"""


def test_a_container_is_added_that_sees_the_processes(cluster: LocalCluster, namespace: str) -> None:
    cluster.apply(namespace, POD)
    cluster.kubectl("wait", "-n", namespace, "--for=jsonpath={.status.phase}=Running", "pod/app", "--timeout=60s")
    look = ("debug", "app", "-n", namespace, "--image=busybox:test", "--target=side", "-i", "-q")
    out = cluster.kctl(*look, "--", "sh", "-c", "cat /proc/1/cmdline | tr '\\0' ' '", stdin="")
    assert out == "sleep 4242 "
    added = cluster.get("pod/app", "-n", namespace)["spec"]["ephemeralContainers"]
    assert [one["name"].partition("-")[0] for one in added] == ["debugger"]
    wrong = cluster.run("kctl", *look[:4], "--image=busybox:test", "--target=nobody", code=1).stderr
    assert wrong.splitlines()[-1] == "error: container 'nobody' is not in pod app; it has main, side"


def test_a_copy_runs_another_command(cluster: LocalCluster, namespace: str) -> None:
    cluster.apply(namespace, POD)
    cluster.kctl(
        "debug",
        "app",
        "-n",
        namespace,
        "--copy-to=app-copy",
        "--container=main",
        "--",
        "sh",
        "-c",
        "echo here; sleep 99",
    )
    cluster.kubectl("wait", "-n", namespace, "--for=condition=Ready", "pod/app-copy", "--timeout=60s")
    copy = cluster.get("pod/app-copy", "-n", namespace)
    assert "labels" not in copy["metadata"]
    assert copy["spec"]["shareProcessNamespace"]
    assert "livenessProbe" not in copy["spec"]["containers"][1]
    assert cluster.kctl("logs", "app-copy", "-c", "main", "-n", namespace) == "here\n"


def test_a_node_is_seen_from_a_pod(cluster: LocalCluster, namespace: str) -> None:
    words = ("debug", "node/n1", "-n", namespace, "--image=busybox:test", "-i", "-q", "--", "ls", "/host")
    assert "etc" in cluster.kctl(*words, stdin="").split()
    pods = cluster.get("pods", "-n", namespace)
    assert [one["spec"]["nodeName"] for one in pods] == ["n1"]
    assert pods[0]["metadata"]["name"].startswith("node-debugger-n1-")
