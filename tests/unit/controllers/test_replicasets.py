"""Replica sets: how many, which one goes first, and what the status says of trouble."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.conditions import find
from controllers.pods import is_active, least_useful_first
from controllers.replicaset import REPLICA_SET
from sampan.api.apps_v1 import ReplicaSet
from sampan.api.core_v1 import Pod
from sampan.errors import ApiError
from sampan.kinds import PODS, REPLICA_SETS
from sampan.objects import Key
from simulation import START, Cluster, Runner

KEY = Key("ns", "rs")


def replica_set(replicas: int, **spec: Any) -> ReplicaSet:
    template = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "main", "image": "x"}]}}
    wanted = {"replicas": replicas, "selector": {"matchLabels": {"app": "a"}}, "template": template}
    meta = {"namespace": "ns", "name": "rs", "uid": "rs", "generation": 1}
    return ReplicaSet.from_json({"metadata": meta, "spec": {**wanted, **spec}})


def pod(name: str, node: str = "n1", phase: str = "Running", ready: bool = True, age: int = 60, **more: Any) -> Pod:
    created = (START - timedelta(seconds=age)).strftime("%Y-%m-%dT%H:%M:%SZ")
    meta = {"name": name, "uid": name, "creationTimestamp": created, "annotations": more.pop("annotations", {})}
    conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": created}] if ready else []
    status = {"phase": phase, "conditions": conditions, **more}
    return Pod.from_json({"metadata": meta, "spec": {"nodeName": node} if node else {}, "status": status})


def order(*pods: Pod) -> list[str]:
    return [str(one.metadata.name) for one in least_useful_first(pods, pods, START)]


def restarted(count: int) -> list[dict[str, Any]]:
    return [{"name": "main", "image": "x", "imageID": "x", "ready": True, "restartCount": count}]


def test_the_least_useful_goes_first() -> None:
    cheap = {"controller.kubernetes.io/pod-deletion-cost": "-5"}
    dear = {"controller.kubernetes.io/pod-deletion-cost": "5"}
    assert order(pod("bound"), pod("waiting", node="", phase="Pending", ready=False)) == ["waiting", "bound"]
    assert order(pod("runs", ready=False), pod("pending", phase="Pending", ready=False)) == ["pending", "runs"]
    assert order(pod("ready"), pod("unready", ready=False)) == ["unready", "ready"]
    assert order(pod("dear", annotations=dear), pod("cheap", annotations=cheap)) == ["cheap", "dear"]
    assert order(pod("alone", node="n1"), pod("one", node="n2"), pod("two", node="n2"))[-1] == "alone"
    assert order(pod("old", age=4000), pod("new", age=10)) == ["new", "old"]
    assert order(pod("calm", containerStatuses=restarted(0)), pod("troubled", containerStatuses=restarted(3))) == [
        "troubled",
        "calm",
    ]


@settings(max_examples=60, deadline=None)
@given(
    history=st.lists(
        st.tuples(st.sampled_from(["turn", "scale", "ready", "fail", "end"]), st.integers(0, 9), st.booleans()),
        max_size=40,
    )
)
def test_there_are_as_many_as_wished_and_never_more_for_our_doing(history: list[tuple[str, int, bool]]) -> None:
    cluster = Cluster()
    cluster.put(REPLICA_SETS, replica_set(3))
    controller = Runner(cluster, REPLICA_SET)
    most = 3
    for kind, number, patient in history:
        alive = [p for p in cluster.all(PODS) if is_active(p)]
        if kind == "turn":
            controller.turn(KEY, patient=patient)
        elif kind == "scale":
            rs = cluster.all(REPLICA_SETS)[0]
            spec = rs.spec.model_copy(update={"replicas": number})
            cluster.put(REPLICA_SETS, rs.model_copy(update={"spec": spec}))
            most = max(most, number)
        elif kind == "ready" and alive:
            cluster.pod_ready(alive[number % len(alive)])
        elif kind == "fail" and alive:
            cluster.pod_finished(alive[number % len(alive)], 1)
        elif kind == "end":
            for going in [p for p in cluster.all(PODS) if p.metadata.deletion_timestamp is not None]:
                cluster.pod_ended(going)
        assert sum(is_active(p) for p in cluster.all(PODS)) <= most
    for _ in range(5):
        controller.turn(KEY)
    (rs,) = cluster.all(REPLICA_SETS)
    assert sum(is_active(p) for p in cluster.all(PODS)) == rs.spec.replicas == rs.status.replicas


def test_a_refused_creation_is_told_and_forgotten_when_it_works() -> None:
    cluster = Cluster()
    cluster.put(REPLICA_SETS, replica_set(2))
    controller = Runner(cluster, REPLICA_SET)
    cluster.refuse = lambda verb, resource: (
        ApiError(403, "Forbidden", "exceeded quota") if (verb, resource) == ("create", PODS) else None
    )
    error = controller.turn(KEY)
    assert isinstance(error, ApiError)
    (rs,) = cluster.all(REPLICA_SETS)
    failure = find(rs.status.conditions, "ReplicaFailure")
    assert failure is not None
    assert (failure.status, failure.reason, failure.message) == ("True", "FailedCreate", "exceeded quota")
    assert ("Warning", "FailedCreate", "Error creating: exceeded quota") in cluster.events
    cluster.refuse = lambda verb, resource: None
    controller.turn(KEY)
    (rs,) = cluster.all(REPLICA_SETS)
    assert find(rs.status.conditions, "ReplicaFailure") is None
    assert len(cluster.all(PODS)) == 2


def test_a_pod_is_available_when_it_has_been_ready_for_long_enough() -> None:
    cluster = Cluster()
    cluster.put(REPLICA_SETS, replica_set(1, minReadySeconds=30))
    controller = Runner(cluster, REPLICA_SET)
    controller.turn(KEY)
    (made,) = cluster.all(PODS)
    cluster.pod_ready(made)
    controller.turn(KEY)
    (rs,) = cluster.all(REPLICA_SETS)
    assert (rs.status.ready_replicas, rs.status.available_replicas) == (1, None)
    assert controller.again_after == 30
    cluster.advance(30)
    controller.turn(KEY)
    assert cluster.all(REPLICA_SETS)[0].status.available_replicas == 1


def test_an_empty_selector_selects_nothing() -> None:
    cluster = Cluster()
    cluster.put(REPLICA_SETS, replica_set(1, selector={}))
    Runner(cluster, REPLICA_SET).turn(KEY)
    assert cluster.all(PODS) == []
    assert cluster.events[0][1] == "SelectingAll"
