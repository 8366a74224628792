# ruff: noqa: E501 - the messages stand as they are sent
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.kind import Since
from apiserver.kinds.pod import POD
from apiserver.kinds.pod_cells import COLUMNS
from apiserver.kinds.pod_defaults import default_pod, default_spec, pull_policy, qos_class
from sampan.api.core_v1 import Pod
from sampan.api.meta_v1 import DeleteOptions
from sampan.api.rules import check

WEB: dict[str, Any] = {"name": "web", "image": "web:1"}


def pod(*containers: dict[str, Any], status: dict[str, Any] | None = None, **spec: Any) -> Pod:
    made = {
        "metadata": {"name": "p"},
        "spec": {"containers": list(containers) or [WEB], **spec},
        "status": status or {},
    }
    parsed = Pod.from_json(made)
    default_pod(parsed.spec)
    return parsed


def told(one: Pod) -> list[str]:
    return [str(error) for error in [*check(one), *POD.strategy.validate(one)]]


def web(**more: Any) -> dict[str, Any]:
    return WEB | more


def container(index: int = 0) -> str:
    return f"spec.containers[{index}]"


@pytest.mark.parametrize(
    ("one", "complaints"),
    [
        (pod(), []),
        (pod(WEB, WEB), ['spec.containers[1].name: Duplicate value: "web"']),
        (pod(WEB, initContainers=[WEB]), ['spec.initContainers[0].name: Duplicate value: "web"']),
        (pod(web(volumeMounts=[{"name": "data", "mountPath": "/data"}])),
         ['spec.containers[0].volumeMounts[0].name: Not found: "data"']),
        (pod(web(volumeMounts=[{"name": "d", "mountPath": "/d"}] * 2), volumes=[{"name": "d"}]),
         ['spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/d": must be unique']),
        (pod(volumes=[{"name": "d", "emptyDir": {}, "hostPath": {"path": "/x"}}]),
         ["spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type"]),
        (pod(volumes=[{"name": "d"}, {"name": "d"}]), ['spec.volumes[1].name: Duplicate value: "d"']),
        (pod(volumes=[{"name": "d", "configMap": {}}]), ["spec.volumes[0].configMap.name: Required value"]),
        (pod(volumes=[{"name": "d", "secret": {"secretName": "s", "items": [{"key": "k", "path": "../x"}]}}]),
         ["spec.volumes[0].secret.items[0].path: Invalid value: \"../x\": must not contain '..'"]),
        (pod(web(livenessProbe={})), ["spec.containers[0].livenessProbe: Required value: must specify a handler type"]),
        (pod(web(readinessProbe={"tcpSocket": {"port": 1}, "httpGet": {"port": 1}})),
         ["spec.containers[0].readinessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type"]),
        (pod(web(livenessProbe={"exec": {"command": ["true"]}, "successThreshold": 2})),
         ["spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1"]),
        (pod(web(resources={"limits": {"cpu": "1"}, "requests": {"cpu": "2"}})),
         ['spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1']),
        (pod(web(resources={"requests": {"example.com/gpu": "1"}})),
         ["spec.containers[0].resources.limits: Required value: Limit must be set for non overcommitable resources"]),
        (pod(web(env=[{"name": "A", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}])),
         ['spec.containers[0].env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty']),
        (pod(web(ports=[{"containerPort": 80, "name": "a"}, {"containerPort": 81, "name": "a"}])),
         ['spec.containers[0].ports[1].name: Duplicate value: "a"']),
        (pod(web(ports=[{"containerPort": 1, "hostPort": 8}]), web(name="b", ports=[{"containerPort": 2, "hostPort": 8}])),
         ['spec.containers[1].ports[0].hostPort: Duplicate value: "TCP//8"']),
        (pod(web(ports=[{"containerPort": 80, "hostPort": 81}]), hostNetwork=True),
         ["spec.containers[0].ports[0].hostPort: Invalid value: 81: must match `containerPort` when `hostNetwork` is true"]),
        (pod(WEB, initContainers=[{"name": "i", "image": "i", "readinessProbe": {"tcpSocket": {"port": 1}}}]),
         ["spec.initContainers[0].readinessProbe: Forbidden: may not be set for init containers without restartPolicy=Always"]),
        (pod(WEB, initContainers=[{"name": "i", "image": "i", "restartPolicy": "Always",
                                   "readinessProbe": {"tcpSocket": {"port": 1}}}]), []),
        (pod(web(restartPolicy="Always")), ["spec.containers[0].restartPolicy: Forbidden: may not be set for non-init containers"]),
        (pod(dnsPolicy="None"), ["spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"]),
        (pod(tolerations=[{"operator": "Equal"}]),
         ['spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when `key` is empty, '
          'which means "match all values and all keys"']),
        (pod(tolerations=[{"key": "a", "tolerationSeconds": 1, "effect": "NoSchedule"}]),
         ['spec.tolerations[0].effect: Invalid value: "NoSchedule": effect must be \'NoExecute\' when '
          "`tolerationSeconds` is set"]),
        (pod(web(securityContext={"privileged": True, "allowPrivilegeEscalation": False})),
         ['spec.containers[0].securityContext: Invalid value: {"allowPrivilegeEscalation":false,"privileged":true}: '
          "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"]),
        (pod(shareProcessNamespace=True, hostPID=True),
         ["spec.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled"]),
        (pod(web(image=" web")),
         ['spec.containers[0].image: Invalid value: " web": must not have leading or trailing whitespace']),
    ],
)  # fmt: skip
def test_contradictions_are_told_in_upstreams_words(one: Pod, complaints: list[str]) -> None:
    assert told(one) == complaints


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("web", "Always"),
        ("web:latest", "Always"),
        ("web:1", "IfNotPresent"),
        ("registry:5000/web", "Always"),
        ("registry:5000/web:1", "IfNotPresent"),
        ("web@sha256:abc", "IfNotPresent"),
        ("web:latest@sha256:abc", "IfNotPresent"),
    ],
)
def test_the_pull_policy_follows_the_tag(image: str, policy: str) -> None:
    assert pull_policy(image) == policy


def test_a_pod_gets_what_a_template_does_not() -> None:
    limits = web(resources={"limits": {"cpu": "0.5", "memory": "1024Mi"}})
    one = pod(limits)
    resources = one.spec.containers[0].resources
    assert resources is not None
    assert resources.requests == {"cpu": "500m", "memory": "1Gi"}
    assert one.spec.enable_service_links is True
    template = Pod.from_json({"spec": {"containers": [limits]}}).spec
    default_spec(template)
    assert template.containers[0].resources is not None
    assert template.containers[0].resources.requests == {}
    assert template.enable_service_links is None


def test_defaulting_twice_changes_nothing() -> None:
    one = pod(web(resources={"limits": {"cpu": "100.5m"}}), volumes=[{"name": "v"}], hostNetwork=True)
    before = one.to_json()
    default_pod(one.spec)
    assert one.to_json() == before


@pytest.mark.parametrize(
    ("resources", "quality"),
    [
        ([{}], "BestEffort"),
        ([{"limits": {"cpu": "1", "memory": "1Gi"}}], "Guaranteed"),
        ([{"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}], "Burstable"),
        ([{"limits": {"cpu": "1"}}], "Burstable"),
        ([{"limits": {"cpu": "1", "memory": "1Gi"}}, {}], "Burstable"),
        ([{"requests": {"example.com/x": "1"}, "limits": {"example.com/x": "1"}}], "BestEffort"),
    ],
)
def test_the_quality_of_service_follows_the_resources(resources: list[Any], quality: str) -> None:
    assert qos_class(pod(*[web(name=f"c{n}", resources=one) for n, one in enumerate(resources)]).spec) == quality


# Updates


def changes(old: Pod, **spec: Any) -> list[str]:
    value = old.to_json()
    value["spec"] |= spec
    new = Pod.from_json(value)
    default_pod(new.spec)
    return [str(error) for error in POD.strategy.validate_update(new, old)]


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"containers": [web(image="web:2")]},
        {"activeDeadlineSeconds": 10},
        {"tolerations": [{"key": "a", "operator": "Exists"}]},
    ],
)
def test_some_fields_of_a_pod_may_change(spec: dict[str, Any]) -> None:
    assert changes(pod(web(imagePullPolicy="IfNotPresent")), **spec) == []


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ({"nodeName": "n2"}, "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
         "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
         "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n"
         "  spec.nodeName: 'n1' -> 'n2'"),
        ({"containers": [WEB, web(name="b")]}, "spec.containers: Forbidden: pod updates may not add or remove containers"),
        ({"tolerations": []}, "spec.tolerations: Forbidden: existing toleration can not be modified except its "
         "tolerationSeconds"),
        ({"activeDeadlineSeconds": 6}, "spec.activeDeadlineSeconds: Invalid value: 6: must be less than or equal to "
         "previous value"),
    ],
)  # fmt: skip
def test_other_fields_of_a_pod_may_not_change(spec: dict[str, Any], complaint: str) -> None:
    old = pod(nodeName="n1", tolerations=[{"key": "a", "operator": "Exists"}], activeDeadlineSeconds=5)
    assert changes(old, **spec) == [complaint]


def test_a_container_that_has_ended_for_good_stays_ended() -> None:
    ended = {"containerStatuses": [{"name": "web", "state": {"terminated": {"exitCode": 0}}}]}
    old = pod(restartPolicy="OnFailure", status=ended)
    new = pod(restartPolicy="OnFailure", status={"containerStatuses": [{"name": "web", "state": {"running": {}}}]})
    (error,) = POD.strategy.validate_status(new, old)
    assert str(error) == (
        "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"
    )


@pytest.mark.parametrize(
    ("spec", "status", "asked", "seconds"),
    [
        ({"nodeName": "n"}, {"phase": "Running"}, None, 30),
        ({"nodeName": "n"}, {"phase": "Running"}, 5, 5),
        ({"nodeName": "n"}, {"phase": "Running"}, 0, 0),
        ({}, {"phase": "Pending"}, None, 0),
        ({"nodeName": "n"}, {"phase": "Succeeded"}, None, 0),
    ],
)
def test_a_pod_ends_in_its_time(spec: Any, status: Any, asked: int | None, seconds: int) -> None:
    assert POD.strategy.grace(pod(status=status, **spec), DeleteOptions(grace_period_seconds=asked)) == seconds


# Columns


def cells(value: dict[str, Any]) -> dict[str, Any]:
    value.setdefault("metadata", {}).setdefault("name", "p")
    return {column.name: column.value(value) for column in COLUMNS}


RUNNING = {"name": "a", "ready": True, "state": {"running": {}}}
INITS = [{"name": "i"}, {"name": "j"}]


@pytest.mark.parametrize(
    ("value", "ready", "status"),
    [
        ({"status": {"phase": "Pending"}}, "0/1", "Pending"),
        ({"status": {"phase": "Running", "containerStatuses": [RUNNING]}}, "1/1", "Running"),
        ({"status": {"phase": "Failed", "reason": "Evicted"}}, "0/1", "Evicted"),
        ({"status": {"phase": "Running", "containerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}},
         "0/1", "CrashLoopBackOff"),
        ({"status": {"phase": "Succeeded", "containerStatuses": [{"state": {"terminated": {"reason": "Completed"}}}]}},
         "0/1", "Completed"),
        ({"status": {"phase": "Failed", "containerStatuses": [{"state": {"terminated": {"exitCode": 3}}}]}},
         "0/1", "ExitCode:3"),
        ({"status": {"phase": "Failed", "containerStatuses": [{"state": {"terminated": {"signal": 9, "exitCode": 137}}}]}},
         "0/1", "Signal:9"),
        ({"spec": {"containers": [{}, {}]}, "status": {"phase": "Running", "containerStatuses": [
            RUNNING, {"state": {"terminated": {"reason": "Completed"}}}]}}, "1/2", "NotReady"),
        ({"metadata": {"deletionTimestamp": "x"}, "status": {"phase": "Running"}}, "0/1", "Terminating"),
        ({"metadata": {"deletionTimestamp": "x"}, "status": {"phase": "Running", "reason": "NodeLost"}}, "0/1", "Unknown"),
        ({"status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "reason": "SchedulingGated"}]}},
         "0/1", "SchedulingGated"),
        ({"spec": {"containers": [{}], "initContainers": INITS}, "status": {"phase": "Pending", "initContainerStatuses": [
            {"name": "i", "state": {"terminated": {"exitCode": 0}}}, {"name": "j", "state": {"running": {}}}]}},
         "0/1", "Init:1/2"),
        ({"spec": {"containers": [{}], "initContainers": INITS}, "status": {"phase": "Pending", "initContainerStatuses": [
            {"name": "i", "state": {"terminated": {"exitCode": 2, "reason": "Error"}}}]}}, "0/1", "Init:Error"),
        ({"spec": {"containers": [{}], "initContainers": INITS}, "status": {"phase": "Pending", "initContainerStatuses": [
            {"name": "i", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}}, "0/1", "Init:CrashLoopBackOff"),
        ({"spec": {"containers": [{}], "initContainers": [{"name": "s", "restartPolicy": "Always"}]},
          "status": {"phase": "Running", "containerStatuses": [RUNNING], "initContainerStatuses": [
              {"name": "s", "started": True, "ready": True, "state": {"running": {}}}]}}, "2/2", "Running"),
    ],
)  # fmt: skip
def test_the_state_of_a_pod_is_shown_as_kubectl_shows_it(value: dict[str, Any], ready: str, status: str) -> None:
    value.setdefault("spec", {"containers": [{"name": "a"}]})
    found = cells(value)
    assert (found["Ready"], found["Status"]) == (ready, status)


def test_restarts_are_shown_with_the_time_of_the_last() -> None:
    last = {"terminated": {"finishedAt": "2026-01-01T00:00:00Z"}}
    status = {"containerStatuses": [RUNNING | {"restartCount": 2, "lastState": last}]}
    assert cells({"status": status})["Restarts"] == Since("2026-01-01T00:00:00Z", "2 ({} ago)")
    assert cells({"status": {"containerStatuses": [RUNNING | {"restartCount": 0}]}})["Restarts"] == "0"


states = st.one_of(
    st.just({}),
    st.just({"running": {}}),
    st.builds(lambda reason: {"waiting": {"reason": reason}}, st.sampled_from(["", "PodInitializing", "X"])),
    st.builds(lambda code: {"terminated": {"exitCode": code}}, st.integers(0, 2)),
)
reports = st.lists(
    st.builds(lambda state, ready, started: {"name": "i", "state": state, "ready": ready, "started": started},
              states, st.booleans(), st.booleans()),
    max_size=3,
)  # fmt: skip


@given(reports, reports, st.sampled_from(["Pending", "Running", "Succeeded", "Failed", ""]))
def test_any_status_can_be_shown(inits: list[Any], mains: list[Any], phase: str) -> None:
    found = cells({"spec": {"containers": [{}] * 3, "initContainers": [{"name": "i"}] * len(inits)},
                   "status": {"phase": phase, "initContainerStatuses": inits, "containerStatuses": mains}})  # fmt: skip
    ready, total = found["Ready"].split("/")
    assert 0 <= int(ready) <= int(total)
    assert isinstance(found["Status"], str)


def env(**source: Any) -> Pod:
    return pod(web(env=[{"name": "A", "valueFrom": source}]))


ENV = "spec.containers[0].env[0].valueFrom"


@pytest.mark.parametrize(
    ("one", "complaints"),
    [
        (env(fieldRef={"fieldPath": "metadata.labels['app']"}), []),
        (env(fieldRef={"fieldPath": "status.podIP"}), []),
        (env(fieldRef={"fieldPath": "spec.nope"}),
         [f'{ENV}.fieldRef.fieldPath: Invalid value: "spec.nope": error converting fieldPath: field label not '
          "supported: spec.nope"]),
        (env(fieldRef={"fieldPath": "status.phase"}),
         [f'{ENV}.fieldRef.fieldPath: Unsupported value: "status.phase": supported values: "metadata.name", '
          '"metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", '
          '"status.hostIPs", "status.podIP", "status.podIPs"']),
        (env(resourceFieldRef={"resource": "limits.cpu", "divisor": "1k"}),
         [f'{ENV}.resourceFieldRef.divisor: Invalid value: "limits.cpu": only divisor\'s values 1m and 1 are supported '
          "with the cpu resource"]),
        (env(), [f'{ENV}: Invalid value: "": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, '
                 "`secretKeyRef` or `fileKeyRef`"]),
        (pod(hostUsers=False, hostNetwork=True), ["spec.hostNetwork: Forbidden: when `pod.Spec.HostUsers` is false"]),
        (pod(schedulingGates=[{"name": "a/b"}, {"name": "a/b"}]), ['spec.schedulingGates[1]: Duplicate value: "a/b"']),
        (pod(affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}}}),
         ["spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required value: "
          "must have at least one node selector term"]),
        (pod(web(livenessProbe={"httpGet": {"port": 1, "httpHeaders": [{"name": "a b", "value": ""}]}})),
         ['spec.containers[0].livenessProbe.httpGet.httpHeaders: Invalid value: "a b": a valid HTTP header must consist of '
          "alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')"]),
    ],
)  # fmt: skip
def test_more_contradictions_are_told_in_upstreams_words(one: Pod, complaints: list[str]) -> None:
    assert told(one) == complaints
