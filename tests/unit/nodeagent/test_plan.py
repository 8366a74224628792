"""What to do next for a pod: conversations with a make-believe runtime, and properties over random histories."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeagent.lifecycle import Stage, move_pod
from nodeagent.observed import Container, ContainerState, Failure, Health, Observed, Sandbox, SandboxState
from nodeagent.plan import (
    CreateSandbox,
    DeletePod,
    KillContainer,
    KillReason,
    MountVolumes,
    Plan,
    RemoveContainer,
    RemoveSandbox,
    RemoveVolumes,
    StartContainer,
    StopSandbox,
    Wish,
    container_hash,
    plan,
)
from nodeagent.restart import delay_after, members, next_backoff
from sampan.api.core_v1 import Pod

T0 = 1_700_000_000.0


def pod(*containers: str | dict[str, Any], deleted: bool = False, **spec: Any) -> Pod:
    """A pod of containers by name (or by more than their name)."""

    def whole(one: str | dict[str, Any]) -> dict[str, Any]:
        return {"name": one, "image": "i"} if isinstance(one, str) else {"image": "i"} | one

    meta: dict[str, Any] = {"name": "p", "namespace": "ns", "uid": "u"}
    if deleted:
        meta |= {"deletionTimestamp": "2023-11-14T22:13:50Z", "deletionGracePeriodSeconds": 30}
    if "initContainers" in spec:
        spec["initContainers"] = [whole(one) for one in spec["initContainers"]]
    return Pod.from_json({"metadata": meta, "spec": {"containers": [whole(one) for one in containers]} | spec})


class World:
    """A runtime that does at once what a plan says."""

    def __init__(self, desired: Pod, exits: dict[str, list[int]] | None = None) -> None:
        self.wish = Wish(desired)
        self.now = T0
        self.sandboxes: list[Sandbox] = []
        self.containers: list[Container] = []
        self.health: dict[str, Health] = {}
        self.failures: dict[str, Failure] = {}
        self.volumes_ready = False
        self.volumes_present = False
        self.deleted = False
        self.exits = exits or {}
        self.stage = Stage.STARTING
        self.history: list[str] = []
        self._made = 0

    def observe(self) -> Observed:
        return Observed(
            tuple(sorted(self.sandboxes, key=lambda one: -one.attempt)),
            tuple(sorted(self.containers, key=lambda one: (one.attempt, one.created_at), reverse=True)),
            health={
                one.id: self.health.get(one.id, Health(started=True, ready=True))
                for one in self.containers
                if one.running
            },
            failures=self.failures,
            volumes_ready=self.volumes_ready,
            volumes_present=self.volumes_present,
        )

    def plan(self) -> Plan:
        planned = plan(self.wish, self.observe(), self.now)
        self.stage = move_pod(self.stage, planned.stage)
        return planned

    def step(self) -> Plan:
        """One round."""
        planned = self.plan()
        for one in planned.steps:
            self.perform(one)
        return planned

    def settle(self, rounds: int = 30) -> Plan:
        """Until there is nothing to do (at this moment)."""
        for _ in range(rounds):
            planned = self.step()
            if not planned.steps:
                return planned
        raise AssertionError(f"no rest: {planned}")

    def perform(self, one: Any) -> None:
        self.history.append(_shown(one, self))
        match one:
            case MountVolumes():
                self.volumes_ready = self.volumes_present = True
            case CreateSandbox(attempt=attempt):
                self.sandboxes = [replace(box, state=SandboxState.NOT_READY) for box in self.sandboxes]
                self.sandboxes.append(
                    Sandbox(f"s{attempt}", "p", "ns", "u", attempt, SandboxState.READY, self.now, ("10.0.0.1",))
                )
            case StartContainer():
                assert self.volumes_ready, "a container starts before its volumes are there"
                assert any(box.id == one.sandbox_id and box.ready for box in self.sandboxes)
                assert not any(c.name == one.name and c.running for c in self.containers), "it runs already"
                self._made += 1
                made = Container(
                    f"c{self._made}", one.sandbox_id, one.name, one.restart_count, ContainerState.RUNNING, self.now,
                    self.now, restart_count=one.restart_count, backoff=one.backoff,
                )  # fmt: skip
                self.containers.append(made)
                if self.exits.get(one.name):
                    self.end(made.id, self.exits[one.name].pop(0))
            case KillContainer(container=container):
                self.end(container.id, 137)
            case RemoveContainer(id=id_):
                self.containers = [c for c in self.containers if c.id != id_]
            case StopSandbox(id=id_):
                assert not any(c.running for c in self.containers), "its containers run"
                self.sandboxes = [
                    replace(box, state=SandboxState.NOT_READY) if box.id == id_ else box for box in self.sandboxes
                ]
            case RemoveSandbox(id=id_):
                self.sandboxes = [box for box in self.sandboxes if box.id != id_]
                self.containers = [c for c in self.containers if c.sandbox_id != id_]
            case RemoveVolumes():
                assert not self.containers, "a container may still use them"
                self.volumes_present = self.volumes_ready = False
            case DeletePod():
                assert [self.containers, self.sandboxes, self.volumes_present] == [[], [], False], "something is left"
                self.deleted = True
                self.wish = replace(self.wish, removed=True)

    def end(self, id_: str, code: int) -> None:
        self.containers = [
            replace(c, state=ContainerState.EXITED, exit_code=code, finished_at=self.now) if c.id == id_ else c
            for c in self.containers
        ]

    def of(self, name: str) -> Container:
        found = [c for c in self.containers if c.name == name]
        return max(found, key=lambda c: c.attempt)

    def delete(self, grace: int = 30) -> None:
        value = self.wish.pod.to_json()
        value["metadata"] |= {"deletionTimestamp": "2023-11-14T22:13:50Z", "deletionGracePeriodSeconds": grace}
        self.wish = Wish(Pod.from_json(value))


def _shown(one: Any, world: World) -> str:
    match one:
        case MountVolumes():
            return "volumes"
        case CreateSandbox():
            return f"sandbox {one.attempt}"
        case StartContainer():
            return f"start {one.name} {one.restart_count}"
        case KillContainer():
            return f"kill {one.container.name} {one.reason} {one.grace}"
        case RemoveContainer():
            name = next((c.name for c in world.containers if c.id == one.id), "?")
            return f"remove container {name}"
        case StopSandbox():
            return "stop sandbox"
        case RemoveSandbox():
            return "remove sandbox"
        case RemoveVolumes():
            return "remove volumes"
    return "delete"


def conversation(world: World) -> list[str]:
    told, world.history = world.history, []
    return told


# --- conversations


def test_a_pod_starts_and_ends() -> None:
    world = World(pod("a", "b"))
    assert world.settle().stage is Stage.RUNNING
    assert conversation(world) == ["volumes", "sandbox 0", "start a 0", "start b 0"]
    world.delete(12)
    assert world.settle().stage is Stage.GONE
    assert conversation(world) == [
        "kill a pod ends 12", "kill b pod ends 12", "stop sandbox", "remove sandbox", "remove volumes", "delete",
    ]  # fmt: skip
    assert world.deleted


def test_a_pod_that_left_the_api_is_ended_and_not_deleted_again() -> None:
    world = World(pod("a"))
    world.settle()
    world.wish = replace(world.wish, removed=True)
    conversation(world)
    assert world.settle().stage is Stage.GONE
    assert conversation(world) == ["kill a pod ends 30", "stop sandbox", "remove sandbox", "remove volumes"]


def test_init_containers_go_one_by_one() -> None:
    world = World(pod("a", initContainers=["one", "two"]), {"one": [0], "two": [1, 0]})
    world.settle()
    assert conversation(world) == ["volumes", "sandbox 0", "start one 0", "start two 0", "start two 1", "start a 0"]


def test_a_failed_init_container_fails_a_pod_that_never_restarts() -> None:
    world = World(pod("a", initContainers=["one"], restartPolicy="Never"), {"one": [1]})
    planned = world.settle()
    assert planned.verdict is not None
    assert planned.verdict.phase == "Failed"
    assert conversation(world) == ["volumes", "sandbox 0", "start one 0", "stop sandbox"]


def test_a_sidecar_must_have_started_before_the_next() -> None:
    world = World(pod("a", initContainers=[{"name": "side", "restartPolicy": "Always"}, "one"]), {"one": [0]})
    world.step()
    world.step()
    world.health["c1"] = Health(started=False)
    world.settle()
    assert conversation(world) == ["volumes", "sandbox 0", "start side 0"]
    world.health["c1"] = Health(started=True)
    world.settle()
    assert conversation(world) == ["start one 0", "start a 0"]


def test_sidecars_end_after_the_others_and_in_reverse() -> None:
    sides = [{"name": "s1", "restartPolicy": "Always"}, {"name": "s2", "restartPolicy": "Always"}]
    world = World(pod("a", initContainers=sides))
    world.settle()
    conversation(world)
    world.delete()
    world.settle()
    assert conversation(world)[:3] == ["kill a pod ends 30", "kill s2 pod ends 30", "kill s1 pod ends 30"]


def test_a_sidecar_does_not_keep_a_finished_pod() -> None:
    side = [{"name": "side", "restartPolicy": "Always"}]
    world = World(pod("a", initContainers=side, restartPolicy="OnFailure"), {"a": [0]})
    planned = world.settle()
    assert planned.verdict is not None
    assert planned.verdict.phase == "Succeeded"
    assert conversation(world)[-2:] == ["kill side pod ends 30", "stop sandbox"]


@pytest.mark.parametrize(
    ("policy", "code", "again"),
    [("Always", 0, True), ("Always", 1, True), ("OnFailure", 0, False), ("OnFailure", 1, True), ("Never", 1, False)],
)
def test_restart_policies(policy: str, code: int, again: bool) -> None:
    world = World(pod("a", restartPolicy=policy), {"a": [code]})
    world.settle()
    assert ("start a 1" in world.history) is again


def test_restart_rules_of_a_container_win() -> None:
    rule = {"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}
    a = {"name": "a", "restartPolicy": "Never", "restartPolicyRules": [rule]}
    world = World(pod(a, "b"), {"a": [42, 1]})
    world.settle()
    assert conversation(world) == ["volumes", "sandbox 0", "start a 0", "start b 0", "start a 1"]


def test_crash_loop_delays_double_up_to_five_minutes_and_are_forgiven() -> None:
    world = World(pod("a"), {"a": [1] * 20})
    delays = []
    for _ in range(8):
        planned = world.settle()
        assert planned.wake_at is not None
        assert planned.waiting["a"].reason == "CrashLoopBackOff"
        delays.append(planned.wake_at - world.now)
        world.now = planned.wake_at
    assert delays == [10, 20, 40, 80, 160, 300, 300, 300]
    world.exits = {}
    world.settle()
    world.now += 601
    world.end(world.of("a").id, 1)
    world.step()
    assert world.of("a").running, "it starts at once after ten good minutes"
    assert world.of("a").backoff == 10


def test_a_reboot_is_no_crash() -> None:
    world = World(pod("a"))
    for boot in range(4):
        world.settle()
        assert (world.of("a").running, world.of("a").restart_count, world.of("a").backoff) == (True, boot, 0)
        world.now += 5
        world.end(world.of("a").id, 255)
        world.sandboxes = [replace(box, state=SandboxState.NOT_READY) for box in world.sandboxes]


def test_the_message_of_a_crash_loop_is_upstreams() -> None:
    world = World(pod("a"), {"a": [1, 1]})
    assert world.settle().waiting["a"].message == "back-off 10s restarting failed container=a pod=p_ns(u)"


def test_an_unhealthy_container_is_replaced() -> None:
    probe = {"exec": {"command": ["x"]}, "terminationGracePeriodSeconds": 3}
    world = World(pod({"name": "a", "livenessProbe": probe}, terminationGracePeriodSeconds=50))
    world.settle()
    conversation(world)
    world.health[world.of("a").id] = Health(started=True, live=False)
    world.step()
    world.health.clear()
    world.settle()
    assert conversation(world) == ["kill a liveness 3", "start a 1"]


def test_a_failed_startup_or_hook_is_a_kill_too() -> None:
    for health, reason in (
        (Health(startup_failed=True), KillReason.STARTUP),
        (Health(post_start_failed=True), KillReason.POST_START),
    ):
        world = World(pod("a"))
        world.settle()
        world.health[world.of("a").id] = health
        (step,) = world.plan().steps
        assert isinstance(step, KillContainer)
        assert step.reason is reason


def test_a_lost_sandbox_is_replaced_and_its_containers_with_it() -> None:
    world = World(pod("a", initContainers=["one"]), {"one": [0, 0]})
    world.settle()
    conversation(world)
    world.sandboxes = [replace(world.sandboxes[0], state=SandboxState.NOT_READY)]
    world.settle()
    told = conversation(world)
    assert told[:4] == ["kill a sandbox lost 30", "sandbox 1", "start one 1", "start a 1"]


def test_nothing_starts_before_the_pod_network_is_ready_unless_it_is_the_hosts() -> None:
    world = World(pod("a"))
    seen = replace(world.observe(), network_ready=False)
    assert [type(one) for one in plan(world.wish, seen, T0).steps] == [MountVolumes]
    host = Wish(pod("a", hostNetwork=True))
    assert CreateSandbox in [type(one) for one in plan(host, seen, T0).steps]


def test_what_is_under_way_is_not_asked_for_again() -> None:
    world = World(pod("a"))
    seen = replace(world.observe(), busy=frozenset({"sandbox", "volumes"}))
    assert plan(world.wish, seen, T0).steps == ()


def test_a_failed_pull_turns_into_a_back_off() -> None:
    world = World(pod("a"))
    world.step()
    world.failures["a"] = Failure("ErrImagePull", "no such host", T0, T0 + 10)
    first = world.settle()
    assert first.waiting == {}
    assert first.wake_at == T0 + 1
    world.now = T0 + 1
    second = world.settle()
    assert second.waiting["a"].reason == "ImagePullBackOff"
    assert second.waiting["a"].message == 'Back-off pulling image "i": ErrImagePull: no such host'
    assert second.wake_at == T0 + 10


def test_an_end_cancels_a_start_and_waits_for_it() -> None:
    world = World(pod("a"))
    world.step()
    world.delete()
    seen = replace(world.observe(), busy=frozenset({"start"}))
    planned = plan(world.wish, seen, T0)
    assert planned.cancel == {"start"}
    assert planned.steps == ()
    assert planned.stage is Stage.ENDING


def test_a_shorter_grace_overtakes_a_longer_one() -> None:
    world = World(pod("a"))
    world.settle()
    world.delete(30)
    (first,) = world.plan().steps
    world.delete(0)
    seen = replace(world.observe(), busy=frozenset({first.key}))
    (second,) = plan(world.wish, seen, T0).steps
    assert isinstance(second, KillContainer)
    assert second.grace == 2


def test_a_deadline_ends_a_pod() -> None:
    world = World(pod("a", activeDeadlineSeconds=60))
    value = world.wish.pod.to_json()
    value["status"] = {"startTime": datetime.fromtimestamp(T0, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
    world.wish = Wish(Pod.from_json(value))
    assert world.settle().wake_at == T0 + 60
    world.now = T0 + 60
    planned = world.settle()
    assert planned.verdict is not None
    assert planned.verdict.reason == "DeadlineExceeded"
    assert world.stage is Stage.ENDING


def test_a_terminal_phase_in_the_api_is_final() -> None:
    value = pod("a").to_json() | {"status": {"phase": "Failed", "reason": "Evicted"}}
    planned = plan(Wish(Pod.from_json(value)), Observed(), T0)
    assert planned.steps == ()
    assert planned.stage is Stage.ENDING


def test_a_changed_image_replaces_a_container() -> None:
    world = World(pod("a"))
    world.settle()
    world.containers = [replace(world.containers[0], hash="other")]
    (step,) = world.plan().steps
    assert isinstance(step, KillContainer)
    assert step.reason is KillReason.CHANGED


def test_restarts_are_counted_on_when_the_runtime_has_forgotten() -> None:
    value = pod("a").to_json() | {
        "status": {"containerStatuses": [{"name": "a", "restartCount": 4, "containerID": "sampan://x"}]}
    }
    world = World(Pod.from_json(value))
    world.settle()
    assert "start a 5" in world.history


def test_an_agent_that_comes_back_does_nothing_to_a_pod_that_is_well() -> None:
    world = World(pod("a", "b", initContainers=["one"]), {"one": [0]})
    world.settle()
    conversation(world)
    world.volumes_ready = False  # what an agent does not remember
    world.settle()
    assert conversation(world) == ["volumes"]


@pytest.mark.parametrize(("image", "made", "count"), [("i", "c1", 0), ("another", "", 1)])
def test_a_container_that_was_made_and_never_started_is_started_unless_it_is_another_now(
    image: str, made: str, count: int
) -> None:
    world = World(pod("a"))
    world.settle()
    hash_ = container_hash(next(iter(members(pod({"name": "a", "image": image})))))
    world.containers = [replace(world.of("a"), state=ContainerState.CREATED, hash=hash_)]
    [step] = plan(world.wish, world.observe(), world.now).steps
    assert isinstance(step, StartContainer)
    assert (step.made, step.restart_count) == (made, count)


def test_the_newest_two_containers_of_a_name_are_kept() -> None:
    world = World(pod("a"), {"a": [1] * 4})
    for _ in range(4):
        planned = world.settle()
        world.now = planned.wake_at or world.now
    world.settle()
    assert sorted(c.attempt for c in world.containers) == [3, 4]


# --- properties


names = st.sampled_from(["a", "b", "c"])


@st.composite
def pods(draw: st.DrawFn) -> Pod:
    inits: list[dict[str, Any]] = []
    for name in draw(st.lists(st.sampled_from(["i", "j", "k"]), unique=True, max_size=3)):
        inits.append({"name": name} | ({"restartPolicy": "Always"} if draw(st.booleans()) else {}))
    policy = draw(st.sampled_from(["Always", "OnFailure", "Never"]))
    regular = draw(st.lists(names, unique=True, min_size=1, max_size=3))
    return pod(*regular, initContainers=inits, restartPolicy=policy)


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["exit", "crash", "sick", "sandbox", "restart agent", "wait", "late"]), st.integers(0, 9)
    ),
    max_size=12,
)


def world_of(desired: Pod) -> World:
    """Its plain init containers do their work at once."""
    plain = [one.name for one in desired.spec.init_containers if one.restart_policy is None]
    return World(desired, {name: [0] * 100 for name in plain})


def disturb(world: World, what: str, which: int) -> None:
    alive = [c for c in world.containers if c.running]
    chosen = alive[which % len(alive)] if alive else None
    match what:
        case "exit" if chosen:
            world.end(chosen.id, 0)
        case "crash" if chosen:
            world.end(chosen.id, 1)
        case "sick" if chosen:
            world.health[chosen.id] = Health(started=True, live=False)
        case "sandbox" if world.sandboxes:
            world.sandboxes = [replace(box, state=SandboxState.NOT_READY) for box in world.sandboxes]
        case "restart agent":
            world.volumes_ready = False
            world.failures.clear()
        case "wait":
            world.now += 10.0 ** (which % 4)
        case "late":
            world.step()


@settings(max_examples=150, deadline=None)
@given(pods(), EVENTS)
def test_whatever_happens_a_pod_comes_to_rest_and_its_end_leaves_nothing(desired: Pod, events: Any) -> None:
    world = world_of(desired)
    world.settle()
    for what, which in events:
        disturb(world, what, which)
        if which % 2:
            world.settle()
    for _ in range(12):  # every crash loop's delay passes
        planned = world.settle()
        if planned.wake_at is not None:
            world.now = planned.wake_at
    planned = world.settle()
    if planned.verdict is None:
        alive = {c.name for c in world.containers if c.running}
        expected = {one.name for one in desired.spec.containers}
        done = {
            c.name
            for c in world.containers
            if c.exited and (desired.spec.restart_policy == "Never" or c.exit_code == 0)
        }
        assert expected <= alive | done
    world.delete()
    assert world.settle().stage is Stage.GONE
    assert world.deleted
    assert [world.containers, world.sandboxes, world.volumes_present] == [[], [], False]


@settings(max_examples=100, deadline=None)
@given(pods(), EVENTS)
def test_an_end_starts_nothing(desired: Pod, events: Any) -> None:
    world = world_of(desired)
    world.settle()
    for what, which in events:
        disturb(world, what, which)
    world.delete()
    conversation(world)
    world.settle()
    assert not [one for one in world.history if one.startswith(("start", "sandbox", "volumes"))]


@given(st.floats(0, 2000), st.floats(0, 1e9))
def test_a_delay_is_never_more_than_five_minutes(ran: float, backoff: float) -> None:
    dead = Container("x", "s", "a", 0, ContainerState.EXITED, T0, T0, T0 + ran, backoff=backoff)
    assert 0 <= delay_after(dead) <= 300
    assert 10 <= next_backoff(dead) <= 300
