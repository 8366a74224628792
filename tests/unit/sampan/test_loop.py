"""The loop and leader election over a server in memory, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from sampan.actions import Action, Batch, Create, Patch, RequeueAfter, SetStatus
from sampan.api.apps_v1 import ReplicaSet, ReplicaSetStatus
from sampan.api.base import Object
from sampan.api.core_v1 import Pod
from sampan.api.meta_v1 import ObjectMeta
from sampan.client import Client, ListOf, Unreachable, WatchEvent
from sampan.clock import LoopClock
from sampan.errors import ApiError
from sampan.events import Correlator, EventRecorder, Said
from sampan.kinds import LEASES, PODS, REPLICA_SETS
from sampan.leader import Leadership, LeadershipLost
from sampan.loop import Controller, Loop, caches_for, claim
from sampan.objects import owned_by, reference_to
from sampan.resource import Resource
from sampan.selectors import of_map
from sampan.world import CONTROLLER, World
from simulation import Cluster as Memory

pytestmark = pytest.mark.looptime
START = datetime(2030, 1, 1, tzinfo=UTC)


class Server(Memory):
    """The simulated cluster with lists and watches, whose events take `lag` seconds."""

    lag = 0.0

    def __init__(self) -> None:
        super().__init__()
        self._watchers: list[tuple[Resource[Any], asyncio.Queue[WatchEvent[Any]]]] = []

    def put(self, resource: Resource[Any], obj: Any) -> Any:
        new = super().put(resource, obj)
        for wanted, queue in self._watchers:
            if wanted == resource:
                asyncio.get_running_loop().call_later(self.lag, queue.put_nowait, WatchEvent("MODIFIED", new))
        return new

    async def list(self, resource: Resource[Any], namespace: str = "", **_: Any) -> ListOf[Any]:
        return ListOf(self.all(resource), str(self.version))

    async def watch(self, resource: Resource[Any], namespace: str = "", **_: Any) -> AsyncIterator[WatchEvent[Any]]:
        queue: asyncio.Queue[WatchEvent[Any]] = asyncio.Queue()
        self._watchers.append((resource, queue))
        while True:
            yield await queue.get()


def replica_set(name: str = "rs", replicas: int = 3) -> ReplicaSet:
    meta = {"namespace": "ns", "name": name, "uid": name}
    return ReplicaSet.from_json(
        {"metadata": meta, "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "a"}}}}
    )


async def started(server: Server, *controllers: Controller[Any]) -> tuple[asyncio.TaskGroup, list[asyncio.Task[Any]]]:
    client = cast(Client, server)
    clock = LoopClock(START)
    caches = caches_for(controllers, client, clock)
    loop = Loop(client, caches, lambda name: EventRecorder(client, name, clock=clock), clock)
    tasks = [asyncio.ensure_future(caches.run())]
    await caches.synced()
    tasks.append(asyncio.ensure_future(loop.run(controllers)))
    return asyncio.TaskGroup(), tasks


async def test_a_turn_waits_for_its_own_last_writes() -> None:
    server = Server()
    server.lag = 5.0
    seen: list[int] = []

    def reconcile(rs: ReplicaSet, world: World) -> Iterable[Action]:
        pods = world.by(PODS, CONTROLLER, rs.metadata.uid or "")
        seen.append(len(pods))
        if len(pods) < 3:
            m = ObjectMeta(generate_name="p-", namespace="ns", owner_references=[owned_by(rs, REPLICA_SETS)])
            yield Create(PODS, Pod(metadata=m))
            yield RequeueAfter(0.1)

    server.put(REPLICA_SETS, replica_set())
    controller = Controller(name="test", of=REPLICA_SETS, reconcile=reconcile, owns=(PODS,))
    _, tasks = await started(server, controller)
    await asyncio.sleep(100)
    for task in tasks:
        task.cancel()
    assert len(server.all(PODS)) == 3
    assert seen[:4] == [0, 1, 2, 3]


async def test_a_bug_in_one_object_does_not_stop_the_others() -> None:
    server = Server()
    done: list[str] = []

    def reconcile(rs: ReplicaSet, world: World) -> Iterable[Action]:
        if rs.metadata.name == "broken":
            raise ZeroDivisionError
        done.append(str(rs.metadata.name))
        yield from ()

    for name in ("broken", "fine"):
        server.put(REPLICA_SETS, replica_set(name))
    _, tasks = await started(server, Controller(name="t", of=REPLICA_SETS, reconcile=reconcile, workers=1))
    await asyncio.sleep(10)
    for task in tasks:
        task.cancel()
    assert done == ["fine"]


async def test_a_failed_write_is_tried_again_and_a_same_status_is_not_written() -> None:
    server = Server()
    refusals = [ApiError(500, "InternalError", "no"), ApiError(409, "Conflict", "no"), None]

    def refuse(verb: str, resource: Resource[Any]) -> ApiError | None:
        return refusals.pop(0) if refusals else None

    server.refuse = refuse
    writes: list[int] = []

    def reconcile(rs: ReplicaSet, world: World) -> Iterable[Action]:
        writes.append(server.version)
        yield SetStatus(REPLICA_SETS, rs, ReplicaSetStatus(replicas=7))

    server.put(REPLICA_SETS, replica_set())
    _, tasks = await started(server, Controller(name="t", of=REPLICA_SETS, reconcile=reconcile))
    await asyncio.sleep(60)
    for task in tasks:
        task.cancel()
    (rs,) = server.all(REPLICA_SETS)
    assert rs.status.replicas == 7
    assert server.version == 2
    assert len(writes) == 4


async def test_what_another_writes_between_our_own_two_writes_stays() -> None:
    from simulation import perform

    server = Server()
    seen = server.put(REPLICA_SETS, replica_set())
    await server.patch(REPLICA_SETS, "rs", {"metadata": {"labels": {"theirs": "x"}}}, namespace="ns")
    ours = Patch(REPLICA_SETS, seen, {"metadata": {"annotations": {"ours": "y"}}})
    error, _ = await asyncio.to_thread(
        perform, server, [ours, SetStatus(REPLICA_SETS, seen, ReplicaSetStatus(replicas=7))]
    )
    assert error is None
    (rs,) = server.all(REPLICA_SETS)
    assert rs.metadata.labels["theirs"] == "x"
    assert (rs.metadata.annotations["ours"], rs.status.replicas) == ("y", 7)


async def test_a_batch_that_can_not_succeed_fails_cheaply() -> None:
    asked = 0

    def refuse(verb: str, resource: Resource[Any]) -> ApiError | None:
        nonlocal asked
        asked += 1
        return ApiError(403, "Forbidden", "quota") if asked > 3 else None

    server = Server()
    server.refuse = refuse
    told: list[tuple[int, int]] = []

    def failed(error: Exception, done: int, untried: int) -> Iterable[Action]:
        told.append((done, untried))
        return ()

    pod = Pod(metadata=ObjectMeta(generate_name="p-", namespace="ns"))
    from simulation import perform

    error, _ = await asyncio.to_thread(perform, server, [Batch([Create(PODS, pod)] * 100, failed)])
    assert isinstance(error, ApiError)
    assert asked == 7
    assert told == [(3, 93)]


async def test_orphans_are_adopted_and_strangers_released() -> None:
    from simulation import Runner

    server = Server()
    rs = server.put(REPLICA_SETS, replica_set())
    selector = of_map({"app": "a"})

    def pod(name: str, label: str, owner: Object | None) -> Pod:
        references = [owned_by(owner, REPLICA_SETS)] if owner is not None else []
        m = ObjectMeta(name=name, uid=name, namespace="ns", labels={"app": label}, owner_references=references)
        return Pod(metadata=m)

    for one in (pod("own", "a", rs), pod("stranger", "b", rs), pod("orphan", "a", None), pod("other", "b", None)):
        server.put(PODS, one)
    claimed = claim(rs, REPLICA_SETS, selector, PODS, server.view())
    assert sorted(str(one.metadata.name) for one in claimed.owned) == ["orphan", "own"]

    def reconcile(rs: ReplicaSet, world: World) -> Iterable[Action]:
        yield from claim(rs, REPLICA_SETS, selector, PODS, world).actions

    runner = Runner(server, Controller(name="t", of=REPLICA_SETS, reconcile=reconcile))
    from sampan.objects import key_of

    assert await asyncio.to_thread(runner.turn, key_of(rs)) is None
    owned = server.view().by(PODS, CONTROLLER, "rs")
    assert sorted(str(one.metadata.name) for one in owned) == ["orphan", "own"]


def leadership(server: Server, identity: str) -> Leadership:
    return Leadership(cast(Client, server), "test", identity, clock=LoopClock(START))


async def until(condition: Callable[[], bool], seconds: float = 100) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - virtual time
            await asyncio.sleep(0.5)


async def test_one_leads_and_another_takes_over_when_it_stops() -> None:
    server = Server()
    first, second = leadership(server, "a"), leadership(server, "b")

    async def lead() -> None:
        await asyncio.sleep(10**6)

    a = asyncio.ensure_future(first.run(lead))
    await until(lambda: first.leading)
    b = asyncio.ensure_future(second.run(lead))
    for _ in range(200):
        await asyncio.sleep(1)
        assert first.leading
        assert not second.leading
    a.cancel()
    await asyncio.wait([a])
    await until(lambda: second.leading, 7)
    (lease,) = server.all(LEASES)
    assert lease.spec.holder_identity == "b"
    assert lease.spec.lease_transitions == 1
    b.cancel()


async def test_two_never_lead_at_once_when_one_is_cut_off() -> None:
    server = Server()

    class Cut:
        """The first replica's way to the server, which can break."""

        broken = False

        def __getattr__(self, name: str) -> Any:
            if self.broken:
                raise Unreachable("cut off")
            return getattr(server, name)

    cut = Cut()
    first = Leadership(cast(Client, cut), "test", "a", clock=LoopClock(START))
    second = leadership(server, "b")
    stopped: list[bool] = []

    async def lead() -> None:
        try:
            await asyncio.sleep(10**6)
        finally:
            stopped.append(second.leading)

    a = asyncio.ensure_future(first.run(lead))
    await until(lambda: first.leading)
    b = asyncio.ensure_future(second.run(lead))
    await asyncio.sleep(20)
    cut.broken = True
    for _ in range(80):
        await asyncio.sleep(0.5)
        assert not (first.leading and second.leading)
    assert second.leading
    with pytest.raises(LeadershipLost):
        await a
    with pytest.raises(LeadershipLost):
        first.fence()
    assert stopped[0] is False, "the first acted while the second led"
    b.cancel()


def said(number: int, reason: str = "Failed") -> Said:
    return Said(
        reference_to(Pod(metadata=ObjectMeta(name="p", namespace="ns", uid="u")), PODS), "Warning", reason, f"m{number}"
    )


def test_many_like_events_are_combined_and_then_dropped() -> None:
    correlator = Correlator()
    admitted = [correlator.admit(said(number), 0.0) for number in range(40)]
    messages = [one.message for one in admitted if one is not None]
    assert messages[:10] == [f"m{number}" for number in range(10)]
    assert messages[10] == "(combined from similar events): m10"
    assert len(messages) == 25
    assert correlator.admit(said(99), 301.0) is not None
    assert correlator.admit(said(99), 302.0) is None


async def test_the_same_event_again_counts_up() -> None:
    from sampan.kinds import EVENTS

    server = Server()
    recorder = EventRecorder(cast(Client, server), "tester", clock=LoopClock(START))
    running = asyncio.ensure_future(recorder.run())
    pod = Pod(metadata=ObjectMeta(name="p", namespace="ns", uid="u"))
    for _ in range(3):
        recorder.record(pod, "Normal", "Killing", "Stopping", of=PODS)
    recorder.record(pod, "Normal", "Other", "Something", of=PODS)
    await until(lambda: len(server.all(EVENTS)) == 2)
    running.cancel()
    counts = {event.reason: event.count for event in server.all(EVENTS)}
    assert counts == {"Killing": 3, "Other": 1}
    (event,) = [one for one in server.all(EVENTS) if one.reason == "Killing"]
    assert (event.metadata.namespace, event.involved_object.kind, event.involved_object.uid) == ("ns", "Pod", "u")
