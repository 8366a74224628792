"""apply --wait ends when it is really up, or says why not."""

from __future__ import annotations

from clusters import LocalCluster

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
      containers:
        - name: main
          image: busybox:test
          command: [httpd, -f, -p, "8080"]
          readinessProbe: {httpGet: {port: 8080, path: /bin/busybox}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
"""


def test_it_ends_when_all_is_up(cluster: LocalCluster, namespace: str) -> None:
    out = cluster.kctl("apply", "-n", namespace, "-f", "-", "--wait", "--timeout=60s", stdin=WEB)
    assert out.splitlines()[-2:] == ["deployment.apps/web is up", "service/web is up"]
    ready = cluster.get("deployment/web", "-n", namespace)["status"]["readyReplicas"]
    assert ready == 2


def test_it_says_why_not(cluster: LocalCluster, namespace: str) -> None:
    broken = WEB.replace("busybox:test\n", "busybox:none\n          imagePullPolicy: Never\n")
    words = ("apply", "-n", namespace, "-f", "-", "--wait", "--timeout=60s")
    done = cluster.run("kctl", *words, stdin=broken, code=1)
    assert "error: deployment.apps/web is not coming up (deployment/web -> replicaset/web-" in done.stderr
    assert "image busybox:none is not on node" in done.stderr
    assert "  next: kctl image build or kctl image load it" in done.stderr
    late = cluster.run("kctl", *words[:-1], "--timeout=3s", stdin=WEB.replace("path: /bin", "path: /nowhere"), code=1)
    assert "web is not up in time" in late.stderr
