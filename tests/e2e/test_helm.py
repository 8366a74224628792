"""The real Helm 4: install, upgrade, roll back, uninstall.

Helm 4 applies on the server's side unless told otherwise; that is not there yet, hence --server-side=false.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clusters import ROOT, Failed, LocalCluster

HELM = ROOT / ".tools" / "helm" / "helm"
CHART = str(Path(__file__).parent / "chart")
WAIT = ("--server-side=false", "--wait", "--timeout", "60s")

pytestmark = pytest.mark.skipif(not HELM.exists(), reason=f"no {HELM}: `make test` fetches it by tests/helm.sh")


def helm(cluster: LocalCluster, namespace: str, *words: str) -> str:
    return cluster.run(str(HELM), *words, "-n", namespace, timeout=120).stdout


def answer(cluster: LocalCluster, namespace: str) -> str:
    """What the release's deployment runs, and what it was given."""
    deployment = cluster.get("deployment", "hello", "-n", namespace)
    image = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    given = cluster.inside(namespace, "deploy/hello", "echo $GREETING $PASSWORD").strip()
    return f"{image} x{deployment['status']['readyReplicas']} {given}"


def test_a_release_lives_and_goes(cluster: LocalCluster, namespace: str) -> None:
    helm(cluster, namespace, "install", "hello", CHART, *WAIT)
    assert answer(cluster, namespace) == "webapp:v1 x2 hello secret"
    assert cluster.kubectl("logs", "-n", namespace, "job/hello-before") == "before 1\n"
    listed = json.loads(helm(cluster, namespace, "list", "-o", "json"))
    assert [(one["name"], one["status"], one["revision"]) for one in listed] == [("hello", "deployed", "1")]
    assert "==> v1/Deployment" in helm(cluster, namespace, "status", "hello")

    changes = ("--set", "version=v2,replicas=3,greeting=good morning")
    helm(cluster, namespace, "upgrade", "hello", CHART, *changes, *WAIT)
    assert answer(cluster, namespace) == "webapp:v2 x3 good morning secret"

    helm(cluster, namespace, "rollback", "hello", "1", *WAIT)
    cluster.eventually(lambda: answer(cluster, namespace) == "webapp:v1 x2 hello secret")

    with pytest.raises(Failed, match="pre-upgrade hooks failed"):
        helm(cluster, namespace, "upgrade", "hello", CHART, "--set", "hookFails=true", *WAIT)
    history = json.loads(helm(cluster, namespace, "history", "hello", "-o", "json"))
    assert [one["status"] for one in history] == ["superseded", "superseded", "deployed", "failed"]

    helm(cluster, namespace, "uninstall", "hello", "--wait")
    kinds = "deployments,services,secrets,replicasets"
    assert cluster.get(kinds, "-n", namespace) == []
    assert "hello-settings" not in cluster.kubectl("get", "configmaps", "-n", namespace)


def test_server_side_apply_is_refused_in_words(cluster: LocalCluster, namespace: str) -> None:
    with pytest.raises(Failed, match="server-side apply is not there yet"):
        helm(cluster, namespace, "install", "hello", CHART)
