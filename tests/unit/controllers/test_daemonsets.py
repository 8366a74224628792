"""Daemon sets: where a pod belongs, and random rolling updates that stay within their budget."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import simulation
from controllers import daemonset
from controllers.daemonset import DAEMON_SET, budget, node_of, suits
from controllers.pods import is_active, is_available, is_terminating
from sampan.api.apps_v1 import DaemonSet
from sampan.api.core_v1 import Node, PodSpec
from sampan.kinds import CONTROLLER_REVISIONS, DAEMON_SETS, NODES, PODS
from sampan.objects import Key
from simulation import Cluster, Runner

KEY = Key("ns", "agent")


def node(name: str, *taints: tuple[str, str], **labels: str) -> Node:
    spec = {"taints": [{"key": key, "effect": effect} for key, effect in taints]}
    return Node.from_json({"metadata": {"name": name, "uid": name, "labels": labels}, "spec": spec})


def daemon_set(**spec: Any) -> DaemonSet:
    template = {
        "metadata": {"labels": {"app": "agent"}},
        "spec": {"containers": [{"name": "main", "image": "v1"}]},
    }
    wanted = {"selector": {"matchLabels": {"app": "agent"}}, "template": template}
    return DaemonSet.from_json({"metadata": {"namespace": "ns", "name": "agent"}, "spec": {**wanted, **spec}})


class Fleet:
    """A daemon set on some nodes, with its controller, a scheduler and agents."""

    def __init__(self, nodes: int, wanted: DaemonSet) -> None:
        self.cluster = Cluster()
        for number in range(nodes):
            self.cluster.put(NODES, node(f"n{number}"))
        self.controller = Runner(self.cluster, DAEMON_SET)
        simulation._finish(self.cluster.create(DAEMON_SETS, wanted))

    @property
    def set(self) -> DaemonSet:
        return self.cluster.objects[DAEMON_SETS][KEY]  # type: ignore[no-any-return]

    def image(self, image: str) -> None:
        patch = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": image}]}}}}
        simulation._finish(self.cluster.patch(DAEMON_SETS, "agent", patch, namespace="ns"))

    def step(self, choice: int, patient: bool) -> None:
        kind, which = choice % 3, choice // 3
        if kind == 0:
            self.controller.turn(KEY, patient=patient)
        elif kind == 1:
            waiting = [p for p in self.cluster.all(PODS) if is_active(p) and not p.status.conditions]
            if waiting:
                pod = waiting[which % len(waiting)]
                self.cluster.pod_ready(self.cluster.pod_bound(pod, node_of(pod)))
        else:
            going = [p for p in self.cluster.all(PODS) if is_terminating(p)]
            if going:
                self.cluster.pod_ended(going[which % len(going)])
        self.cluster.advance(1)

    def settle(self) -> None:
        for _ in range(200):
            before = self.cluster.version
            for choice in (0, 1, 1, 2, 2):
                self.step(choice, patient=True)
            if self.cluster.version == before:
                return
        raise AssertionError("it never comes to rest")

    def served(self) -> int:
        minimum = self.set.spec.min_ready_seconds or 0
        now = self.cluster.now
        alive = (p for p in self.cluster.all(PODS) if is_active(p) and is_available(p, minimum, now))
        return len({node_of(p) for p in alive})

    def doubled(self) -> int:
        counts: dict[str, int] = {}
        for pod in self.cluster.all(PODS):
            if is_active(pod):
                counts[node_of(pod)] = counts.get(node_of(pod), 0) + 1
        assert max(counts.values(), default=0) <= 2
        return sum(count > 1 for count in counts.values())


@settings(max_examples=60, deadline=None)
@given(
    nodes=st.integers(1, 6),
    surge=st.sampled_from([0, 0, 1, 2, "50%"]),
    unavailable=st.sampled_from([0, 1, 2, "30%"]),
    images=st.lists(st.sampled_from(["v1", "v2", "v3"]), min_size=1, max_size=3),
    history=st.lists(st.tuples(st.integers(0, 29), st.booleans()), max_size=50),
)
def test_an_update_stays_within_its_budget_and_reaches_every_node(
    nodes: int, surge: int | str, unavailable: int | str, images: list[str], history: list[tuple[int, bool]]
) -> None:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
    fleet = Fleet(nodes, daemon_set(updateStrategy=rolling))
    fleet.settle()
    most_doubled, most_unavailable = budget(fleet.set, nodes)
    for image in images:
        fleet.image(image)
        for choice, patient in history:
            fleet.step(choice, patient)
            # With surge a node never loses its pod before the new one is available.
            assert fleet.served() >= nodes - (0 if most_doubled else most_unavailable)
            assert fleet.doubled() <= most_doubled
    fleet.settle()
    status = fleet.set.status
    assert (status.desired_number_scheduled, status.updated_number_scheduled, status.number_available) == (nodes,) * 3
    assert {pod.spec.containers[0].image for pod in fleet.cluster.all(PODS)} == {images[-1]}
    assert sorted(node_of(pod) for pod in fleet.cluster.all(PODS)) == [f"n{number}" for number in range(nodes)]


def test_a_pod_is_pinned_and_keeps_its_own_affinity() -> None:
    required = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "disk", "operator": "Exists"}]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    spec = PodSpec.from_json({"containers": [{"name": "main"}], "affinity": affinity})
    pinned = daemonset.pinned(spec, "n1").to_json()
    assert pinned["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] == {
        "nodeSelectorTerms": [
            {
                "matchExpressions": [{"key": "disk", "operator": "Exists"}],
                "matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}],
            }
        ]
    }
    keys = {(one["key"], one["effect"]) for one in pinned["tolerations"]}
    assert ("node.kubernetes.io/unreachable", "NoExecute") in keys
    assert ("node.kubernetes.io/unschedulable", "NoSchedule") in keys


@pytest.mark.parametrize(
    ("spec", "one", "wanted"),
    [
        ({}, node("a"), (True, True)),
        ({}, node("a", ("gpu", "NoSchedule")), (False, True)),
        ({}, node("a", ("gpu", "NoExecute")), (False, False)),
        ({"tolerations": [{"operator": "Exists"}]}, node("a", ("gpu", "NoExecute")), (True, True)),
        ({}, node("a", ("node.kubernetes.io/unreachable", "NoExecute")), (True, True)),
        ({"nodeSelector": {"disk": "ssd"}}, node("a"), (False, False)),
        ({"nodeSelector": {"disk": "ssd"}}, node("a", disk="ssd"), (True, True)),
        ({"nodeName": "b"}, node("a"), (False, False)),
    ],
)
def test_which_nodes_suit(spec: dict[str, Any], one: Node, wanted: tuple[bool, bool]) -> None:
    assert suits(PodSpec.from_json(spec), one) == wanted


def test_a_new_node_gets_a_pod_and_an_unsuited_one_loses_it() -> None:
    fleet = Fleet(1, daemon_set())
    fleet.settle()
    fleet.cluster.put(NODES, node("n1"))
    fleet.settle()
    assert fleet.set.status.number_available == 2
    fleet.cluster.put(NODES, node("n0", ("gpu", "NoExecute")))
    fleet.settle()
    assert [node_of(pod) for pod in fleet.cluster.all(PODS)] == ["n1"]
    assert fleet.set.status.desired_number_scheduled == 1


@settings(max_examples=40, deadline=None)
@given(history=st.lists(st.sampled_from(["v1", "v2", "v3", "v4"]), min_size=1, max_size=8), limit=st.integers(0, 2))
def test_the_present_template_is_always_the_newest_revision(history: list[str], limit: int) -> None:
    fleet = Fleet(0, daemon_set(revisionHistoryLimit=limit))
    for image in history:
        fleet.image(image)
        for _ in range(2):
            fleet.controller.turn(KEY, patient=True)
        revisions = sorted(fleet.cluster.all(CONTROLLER_REVISIONS), key=lambda one: one.revision or 0)
        template = revisions[-1].data["spec"]["template"]
        assert template["spec"]["containers"][0]["image"] == image
        assert template["$patch"] == "replace"
        assert len({one.revision for one in revisions}) == len(revisions) <= limit + 1
        assert revisions[-1].metadata.owner_references[0].name == "agent"
