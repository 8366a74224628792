"""The real Helm 4, which applies on the server's side: install, upgrade, roll back, uninstall."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clusters import ROOT, Failed, LocalCluster

HELM = ROOT / ".tools" / "helm" / "helm"
CHART = str(Path(__file__).parent / "chart")
WAIT = ("--wait", "--timeout", "60s")

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


def test_a_release_from_the_client_side_goes_on_from_the_servers(cluster: LocalCluster, namespace: str) -> None:
    helm(cluster, namespace, "install", "hello", CHART, "--server-side=false", *WAIT)
    helm(cluster, namespace, "upgrade", "hello", CHART, "--server-side=true", *WAIT)
    with pytest.raises(Failed, match='conflict with "before-first-apply"'):
        helm(cluster, namespace, "upgrade", "hello", CHART, "--server-side=true", "--set", "replicas=3", *WAIT)
    helm(
        cluster, namespace, "upgrade", "hello", CHART,
        "--server-side=true", "--force-conflicts", "--set", "replicas=3", *WAIT,
    )  # fmt: skip
    assert answer(cluster, namespace) == "webapp:v1 x3 hello secret"
