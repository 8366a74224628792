"""Who waits, for how long, and what wakes them: in virtual time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.api.core_v1 import Pod
from sampan.clock import Clock, LoopClock
from scheduler.hints import HELPS, Cause, Happening
from scheduler.place import Waiting
from scheduler.queue import SchedulingQueue, State
from scheduler.shape import Shape, Shapes

START = datetime(2026, 1, 1, tzinfo=UTC)
FIT = frozenset({"NodeResourcesFit"})


def waiting(name: str, priority: int = 0) -> Waiting:
    return Waiting(name, "default", name, Shape(name, "default", {}, priority=priority))


@pytest.fixture
def queue() -> SchedulingQueue:
    return SchedulingQueue(LoopClock(START))


async def next_of(queue: SchedulingQueue) -> tuple[str, float]:
    """The next pod, and when it came."""
    await queue.ready()
    (pod,) = queue.take(1)
    return pod.name, round(asyncio.get_running_loop().time(), 3)


def names(pods: list[Waiting]) -> list[str]:
    return [pod.name for pod in pods]


@pytest.mark.looptime(start=0)
async def test_priority_goes_before_age(queue: SchedulingQueue) -> None:
    for name, priority in (("old", 0), ("urgent", 9), ("new", 0), ("idle", -1)):
        queue.add(waiting(name, priority))
        await asyncio.sleep(1)
    assert names(queue.take(3)) == ["urgent", "old", "new"]
    assert names(queue.take(3)) == ["idle"]
    assert queue.take(3) == []


@pytest.mark.looptime(start=0)
async def test_back_off_doubles_from_one_to_ten_seconds(queue: SchedulingQueue) -> None:
    queue.add(waiting("p"))
    times = []
    for _ in range(7):
        _, now = await next_of(queue)
        times.append(now)
        queue.failed("p", FIT)
        queue.happened(Happening(Cause.POD_GONE), {})
    waits = [round(after - before, 3) for before, after in pairwise(times)]
    assert waits == [1, 2, 4, 8, 10, 10]


@pytest.mark.looptime(start=0)
async def test_a_change_that_cannot_help_wakes_nobody(queue: SchedulingQueue) -> None:
    queue.add(waiting("p"))
    await next_of(queue)
    queue.failed("p", FIT)
    await asyncio.sleep(60)
    assert queue.happened(Happening(Cause.NODE_LABELS), {}) == 0
    assert queue.state("p") is State.UNSCHEDULABLE
    assert queue.happened(Happening(Cause.NODE_ALLOCATABLE), {}) == 1
    assert await next_of(queue) == ("p", 60)


@pytest.mark.looptime(start=0)
async def test_what_nothing_wakes_is_tried_again_after_five_minutes(queue: SchedulingQueue) -> None:
    queue.add(waiting("p"))
    await next_of(queue)
    queue.failed("p", FIT)
    assert await next_of(queue) == ("p", 300)


@pytest.mark.looptime(start=0)
async def test_an_error_backs_off_without_waiting_for_a_change(queue: SchedulingQueue) -> None:
    queue.add(waiting("p"))
    await next_of(queue)
    queue.failed("p", None)
    assert await next_of(queue) == ("p", 1)


@pytest.mark.looptime(start=0)
async def test_a_taken_pod_is_not_given_out_again(queue: SchedulingQueue) -> None:
    queue.add(waiting("p"))
    await next_of(queue)
    queue.add(waiting("p"))
    queue.happened(Happening(Cause.NODE_ADDED), {})
    assert queue.take(1) == []
    queue.done("p")
    assert len(queue) == 0
    queue.failed("p", None)
    assert queue.take(1) == []


@pytest.mark.looptime(start=0)
async def test_a_waiter_is_woken_by_a_new_pod(queue: SchedulingQueue) -> None:
    taken = asyncio.ensure_future(next_of(queue))
    await asyncio.sleep(5)
    queue.add(waiting("p"))
    assert await taken == ("p", 5)


class HandClock(Clock):
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 0.0

    def monotonic(self) -> float:
        return self.at


@given(
    st.lists(st.tuples(st.sampled_from(["add", "take", "fail", "error", "done", "wake", "wait"]), st.integers(0, 4)))
)
@settings(max_examples=200, deadline=None)
def test_no_pod_is_lost_or_given_out_twice(steps: list[tuple[str, int]]) -> None:
    clock = HandClock()
    queue = SchedulingQueue(clock)
    known: set[str] = set()
    out: set[str] = set()
    for what, number in steps:
        name = str(number)
        if what == "add":
            queue.add(waiting(name, number % 2))
            known.add(name)
        elif what == "take":
            given_out = names(queue.take(number))
            assert not out & set(given_out)
            out |= set(given_out)
        elif what in ("fail", "error") and name in out:
            queue.failed(name, FIT if what == "fail" else None)
            out.discard(name)
        elif what == "done":
            queue.done(name)
            known.discard(name)
            out.discard(name)
        elif what == "wake":
            queue.happened(Happening(Cause.POD_GONE), {})
        else:
            clock.at += number
        assert {name for name in "01234" if name in queue} == known
        assert sum(queue.counts().values()) == len(queue)
        assert queue.counts()[State.TAKEN] == len(out)
    clock.at += 1000.0
    assert set(names(queue.take(99))) == known - out


def pod_shape(labels: dict[str, str], **spec: object) -> Shape:
    meta = {"name": "p", "namespace": "default", "labels": labels}
    return SHAPES.of(Pod.from_json({"metadata": meta, "spec": {"containers": [{"name": "c"}], **spec}}))


SHAPES = Shapes()


@pytest.mark.parametrize(("name", "cause", "helps"), [
    ("TaintToleration", Cause.NODE_TAINTS, True),
    ("TaintToleration", Cause.POD_GONE, False),
    ("TaintToleration", Cause.NODE_ADDED, True),
    ("NodeResourcesFit", Cause.POD_GONE, True),
    ("NodeResourcesFit", Cause.NODE_TAINTS, False),
    ("NodeAffinity", Cause.NODE_LABELS, True),
    ("NodePorts", Cause.POD_GONE, True),
    ("InterPodAffinity", Cause.NAMESPACE, True),
    ("PodTopologySpread", Cause.NODE_REMOVED, True),
])  # fmt: skip
def test_which_changes_help_which_filter(name: str, cause: Cause, helps: bool) -> None:
    assert Happening(cause).helps(pod_shape({}), frozenset({name}), {}) is helps


def test_affinity_is_helped_only_by_pods_that_matter_to_it() -> None:
    term = {"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "db"}}}
    wants = pod_shape({}, affinity={"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}})
    refused = frozenset({"InterPodAffinity"})
    assert Happening(Cause.POD_ASSIGNED, pod_shape({"app": "db"})).helps(wants, refused, {})
    assert not Happening(Cause.POD_ASSIGNED, pod_shape({"app": "web"})).helps(wants, refused, {})
    shy = pod_shape(
        {"app": "x"}, affinity={"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    )
    assert Happening(Cause.POD_GONE, shy).helps(pod_shape({"app": "db"}), refused, {})
    assert not Happening(Cause.POD_GONE, shy).helps(pod_shape({"app": "web"}), refused, {})


def test_every_filter_says_what_helps_it() -> None:
    from scheduler.filters import FILTERS

    assert set(HELPS) == {one.name for one in FILTERS}
