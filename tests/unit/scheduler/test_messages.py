"""What a pod that fits nowhere is told, word for word as upstream words it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from sampan.api.core_v1 import Node, Pod
from scheduler import filters
from scheduler.columns import Columns
from scheduler.config import Config, ConfigError
from scheduler.explain import Explanations
from scheduler.place import Failure, Placement, Verdict, Waiting, failure_message, place
from scheduler.preempt import preempt
from scheduler.shape import Shapes

JSON = dict[str, Any]
SHAPES = Shapes()
TAINT = {"key": "k", "value": "v", "effect": "NoSchedule"}
ZONE = "topology.kubernetes.io/zone"


def node(name: str, *, labels: JSON | None = None, cpu: str = "2", pods: str = "110", **spec: Any) -> Node:
    return Node.from_json(
        {
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name} | (labels or {})},
            "spec": spec,
            "status": {"allocatable": {"cpu": cpu, "memory": "4Gi", "pods": pods}},
        }
    )


def pod(name: str = "p", *, cpu: str = "0", labels: JSON | None = None, **spec: Any) -> Pod:
    container = {"name": "c", "resources": {"requests": {"cpu": cpu}}} | spec.pop("container", {})
    meta = {"name": name, "namespace": "default", "uid": name, "labels": labels or {}}
    return Pod.from_json({"metadata": meta, "spec": {"containers": [container], **spec}})


def told(nodes: list[Node], wanted: Pod, placed: list[tuple[Pod, str]] = []) -> str:  # noqa: B006 (never changed)
    columns = Columns.of(nodes)
    for other, where in placed:
        columns.place(other.metadata.uid or "", "default", other.metadata.name or "", SHAPES.of(other), where)
    (outcome,) = place(columns, SHAPES.of(wanted), [waiting(wanted)], np.random.default_rng(0))
    assert isinstance(outcome, Failure)
    found = preempt(columns, outcome.pod, outcome.filtered, np.random.default_rng(0))
    return failure_message(outcome, found.message)


def waiting(wanted: Pod) -> Waiting:
    return Waiting(wanted.metadata.uid or "", "default", wanted.metadata.name or "", SHAPES.of(wanted))


def affinity(kind: str, app: str) -> JSON:
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": app}}}
    return {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


WEB = {"app": "web"}
SPREAD = {
    "maxSkew": 1,
    "topologyKey": ZONE,
    "whenUnsatisfiable": "DoNotSchedule",
    "labelSelector": {"matchLabels": WEB},
}
PINNED = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["a"]}]}]
        }
    }
}
TABLE: list[tuple[str, list[Node], Pod, list[tuple[Pod, str]], str]] = [
    (
        "taint and cpu",
        [node("a", taints=[TAINT]), node("b"), node("c")],
        pod(cpu="2"),
        [(pod("x", cpu="1"), "b"), (pod("y", cpu="1"), "c")],
        "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu. "
        "preemption: 0/3 nodes are available: 1 Preemption is not helpful for scheduling, "
        "2 No preemption victims found for incoming pod.",
    ),
    (
        "more than any node has",
        [node("a"), node("b")],
        pod(cpu="5"),
        [],
        "0/2 nodes are available: 2 Insufficient cpu. "
        "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.",
    ),
    (
        "a resource that nobody has, and two reasons on one node",
        [node("a", cpu="1")],
        pod(cpu="2", container={"resources": {"requests": {"cpu": "2", "example.com/gpu": "1"}}}),
        [],
        "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient example.com/gpu. "
        "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.",
    ),
    (
        "cordoned, and the wrong labels",
        [node("a", unschedulable=True), node("b")],
        pod(nodeSelector={"disk": "ssd"}),
        [],
        "0/2 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 1 node(s) were unschedulable. "
        "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.",
    ),
    (
        "pinned to one node, as daemon pods are",
        [node("a", cpu="1"), node("b")],
        pod(cpu="2", affinity=PINNED),
        [],
        "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't satisfy plugin(s) [NodeAffinity]. "
        "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.",
    ),
    (
        "no place left",
        [node("a", pods="1")],
        pod(),
        [(pod("x"), "a")],
        "0/1 nodes are available: 1 Too many pods. "
        "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.",
    ),
    (
        "host ports",
        [node("a")],
        pod(container={"ports": [{"containerPort": 80, "hostPort": 80}]}),
        [(pod("x", container={"ports": [{"containerPort": 8080, "hostPort": 80}]}), "a")],
        "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports. "
        "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.",
    ),
    (
        "affinity to nobody",
        [node("a")],
        pod(affinity=affinity("podAffinity", "db")),
        [],
        "0/1 nodes are available: 1 node(s) didn't match pod affinity rules. "
        "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.",
    ),
    (
        "anti-affinity, its own and another's",
        [node("a"), node("b")],
        pod(labels=WEB, affinity=affinity("podAntiAffinity", "db")),
        [(pod("x", labels={"app": "db"}), "a"), (pod("y", affinity=affinity("podAntiAffinity", "web")), "b")],
        "0/2 nodes are available: 1 node(s) didn't match pod anti-affinity rules, "
        "1 node(s) didn't satisfy existing pods anti-affinity rules. "
        "preemption: 0/2 nodes are available: 2 No preemption victims found for incoming pod.",
    ),
    (
        "spread",
        [node("a", labels={ZONE: "1"}), node("b", labels={ZONE: "2"}, cpu="1"), node("c")],
        pod(cpu="2", labels=WEB, topologySpreadConstraints=[SPREAD]),
        [(pod("x", labels=WEB), "a")],
        "0/3 nodes are available: 1 Insufficient cpu, 1 node(s) didn't match pod topology spread constraints, "
        "1 node(s) didn't match pod topology spread constraints (missing required label). "
        "preemption: 0/3 nodes are available: 1 No preemption victims found for incoming pod, "
        "2 Preemption is not helpful for scheduling.",
    ),
    (
        "too few lesser pods",
        [node("a")],
        pod(cpu="2", priority=10),
        [(pod("x", cpu="1", priority=5), "a"), (pod("y", cpu="1", priority=50), "a")],
        "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 Insufficient cpu.",
    ),
    (
        "a peaceful pod",
        [node("a")],
        pod(cpu="2", priority=10, preemptionPolicy="Never"),
        [(pod("x", cpu="1"), "a")],
        "0/1 nodes are available: 1 Insufficient cpu. preemption: not eligible due to preemptionPolicy=Never.",
    ),
]


@pytest.mark.parametrize("case", TABLE, ids=[one[0] for one in TABLE])
def test_failed_scheduling_is_worded_as_upstream_does(
    case: tuple[str, list[Node], Pod, list[tuple[Pod, str]], str],
) -> None:
    _, nodes, wanted, placed, expected = case
    assert told(nodes, wanted, placed) == expected


def test_without_nodes_the_message_is_another() -> None:
    columns = Columns()
    wanted = waiting(pod())
    (outcome,) = place(columns, wanted.shape, [wanted], np.random.default_rng(0))
    assert isinstance(outcome, Failure)
    assert failure_message(outcome) == "no nodes available to schedule pods"


def test_the_node_with_the_least_important_victims_is_chosen() -> None:
    columns = Columns.of([node("a"), node("b"), node("c")])
    for name, where, priority in (("x", "a", 5), ("y", "b", 3), ("z", "b", 3), ("w", "c", 3)):
        other = pod(name, cpu="2" if where != "b" else "1", priority=priority)
        columns.place(name, "default", name, SHAPES.of(other), where)
    wanted = waiting(pod(cpu="2", priority=10))
    found = preempt(columns, wanted, filters.run(columns, wanted.shape), np.random.default_rng(0))
    assert found.eviction is not None
    assert (found.eviction.node, [one.name for one in found.eviction.victims]) == ("c", ["w"])


def test_on_a_node_the_least_important_pod_goes() -> None:
    columns = Columns.of([node("a")])
    for name, priority, start in (("x", 3, 1), ("y", 2, 1), ("z", 2, 5)):
        other = pod(name, cpu="500m", priority=priority)
        started = datetime(2026, 1, start, tzinfo=UTC)
        columns.place(name, "default", name, SHAPES.of(other), "a", started=started)
    wanted = waiting(pod(cpu="1", priority=10))
    found = preempt(columns, wanted, filters.run(columns, wanted.shape), np.random.default_rng(0))
    assert found.eviction is not None
    assert [one.name for one in found.eviction.victims] == ["z"]


def test_room_that_is_being_made_is_not_given_to_a_lesser_pod() -> None:
    columns = Columns.of([node("a")])
    urgent, lesser, equal = (
        waiting(pod(name, cpu="2", priority=rank)) for name, rank in (("u", 9), ("l", 0), ("e", 9))
    )
    columns.nominated["u"] = (urgent.shape, "a")
    for other in (lesser, equal):
        (outcome,) = place(columns, other.shape, [other], np.random.default_rng(0))
        assert isinstance(outcome, Failure)
    (outcome,) = place(columns, urgent.shape, [urgent], np.random.default_rng(0))
    assert isinstance(outcome, Placement)
    assert not columns.nominated


def test_explanations_are_bounded_and_the_latest_counts() -> None:
    kept = Explanations(most_pods=3, most_verdicts=2)
    columns = Columns.of([node("a")])
    for index in range(5):
        wanted = waiting(pod(f"p{index}"))
        (outcome,) = place(columns, wanted.shape, [wanted], np.random.default_rng(0))
        kept.keep(outcome)
    assert [index for index in range(5) if kept.of("default", f"p{index}")] == [3, 4]
    wanted = waiting(pod("p4", cpu="9"))
    (outcome,) = place(columns, wanted.shape, [wanted], np.random.default_rng(0))
    kept.keep(outcome, "why")
    found = kept.of("default", "p4")
    assert found is not None
    assert (found["placed"], found["message"]) == (None, "why")
    assert found["nodes"] == [
        {"node": "a", "feasible": False, "filter": "NodeResourcesFit", "reasons": ["Insufficient cpu"]}
    ]
    assert isinstance(outcome.verdict, Verdict)


@pytest.mark.parametrize(("value", "complaint"), [
    ([], "must be a JSON object"),
    ({}, "kubeconfig must name a file"),
    ({"kubeconfig": "k", "sead": 1}, "unknown key 'sead'"),
    ({"kubeconfig": "k", "seed": True}, "seed must be int | None, not True"),
    ({"kubeconfig": "k", "metrics": "here"}, "metrics must be host:port"),
])  # fmt: skip
def test_a_configuration_that_makes_no_sense_is_refused(value: Any, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Config.of(value, "s.json")
    assert complaint in str(caught.value)
