"""Server-side apply by its real clients: kubectl and Helm 4."""

from __future__ import annotations

import json
import os
import subprocess
from itertools import count
from typing import Any

import pytest

from tests.servers import ROOT, Servers

HELM = ROOT / ".tools" / "helm" / "helm"
CHART = str(ROOT / "tests" / "e2e" / "chart")
numbers = count(1)
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
      containers: [{name: c, image: "web:1", ports: [{containerPort: 80}], resources: {requests: {cpu: 1}}}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {a: "1", b: "2"}
"""


class Kubectl:
    """The real kubectl in a namespace of the test's own."""

    def __init__(self, servers: Servers) -> None:
        self.servers, self.namespace = servers, f"apply-{next(numbers)}"
        servers.kubectl("create", "namespace", self.namespace)
        servers.kubectl("create", "serviceaccount", "default", "-n", self.namespace)

    def __call__(self, *words: str, stdin: str = "", check: bool = True) -> str:
        return self.servers.kubectl(*words, "-n", self.namespace, stdin=stdin, check=check)

    def apply(self, manifest: str, *words: str, check: bool = True) -> str:
        return self("apply", "--server-side", *words, "-f", "-", stdin=manifest, check=check)

    def get(self, *words: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self("get", *words, "-o", "json", "--show-managed-fields"))
        return found


@pytest.fixture
def kubectl(servers: Servers) -> Kubectl:
    return Kubectl(servers)


def names(value: dict[str, Any]) -> list[str]:
    return [f"{one['manager']} {one['operation']}" for one in value["metadata"]["managedFields"]]


def test_apply_again_and_by_others(kubectl: Kubectl) -> None:
    told = kubectl.apply(MANIFEST)
    assert told == "deployment.apps/web serverside-applied\nconfigmap/settings serverside-applied\n"
    before = kubectl.get("deploy", "web")
    kubectl.apply(MANIFEST)
    assert kubectl.get("deploy", "web") == before
    assert "managedFields" not in kubectl("get", "deploy", "web", "-o", "yaml")
    changed = MANIFEST.replace("web:1", "web:2")
    told = kubectl.apply(changed, "--field-manager=other", check=False)
    assert 'conflict with "kubectl": .spec.template.spec.containers[name="c"].image' in told
    kubectl.apply(changed, "--field-manager=other", "--force-conflicts")
    assert names(kubectl.get("deploy", "web")) == ["kubectl Apply", "other Apply"]
    kubectl("set", "image", "deploy/web", "c=web:3")
    assert "kubectl-set Update" in names(kubectl.get("deploy", "web"))


def test_what_is_left_out_goes(kubectl: Kubectl) -> None:
    kubectl.apply(MANIFEST)
    kubectl.apply(MANIFEST.replace(', b: "2"', ""))
    assert kubectl.get("configmap", "settings")["data"] == {"a": "1"}


def test_diff_shows_what_apply_would_do(kubectl: Kubectl) -> None:
    kubectl.apply(MANIFEST)
    assert kubectl("diff", "--server-side", "-f", "-", stdin=MANIFEST) == ""
    told = kubectl("diff", "--server-side", "-f", "-", stdin=MANIFEST.replace("web:1", "web:2"), check=False)
    assert "-      - image: web:1\n+      - image: web:2\n" in told
    assert "f:image" not in told
    assert kubectl("get", "deploy", "web", "-o", "jsonpath={..image}") == "web:1"


def test_migration_from_the_client_side(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=MANIFEST)
    assert "managedFields" not in kubectl.get("configmap", "settings")["metadata"]
    kubectl.apply(MANIFEST.replace('a: "1", b: "2"', 'a: "9"').replace("web:1", "web:2"))
    migrated = kubectl.get("configmap", "settings")
    assert migrated["data"] == {"a": "9"}
    assert "before-first-apply Update" not in names(migrated)
    assert "kubectl Apply" in names(migrated)
    told = kubectl("apply", "-f", "-", stdin=MANIFEST)
    assert told == "deployment.apps/web configured\nconfigmap/settings configured\n"
    assert kubectl.get("configmap", "settings")["data"] == {"a": "1", "b": "2"}


def test_dry_runs_and_unknown_fields(kubectl: Kubectl) -> None:
    assert "serverside-applied (server dry run)" in kubectl.apply(MANIFEST, "--dry-run=server")
    assert "NotFound" in kubectl("get", "deploy", "web", check=False)
    told = kubectl.apply(MANIFEST + "nope: 1\n", check=False)
    assert ".nope: field not declared in schema" in told


def test_status_is_applied_apart(kubectl: Kubectl) -> None:
    kubectl.apply(MANIFEST)
    status = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, status: {replicas: 2}}"
    kubectl.apply(status, "--subresource=status", "--field-manager=controller")
    value = kubectl.get("deploy", "web")
    assert value["status"] == {"replicas": 2}
    assert value["spec"]["replicas"] == 2
    assert {one.get("subresource") for one in value["metadata"]["managedFields"]} == {"status", None}


@pytest.mark.skipif(not HELM.exists(), reason=f"no {HELM}: `make test` fetches it by tests/helm.sh")
def test_helm_applies_on_the_servers_side(servers: Servers, kubectl: Kubectl) -> None:
    def helm(*words: str) -> tuple[int, str]:
        done = subprocess.run(
            [str(HELM), *words, "-n", kubectl.namespace],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=os.environ | {"KUBECONFIG": str(servers.kubeconfig), "HOME": str(servers.directory)},
        )
        return done.returncode, done.stdout + done.stderr

    def upgrade(*words: str) -> tuple[int, str]:
        return helm("upgrade", "hello", CHART, "--no-hooks", *words)

    assert helm("install", "hello", CHART, "--no-hooks")[0] == 0
    made = kubectl.get("deploy", "hello")
    assert names(made) == ["helm Apply"]
    assert upgrade()[0] == 0
    assert kubectl.get("deploy", "hello") == made
    assert upgrade("--set", "replicas=3")[0] == 0
    assert kubectl.get("deploy", "hello")["spec"]["replicas"] == 3
    kubectl("scale", "deploy/hello", "--replicas=9")
    code, told = upgrade("--set", "replicas=4")
    assert code == 1
    assert 'with subresource \\"scale\\" using apps/v1: .spec.replicas' in told
    assert upgrade("--set", "replicas=4", "--force-conflicts")[0] == 0
    assert kubectl.get("deploy", "hello")["spec"]["replicas"] == 4
    assert helm("rollback", "hello", "1", "--no-hooks")[0] == 0
    assert helm("uninstall", "hello", "--no-hooks")[0] == 0
    assert "NotFound" in kubectl("get", "deploy", "hello", check=False)
