"""The real kubectl's commands on objects and workloads."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clusters import BIN, LocalCluster

KUBECTL = str(BIN / "kubectl")
WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: web, image: "webapp:v1", ports: [{name: http, containerPort: 8080}]}]
"""
EVERYTHING = (
    "namespaces nodes pods services endpoints endpointslices configmaps secrets serviceaccounts events leases"
    " deployments replicasets daemonsets jobs priorityclasses customresourcedefinitions"
)


def deploy(cluster: LocalCluster, namespace: str) -> None:
    """Two replicas of the web application, ready."""
    cluster.apply(namespace, WEB)
    cluster.kubectl("rollout", "status", "-n", namespace, "deployment/web", "--timeout=60s")


@pytest.fixture(scope="module")
def web(cluster: LocalCluster, shared: str) -> str:
    """The namespace of a deployment `web` that tests only look at."""
    deploy(cluster, shared)
    return shared


def editor(cluster: LocalCluster, directory: Path, expression: str) -> dict[str, str]:
    """An environment whose EDITOR runs sed."""
    script = directory / "editor"
    script.write_text(f"#!/bin/sh\nexec sed -i '{expression}' \"$1\"\n")
    script.chmod(0o755)
    return cluster.environment | {"EDITOR": str(script)}


def edit(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([KUBECTL, "edit", *words], env=environment, capture_output=True, text=True, timeout=60)


def refused(cluster: LocalCluster, *words: str, stdin: str | None = None) -> str:
    """What kubectl says on standard error when it fails."""
    done = cluster.run(KUBECTL, *words, stdin=stdin, code=None)
    assert done.returncode == 1, done.stdout
    return done.stderr


# --- reading


@pytest.mark.parametrize("kind", EVERYTHING.split())
def test_every_kind_is_listed_and_described(cluster: LocalCluster, web: str, kind: str) -> None:
    words = ("-A",) if kind not in ("namespaces", "nodes", "priorityclasses", "customresourcedefinitions") else ()
    cluster.kubectl("get", kind, *words, "-o", "wide")
    cluster.kubectl("describe", kind, *words)


def test_a_description_tells_conditions_and_events(cluster: LocalCluster, web: str) -> None:
    told = cluster.kubectl("describe", "-n", web, "deployment/web")
    assert "2 desired | 2 updated | 2 total | 2 available | 0 unavailable" in told
    assert "Scaled up replica set web-" in told
    told = cluster.kubectl("describe", "-n", web, cluster.kubectl("get", "pods", "-n", web, "-o", "name").split()[0])
    assert "Successfully assigned" in told
    assert "Started container web" in told
    events = cluster.kubectl("events", "-n", web, "--for", "deployment/web")
    assert "ScalingReplicaSet" in events


def test_output_formats(cluster: LocalCluster, web: str) -> None:
    pods = cluster.kubectl("get", "pods", "-n", web, "-o", "name", "--sort-by=.metadata.name").split()
    assert len(pods) == 2
    columns = "custom-columns=A:.metadata.name,B:.status.phase"
    rows = cluster.kubectl("get", "pods", "-n", web, "-o", columns, "--no-headers").splitlines()
    assert sorted(row.split() for row in rows) == sorted([pod.removeprefix("pod/"), "Running"] for pod in pods)
    assert cluster.kubectl("get", "deploy/web", "-n", web, "-o", "jsonpath={.status.readyReplicas}") == "2"
    template = "go-template={{range .items}}{{.spec.nodeName}} {{end}}"
    assert len(cluster.kubectl("get", "pods", "-n", web, "-o", template).split()) == 2
    running = ("--field-selector=status.phase=Running", "--chunk-size=1", "-o", "name")
    assert sorted(cluster.kubectl("get", "pods", "-n", web, *running).split()) == sorted(pods)
    assert "LABELS" in cluster.kubectl("get", "pods", "-n", web, "--show-labels")
    assert json.loads(cluster.kubectl("get", "--raw", f"/apis/apps/v1/namespaces/{web}/deployments/web/scale"))[
        "spec"
    ] == {"replicas": 2}


def test_a_watched_list_shows_changes(cluster: LocalCluster, namespace: str) -> None:
    words = ("get", "configmaps", "-n", namespace, "-w", "-o", "name", "--field-selector=metadata.name=seen")
    watching = subprocess.Popen([KUBECTL, *words], stdout=subprocess.PIPE, text=True, env=cluster.environment)
    try:
        assert watching.stdout is not None
        cluster.kubectl("create", "configmap", "-n", namespace, "seen")
        assert watching.stdout.readline() == "configmap/seen\n"
        cluster.kubectl("label", "configmap", "-n", namespace, "seen", "a=b")
        assert watching.stdout.readline() == "configmap/seen\n"
    finally:
        watching.terminate()
        watching.wait()


def test_discovery_and_who_am_i(cluster: LocalCluster) -> None:
    names = set(cluster.kubectl("api-resources", "-o", "name").split())
    assert {"pods", "deployments.apps", "jobs.batch", "leases.coordination.k8s.io"} <= names
    assert "apps/v1" in cluster.kubectl("api-versions").split()
    assert "kubernetes-admin" in cluster.kubectl("auth", "whoami")
    assert cluster.kubectl("auth", "can-i", "create", "pods") == "yes\n"
    nobody = ("--as=system:serviceaccount:default:default", "-q")
    cluster.kubectl("auth", "can-i", "create", "pods", *nobody, code=1)
    assert "*.*" in cluster.kubectl("auth", "can-i", "--list")
    assert 'User "bob" cannot list resource "pods"' in refused(cluster, "get", "pods", "--as=bob")
    assert "is running at" in cluster.kubectl("cluster-info")
    assert "Server Version: v1.37" in cluster.kubectl("version")
    assert "readyz check passed" in cluster.kubectl("get", "--raw", "/readyz?verbose")


def test_explain(cluster: LocalCluster) -> None:
    told = cluster.kubectl("explain", "pod.spec.containers.livenessProbe")
    assert "FIELD: livenessProbe <Probe>" in told
    assert "failureThreshold\t<integer>" in told
    assert "containers\t<[]Container>" in cluster.kubectl("explain", "deployment", "--recursive")
    assert 'field "nonsense" does not exist' in refused(cluster, "explain", "pod.nonsense")


# --- writing


def test_generators_make_every_kind_that_there_is(cluster: LocalCluster, namespace: str, tmp_path: Path) -> None:
    here = ("-n", namespace)
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    subject = ("-subj", "/CN=test", "-nodes", "-newkey", "rsa:2048", "-days", "1")
    cluster.run("openssl", "req", "-x509", *subject, "-keyout", str(key), "-out", str(certificate))
    made = [
        ("configmap", "c", "--from-literal=a=b", f"--from-file={certificate}"),
        ("secret", "generic", "g", "--from-literal=a=b"),
        ("secret", "tls", "t", f"--cert={certificate}", f"--key={key}"),
        ("secret", "docker-registry", "r", "--docker-server=x", "--docker-username=u", "--docker-password=p"),
        ("serviceaccount", "s"),
        ("service", "clusterip", "ci", "--tcp=80:8080"),
        ("service", "clusterip", "hl", "--clusterip=None"),
        ("service", "nodeport", "np", "--tcp=80:8080"),
        ("service", "externalname", "en", "--external-name=example.org"),
        ("service", "loadbalancer", "lb", "--tcp=80:8080"),
        ("deployment", "d", "--image=webapp:v1", "--replicas=0", "--port=8080"),
        ("job", "j", "--image=busybox:test", "--", "true"),
    ]
    for words in made:
        assert "created" in cluster.kubectl("create", *here, *words)
    token = cluster.kubectl("create", "token", "s", *here, "--duration=10m").strip()
    whoami = cluster.kubectl("auth", "whoami", f"--token={token}", "--client-certificate=", "--client-key=", code=None)
    assert "Username" in whoami
    priority = f"pc-{namespace}"
    cluster.kubectl("create", "priorityclass", priority, "--value=5")
    cluster.kubectl("delete", "priorityclass", priority)
    cluster.kubectl("wait", *here, "--for=condition=Complete", "job/j", "--timeout=30s")
    assert cluster.get("secret", "t", *here)["type"] == "kubernetes.io/tls"


@pytest.mark.parametrize(
    "words",
    [
        ("create", "quota", "q", "--hard=pods=1"),
        ("create", "ingress", "i", "--rule=a/b=c:80"),
        ("create", "cronjob", "c", "--image=busybox:test", "--schedule=* * * * *", "--", "true"),
        ("create", "poddisruptionbudget", "p", "--selector=a=b", "--min-available=1"),
        ("create", "role", "r", "--verb=get", "--resource=pods"),
        ("get", "horizontalpodautoscalers"),
        ("get", "statefulsets"),
    ],
)
def test_what_is_not_there_is_said(cluster: LocalCluster, words: tuple[str, ...]) -> None:
    told = refused(cluster, *words)
    expected = ("could not find the requested resource", "Metrics API not available", "doesn't have a resource type")
    assert any(one in told for one in expected), told


def test_server_side_apply(cluster: LocalCluster, namespace: str) -> None:
    told = cluster.kubectl("apply", "-n", namespace, "--server-side", "-f", "-", stdin=WEB)
    assert all(line.endswith(" serverside-applied") for line in told.splitlines())
    cluster.kubectl("rollout", "status", "-n", namespace, "deploy/web", "--timeout=60s")


def test_apply_diff_and_dry_run(cluster: LocalCluster, namespace: str) -> None:
    def apply(data: str, *words: str, verb: str = "apply", code: int = 0) -> str:
        body = f'{{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {{"name": "c"}}, "data": {data}}}'
        return cluster.kubectl(verb, "-n", namespace, "-f", "-", *words, stdin=body, code=code)

    assert "created (server dry run)" in apply('{"a": "1"}', "--dry-run=server")
    assert "configmap/c created" in apply('{"a": "1", "b": "1"}')
    assert "configmap/c unchanged" in apply('{"a": "1", "b": "1"}')
    difference = apply('{"a": "2"}', verb="diff", code=1)
    assert "-  a: " in difference
    assert "+  a: " in difference
    assert "configmap/c configured" in apply('{"a": "2"}')
    assert cluster.get("configmap", "c", "-n", namespace)["data"] == {"a": "2"}
    assert apply('{"a": "2"}', verb="diff") == ""
    assert "replaced" in apply('{"a": "3"}', verb="replace")
    assert "replaced" in apply('{"a": "4"}', "--force", verb="replace")
    assert "unknown field" in refused(
        cluster, "apply", "-n", namespace, "-f", "-",
        stdin='{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "d"}, "dada": {}}',
    )  # fmt: skip


def test_kustomize(cluster: LocalCluster, namespace: str, tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(WEB)
    (tmp_path / "kustomization.yaml").write_text(
        "resources: [web.yaml]\nnamePrefix: my-\n"
        "replicas: [{name: web, count: 1}]\nimages: [{name: webapp, newTag: v2}]\n"
        "configMapGenerator: [{name: settings, literals: [a=b]}]\n"
    )
    cluster.kubectl("apply", "-n", namespace, "-k", str(tmp_path))
    cluster.kubectl("rollout", "status", "-n", namespace, "deployment/my-web", "--timeout=30s")
    assert cluster.kubectl("diff", "-n", namespace, "-k", str(tmp_path)) == ""
    cluster.kubectl("delete", "-n", namespace, "-k", str(tmp_path))
    assert cluster.get("deployments", "-n", namespace) == []


def test_labels_annotations_and_three_kinds_of_patch(cluster: LocalCluster, namespace: str) -> None:
    here = ("-n", namespace)
    cluster.apply(namespace, WEB.replace("replicas: 2", "replicas: 0"))
    cluster.kubectl("label", *here, "deployment/web", "tier=front")
    assert "already has a value" in refused(cluster, "label", *here, "deployment/web", "tier=back")
    cluster.kubectl("label", *here, "deployment/web", "tier=back", "--overwrite")
    cluster.kubectl("annotate", *here, "deployment/web", "note=x")
    cluster.kubectl("annotate", *here, "deployment/web", "note-")
    grace = '{"spec": {"template": {"spec": {"containers": [{"name": "web", "env": [{"name": "A", "value": "1"}]}]}}}}'
    cluster.kubectl("patch", *here, "deployment/web", "-p", grace)
    cluster.kubectl("patch", *here, "deployment/web", "--type=merge", "-p", '{"metadata": {"labels": {"app": null}}}')
    move = '[{"op": "move", "from": "/metadata/labels/tier", "path": "/metadata/labels/level"}]'
    cluster.kubectl("patch", *here, "deployment/web", "--type=json", "-p", move)
    scale = ("--subresource=scale", "--type=merge", "-p", '{"spec": {"replicas": 1}}')
    cluster.kubectl("patch", *here, "deployment/web", *scale)
    got = cluster.get("deployment", "web", *here)
    assert got["metadata"]["labels"] == {"level": "back"}
    assert "note" not in got["metadata"]["annotations"]
    (container,) = got["spec"]["template"]["spec"]["containers"]
    assert (container["image"], container["env"]) == ("webapp:v1", [{"name": "A", "value": "1"}])
    assert got["spec"]["replicas"] == 1


def test_edit_by_an_editor(cluster: LocalCluster, namespace: str, tmp_path: Path) -> None:
    cluster.kubectl("create", "configmap", "-n", namespace, "c", "--from-literal=a=before")
    after = editor(cluster, tmp_path, "s/a: before/a: after/")
    assert "configmap/c edited" in edit(after, "-n", namespace, "configmap/c").stdout
    assert cluster.get("configmap", "c", "-n", namespace)["data"] == {"a": "after"}
    assert "no changes made" in edit(after, "-n", namespace, "configmap/c").stderr
    broken = editor(cluster, tmp_path, "s/a: after/a: [1]/")
    done = edit(broken, "-n", namespace, "configmap/c")
    assert done.returncode == 1
    assert 'configmaps "c" is invalid' in done.stderr


# --- workloads


def test_rollout_pause_resume_restart_history_and_undo(cluster: LocalCluster, namespace: str) -> None:
    here = ("-n", namespace)
    deploy(cluster, namespace)
    cluster.kubectl("annotate", *here, "deployment/web", "kubernetes.io/change-cause=first")
    cluster.kubectl("rollout", "pause", *here, "deployment/web")
    cluster.kubectl("set", "image", *here, "deployment/web", "web=webapp:v2")
    cluster.kubectl("set", "env", *here, "deployment/web", "A=B")
    cluster.kubectl("set", "resources", *here, "deployment/web", "--limits=memory=64Mi", "--requests=cpu=10m")
    assert len(cluster.get("replicasets", *here)) == 1
    cluster.kubectl("rollout", "resume", *here, "deployment/web")
    cluster.kubectl("rollout", "status", *here, "deployment/web", "--timeout=30s")
    history = cluster.kubectl("rollout", "history", *here, "deployment/web")
    assert [line.split()[0] for line in history.splitlines()[2:] if line] == ["1", "2"]
    second = cluster.kubectl("rollout", "history", *here, "deployment/web", "--revision=2")
    assert "webapp:v2" in second
    assert "64Mi" in second
    cluster.kubectl("rollout", "restart", *here, "deployment/web")
    cluster.kubectl("rollout", "status", *here, "deployment/web", "--timeout=30s")
    cluster.kubectl("rollout", "undo", *here, "deployment/web", "--to-revision=1")
    cluster.kubectl("rollout", "status", *here, "deployment/web", "--timeout=30s")
    (container,) = cluster.get("deployment", "web", *here)["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "webapp:v1"
    assert "env" not in container


def test_scale_wait_and_expose(cluster: LocalCluster, namespace: str) -> None:
    here = ("-n", namespace)
    deploy(cluster, namespace)
    cluster.kubectl("scale", *here, "deployment/web", "--replicas=3", "--current-replicas=2")
    assert "Expected replicas to be 7" in refused(
        cluster, "scale", *here, "deployment/web", "--replicas=1", "--current-replicas=7"
    )
    three = "--for=jsonpath={.status.readyReplicas}=3"
    cluster.kubectl("wait", *here, three, "deployment/web", "--timeout=30s")
    cluster.kubectl("wait", *here, "--for=condition=Available", "deployment/web", "--timeout=30s")
    cluster.kubectl("wait", *here, "--for=create", "deployment/web", "--timeout=5s")
    assert "timed out" in refused(cluster, "wait", *here, "--for=delete", "deployment/web", "--timeout=1s")
    cluster.kubectl("expose", *here, "deployment/web", "--port=80", "--target-port=http")
    cluster.eventually(
        lambda: "version=v1" in cluster.inside(namespace, "deploy/web", "timeout 2 wget -q -O - http://web/")
    )
    cluster.kubectl("autoscale", *here, "deployment/web", "--max=3", code=1)
    cluster.kubectl("delete", *here, "deployment/web", "--wait=false")
    cluster.kubectl("wait", *here, "--for=delete", "pods", "-l", "app=web", "--timeout=30s")


@pytest.mark.parametrize("cascade", ["background", "foreground", "orphan"])
def test_delete_takes_or_leaves_what_is_owned(cluster: LocalCluster, namespace: str, cascade: str) -> None:
    here = ("-n", namespace)
    deploy(cluster, namespace)
    cluster.kubectl("delete", *here, "deployment/web", f"--cascade={cascade}")
    if cascade == "orphan":
        (left,) = cluster.eventually(lambda: cluster.get("replicasets", *here))
        cluster.eventually(lambda: "ownerReferences" not in cluster.get("replicasets", *here)[0]["metadata"])
        assert left["status"]["readyReplicas"] == 2
        cluster.kubectl("delete", *here, "replicaset", "--all")
    if cascade == "foreground":
        assert cluster.get("replicasets", *here) == []
    cluster.eventually(lambda: cluster.get("replicasets,pods", *here) == [])


@contextlib.contextmanager
def spare_node(cluster: LocalCluster) -> Iterator[str]:
    """A node to cordon and taint, made schedulable and clean again."""
    try:
        yield "n3"
    finally:
        cluster.kubectl("uncordon", "n3")
        cluster.kubectl("taint", "node", "n3", "test-", code=None)


def pods_on(cluster: LocalCluster, namespace: str, node: str) -> list[Any]:
    pods = cluster.get("pods", "-n", namespace, "--field-selector", f"spec.nodeName={node}")
    return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]


def test_cordon_taint_and_drain(cluster: LocalCluster, namespace: str) -> None:
    cluster.apply(namespace, WEB.replace("replicas: 2", "replicas: 6"))
    cluster.kubectl("rollout", "status", "-n", namespace, "deployment/web", "--timeout=60s")
    with spare_node(cluster) as node:
        assert pods_on(cluster, namespace, node)
        cluster.kubectl("cordon", node)
        assert "SchedulingDisabled" in cluster.kubectl("get", "node", node)
        drained = cluster.kubectl(
            "drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--pod-selector=app=web", "--timeout=60s"
        )
        assert f"node/{node} drained" in drained
        cluster.kubectl("rollout", "status", "-n", namespace, "deployment/web", "--timeout=60s")
        assert pods_on(cluster, namespace, node) == []
        cluster.kubectl("uncordon", node)
        cluster.kubectl("taint", "node", node, "test=x:NoSchedule")
        cluster.kubectl("rollout", "restart", "-n", namespace, "deployment/web")
        cluster.kubectl("rollout", "status", "-n", namespace, "deployment/web", "--timeout=60s")
        assert pods_on(cluster, namespace, node) == []
        cluster.kubectl("taint", "node", node, "test-")
        cluster.kubectl("scale", "-n", namespace, "deployment/web", "--replicas=9")
        cluster.eventually(lambda: pods_on(cluster, namespace, node))


def test_a_pod_of_nobody_is_drained_by_force_alone(cluster: LocalCluster, namespace: str) -> None:
    overrides = json.dumps({"spec": {"nodeName": "n3", "terminationGracePeriodSeconds": 0}})
    words = (
        "run",
        "-n",
        namespace,
        "lonely",
        "--image=busybox:test",
        f"--overrides={overrides}",
        "--",
        "sleep",
        "1000",
    )
    cluster.kubectl(*words)
    cluster.kubectl("wait", "-n", namespace, "--for=condition=Ready", "pod/lonely", "--timeout=30s")
    with spare_node(cluster) as node:
        told = refused(cluster, "drain", node, "--ignore-daemonsets", "--pod-selector=run=lonely", "--timeout=20s")
        assert "--force" in told
        cluster.kubectl("drain", node, "--ignore-daemonsets", "--force", "--pod-selector=run=lonely", "--timeout=20s")
    assert cluster.get("pods", "-n", namespace) == []


def test_a_token_is_a_way_in(cluster: LocalCluster, namespace: str, tmp_path: Path) -> None:
    token = cluster.kubectl("create", "token", "default", "-n", namespace).strip()
    config = json.loads(cluster.kubectl("config", "view", "--raw", "--minify", "-o", "json"))
    config["users"][0]["user"] = {"token": token}
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps(config))
    told = cluster.kubectl("auth", "whoami", f"--kubeconfig={file}")
    assert f"system:serviceaccount:{namespace}:default" in told
    config["users"][0]["user"] = {"token": token[:-4] + "AAAA"}
    file.write_text(json.dumps(config))
    assert "must be logged in" in refused(cluster, "get", "pods", f"--kubeconfig={file}")
