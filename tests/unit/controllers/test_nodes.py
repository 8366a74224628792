"""Silent nodes, their taints and pods; ranges of addresses; pods that nobody looks after."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.conditions import find
from controllers.ipam import Ranges, node_ipam, node_ranges
from controllers.nodes import (
    NO_EXECUTE,
    UNREACHABLE,
    Disruption,
    Vigil,
    disruption,
    eviction_interval,
    node_lifecycle,
    stay,
    taint_eviction,
)
from controllers.podgc import Garbage, pod_garbage
from sampan.api.coordination_v1 import Lease
from sampan.api.core_v1 import Node, Pod, Taint
from sampan.informer import Change
from sampan.kinds import NODES, PODS
from sampan.objects import Key
from simulation import START, Cluster, Runner


def node(name: str, ready: str = "True") -> Node:
    condition = {"type": "Ready", "status": ready, "lastHeartbeatTime": "2030-01-01T00:00:00Z"}
    return Node.from_json({"metadata": {"name": name, "uid": name}, "status": {"conditions": [condition]}})


def pod(name: str, on: str, **spec: Any) -> Pod:
    return Pod.from_json(
        {
            "metadata": {"namespace": "ns", "name": name, "uid": name, "creationTimestamp": "2030-01-01T00:00:00Z"},
            "spec": {"nodeName": on, **spec},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        }
    )


def lease(name: str) -> Change[Lease]:
    return Change(None, Lease.from_json({"metadata": {"namespace": "kube-node-lease", "name": name}}))


class Watchkeeper:
    """The node lifecycle controller over nodes whose heartbeats the test sends."""

    def __init__(self, *names: str, grace: float = 40) -> None:
        self.time = 1000.0
        self.listening = float("inf")
        self.cluster = Cluster()
        self.vigil = Vigil(grace, grace, lambda: self.listening, lambda: self.time)
        self.controller = Runner(self.cluster, node_lifecycle(self.vigil))
        for name in names:
            self.cluster.put(NODES, node(name))
            self.tell(None, name)

    def tell(self, old: Node | None, name: str) -> list[Key]:
        return list(self.vigil.keys(Change(old, self.cluster.objects[NODES].get(Key("", name))), self.cluster.view()))

    def turn(self, name: str) -> float | None:
        old = self.cluster.objects[NODES][Key("", name)]
        error = self.controller.turn(Key("", name))
        assert error is None
        again = self.controller.again_after
        if self.cluster.objects[NODES][Key("", name)] is not old:
            for key in self.tell(old, name):
                self.controller.turn(key)
        return again

    def pass_time(self, seconds: float, *alive: str) -> None:
        self.time += seconds
        self.cluster.advance(seconds)
        for name in alive:
            self.vigil.heard_lease(lease(name))

    def silence(self, *names: str, others: tuple[str, ...] = ()) -> None:
        self.pass_time(41, *others)
        for name in names:
            self.turn(name)
        self.pass_time(2, *others)
        for name in names:
            self.turn(name)

    def status(self, name: str) -> str:
        ready = find(self.cluster.objects[NODES][Key("", name)].status.conditions, "Ready")
        assert ready is not None
        return str(ready.status)

    def taints(self, name: str) -> set[tuple[str, str]]:
        return {(one.key, one.effect) for one in self.cluster.objects[NODES][Key("", name)].spec.taints}


def test_a_silent_node_becomes_unknown_and_tainted_and_its_pods_unready() -> None:
    watch = Watchkeeper("n1", "n2", "n3")
    watch.cluster.put(PODS, pod("p", "n1"))
    assert watch.turn("n1") == pytest.approx(40, abs=0.2)
    watch.silence("n1", others=("n2", "n3"))
    assert watch.status("n1") == "Unknown"
    assert watch.taints("n1") == {(UNREACHABLE, "NoSchedule"), (UNREACHABLE, NO_EXECUTE)}
    (left,) = watch.cluster.all(PODS)
    assert left.status.conditions[0].status == "False"
    for type in ("MemoryPressure", "DiskPressure", "PIDPressure"):
        condition = find(watch.cluster.objects[NODES][Key("", "n1")].status.conditions, type)
        assert condition is not None
        assert condition.reason == "NodeStatusNeverUpdated"


def test_a_node_that_reports_again_loses_the_taints() -> None:
    watch = Watchkeeper("n1", "n2")
    watch.silence("n1", others=("n2",))
    old = watch.cluster.objects[NODES][Key("", "n1")]
    beat = {"metadata": {"name": "n1", "uid": "n1"}, "spec": old.spec.to_json()}
    ready = {"type": "Ready", "status": "True", "lastHeartbeatTime": "2030-01-01T00:01:00Z"}
    watch.cluster.put(NODES, Node.from_json(beat | {"status": {"conditions": [ready]}}))
    watch.tell(old, "n1")
    watch.turn("n1")
    assert watch.taints("n1") == set()


def test_a_node_that_has_not_reported_yet_takes_no_new_pods_and_evicts_none() -> None:
    watch = Watchkeeper("n1", "n2")
    watch.cluster.put(NODES, Node.from_json({"metadata": {"name": "n3", "uid": "n3"}}))
    watch.tell(None, "n3")
    watch.turn("n3")
    assert watch.taints("n3") == {("node.kubernetes.io/not-ready", "NoSchedule")}


def test_a_cordoned_node_is_tainted_until_it_is_uncordoned() -> None:
    watch = Watchkeeper("n1")
    for cordoned, wanted in ((True, {("node.kubernetes.io/unschedulable", "NoSchedule")}), (False, set())):
        there = watch.cluster.objects[NODES][Key("", "n1")]
        spec = there.spec.model_copy(update={"unschedulable": cordoned or None})
        watch.cluster.put(NODES, there.model_copy(update={"spec": spec}))
        watch.turn("n1")
        assert watch.taints("n1") == wanted


def test_leases_keep_a_node_well() -> None:
    watch = Watchkeeper("n1")
    for _ in range(30):
        watch.pass_time(10, "n1")
        watch.turn("n1")
    assert watch.status("n1") == "True"


def test_when_all_nodes_fall_silent_nobody_is_evicted() -> None:
    watch = Watchkeeper("n1", "n2", "n3")
    watch.silence("n1", "n2", "n3")
    assert [watch.status(name) for name in ("n1", "n2", "n3")] == ["Unknown"] * 3
    for name in ("n1", "n2", "n3"):
        watch.turn(name)
        assert (UNREACHABLE, NO_EXECUTE) not in watch.taints(name)
        assert (UNREACHABLE, "NoSchedule") in watch.taints(name)


def test_silence_while_we_could_not_hear_accuses_nobody() -> None:
    watch = Watchkeeper("n1", "n2")
    watch.listening = 5.0
    watch.pass_time(3600)
    watch.turn("n1")
    watch.pass_time(2)
    watch.turn("n1")
    assert watch.status("n1") == "True"


def test_a_jump_of_the_calendar_accuses_nobody() -> None:
    watch = Watchkeeper("n1", "n2")
    watch.cluster.advance(3600)
    watch.turn("n1")
    assert watch.status("n1") == "True"


def test_after_a_pause_a_second_look_lets_the_waiting_heartbeats_in() -> None:
    watch = Watchkeeper("n1", "n2")
    watch.pass_time(3600)
    again = watch.turn("n1")
    assert watch.status("n1") == "True"
    assert again is not None
    watch.pass_time(again, "n1", "n2")
    watch.turn("n1")
    assert watch.status("n1") == "True"


def test_after_an_hour_frozen_every_node_has_its_grace_anew() -> None:
    watch = Watchkeeper("n1", "n2", grace=4)
    watch.vigil.attend()
    watch.pass_time(3600)
    watch.turn("n1")
    watch.pass_time(3)
    watch.turn("n1")
    assert watch.status("n1") == "True", "its first heartbeat may take a while"
    for _ in range(12):
        watch.pass_time(0.5)
        watch.vigil.attend()
        watch.turn("n1")
    assert watch.status("n1") == "Unknown", "we were there all that time, and heard nothing"


@given(gaps=st.lists(st.floats(0.1, 10_000), max_size=20), grace=st.floats(1, 100))
def test_no_gap_of_our_own_accuses_a_node_that_beats_whenever_we_are_there(gaps: list[float], grace: float) -> None:
    watch = Watchkeeper("n1", "n2", grace=grace)
    watch.vigil.attend()
    for gap in gaps:
        for _ in range(4):
            watch.pass_time(watch.vigil.attention_seconds)
            watch.vigil.attend()
        watch.vigil.heard_lease(lease("n1"))
        watch.pass_time(gap)
        watch.turn("n1")
        watch.pass_time(min(2.0, grace / 4))
        watch.turn("n1")
        assert watch.status("n1") == "True" or gap <= 2 * watch.vigil.attention_seconds


def test_nodes_lose_their_pods_one_after_the_other() -> None:
    names = [f"n{number}" for number in range(10)]
    watch = Watchkeeper(*names)
    watch.silence("n0", "n1", "n2", others=tuple(names[3:]))
    for name in ("n0", "n1", "n2"):
        watch.turn(name)
    evicting = [name for name in ("n0", "n1", "n2") if (UNREACHABLE, NO_EXECUTE) in watch.taints(name)]
    assert len(evicting) == 1
    watch.pass_time(10.1, *names[3:])
    for name in ("n0", "n1", "n2"):
        watch.turn(name)
    assert sum((UNREACHABLE, NO_EXECUTE) in watch.taints(name) for name in ("n0", "n1", "n2")) == 2


@given(nodes=st.integers(0, 200), unwell=st.integers(0, 200))
def test_a_disrupted_cluster_evicts_slowly_or_not_at_all(nodes: int, unwell: int) -> None:
    unwell = min(nodes, unwell)
    state = disruption(nodes, unwell)
    interval = eviction_interval(state, nodes)
    if nodes and unwell == nodes:
        assert interval is None
    elif unwell < 3 or unwell < 0.55 * nodes:
        assert (state, interval) == (Disruption.NONE, 10)
    else:
        assert interval == (100 if nodes > 50 else None)


TAINT = Taint(key=UNREACHABLE, effect=NO_EXECUTE, time_added=START)
TOLERATED = {"key": UNREACHABLE, "operator": "Exists", "effect": "NoExecute"}


@pytest.mark.parametrize(
    ("tolerations", "default", "wanted"),
    [
        ([], None, 0),
        ([TOLERATED], None, None),
        ([{**TOLERATED, "tolerationSeconds": 300}], None, 300),
        ([{**TOLERATED, "tolerationSeconds": 300}], 5, 5),
        ([{**TOLERATED, "tolerationSeconds": 20}], 5, 20),
        ([{**TOLERATED, "tolerationSeconds": -1}], None, 0),
        ([{**TOLERATED, "tolerationSeconds": 30}, {"operator": "Exists", "tolerationSeconds": 10}], None, 10),
    ],
)
def test_how_long_a_pod_stays(tolerations: list[dict[str, Any]], default: int | None, wanted: float | None) -> None:
    assert stay(pod("p", "n1", tolerations=tolerations), [TAINT], default) == wanted


@pytest.mark.parametrize("taint", [TAINT, TAINT.model_copy(update={"time_added": None})], ids=["timed", "untimed"])
def test_pods_leave_a_tainted_node_when_their_time_is_up(taint: Taint) -> None:
    cluster = Cluster()
    tainted = node("n1", "Unknown")
    cluster.put(NODES, tainted.model_copy(update={"spec": tainted.spec.model_copy(update={"taints": [taint]})}))
    cluster.put(PODS, pod("leaves", "n1"))
    cluster.put(PODS, pod("waits", "n1", tolerations=[{**TOLERATED, "tolerationSeconds": 60}]))
    cluster.put(PODS, pod("stays", "n1", tolerations=[TOLERATED]))
    controller = Runner(cluster, taint_eviction(None))

    def going() -> set[str]:
        return {str(p.metadata.name) for p in cluster.all(PODS) if p.metadata.deletion_timestamp is not None}

    controller.turn(Key("", "n1"))
    assert going() == {"leaves"}
    assert controller.again_after == 60
    cluster.now = START + timedelta(seconds=60)
    controller.turn(Key("", "n1"))
    assert going() == {"leaves", "waits"}
    (gone,) = [p for p in cluster.all(PODS) if p.metadata.name == "waits"]
    reason = find(gone.status.conditions, "DisruptionTarget")
    assert reason is not None
    assert reason.reason == "DeletionByTaintManager"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 7)), max_size=40))
def test_ranges_never_overlap_and_the_lowest_free_one_is_given(history: list[tuple[bool, int]]) -> None:
    cluster = Cluster()
    controller = Runner(cluster, node_ipam(Ranges("10.244.0.0/21", 24)))
    for arrives, number in history:
        key = Key("", f"n{number}")
        if arrives and key not in cluster.objects.get(NODES, {}):
            cluster.put(NODES, node(key.name))
        elif not arrives:
            cluster.objects.get(NODES, {}).pop(key, None)
        controller.turn(key)
        subnets = list(node_ranges(cluster.all(NODES)))
        assert len(subnets) == len(set(subnets)) == len(cluster.all(NODES))
    assert all(str(one).startswith("10.244.") and one.prefixlen == 24 for one in node_ranges(cluster.all(NODES)))


def test_a_full_range_is_told() -> None:
    cluster = Cluster()
    controller = Runner(cluster, node_ipam(Ranges("10.244.0.0/24", 24)))
    for name in ("a", "b"):
        cluster.put(NODES, node(name))
        controller.turn(Key("", name))
    assert [event[1] for event in cluster.events] == ["CIDRNotAvailable"]
    with pytest.raises(ValueError, match="no subnets"):
        Ranges("10.244.0.0/24", 16)


def test_pods_of_a_missing_node_fail_and_go_after_a_while() -> None:
    cluster = Cluster()
    cluster.put(PODS, pod("p", "lost"))
    controller = Runner(cluster, pod_garbage(Garbage(quarantine=40)))
    controller.turn(Key("", "lost"))
    assert controller.again_after == 40
    assert len(cluster.all(PODS)) == 1
    cluster.advance(40)
    controller.turn(Key("", "lost"))
    assert cluster.all(PODS) == []
