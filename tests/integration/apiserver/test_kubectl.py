"""The real kubectl, as a user types it."""

from __future__ import annotations

import json
import subprocess
import time

import pytest

from tests.servers import KUBECTL, Servers

MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: c, image: "web:1", ports: [{containerPort: 80}]}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {a: "1"}
"""


@pytest.fixture(scope="module")
def space(servers: Servers) -> str:
    """A namespace with a default service account."""
    servers.kubectl("create", "namespace", "kubectl-tests")
    servers.kubectl("create", "serviceaccount", "default", "-n", "kubectl-tests")
    return "kubectl-tests"


def test_apply_get_and_delete(servers: Servers, space: str) -> None:
    out = servers.kubectl("apply", "-n", space, "-f", "-", stdin=MANIFEST)
    assert out.splitlines() == ["deployment.apps/web created", "service/web created", "configmap/settings created"]
    out = servers.kubectl("apply", "-n", space, "-f", "-", stdin=MANIFEST.replace('a: "1"', 'a: "2"'))
    assert out.splitlines() == [
        "deployment.apps/web unchanged",
        "service/web unchanged",
        "configmap/settings configured",
    ]
    out = servers.kubectl("get", "deploy,svc,cm", "-n", space, "-o", "wide", "--show-labels")
    assert "web:1" in out
    assert "80/TCP" in out
    assert "10.96." in servers.kubectl("get", "svc", "web", "-n", space)
    out = servers.kubectl("describe", "deploy", "web", "-n", space)
    assert "Replicas:               2 desired" in out
    out = servers.kubectl("delete", "-n", space, "-f", "-", stdin=MANIFEST)
    assert 'deployment.apps "web" deleted' in out


def test_typed_commands_that_send_protobuf(servers: Servers, space: str) -> None:
    assert (
        servers.kubectl("create", "secret", "generic", "s", "--from-literal=p=q", "-n", space) == "secret/s created\n"
    )
    assert servers.kubectl("get", "secret", "s", "-n", space, "-o", "jsonpath={.data.p}") == "cQ=="
    out = servers.kubectl("create", "deployment", "d", "--image=i", "--replicas=3", "--port=80", "-n", space)
    assert out == "deployment.apps/d created\n"
    found = json.loads(servers.kubectl("get", "deploy", "d", "-n", space, "-o", "json"))
    assert found["spec"]["replicas"] == 3
    assert found["spec"]["template"]["spec"]["containers"][0]["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert servers.kubectl("scale", "deployment", "d", "--replicas=5", "-n", space) == "deployment.apps/d scaled\n"
    assert servers.kubectl("auth", "can-i", "list", "pods") == "yes\n"
    assert "kubernetes-admin" in servers.kubectl("auth", "whoami")
    assert servers.kubectl("create", "token", "default", "-n", space).count(".") == 2


def test_label_annotate_patch_edit(servers: Servers, space: str) -> None:
    servers.kubectl("create", "configmap", "m", "--from-literal=a=1", "-n", space)
    servers.kubectl("label", "cm", "m", "x=y", "-n", space)
    servers.kubectl("annotate", "cm", "m", "x=y", "-n", space)
    for kind, patch in (
        ("strategic", '{"data":{"b":"2"}}'),
        ("merge", '{"data":{"a":null}}'),
        ("json", '[{"op":"add","path":"/data/c","value":"3"}]'),
    ):
        servers.kubectl("patch", "cm", "m", "-n", space, "--type", kind, "-p", patch)
    assert servers.kubectl("get", "cm", "m", "-n", space, "-o", "jsonpath={.data}") == '{"b":"2","c":"3"}'
    assert "m " in servers.kubectl("get", "cm", "-l", "x=y", "-n", space)


def test_a_deleted_pod_is_waited_for(servers: Servers, space: str) -> None:
    servers.kubectl("run", "p", "--image=i", "-n", space)
    assert "Pending" in servers.kubectl("get", "pod", "p", "-n", space, "-o", "wide")
    assert servers.kubectl("delete", "pod", "p", "-n", space).startswith('pod "p" deleted')
    out = servers.kubectl("get", "pod", "p", "-n", space, check=False)
    assert out == 'Error from server (NotFound): pods "p" not found\n'


def test_a_watch_prints_changes(servers: Servers, space: str) -> None:
    servers.kubectl("create", "configmap", "w", "-n", space)
    command = [str(KUBECTL), "--kubeconfig", str(servers.kubeconfig), "get", "cm", "-n", space, "-w", "-o", "name"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        seen = {process.stdout.readline().strip()}
        servers.kubectl("create", "configmap", "w2", "-n", space)
        give_up = time.monotonic() + 20
        while "configmap/w2" not in seen and time.monotonic() < give_up:
            seen.add(process.stdout.readline().strip())
        process.kill()
    assert "configmap/w2" in seen


def test_discovery_and_health(servers: Servers) -> None:
    out = servers.kubectl("api-resources")
    assert "deployments" in out
    assert "SelfSubjectReview" in out
    assert "readyz check passed" in servers.kubectl("get", "--raw", "/readyz?verbose")
    assert "apiserver_request_total" in servers.kubectl("get", "--raw", "/metrics")


def test_a_list_is_applied_with_validation(servers: Servers, space: str) -> None:
    items = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"x": "1"}}
        for name in ("listed-a", "listed-b")
    ]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    said = servers.kubectl("-n", space, "apply", "-f", "-", stdin=text)
    assert said.splitlines() == ["configmap/listed-a created", "configmap/listed-b created"]
    again = servers.kubectl("-n", space, "get", "configmap", "listed-a", "listed-b", "-o", "yaml")
    servers.kubectl("-n", space, "apply", "-f", "-", stdin=again)
