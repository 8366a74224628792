"""What the demo tells, and the real kubectl: apply, serve, roll, heal."""

from __future__ import annotations

import os
import signal
from collections import Counter

from clusters import LocalCluster

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 5
      containers:
        - name: web
          image: webapp:v1
          ports: [{name: http, containerPort: 8080}]
          readinessProbe: {httpGet: {path: /ready, port: http}, periodSeconds: 1}
          lifecycle: {preStop: {sleep: {seconds: 1}}}
          resources: {requests: {cpu: 10m, memory: 8Mi}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: http}]
"""
CLIENT = """
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  containers:
    - name: client
      image: webapp:v1
      command: [sh, -c, "while true; do timeout 3 wget -q -O - http://web/ || echo FAIL; done"]
"""


def apply_web(cluster: LocalCluster, namespace: str) -> None:
    """Three replicas behind a service, ready."""
    cluster.kubectl("apply", "-n", namespace, "-f", "-", stdin=WEB)
    cluster.kubectl("rollout", "status", "-n", namespace, "deployment/web", "--timeout=60s")


def test_replicas_spread_over_the_nodes_and_answer_behind_one_name(cluster: LocalCluster, namespace: str) -> None:
    apply_web(cluster, namespace)
    pods = cluster.get("pods", "-n", namespace, "-l", "app=web")
    assert Counter(pod["spec"]["nodeName"] for pod in pods) == {"n1": 1, "n2": 1, "n3": 1}
    script = "for i in $(seq 30); do wget -q -O - http://web/; done"
    answers = cluster.kubectl("exec", "-n", namespace, "deploy/web", "--", "sh", "-c", script)
    assert {line.split("pod=")[1] for line in answers.splitlines()} == {pod["metadata"]["name"] for pod in pods}


def test_a_rolling_update_and_its_undo_lose_no_request(cluster: LocalCluster, namespace: str) -> None:
    apply_web(cluster, namespace)
    cluster.kubectl("apply", "-n", namespace, "-f", "-", stdin=CLIENT)
    cluster.kubectl("wait", "-n", namespace, "--for=condition=Ready", "pod/client", "--timeout=60s")
    cluster.kubectl("set", "image", "-n", namespace, "deployment/web", "web=webapp:v2")
    cluster.kubectl("rollout", "status", "-n", namespace, "deployment/web", "--timeout=90s")
    cluster.eventually(
        lambda: cluster.kubectl("logs", "-n", namespace, "client", "--tail=20").count("version=v2") == 20
    )
    cluster.kubectl("rollout", "undo", "-n", namespace, "deployment/web")
    cluster.kubectl("rollout", "status", "-n", namespace, "deployment/web", "--timeout=90s")
    cluster.eventually(
        lambda: cluster.kubectl("logs", "-n", namespace, "client", "--tail=20").count("version=v1") == 20
    )
    answers = cluster.kubectl("logs", "-n", namespace, "client").splitlines()
    assert len(answers) > 100
    assert "FAIL" not in answers


def test_a_killed_process_is_restarted_and_counted(cluster: LocalCluster, namespace: str) -> None:
    apply_web(cluster, namespace)
    name = cluster.get("pods", "-n", namespace, "-l", "app=web")[0]["metadata"]["name"]
    # one command: a second one could meet the container's successor
    cluster.kubectl("exec", "-n", namespace, name, "--", "sh", "-c", "kill -9 -1; kill -TERM 1", code=None)

    def restarted_once_and_ready() -> bool:
        status = cluster.get("pod", "-n", namespace, name)["status"]["containerStatuses"][0]
        return status["restartCount"] == 1 and status["ready"]

    cluster.eventually(restarted_once_and_ready)


def test_containers_outlive_agent_and_runtime(cluster: LocalCluster, namespace: str) -> None:
    apply_web(cluster, namespace)
    pods = cluster.get("pods", "-n", namespace, "-l", "app=web")
    before = {pod["metadata"]["name"]: pod["status"]["containerStatuses"][0]["containerID"] for pod in pods}
    killed = {name: cluster.component_pid(name) for name in ("n2/agent", "n2/runtime")}
    for pid in killed.values():
        os.kill(pid, signal.SIGKILL)
    for name, pid in killed.items():
        cluster.eventually(lambda name=name, pid=pid: cluster.component_pid(name) not in (0, pid))
    on_n2 = next(pod["metadata"]["name"] for pod in pods if pod["spec"]["nodeName"] == "n2")
    cluster.eventually(lambda: cluster.kubectl("exec", "-n", namespace, on_n2, "--", "echo", "alive") == "alive\n")
    statuses = {
        pod["metadata"]["name"]: pod["status"]["containerStatuses"][0]
        for pod in cluster.get("pods", "-n", namespace, "-l", "app=web")
    }
    assert {name: status["containerID"] for name, status in statuses.items()} == before
    assert {status["restartCount"] for status in statuses.values()} == {0}
