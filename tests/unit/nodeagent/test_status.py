"""What is reported of a pod, case by case, and the patch that brings it into the API."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from nodeagent.observed import Container, ContainerState, Failure, Health, Observed, Sandbox, SandboxState
from nodeagent.plan import Verdict, Wish, plan
from nodeagent.status import NodeFacts, status_of
from nodeagent.statuses import is_urgent, patch_of
from sampan.api.core_v1 import Pod, PodStatus

T0 = 1_700_000_000.0
NOW = datetime.fromtimestamp(T0 + 100, UTC)
FACTS = NodeFacts(("192.0.2.1",), "sampan")
BOX = Sandbox("s0", "p", "ns", "u", 0, SandboxState.READY, T0, ("10.0.0.1",))


def pod(*names: str, status: dict[str, Any] | None = None, deleted: bool = False, **spec: Any) -> Pod:
    containers = [{"name": name, "image": "img"} for name in names]
    meta: dict[str, Any] = {"name": "p", "namespace": "ns", "uid": "u", "generation": 2}
    if deleted:
        meta |= {"deletionTimestamp": "2023-11-14T22:13:50Z", "deletionGracePeriodSeconds": 30}
    return Pod.from_json({"metadata": meta, "spec": {"containers": containers} | spec, "status": status or {}})


def container(name: str, state: ContainerState = ContainerState.RUNNING, **more: Any) -> Container:
    values: dict[str, Any] = {"attempt": 0, "created_at": T0, "started_at": T0, "image": "img", "image_ref": "sha256:1"}
    if state is ContainerState.EXITED:
        values["finished_at"] = T0 + 5
    values |= more
    return Container(f"id-{name}-{values['attempt']}", "s0", name, state=state, **values)


def observed(*containers: Container, **more: Any) -> Observed:
    values: dict[str, Any] = {
        "sandboxes": (BOX,),
        "containers": containers,
        "health": {one.id: Health(started=True, ready=True) for one in containers if one.running},
        "volumes_ready": True,
    }
    return Observed(**(values | more))


def report(desired: Pod, seen: Observed, now: float = T0 + 100) -> Any:
    return status_of(desired, seen, plan(Wish(desired), seen, now), FACTS, NOW)


def conditions(status: PodStatus) -> dict[str, tuple[str, str | None]]:
    return {one.type: (one.status, one.reason) for one in status.conditions}


def test_a_pod_that_has_just_arrived() -> None:
    status = report(pod("a"), Observed())
    assert status.phase == "Pending"
    assert status.container_statuses[0].state.waiting.reason == "ContainerCreating"
    assert conditions(status) == {
        "PodReadyToStartContainers": ("False", None),
        "Initialized": ("True", None),
        "Ready": ("False", "ContainersNotReady"),
        "ContainersReady": ("False", "ContainersNotReady"),
        "PodScheduled": ("True", None),
    }
    assert status.start_time == NOW
    assert status.host_ip == "192.0.2.1"
    assert status.pod_ip is None
    assert status.observed_generation == 2


def test_a_refused_pod_has_no_containers_to_tell_of() -> None:
    verdict = Verdict("Failed", "OutOfcpu", "Pod was rejected: no room")
    planned = plan(Wish(pod("a"), verdict=verdict), Observed(), T0 + 100)
    status = status_of(pod("a"), Observed(), planned, FACTS, NOW)
    assert (status.phase, status.reason, status.message) == ("Failed", "OutOfcpu", "Pod was rejected: no room")
    assert status.container_statuses == []


def test_a_pod_that_runs() -> None:
    status = report(pod("a", "b"), observed(container("a"), container("b")))
    assert (status.phase, status.pod_ip) == ("Running", "10.0.0.1")
    assert {value for value, _ in conditions(status).values()} == {"True"}
    first = status.container_statuses[0]
    assert (first.container_id, first.image_id, first.ready, first.started) == (
        "sampan://id-a-0",
        "sha256:1",
        True,
        True,
    )
    assert all(one.observed_generation == 2 for one in status.conditions)


def test_a_container_that_is_not_ready_is_named() -> None:
    seen = observed(container("a"), container("b"))
    seen = replace(seen, health=dict(seen.health) | {"id-b-0": Health(started=True, ready=False)})
    ready = next(one for one in report(pod("a", "b"), seen).conditions if one.type == "Ready")
    assert (ready.status, ready.reason) == ("False", "ContainersNotReady")
    assert ready.message == "containers with unready status: [b]"


def test_a_crash_loop() -> None:
    dead = container("a", ContainerState.EXITED, exit_code=1, restart_count=2, attempt=2, backoff=200.0)
    status = report(pod("a"), observed(dead))
    a = status.container_statuses[0]
    assert status.phase == "Running"
    assert a.state.waiting.reason == "CrashLoopBackOff"
    assert (a.last_state.terminated.exit_code, a.restart_count) == (1, 2)


@pytest.mark.parametrize(
    ("reason", "code", "shown"),
    [("", 0, "Completed"), ("", 1, "Error"), ("OOMKilled", 137, "OOMKilled"), ("StartError", 128, "StartError")],
)
def test_how_a_container_ended(reason: str, code: int, shown: str) -> None:
    dead = container("a", ContainerState.EXITED, exit_code=code, reason=reason, message="m")
    status = report(pod("a", restartPolicy="Never"), observed(dead))
    over = status.container_statuses[0].state.terminated
    assert (over.reason, over.exit_code, over.message) == (shown, code, "m")
    assert status.phase == ("Failed" if code else "Succeeded")
    reason_of = "PodFailed" if code else "PodCompleted"
    assert conditions(status)["Ready"] == ("False", reason_of)


def test_a_restarted_container_remembers_the_last() -> None:
    seen = observed(
        container("a", attempt=1, restart_count=1, created_at=T0 + 9),
        container("a", ContainerState.EXITED, exit_code=3),
    )
    a = report(pod("a"), seen).container_statuses[0]
    assert (a.restart_count, a.last_state.terminated.exit_code) == (1, 3)


def test_a_failed_pull_is_shown() -> None:
    seen = observed(failures={"a": Failure("ErrImagePull", "no route", T0 + 100, T0 + 110)})
    state = report(pod("a"), seen).container_statuses[0].state
    assert (state.waiting.reason, state.waiting.message) == ("ErrImagePull", "no route")
    later = report(pod("a"), seen, T0 + 105).container_statuses[0].state
    assert later.waiting.reason == "ImagePullBackOff"


def test_init_containers_that_run_keep_the_others_waiting() -> None:
    desired = pod("a", initContainers=[{"name": "i", "image": "img"}])
    status = report(desired, observed(container("i")))
    assert status.phase == "Pending"
    assert status.container_statuses[0].state.waiting.reason == "PodInitializing"
    initialized = next(one for one in status.conditions if one.type == "Initialized")
    assert (initialized.reason, initialized.message) == (
        "ContainersNotInitialized",
        "containers with incomplete status: [i]",
    )


def test_a_failed_init_container_fails_a_pod_that_never_restarts() -> None:
    desired = pod("a", initContainers=[{"name": "i", "image": "img"}], restartPolicy="Never")
    assert report(desired, observed(container("i", ContainerState.EXITED, exit_code=1))).phase == "Failed"


def test_a_sidecar_that_runs_keeps_a_finished_pod_running_until_it_ends() -> None:
    side = {"name": "s", "image": "img", "restartPolicy": "Always"}
    desired = pod("a", initContainers=[side], restartPolicy="Never")
    done = container("a", ContainerState.EXITED)
    assert report(desired, observed(done, container("s"))).phase == "Running"
    ended = container("s", ContainerState.EXITED, exit_code=137)
    assert report(desired, observed(done, ended)).phase == "Succeeded"


def test_a_deleted_pod_ends_in_a_final_phase_and_keeps_its_address() -> None:
    old = report(pod("a"), observed(container("a"))).to_json()
    box = replace(BOX, state=SandboxState.NOT_READY)
    dead = container("a", ContainerState.EXITED, exit_code=137)
    status = report(pod("a", status=old, deleted=True), observed(dead, sandboxes=(box,)))
    assert (status.phase, status.pod_ip) == ("Failed", "10.0.0.1")


def test_a_pod_deleted_before_anything_ran_is_failed() -> None:
    assert report(pod("a", deleted=True), Observed()).phase == "Failed"


def test_a_container_that_vanished_from_an_ended_pod_stays_reported() -> None:
    dead = container("a", ContainerState.EXITED, exit_code=4)
    old = report(pod("a", restartPolicy="Never"), observed(dead))
    status = report(pod("a", restartPolicy="Never", status=old.to_json()), Observed())
    assert (status.phase, status.container_statuses) == (old.phase, old.container_statuses)


def test_a_readiness_gate_of_another_holds_the_pod_back() -> None:
    desired = pod("a", readinessGates=[{"conditionType": "example.com/gate"}])
    ready = next(one for one in report(desired, observed(container("a"))).conditions if one.type == "Ready")
    assert ready.reason == "ReadinessGatesNotReady"
    assert ready.message == 'corresponding condition of pod readiness gate "example.com/gate" does not exist.'
    there = pod(
        "a",
        readinessGates=[{"conditionType": "example.com/gate"}],
        status={"conditions": [{"type": "example.com/gate", "status": "True"}]},
    )
    status = report(there, observed(container("a")))
    assert conditions(status)["Ready"] == ("True", None)
    assert "example.com/gate" in conditions(status)


def test_a_transition_time_moves_only_with_its_status() -> None:
    old = report(pod("a"), observed(container("a"))).to_json()
    later = status_of(
        pod("a", status=old),
        observed(container("a")),
        plan(Wish(pod("a", status=old)), observed(container("a")), T0 + 500),
        FACTS,
        datetime.fromtimestamp(T0 + 500, UTC),
    )
    assert later.to_json() == old
    assert patch_of("u", PodStatus.from_json(old), later) is None


def test_a_patch_names_the_uid_and_only_what_differs() -> None:
    old = report(pod("a"), Observed())
    new = report(pod("a", status=old.to_json()), observed(container("a")))
    patch = patch_of("u", old, new)
    assert patch is not None
    assert patch["metadata"] == {"uid": "u"}
    assert "hostIP" not in patch["status"]
    assert patch["status"]["podIPs"] == [{"ip": "10.0.0.1"}]
    ready = next(one for one in patch["status"]["conditions"] if one["type"] == "Ready")
    assert (ready["status"], ready["reason"], ready["message"]) == ("True", None, None)


def test_an_address_that_changes_is_taken_back() -> None:
    old = report(pod("a"), observed(container("a")))
    box = replace(BOX, ips=("10.0.0.2",))
    patch = patch_of("u", old, report(pod("a", status=old.to_json()), observed(container("a"), sandboxes=(box,))))
    assert patch is not None
    assert patch["status"]["podIPs"] == [{"ip": "10.0.0.2"}, {"$patch": "delete", "ip": "10.0.0.1"}]


def test_only_the_way_to_the_first_container_may_wait() -> None:
    fresh = report(pod("a"), Observed())
    assert not is_urgent(PodStatus(), fresh)
    assert is_urgent(fresh, report(pod("a"), observed(container("a"))))
    failed = observed(failures={"a": Failure("ErrImagePull", "x", T0 + 100, T0 + 110)})
    assert is_urgent(fresh, report(pod("a"), failed))
