"""The built-in kinds over HTTP and etcd, asked by the real kubectl."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from .conftest import Cluster

WEB = {"name": "web", "image": "web:1"}
LABELS = {"app": "web"}


def meta(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "namespace": "default", **more}


def pod(name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta(name), "spec": {"containers": [WEB], **spec}}


def service(name: str, **spec: Any) -> dict[str, Any]:
    given = {"ports": [{"port": 80}], "selector": LABELS, **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta(name), "spec": given}


def deployment(name: str, **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": LABELS}, "spec": {"containers": [WEB]}}
    given = {"selector": {"matchLabels": LABELS}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta(name), "spec": given}


def table(cluster: Cluster, *arguments: str) -> list[list[str]]:
    return [re.split(r"\s{2,}", line.strip()) for line in cluster.kubectl("get", *arguments).splitlines()]


def test_a_deployment_is_shown_scaled_and_changed(cluster: Cluster) -> None:
    assert cluster.apply(deployment("shop", replicas=2)) == "deployment.apps/shop created\n"
    assert cluster.apply(deployment("shop", replicas=2)) == "deployment.apps/shop unchanged\n"
    head, row = table(cluster, "deployment", "shop", "-o", "wide")
    assert head == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE", "CONTAINERS", "IMAGES", "SELECTOR"]
    assert row[:4] + row[5:] == ["shop", "0/2", "0", "0", "web", "web:1", "app=web"]
    assert cluster.kubectl("scale", "deployment/shop", "--replicas=3") == "deployment.apps/shop scaled\n"
    cluster.kubectl("set", "image", "deployment/shop", "web=web:2")
    found = cluster.get("deployment", "shop")
    assert found["metadata"]["generation"] == 3
    assert found["spec"]["replicas"] == 3
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == "web:2"
    assert found["spec"]["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
    }


def test_all_broken_rules_are_answered_at_once(cluster: Cluster) -> None:
    bad = deployment("bad", replicas=-1)
    bad["spec"]["template"]["spec"] = {"containers": [{"name": "web"}], "restartPolicy": "Never"}
    code, answer = cluster.ask("POST", "/apis/apps/v1/namespaces/default/deployments", bad)
    assert (code, answer["reason"]) == (422, "Invalid")
    assert {cause["field"] for cause in answer["details"]["causes"]} == {
        "spec.replicas",
        "spec.template.spec.containers[0].image",
        "spec.template.spec.restartPolicy",
    }
    assert answer["message"].startswith('Deployment.apps "bad" is invalid: [spec.replicas: Invalid value: -1: must be')


def test_a_pod_begins_with_account_token_tolerations_and_priority(cluster: Cluster) -> None:
    cluster.apply(pod("first"))
    found = cluster.get("pod", "first")
    spec = found["spec"]
    assert found["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
    assert spec["serviceAccountName"] == "default"
    assert spec["containers"][0]["imagePullPolicy"] == "IfNotPresent"
    assert spec["containers"][0]["volumeMounts"][0]["mountPath"] == "/var/run/secrets/kubernetes.io/serviceaccount"
    assert [one["tolerationSeconds"] for one in spec["tolerations"]] == [300, 300]
    assert spec["priority"] == 0
    head, row = table(cluster, "pod", "first", "-o", "wide")
    assert head == ["NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE", "NOMINATED NODE", "READINESS GATES"]
    assert row[:4] + row[5:] == ["first", "0/1", "Pending", "0", "<none>", "<none>", "<none>", "<none>"]
    assert cluster.apply(pod("first")) == "pod/first unchanged\n"
    cluster.kubectl("set", "image", "pod/first", "web=web:2")
    complaint = cluster.kubectl("patch", "pod", "first", "-p", '{"spec":{"hostNetwork":true}}', fails=True)
    assert "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`" in complaint


def bind(cluster: Cluster, name: str, node: str) -> Any:
    body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": {"kind": "Node", "name": node}}
    return cluster.ask("POST", f"/api/v1/namespaces/default/pods/{name}/binding", body)


def test_a_pod_is_bound_once_and_then_ends_gracefully(cluster: Cluster) -> None:
    cluster.apply(pod("bound"))
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda node: bind(cluster, "bound", f"n{node}"), range(4)))
    assert sorted(code for code, _ in answers) == [201, 409, 409, 409]
    refusal = next(answer for code, answer in answers if code == 409)
    assert re.match(
        r'Operation cannot be fulfilled on pods/binding "bound": pod bound is already assigned to node "n\d"',
        refusal["message"],
    )
    found = cluster.get("pod", "bound")
    assert [(one["type"], one["status"]) for one in found["status"]["conditions"]] == [("PodScheduled", "True")]
    code, answer = cluster.ask("DELETE", "/api/v1/namespaces/default/pods/bound")
    assert (code, answer["metadata"]["deletionGracePeriodSeconds"]) == (200, 30)
    assert table(cluster, "pod", "bound")[1][2] == "Terminating"
    code, _ = cluster.ask("DELETE", "/api/v1/namespaces/default/pods/bound?gracePeriodSeconds=0")
    assert code == 200
    assert cluster.ask("GET", "/api/v1/namespaces/default/pods/bound")[0] == 404


def test_an_evicted_pod_that_no_node_has_is_gone(cluster: Cluster) -> None:
    cluster.apply(pod("evicted"))
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "evicted"}}
    code, _ = cluster.ask(
        "POST", "/api/v1/namespaces/default/pods/evicted/eviction", body | {"metadata": {"name": "other"}}
    )
    assert code == 400
    code, answer = cluster.ask("POST", "/api/v1/namespaces/default/pods/evicted/eviction", body)
    assert (code, answer["status"]) == (201, "Success")
    assert cluster.ask("GET", "/api/v1/namespaces/default/pods/evicted")[0] == 404


def test_ephemeral_containers_are_added_and_never_changed(cluster: Cluster) -> None:
    cluster.apply(pod("watched"))
    path = "/api/v1/namespaces/default/pods/watched/ephemeralcontainers"
    media = "application/strategic-merge-patch+json"
    added = {"spec": {"ephemeralContainers": [{"name": "debug", "image": "busybox", "targetContainerName": "web"}]}}
    code, answer = cluster.ask("PATCH", path, added, media=media)
    assert code == 200, answer
    (debug,) = answer["spec"]["ephemeralContainers"]
    assert debug["imagePullPolicy"] == "Always"
    changed = {"spec": {"ephemeralContainers": [{"name": "debug", "image": "other"}]}}
    code, answer = cluster.ask("PATCH", path, changed, media=media)
    assert (code, answer["details"]["causes"][0]["field"]) == (422, "spec.ephemeralContainers")
    code, answer = cluster.ask("PATCH", "/api/v1/namespaces/default/pods/watched/resize", {}, media=media)
    assert (code, answer["reason"]) == (501, "NotImplemented")


def test_services_get_addresses_and_ports_of_their_own(cluster: Cluster) -> None:
    with ThreadPoolExecutor(8) as threads:
        path = "/api/v1/namespaces/default/services"
        answers = list(threads.map(lambda n: cluster.ask("POST", path, service(f"s{n}", type="NodePort")), range(16)))
    assert {code for code, _ in answers} == {201}
    assert len({answer["spec"]["clusterIP"] for _, answer in answers}) == 16
    ports = {answer["spec"]["ports"][0]["nodePort"] for _, answer in answers}
    assert len(ports) == 16
    assert all(30000 <= port < 32768 for port in ports)
    code, dry = cluster.ask("POST", f"{path}?dryRun=All", service("dry", type="NodePort"))
    assert (code, "clusterIP" in dry["spec"]) == (201, False)
    taken = answers[0][1]["spec"]["clusterIP"]
    code, refusal = cluster.ask("POST", path, service("thief", clusterIP=taken))
    assert (code, refusal["details"]["causes"][0]["field"]) == (422, "spec.clusterIPs")
    cluster.kubectl("delete", "service", "s0")
    code, again = cluster.ask("POST", path, service("heir", clusterIP=taken))
    assert (code, again["spec"]["clusterIPs"]) == (201, [taken])


def test_a_service_keeps_its_address_and_its_type_decides_on_ports(cluster: Cluster) -> None:
    cluster.apply(service("front"))
    before = cluster.get("service", "front")["spec"]
    assert cluster.apply(service("front", type="NodePort")) == "service/front configured\n"
    after = cluster.get("service", "front")["spec"]
    assert after["clusterIP"] == before["clusterIP"]
    assert after["ports"][0]["nodePort"]
    head, row = table(cluster, "service", "front")
    assert head == ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"]
    assert row[:5] == ["front", "NodePort", after["clusterIP"], "<none>", f"80:{after['ports'][0]['nodePort']}/TCP"]
    complaint = cluster.kubectl("patch", "service", "front", "-p", '{"spec":{"clusterIP":"10.96.0.77"}}', fails=True)
    assert 'spec.clusterIPs[0]: Invalid value: ["10.96.0.77"]: may not change once set' in complaint
    cluster.apply(service("front", type="ClusterIP"))
    assert "nodePort" not in cluster.get("service", "front")["spec"]["ports"][0]


def test_a_namespace_ends_when_its_last_finalizer_is_gone(cluster: Cluster) -> None:
    cluster.kubectl("create", "namespace", "brief")
    assert table(cluster, "namespace", "brief")[1][:2] == ["brief", "Active"]
    code, answer = cluster.ask("DELETE", "/api/v1/namespaces/brief")
    assert (code, answer["status"]["phase"]) == (200, "Terminating")
    code, refusal = cluster.ask("POST", "/api/v1/namespaces/brief/configmaps", {"metadata": {"name": "late"}})
    assert (code, refusal["message"]) == (
        403,
        'configmaps "late" is forbidden: '
        "unable to create new content in namespace brief because it is being terminated",
    )
    answer["spec"]["finalizers"] = []
    code, _ = cluster.ask("PUT", "/api/v1/namespaces/brief/finalize", answer)
    assert code == 200
    assert cluster.ask("GET", "/api/v1/namespaces/brief")[0] == 404
    code, refusal = cluster.ask("POST", "/api/v1/namespaces/brief/configmaps", {"metadata": {"name": "late"}})
    assert (code, refusal["message"]) == (404, 'namespaces "brief" not found')


def test_an_event_is_one_object_in_two_versions(cluster: Cluster) -> None:
    event = {
        "metadata": {"name": "e1"}, "regarding": {"kind": "Pod", "name": "p", "namespace": "default"}, "type": "Normal",
        "note": "Hello", "reason": "Said", "action": "Saying", "reportingController": "test/x",
        "reportingInstance": "i", "eventTime": "2026-01-01T00:00:00.000000Z",
    }  # fmt: skip
    code, answer = cluster.ask("POST", "/apis/events.k8s.io/v1/namespaces/default/events", event)
    assert code == 201, answer
    code, old = cluster.ask("GET", "/api/v1/namespaces/default/events/e1")
    assert (old["message"], old["involvedObject"]["name"], old["reportingComponent"]) == ("Hello", "p", "test/x")
    rows = table(cluster, "events.v1.events.k8s.io", "--field-selector=regarding.name=p")
    assert rows[0] == ["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]
    assert rows[1][1:] == ["Normal", "Said", "pod/p", "Hello"]


def test_a_job_is_shown_and_its_template_stays(cluster: Cluster) -> None:
    template = {"spec": {"containers": [WEB], "restartPolicy": "Never"}}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta("once"), "spec": {"template": template}}
    cluster.apply(job)
    head, row = table(cluster, "job", "once")
    assert head == ["NAME", "STATUS", "COMPLETIONS", "DURATION", "AGE"]
    assert row[:3] == ["once", "Running", "0/1"]
    assert cluster.apply(job) == "job.batch/once unchanged\n"
    template["spec"]["containers"] = [{"name": "web", "image": "web:2"}]
    complaint = cluster.kubectl("replace", "-f", "-", stdin=str(job).replace("'", '"'), fails=True)
    assert "spec.template" in complaint
    assert "field is immutable" in complaint


def test_secrets_and_config_maps_close(cluster: Cluster) -> None:
    cluster.kubectl("create", "secret", "generic", "s", "--from-literal=a=b")
    assert table(cluster, "secret", "s")[1][:3] == ["s", "Opaque", "1"]
    cluster.kubectl("create", "configmap", "c", "--from-literal=a=b")
    cluster.kubectl("patch", "configmap", "c", "-p", '{"immutable":true}')
    complaint = cluster.kubectl("patch", "configmap", "c", "-p", '{"data":{"a":"c"}}', fails=True)
    assert "data: Forbidden: field is immutable when `immutable` is set" in complaint


def test_a_node_registers_itself_and_no_other(cluster: Cluster) -> None:
    node = {
        "metadata": {"name": "n1"},
        "status": {"capacity": {"cpu": "2"}, "conditions": [{"type": "Ready", "status": "True"}]},
    }
    code, answer = cluster.ask("POST", "/api/v1/nodes", node, user="system:node:n1")
    assert code == 201, answer
    assert answer["spec"]["taints"][0]["key"] == "node.kubernetes.io/not-ready"
    assert answer["status"]["capacity"] == {"cpu": "2"}
    code, answer = cluster.ask("POST", "/api/v1/nodes", {"metadata": {"name": "n2"}}, user="system:node:n1")
    assert code == 403
    head, row = table(cluster, "node", "n1", "-o", "wide")
    assert row[:3] == ["n1", "Ready", "<none>"]
    assert head[3:] == [
        "AGE", "VERSION", "INTERNAL-IP", "EXTERNAL-IP", "OS-IMAGE", "KERNEL-VERSION", "CONTAINER-RUNTIME",
    ]  # fmt: skip


@pytest.mark.parametrize("path", ["/api/v1/namespaces/default", "/api/v1/namespaces/kube-system"])
def test_the_first_namespaces_stay(cluster: Cluster, path: str) -> None:
    code, answer = cluster.ask("DELETE", path)
    assert (code, answer["reason"]) == (403, "Forbidden")
