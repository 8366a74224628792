"""logs -f of a workload follows all its pods; port-forward of a service finds another pod when its pod goes."""

from __future__ import annotations

import queue
import re
import subprocess
import threading
import urllib.request
from collections.abc import Callable

from clusters import BIN, LocalCluster

KCTL = str(BIN / "kctl")
WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: main
          image: busybox:test
          command: [sh, -c, "hostname > /tmp/index.html; echo $(hostname) begins; exec httpd -f -v -p 8080 -h /tmp"]
          readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
"""
JOB = """
apiVersion: batch/v1
kind: Job
metadata: {name: count}
spec:
  completions: 2
  parallelism: 2
  template:
    spec:
      restartPolicy: Never
      containers: [{name: main, image: "busybox:test", command: [sh, -c, "echo one; echo two"]}]
"""


class Output:
    """What a program that lasts prints, line by line."""

    def __init__(self, cluster: LocalCluster, *words: str) -> None:
        self.child = subprocess.Popen(
            [KCTL, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=cluster.environment
        )
        self.lines: list[str] = []
        self._new: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.child.stdout is not None
        for line in self.child.stdout:
            self._new.put(line)

    def until(self, enough: Callable[[list[str]], bool]) -> list[str]:
        """All lines so far, once there are enough. Raises queue.Empty after a minute."""
        while not enough(self.lines):
            self.lines.append(self._new.get(timeout=60))
        return self.lines

    def __enter__(self) -> Output:
        return self

    def __exit__(self, *_: object) -> None:
        self.child.terminate()
        self.child.wait()


def pods(cluster: LocalCluster, namespace: str) -> list[str]:
    return [one["metadata"]["name"] for one in cluster.get("pods", "-n", namespace, "-l", "app=web")]


def begun(lines: list[str]) -> set[str]:
    return {found[1] for line in lines if (found := re.match(r"\[pod/(\S+)/main\] \1 begins$", line))}


def test_the_logs_of_all_pods_are_followed_new_ones_too(cluster: LocalCluster, namespace: str) -> None:
    cluster.kctl("apply", "-n", namespace, "-f", "-", "--wait", stdin=WEB)
    first = set(pods(cluster, namespace))
    with Output(cluster, "logs", "-f", "deploy/web", "-n", namespace) as output:
        output.until(lambda lines: begun(lines) == first)
        cluster.kctl("scale", "deploy/web", "--replicas=3", "-n", namespace)
        lines = output.until(lambda lines: len(begun(lines)) == 3)
        assert begun(lines) == set(pods(cluster, namespace))


def test_a_job_that_has_ended_ends_its_logs(cluster: LocalCluster, namespace: str) -> None:
    cluster.apply(namespace, JOB)
    out = cluster.kctl("logs", "-f", "job/count", "-n", namespace)
    assert sorted(line.split()[-1] for line in out.splitlines()) == ["one", "one", "two", "two"]
    assert len({line.split()[0] for line in out.splitlines()}) == 2


def test_a_service_is_forwarded_to_another_pod_when_its_pod_goes(cluster: LocalCluster, namespace: str) -> None:
    cluster.kctl("apply", "-n", namespace, "-f", "-", "--wait", stdin=WEB)
    with Output(cluster, "port-forward", "svc/web", ":80", "-n", namespace) as output:
        lines = output.until(lambda lines: any("Forwarding from 127.0.0.1" in line for line in lines))
        port = re.search(r"127\.0\.0\.1:(\d+)", "".join(lines))
        assert port is not None

        def asked() -> str:
            with urllib.request.urlopen(f"http://127.0.0.1:{port[1]}/index.html", timeout=30) as answer:
                return str(answer.read().decode().strip())

        for _ in range(2):
            pod = asked()
            cluster.kctl("delete", "pod", pod, "-n", namespace)
            assert asked() != pod
        assert any("Forwarding to pod/web-" in line for line in output.until(lambda lines: "now on" in lines[-1]))
