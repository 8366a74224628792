# ruff: noqa: E501 - the messages stand as they are sent
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from apiserver.kind import AnyKind, Context, Since, User
from apiserver.kinds import ALL
from apiserver.kinds.configmap import CONFIG_MAP
from apiserver.kinds.daemonset import DAEMON_SET
from apiserver.kinds.deployment import DEPLOYMENT
from apiserver.kinds.endpoints import ENDPOINTS
from apiserver.kinds.endpointslice import ENDPOINT_SLICE
from apiserver.kinds.events import EVENT, EVENT_V1, from_stored, to_stored
from apiserver.kinds.job import JOB
from apiserver.kinds.namespace import NAMESPACE
from apiserver.kinds.node import NODE
from apiserver.kinds.priorityclass import PRIORITY_CLASS
from apiserver.kinds.replicaset import REPLICA_SET
from apiserver.kinds.secret import SECRET
from apiserver.kinds.service import SERVICE
from sampan.api.rules import check

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EMPTY: Any = SimpleNamespace(peek=lambda *_: None, peek_all=lambda *_: [])
CONTEXT: Any = Context(EMPTY, user=User("somebody"), namespace="default", now=NOW)
WEB = {"name": "web", "image": "web:1"}
LABELS = {"app": "web"}


def template(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"labels": LABELS}, "spec": {"containers": [WEB], **spec}}


def made(kind: AnyKind, value: dict[str, Any]) -> Any:
    meta = {"name": "x", "namespace": "default", "uid": "u1"} | value.get("metadata", {})
    obj = kind.resource.model.from_json({**value, "metadata": meta})
    kind.strategy.prepare_create(obj, CONTEXT)
    return obj


def told(kind: AnyKind, value: dict[str, Any]) -> list[str]:
    obj = made(kind, value)
    return [str(error) for error in [*check(obj), *kind.strategy.validate(obj)]]


def changed(kind: AnyKind, old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    before, after = made(kind, old), made(kind, old | new)
    kind.strategy.prepare_update(after, before, CONTEXT)
    return [str(error) for error in kind.strategy.validate_update(after, before)]


def lasting(**spec: Any) -> dict[str, Any]:
    return {"spec": {"selector": {"matchLabels": LABELS}, "template": template(), **spec}}


ROLLING = {"type": "RollingUpdate"}
BIG = "x" * (1024 * 1024 + 1)
MOST = "may not be more than 1048576 bytes"


@pytest.mark.parametrize(
    ("kind", "value", "complaints"),
    [
        (DEPLOYMENT, lasting(), []),
        (DEPLOYMENT, lasting(selector={}), ["spec.selector: Invalid value: {}: empty selector is invalid for deployment"]),
        (DEPLOYMENT, lasting(selector={"matchLabels": {"app": "db"}}),
         ['spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`']),
        (DEPLOYMENT, lasting(template=template(restartPolicy="Never")),
         ['spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"']),
        (DEPLOYMENT, lasting(strategy={"type": "Recreate", "rollingUpdate": {}}),
         ["spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"]),
        (DEPLOYMENT, lasting(strategy=ROLLING | {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}}),
         ['spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "0%": may not be 0 when `maxSurge` is 0']),
        (DEPLOYMENT, lasting(progressDeadlineSeconds=5, minReadySeconds=5),
         ["spec.progressDeadlineSeconds: Invalid value: 5: must be greater than minReadySeconds"]),
        (REPLICA_SET, lasting(), []),
        (DAEMON_SET, lasting(), []),
        (DAEMON_SET, lasting(updateStrategy=ROLLING | {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}}),
         ["spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero"]),
        (DAEMON_SET, lasting(updateStrategy=ROLLING | {"rollingUpdate": {"maxUnavailable": 0}}),
         ["spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0"]),
        (JOB, {"spec": {"template": template(restartPolicy="Never")}}, []),
        (JOB, {"spec": {"template": template()}},
         ['spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"']),
        (JOB, {"spec": {"template": template(restartPolicy="Never"), "completionMode": "Indexed", "parallelism": 1}},
         ["spec.completions: Required value: when completion mode is Indexed"]),
        (JOB, {"spec": {"template": template(restartPolicy="Never"), "backoffLimitPerIndex": 1}},
         ["spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode"]),
        (JOB, {"spec": {"template": template(restartPolicy="Never"), "selector": {"matchLabels": {"a": "b"}}}},
         ['spec.template.metadata.labels: Invalid value: {"batch.kubernetes.io/controller-uid":"u1","controller-uid":"u1",'
          '"batch.kubernetes.io/job-name":"x","job-name":"x","app":"web"}: `selector` does not match template `labels`',
          'spec.selector: Invalid value: {"matchLabels":{"batch.kubernetes.io/controller-uid":"u1","a":"b"}}: '
          "`selector` not auto-generated"]),
        (JOB, {"spec": {"template": template(restartPolicy="Never"), "podFailurePolicy": {"rules": [
            {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [0], "containerName": "db"}}]}}},
         ['spec.podFailurePolicy.rules[0].onExitCodes.containerName: Invalid value: "db": must be one of the container or '
          "initContainer names in the pod template",
          "spec.podFailurePolicy.rules[0].onExitCodes.values[0]: Invalid value: 0: must not be 0 for the In operator"]),
        (CONFIG_MAP, {"data": {"a/b": ""}}, ['data[a/b]: Invalid value: "a/b": a valid config key must consist of '
         "alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for "
         "validation is '[-._a-zA-Z0-9]+')"]),
        (CONFIG_MAP, {"data": {"a": ""}, "binaryData": {"a": ""}},
         ['data[a]: Invalid value: "a": duplicate of key present in binaryData']),
        (CONFIG_MAP, {"data": {"a": BIG}}, [f"[]: Too long: {MOST}"]),
        (SECRET, {"type": "kubernetes.io/tls", "data": {"tls.crt": ""}}, ["data[tls.key]: Required value"]),
        (SECRET, {"data": {"a": "!"}}, ['data[a]: Invalid value: "<value omitted>": illegal base64 data']),
        (SERVICE, {"spec": {"ports": [{"port": 80}]}}, []),
        (SERVICE, {"spec": {}}, ["spec.ports: Required value"]),
        (SERVICE, {"spec": {"clusterIP": "None"}}, []),
        (SERVICE, {"spec": {"ports": [{"port": 80}, {"port": 81, "name": "b"}]}}, ["spec.ports[0].name: Required value"]),
        (SERVICE, {"spec": {"ports": [{"port": 80, "nodePort": 30000}]}},
         ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"]),
        (SERVICE, {"spec": {"type": "NodePort", "clusterIP": "None", "ports": [{"port": 80}]}},
         ["spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services"]),
        (SERVICE, {"spec": {"type": "ExternalName"}}, ["spec.externalName: Required value"]),
        (SERVICE, {"spec": {"type": "ExternalName", "externalName": "a.b", "clusterIP": "10.96.0.5"}},
         ["spec.clusterIPs: Forbidden: may not be set for ExternalName services"]),
        (SERVICE, {"spec": {"ipFamilyPolicy": "RequireDualStack", "ports": [{"port": 80}]}},
         ['spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services']),
        (SERVICE, {"spec": {"externalTrafficPolicy": "Local", "ports": [{"port": 80}]}},
         ['spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services']),
        (NODE, {"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}] * 2}},
         ['spec.taints[1]: Duplicate value: {"effect":"NoSchedule","key":"a"}']),
        (PRIORITY_CLASS, {"value": 1_000_000_001},
         ["value: Forbidden: maximum allowed value of a user defined priority is 1000000000"]),
        (PRIORITY_CLASS, {"value": 1, "metadata": {"name": "system-mine"}},
         ["metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. "
          "error: system-mine is not a known system priority class"]),
        (ENDPOINT_SLICE, {"addressType": "IPv4", "endpoints": [{"addresses": ["2001:db8::1"]}]},
         ['endpoints[0].addresses[0]: Invalid value: "2001:db8::1": must be an IPv4 address']),
        (EVENT, {"involvedObject": {"namespace": "other"}},
         ['involvedObject.namespace: Invalid value: "other": does not match event.namespace']),
        (EVENT_V1, {"type": "Odd", "reportingController": "c", "reportingInstance": "i", "action": "a", "reason": "r"},
         ["eventTime: Required value", 'type: Invalid value: "Odd": has invalid value: Odd']),
    ],
)  # fmt: skip
def test_contradictions_are_told_in_upstreams_words(
    kind: AnyKind, value: dict[str, Any], complaints: list[str]
) -> None:
    assert told(kind, value) == complaints


@pytest.mark.parametrize(
    ("kind", "old", "new", "complaints"),
    [
        (DEPLOYMENT, lasting(), lasting(replicas=3), []),
        (DEPLOYMENT, lasting(), lasting(selector={"matchLabels": {"app": "db"}}),
         ['spec.selector: Invalid value: {"matchLabels":{"app":"db"}}: field is immutable']),
        (JOB, {"spec": {"template": template(restartPolicy="Never")}},
         {"spec": {"template": template(restartPolicy="OnFailure")}},
         ['spec.template: Invalid value: "<the new template>": field is immutable']),
        (JOB, {"spec": {"template": template(restartPolicy="Never")}},
         {"spec": {"template": template(restartPolicy="Never"), "completions": 2}},
         ["spec.completions: Invalid value: 2: field is immutable"]),
        (CONFIG_MAP, {"immutable": True, "data": {"a": "1"}}, {"data": {"a": "2"}},
         ["data: Forbidden: field is immutable when `immutable` is set"]),
        (SECRET, {"type": "a"}, {"type": "b"}, ['type: Invalid value: "b": field is immutable']),
        (SECRET, {"type": "a"}, {}, []),
        (PRIORITY_CLASS, {"value": 1}, {"value": 2}, ["value: Forbidden: may not be changed in an update."]),
        (SERVICE, {"spec": {"clusterIP": "10.96.0.9", "ports": [{"port": 1}]}}, {"spec": {"ports": [{"port": 2}]}}, []),
        (SERVICE, {"spec": {"clusterIP": "10.96.0.9", "ports": [{"port": 1}]}},
         {"spec": {"clusterIP": "10.96.0.8", "ports": [{"port": 2}]}},
         ['spec.clusterIPs[0]: Invalid value: ["10.96.0.8"]: may not change once set']),
        (NODE, {"spec": {"podCIDR": "10.0.0.0/24"}}, {"spec": {"podCIDR": "10.0.1.0/24"}},
         ['spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid']),
    ],
)  # fmt: skip
def test_some_things_never_change(
    kind: AnyKind, old: dict[str, Any], new: dict[str, Any], complaints: list[str]
) -> None:
    assert changed(kind, old, new) == complaints


def test_a_jobs_pods_carry_its_name_and_identity() -> None:
    job = made(JOB, {"spec": {"template": template(restartPolicy="Never")}})
    assert job.spec.selector.match_labels == {"batch.kubernetes.io/controller-uid": "u1"}
    assert job.spec.template.metadata.labels == LABELS | {
        "batch.kubernetes.io/controller-uid": "u1",
        "batch.kubernetes.io/job-name": "x",
        "controller-uid": "u1",
        "job-name": "x",
    }
    assert (job.spec.completions, job.spec.parallelism, job.spec.backoff_limit) == (1, 1, 6)


def test_a_service_is_defaulted_by_its_type() -> None:
    spec = made(SERVICE, {"spec": {"type": "NodePort", "ports": [{"port": 80}]}}).to_json()["spec"]
    assert spec == {
        "type": "NodePort",
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
        "sessionAffinity": "None",
        "internalTrafficPolicy": "Cluster",
        "externalTrafficPolicy": "Cluster",
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
    }
    named = made(SERVICE, {"spec": {"type": "ExternalName", "externalName": "a.b"}}).to_json()["spec"]
    assert named == {"type": "ExternalName", "externalName": "a.b", "sessionAffinity": "None"}


def test_going_from_node_port_to_cluster_ip_forgets_the_ports() -> None:
    old = {"spec": {"type": "NodePort", "clusterIP": "10.96.0.9", "ports": [{"port": 80, "nodePort": 30080}]}}
    before, after = made(SERVICE, old), SERVICE.resource.model.from_json(made(SERVICE, old).to_json())
    after.spec.type = "ClusterIP"
    SERVICE.strategy.prepare_update(after, before, CONTEXT)
    assert after.spec.ports[0].node_port is None
    assert after.spec.external_traffic_policy is None
    assert list(SERVICE.strategy.validate(after)) == []


def test_a_namespace_begins_active_and_ends_terminating() -> None:
    namespace = made(NAMESPACE, {})
    assert namespace.metadata.labels == {"kubernetes.io/metadata.name": "x"}
    assert namespace.spec.finalizers == ["kubernetes"]
    assert NAMESPACE.strategy.held(namespace)
    NAMESPACE.strategy.prepare_delete(namespace, CONTEXT)
    assert namespace.status.phase == "Terminating"


def test_secret_strings_are_written_into_data() -> None:
    secret = made(SECRET, {"data": {"a": "eA=="}, "stringData": {"a": "y", "b": "z"}})
    assert secret.to_json()["data"] == {"a": "eQ==", "b": "eg=="}
    assert "stringData" not in secret.to_json()


def test_an_event_is_the_same_in_both_versions() -> None:
    stored = {
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"}, "involvedObject": {"kind": "Pod", "name": "p"},
        "message": "m", "count": 3, "source": {"component": "c"}, "reportingComponent": "c", "type": "Normal",
    }  # fmt: skip
    new = from_stored(stored)
    assert new["note"] == "m"
    assert new["regarding"] == {"kind": "Pod", "name": "p"}
    assert to_stored(new) == stored
    old_cells = [column.value(stored) for column in EVENT.columns]
    assert [column.value(new) for column in EVENT_V1.columns] == old_cells


ROWS: list[tuple[AnyKind, dict[str, Any], dict[str, Any]]] = [
    (DEPLOYMENT, {"spec": {"replicas": 3, "selector": {"matchLabels": LABELS}, "template": template()},
                  "status": {"readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 2}},
     {"Ready": "2/3", "Up-to-date": 3, "Available": 2, "Containers": "web", "Images": "web:1", "Selector": "app=web"}),
    (JOB, {"spec": {"completions": 3}, "status": {"succeeded": 3, "startTime": "2026-01-01T00:00:00Z",
           "completionTime": "2026-01-01T00:01:05Z", "conditions": [{"type": "Complete", "status": "True"}]}},
     {"Status": "Complete", "Completions": "3/3", "Duration": "65s"}),
    (JOB, {"spec": {"parallelism": 2}, "status": {"startTime": "2026-01-01T00:00:00Z"}},
     {"Status": "Running", "Completions": "0/1 of 2", "Duration": Since("2026-01-01T00:00:00Z")}),
    (SERVICE, {"spec": {"type": "NodePort", "clusterIP": "10.96.0.9", "ports": [
        {"port": 80, "nodePort": 30080, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]}},
     {"Type": "NodePort", "Cluster-IP": "10.96.0.9", "External-IP": "<none>", "Port(s)": "80:30080/TCP,53/UDP",
      "Selector": "<none>"}),
    (SERVICE, {"spec": {"type": "LoadBalancer"}}, {"External-IP": "<pending>"}),
    (NODE, {"spec": {"unschedulable": True}, "metadata": {"labels": {"node-role.kubernetes.io/worker": ""}},
            "status": {"conditions": [{"type": "Ready", "status": "True"}], "addresses": [
                {"type": "InternalIP", "address": "172.30.0.11"}]}},
     {"Status": "Ready,SchedulingDisabled", "Roles": "worker", "Internal-IP": "172.30.0.11", "External-IP": "<none>",
      "OS-Image": "<unknown>"}),
    (NODE, {"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}, {"Status": "NotReady"}),
    (NODE, {}, {"Status": "Unknown", "Roles": "<none>"}),
    (ENDPOINTS, {"subsets": [{"addresses": [{"ip": f"10.0.0.{n}"} for n in range(5)], "ports": [{"port": 80}]}]},
     {"Endpoints": "10.0.0.0:80,10.0.0.1:80,10.0.0.2:80 + 2 more..."}),
    (ENDPOINT_SLICE, {"addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"]}], "ports": [{"port": 80}]},
     {"AddressType": "IPv4", "Ports": "80", "Endpoints": "10.0.0.1"}),
    (EVENT, {"involvedObject": {"kind": "Pod", "name": "p"}, "source": {"component": "kubelet", "host": "n1"},
             "lastTimestamp": "2026-01-01T00:00:00Z", "count": 4},
     {"Last Seen": Since("2026-01-01T00:00:00Z"), "Object": "pod/p", "Source": "kubelet, n1", "Count": 4}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "value", "wanted"), ROWS)
def test_columns_are_kubectls(kind: AnyKind, value: dict[str, Any], wanted: dict[str, Any]) -> None:
    value = {**value, "metadata": {"name": "x"} | value.get("metadata", {})}
    found = {column.name: column.value(value) for column in kind.columns}
    assert {name: found[name] for name in wanted} == wanted


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: f"{kind.resource.group_resource}/{kind.resource.version}")
def test_an_empty_object_can_be_shown_selected_and_validated(kind: AnyKind) -> None:
    value = {"metadata": {"name": "x"}}
    for column in kind.columns:
        column.value(value)
    for field in kind.strategy.selectable.values():
        assert isinstance(field(value), str)
    if kind.stored:
        told(kind, {})
