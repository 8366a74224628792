"""Jobs, daemon sets, placement, priorities and services, as the real kubectl sees them."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import Any

from clusters import LocalCluster

JOB = """
apiVersion: batch/v1
kind: Job
metadata: {name: %s}
spec:
  %s
  template:
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 0
      containers: [{name: main, image: "busybox:test", command: [sh, -c, %s]}]
"""
DAEMONS = """
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: daemon}
spec:
  selector: {matchLabels: {app: daemon}}
  updateStrategy: {rollingUpdate: {maxUnavailable: 1}}
  template:
    metadata: {labels: {app: daemon}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: web, image: "webapp:v1"}]
"""
SET = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: %(name)s}
spec:
  replicas: %(replicas)d
  selector: {matchLabels: {app: %(name)s}}
  template:
    metadata: {labels: {app: %(name)s}}
    spec:
      terminationGracePeriodSeconds: 0
      %(spec)s
      containers:
        - name: web
          image: webapp:v1
          ports: [{name: http, containerPort: 8080}]
          readinessProbe: {httpGet: {path: /ready, port: http}, periodSeconds: 1}
"""
POD = "{apiVersion: v1, kind: Pod, metadata: {name: %s}, spec: {terminationGracePeriodSeconds: 0, %s,\
 containers: [{name: main, image: 'busybox:test', command: [sleep, '10000'], resources: {requests: {cpu: '%s'}}}]}}"


def named(cluster: LocalCluster, namespace: str, app: str) -> list[Any]:
    pods = cluster.get("pods", "-n", namespace, "-l", f"app={app}")
    return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]


def rolled_out(cluster: LocalCluster, namespace: str, what: str) -> None:
    cluster.kubectl("rollout", "status", "-n", namespace, what, "--timeout=60s")


def test_jobs_of_every_manner(cluster: LocalCluster, namespace: str) -> None:
    jobs = [
        JOB % ("parallel", "completions: 4\n  parallelism: 2", "'sleep 0.2'"),
        JOB
        % ("indexed", "completions: 3\n  parallelism: 3\n  completionMode: Indexed", "'echo $JOB_COMPLETION_INDEX'"),
        JOB % ("failing", "backoffLimit: 0", "'exit 1'"),
        JOB % ("late", "activeDeadlineSeconds: 1", "'sleep 1000'"),
        JOB % ("passing", "ttlSecondsAfterFinished: 0", "'true'"),
        JOB % ("held", "suspend: true", "'true'"),
    ]
    cluster.apply(namespace, "---".join(jobs))
    here = ("-n", namespace, "--timeout=60s")
    cluster.kubectl("wait", "--for=condition=Complete", "job/parallel", "job/indexed", *here)
    cluster.kubectl("wait", "--for=condition=Failed", "job/failing", "job/late", *here)
    cluster.kubectl("wait", "--for=delete", "job/passing", *here)
    assert cluster.get("job", "parallel", "-n", namespace)["status"]["succeeded"] == 4
    assert cluster.get("job", "indexed", "-n", namespace)["status"]["completedIndexes"] == "0-2"
    told = cluster.kubectl("logs", "-n", namespace, "-l", "batch.kubernetes.io/job-name=indexed")
    assert sorted(told.split()) == ["0", "1", "2"]
    reasons = {
        name: next(
            one for one in cluster.get("job", name, "-n", namespace)["status"]["conditions"] if one["type"] == "Failed"
        )["reason"]
        for name in ("failing", "late")
    }
    assert reasons == {"failing": "BackoffLimitExceeded", "late": "DeadlineExceeded"}
    assert cluster.get("pods", "-n", namespace, "-l", "batch.kubernetes.io/job-name=held") == []
    cluster.kubectl("patch", "job", "held", "-n", namespace, "-p", '{"spec": {"suspend": false}}')
    cluster.kubectl("wait", "--for=condition=Complete", "job/held", *here)


def revisions(cluster: LocalCluster, namespace: str) -> list[str]:
    """Those that kubectl shows of the daemon set."""
    lines = cluster.kubectl("rollout", "history", "-n", namespace, "daemonset/daemon").splitlines()
    return [line.split()[0] for line in lines[2:] if line]


def test_a_daemon_set_is_on_each_node_and_rolls(cluster: LocalCluster, namespace: str) -> None:
    cluster.apply(namespace, DAEMONS)
    rolled_out(cluster, namespace, "daemonset/daemon")
    assert sorted(pod["spec"]["nodeName"] for pod in named(cluster, namespace, "daemon")) == ["n1", "n2", "n3"]
    cluster.kubectl("set", "image", "-n", namespace, "daemonset/daemon", "web=webapp:v2")
    rolled_out(cluster, namespace, "daemonset/daemon")
    pods = named(cluster, namespace, "daemon")
    assert {pod["spec"]["containers"][0]["image"] for pod in pods} == {"webapp:v2"}
    assert len(pods) == 3
    assert revisions(cluster, namespace) == ["1", "2"]
    assert "webapp:v1" in cluster.kubectl("rollout", "history", "-n", namespace, "daemonset/daemon", "--revision=1")
    cluster.kubectl("rollout", "undo", "-n", namespace, "daemonset/daemon")
    rolled_out(cluster, namespace, "daemonset/daemon")
    pods = named(cluster, namespace, "daemon")
    assert {pod["spec"]["containers"][0]["image"] for pod in pods} == {"webapp:v1"}
    assert revisions(cluster, namespace) == ["2", "3"]
    cluster.kubectl("patch", "daemonset", "daemon", "-n", namespace, "-p",
        '{"spec": {"template": {"spec": {"nodeSelector": {"kubernetes.io/hostname": "n2"}}}}}')  # fmt: skip
    cluster.eventually(lambda: [pod["spec"]["nodeName"] for pod in named(cluster, namespace, "daemon")] == ["n2"])


def test_placement_by_selector_affinity_and_spread(cluster: LocalCluster, namespace: str) -> None:
    anti = (
        "affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution:"
        " [{topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: apart}}}]}}"
    )
    together = anti.replace("podAntiAffinity", "podAffinity").replace("apart", "together")
    spread = (
        "topologySpreadConstraints: [{maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable:"
        " DoNotSchedule, labelSelector: {matchLabels: {app: spread}}}]"
    )
    chosen = (
        "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms:"
        " [{matchExpressions: [{key: kubernetes.io/hostname, operator: NotIn, values: [n1, n3]}]}]}}}"
    )
    sets = {
        "apart": (4, anti),
        "together": (3, together),
        "spread": (6, spread),
        "chosen": (2, chosen),
        "selected": (2, "nodeSelector: {kubernetes.io/hostname: n3}"),
    }
    manifests = [SET % {"name": name, "replicas": replicas, "spec": spec} for name, (replicas, spec) in sets.items()]
    cluster.apply(namespace, "---".join(manifests))
    for name in ("together", "spread", "chosen", "selected"):
        rolled_out(cluster, namespace, f"deployment/{name}")

    def counts(name: str) -> list[int]:
        nodes = Counter(pod["spec"].get("nodeName") for pod in named(cluster, namespace, name))
        nodes.pop(None, None)
        return sorted(nodes.values())

    assert counts("together") == [3]
    assert counts("spread") == [2, 2, 2]
    cluster.eventually(lambda: counts("apart") == [1, 1, 1])
    (left,) = [pod for pod in named(cluster, namespace, "apart") if "nodeName" not in pod["spec"]]
    (condition,) = cluster.eventually(
        lambda: cluster.get("pod", left["metadata"]["name"], "-n", namespace)["status"]["conditions"]
    )
    assert condition["reason"] == "Unschedulable"
    assert "0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules" in condition["message"]
    assert {pod["spec"]["nodeName"] for pod in named(cluster, namespace, "chosen")} == {"n2"}
    assert {pod["spec"]["nodeName"] for pod in named(cluster, namespace, "selected")} == {"n3"}


def test_a_pod_of_higher_priority_takes_the_place_of_a_lower_one(cluster: LocalCluster, namespace: str) -> None:
    cpu = cluster.get("node", "n3")["status"]["allocatable"]["cpu"]
    most = f"{int(cpu) * 1000 - 600}m"
    high = f"high-{namespace}"
    where = "nodeSelector: {kubernetes.io/hostname: n3}"
    cluster.kubectl("create", "priorityclass", high, "--value=1000")
    try:
        cluster.apply(namespace, POD % ("low", where, most), ready="low")
        cluster.apply(namespace, POD % ("middle", where, most))
        cluster.eventually(
            lambda: "Insufficient cpu" in cluster.kubectl("events", "-n", namespace, "--for", "pod/middle")
        )
        cluster.apply(namespace, POD % ("high", f"{where}, priorityClassName: {high}", most), ready="high")
        assert cluster.get("pod", "high", "-n", namespace)["spec"]["priority"] == 1000
        assert "low" not in {pod["metadata"]["name"] for pod in cluster.get("pods", "-n", namespace)}
        assert "OutOf" not in cluster.kubectl("get", "pods,events", "-n", namespace)
        assert "Preempted" in cluster.kubectl("get", "events", "-n", namespace)
    finally:
        cluster.kubectl("delete", "priorityclass", high)


def test_no_execute_taints_evict_after_what_is_tolerated(cluster: LocalCluster, namespace: str) -> None:
    where = "nodeSelector: {kubernetes.io/hostname: n3}"
    toleration = "tolerations: [{key: test, operator: Exists, effect: NoExecute%s}]"
    pods = [
        POD % ("plain", where, "1m"),
        POD % ("patient", f"{where}, {toleration % ', tolerationSeconds: 2'}", "1m"),
        POD % ("immune", f"{where}, {toleration % ''}", "1m"),
    ]
    cluster.apply(namespace, "\n---\n".join(pods))
    for name in ("plain", "patient", "immune"):
        cluster.kubectl("wait", "-n", namespace, "--for=condition=Ready", f"pod/{name}", "--timeout=30s")
    try:
        cluster.kubectl("taint", "node", "n3", "test=x:NoExecute")
        started = time.monotonic()
        cluster.kubectl("wait", "-n", namespace, "--for=delete", "pod/plain", "--timeout=30s")
        cluster.kubectl("wait", "-n", namespace, "--for=delete", "pod/patient", "--timeout=30s")
        assert time.monotonic() - started > 1.5
        assert cluster.kubectl("get", "pods", "-n", namespace, "-o", "name").split() == ["pod/immune"]
    finally:
        cluster.kubectl("taint", "node", "n3", "test-")


def test_an_eviction_is_a_graceful_deletion(cluster: LocalCluster, namespace: str) -> None:
    cluster.apply(namespace, POD % ("victim", "priority: 0", "1m"), ready="victim")
    body = json.dumps(
        {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "victim", "namespace": namespace}}
    )
    cluster.kubectl("create", "--raw", f"/api/v1/namespaces/{namespace}/pods/victim/eviction", "-f", "-", stdin=body)
    cluster.kubectl("wait", "-n", namespace, "--for=delete", "pod/victim", "--timeout=30s")


def test_deletion_takes_as_long_as_its_grace_and_no_longer(cluster: LocalCluster, namespace: str) -> None:
    deaf = "[sh, -c, \"trap '' TERM; while true; do sleep 0.1; done\"]"
    for name in ("patient", "hasty", "killed"):
        pod = (POD % (name, "priority: 0", "1m")).replace("[sleep, '10000']", deaf)
        cluster.apply(namespace, pod.replace("PeriodSeconds: 0", "PeriodSeconds: 3"), ready=name)

    def seconds(name: str, *words: str) -> float:
        started = time.monotonic()
        cluster.kubectl("delete", "pod", "-n", namespace, name, *words)
        return time.monotonic() - started

    assert 2.5 < seconds("patient") < 8
    assert seconds("hasty", "--grace-period=1") < 3.0
    assert seconds("killed", "--grace-period=0", "--force") < 2.5


def test_services_by_node_port_affinity_and_headless_name(cluster: LocalCluster, namespace: str) -> None:
    cluster.apply(namespace, SET % {"name": "web", "replicas": 3, "spec": ""})
    services = [
        "{apiVersion: v1, kind: Service, metadata: {name: np}, spec: {type: NodePort, selector: {app: web},"
        " ports: [{port: 80, targetPort: http}]}}",
        "{apiVersion: v1, kind: Service, metadata: {name: sticky}, spec: {sessionAffinity: ClientIP,"
        " selector: {app: web}, ports: [{port: 80, targetPort: http}]}}",
        "{apiVersion: v1, kind: Service, metadata: {name: headless}, spec: {clusterIP: None, selector: {app: web},"
        " ports: [{name: http, port: 80, targetPort: http}]}}",
        "{apiVersion: v1, kind: Service, metadata: {name: many}, spec: {selector: {app: web},"
        " ports: [{name: a, port: 80, targetPort: 8080}, {name: b, port: 8080}]}}",
    ]
    cluster.apply(namespace, "\n---\n".join([*services, POD % ("client", "nodeName: n1", "1m")]), ready="client")
    rolled_out(cluster, namespace, "deployment/web")
    pods = {pod["metadata"]["name"]: pod["status"]["podIP"] for pod in named(cluster, namespace, "web")}

    def inside(script: str) -> str:
        return cluster.inside(namespace, "client", script)

    def answering(urls: str) -> set[str]:
        told = inside(
            f"for i in $(seq 24); do for u in {urls}; do timeout 3 wget -q -O - http://$u/ || echo pod=none; done; done"
        )
        return {line.split("pod=")[1] for line in told.splitlines()}

    port = cluster.get("service", "np", "-n", namespace)["spec"]["ports"][0]["nodePort"]
    everywhere = " ".join(f"172.30.0.{last}:{port}" for last in (11, 12, 13))
    cluster.eventually(lambda: answering(everywhere) == set(pods))
    assert answering("many many:8080") == set(pods)
    assert len(answering("sticky")) == 1
    addresses = inside(f"nslookup headless.{namespace}.svc.cluster.local 10.96.0.10 | grep Address | tail -n +2")
    assert {line.split(":")[1].strip() for line in addresses.splitlines()} == set(pods.values())
    slices = cluster.get("endpointslices", "-n", namespace, "-l", "kubernetes.io/service-name=headless")
    assert {address for one in slices for end in one["endpoints"] for address in end["addresses"]} == set(pods.values())
    cluster.kubectl("scale", "-n", namespace, "deployment/web", "--replicas=0")
    cluster.eventually(lambda: inside("timeout 2 wget -q -O - http://np/ 2>&1; echo $?").strip().endswith("1"))
