from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampan.api.apps_v1 import DaemonSet, Deployment
from sampan.api.base import Object
from sampan.api.batch_v1 import Job
from sampan.api.core_v1 import ContainerStatus, Pod, Secret, Service
from sampan.api.defaults import fill
from sampan.api.rules import check

GOOD: dict[str, Any] = {"name": "web", "image": "web:1"}


def pod(container: dict[str, Any] | None = None, **spec: Any) -> Pod:
    return Pod.from_json({"spec": {"containers": [GOOD | (container or {})], **spec}})


def told(obj: Object) -> list[str]:
    return [str(error) for error in check(obj)]


def test_a_small_pod_breaks_no_rule() -> None:
    assert told(pod()) == []


@pytest.mark.parametrize(
    ("obj", "complaints"),
    [
        (Pod(), ["spec.containers: Required value"]),
        (pod({"image": ""}), ["spec.containers[0].image: Required value"]),
        (
            pod({"ports": [{"containerPort": 80}, {"containerPort": 0}, {"containerPort": 70000}]}),
            [
                "spec.containers[0].ports[1].containerPort: Required value",
                "spec.containers[0].ports[2].containerPort: Invalid value: 70000: "
                "must be between 1 and 65535, inclusive",
            ],
        ),
        (
            pod(restartPolicy="Maybe"),
            ['spec.restartPolicy: Unsupported value: "Maybe": supported values: "Always", "OnFailure", "Never"'],
        ),
        (
            pod({"resources": {"limits": {"cpu": "-1", "memory": "much"}}}),
            [
                'spec.containers[0].resources.limits[cpu]: Invalid value: "-1": must be greater than or equal to 0',
                'spec.containers[0].resources.limits[memory]: Invalid value: "much": quantities must match the regular '
                "expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
            ],
        ),
        (
            pod(
                topologySpreadConstraints=[{"maxSkew": 0, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}]
            ),
            ["spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero"],
        ),
        (
            Deployment.from_json(
                {
                    "spec": {
                        "replicas": -1,
                        "selector": {"matchExpressions": [{"key": "a", "operator": "In"}]},
                        "template": {"spec": {"containers": [GOOD]}},
                    }
                }
            ),
            [
                "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
                "spec.selector.matchExpressions[0].values: Required value: "
                "must be specified when `operator` is 'In' or 'NotIn'",
            ],
        ),
        (
            Service.from_json({"spec": {"ports": [{"port": 80, "targetPort": "UPPER"}], "type": "Best"}}),
            [
                'spec.ports[0].targetPort: Invalid value: "UPPER": must contain only alpha-numeric characters '
                "(a-z, 0-9), and hyphens (-)",
                'spec.ports[0].targetPort: Invalid value: "UPPER": must contain at least one letter (a-z)',
                'spec.type: Unsupported value: "Best": supported values: "ClusterIP", "ExternalName", "LoadBalancer", '
                '"NodePort"',
            ],
        ),
    ],
)
def test_all_broken_rules_are_told_with_their_paths(obj: Object, complaints: list[str]) -> None:
    assert told(obj) == complaints


def test_what_a_status_says_is_not_checked() -> None:
    one = pod()
    one.status.container_statuses = [ContainerStatus()]
    assert told(one) == []


def test_template_labels_are_checked_where_they_stand() -> None:
    job = Job.from_json({"spec": {"template": {"metadata": {"labels": {"a": "-"}}, "spec": {"containers": [GOOD]}}}})
    assert [error.path for error in check(job)] == ["spec.template.metadata.labels"]


def test_defaults_are_upstreams() -> None:
    spec = pod({"ports": [{"containerPort": 80}], "livenessProbe": {"httpGet": {"port": 80}}}).to_json()["spec"]
    assert spec == {
        "containers": [
            {
                "name": "web",
                "image": "web:1",
                "ports": [{"containerPort": 80, "protocol": "TCP"}],
                "livenessProbe": {
                    "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
                    "timeoutSeconds": 1,
                    "periodSeconds": 10,
                    "successThreshold": 1,
                    "failureThreshold": 3,
                },
                "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
            }
        ],
        "restartPolicy": "Always",
        "dnsPolicy": "ClusterFirst",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
    }
    assert Secret().type == "Opaque"
    assert DaemonSet().spec.to_json()["updateStrategy"] == {"type": "RollingUpdate"}


def test_empty_values_get_the_default_as_absent_ones_do() -> None:
    one = pod(
        {
            "livenessProbe": {"tcpSocket": {"port": 1}, "periodSeconds": 0},
            "ports": [{"containerPort": 1, "protocol": ""}],
        },
        restartPolicy="",
        terminationGracePeriodSeconds=0,
    )
    fill(one)
    probe = one.spec.containers[0].liveness_probe
    assert probe is not None
    assert probe.period_seconds == 10
    assert one.spec.containers[0].ports[0].protocol == "TCP"
    assert one.spec.restart_policy == "Always"
    assert one.spec.termination_grace_period_seconds == 0


@given(st.integers(-(2**31), 2**31 - 1))
def test_a_port_is_accepted_exactly_in_its_range(port: int) -> None:
    complaints = told(pod({"ports": [{"containerPort": port}]}))
    assert (complaints == []) is (1 <= port <= 65535)
