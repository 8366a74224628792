"""The life of a pod on a fake node, told step by step."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis.strategies import booleans, integers, sampled_from

from nodeagent.fake.life import END_AFTER, EXIT_CODE, READY, REST, START_AFTER, Facts, next_step, part_of
from nodeagent.fake.model import FakePod

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FACTS = Facts("172.30.0.1", "198.18.0.1")


def value_of(**more: Any) -> dict[str, Any]:
    """A pod that has just been bound."""
    spec = {"nodeName": "fake-1", "containers": [{"name": "c", "image": "web"}]} | more.pop("spec", {})
    meta = {"name": "p", "namespace": "ns", "uid": "u", "annotations": more.pop("annotations", {})}
    scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": NOW.isoformat()}
    status = {"phase": "Pending", "conditions": [scheduled]}
    return {"metadata": meta | more.pop("metadata", {}), "spec": spec, "status": status}


def after(value: dict[str, Any], patch: dict[str, Any] | None) -> dict[str, Any]:
    """The pod as the API has it after a strategic merge of a status."""
    assert patch is not None
    status = value["status"]
    conditions = {one["type"]: one for one in status["conditions"]}
    conditions |= {one["type"]: one for one in patch.get("conditions", ())}
    return value | {"status": status | patch | {"conditions": list(conditions.values())}}


def step(value: dict[str, Any], seconds: float = 0.0, facts: Facts = FACTS) -> Any:
    return next_step(FakePod.from_json(value), facts, NOW + timedelta(seconds=seconds))


def condition(value: dict[str, Any], type: str) -> str:
    return next(str(one["status"]) for one in value["status"]["conditions"] if one["type"] == type)


def test_a_bound_pod_runs_is_ready_and_then_rests() -> None:
    running = after(value_of(), step(value_of()).status)
    status = running["status"]
    assert (status["phase"], status["podIP"], status["hostIP"]) == ("Running", "198.18.0.1", "172.30.0.1")
    assert condition(running, "Ready") == condition(running, "Initialized") == "True"
    assert [(one["name"], one["ready"], one["restartCount"]) for one in status["containerStatuses"]] == [("c", True, 0)]
    assert step(running, 10_000) == REST


def test_a_pod_of_a_job_succeeds_after_a_second() -> None:
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "j", "controller": True}
    value = value_of(spec={"restartPolicy": "Never"}, metadata={"ownerReferences": [owner]})
    running = after(value, step(value).status)
    assert step(running).again_after == 1.0
    ended = after(running, step(running, 1).status)
    assert ended["status"]["phase"] == "Succeeded"
    assert ended["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 0
    assert step(ended, 99) == REST


def test_a_container_that_always_restarts_crashes_in_a_loop() -> None:
    value = value_of(annotations={END_AFTER: "5s", EXIT_CODE: "3"})
    running = after(value, step(value).status)
    crashed = after(running, step(running, 5).status)
    report = crashed["status"]["containerStatuses"][0]
    assert report["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert report["lastState"]["terminated"]["exitCode"] == 3
    assert condition(crashed, "Ready") == "False"
    assert step(crashed, 6).again_after == 9
    again = after(crashed, step(crashed, 15).status)
    report = again["status"]["containerStatuses"][0]
    assert (report["restartCount"], "running" in report["state"]) == (1, True)
    assert report["lastState"]["terminated"]["exitCode"] == 3
    assert condition(again, "Ready") == "True"
    twice = after(again, step(again, 20).status)
    assert step(twice, 20).again_after == 20


def test_a_pod_fails_when_it_never_restarts() -> None:
    value = value_of(spec={"restartPolicy": "Never"}, annotations={END_AFTER: "1m30s", EXIT_CODE: "7"})
    running = after(value, step(value).status)
    assert step(running).again_after == 90
    assert after(running, step(running, 90).status)["status"]["phase"] == "Failed"


def test_a_pod_takes_its_time_to_start() -> None:
    assert step(value_of(annotations={START_AFTER: "2500ms"})).again_after == 2.5
    assert step(value_of(), facts=Facts("n", "p", start_seconds=4)).again_after == 4
    assert step(value_of(annotations={START_AFTER: "0s"}), facts=Facts("n", "p", start_seconds=4)).status


def test_a_pod_can_stay_unready_and_waits_for_its_gates() -> None:
    value = value_of(annotations={READY: "false"})
    assert condition(after(value, step(value).status), "Ready") == "False"
    value = value_of(spec={"readinessGates": [{"conditionType": "example.org/fed"}]})
    running = after(value, step(value).status)
    assert (condition(running, "Ready"), condition(running, "ContainersReady")) == ("False", "True")
    running["status"]["conditions"].append({"type": "example.org/fed", "status": "True"})
    assert condition(after(running, step(running, 1).status), "Ready") == "True"


def test_a_deadline_ends_a_pod() -> None:
    value = value_of(spec={"activeDeadlineSeconds": 30})
    running = after(value, step(value).status)
    assert step(running, 10).again_after == 20
    ended = after(running, step(running, 30).status)["status"]
    assert (ended["phase"], ended["reason"]) == ("Failed", "DeadlineExceeded")


def test_a_deleted_pod_goes_and_one_that_is_held_ends_first() -> None:
    leaving = {"deletionTimestamp": NOW.isoformat(), "deletionGracePeriodSeconds": 30}
    assert step(value_of(metadata=leaving)).delete
    held = value_of(metadata=leaving | {"finalizers": ["example.org/hold"]})
    ended = after(held, step(held).status)
    assert ended["status"]["phase"] == "Failed"
    assert step(ended).delete
    told = ended | {"metadata": ended["metadata"] | {"deletionGracePeriodSeconds": 0}}
    assert step(told) == REST


@pytest.mark.parametrize(
    ("annotation", "text"),
    [(END_AFTER, "soon"), (END_AFTER, ""), (START_AFTER, "-1s"), (EXIT_CODE, "256"), (EXIT_CODE, "x"), (READY, "yes")],
)
def test_a_wrong_annotation_is_named(annotation: str, text: str) -> None:
    failed = step(value_of(annotations={annotation: text})).status
    assert (failed["phase"], failed["reason"]) == ("Failed", "InvalidAnnotation")
    assert annotation in failed["message"]
    assert repr(text) in failed["message"]


@given(
    policy=sampled_from(["Always", "OnFailure", "Never"]),
    code=integers(0, 255),
    end=integers(0, 100),
    start=integers(0, 100),
    ready=booleans(),
)
def test_every_pod_comes_to_rest_or_says_when_to_look_again(
    policy: str, code: int, end: int, start: int, ready: bool
) -> None:
    said = {START_AFTER: f"{start}s", END_AFTER: f"{end}s", EXIT_CODE: str(code), READY: str(ready).lower()}
    value, seconds = value_of(spec={"restartPolicy": policy}, annotations=said), 0.0
    assert part_of(FakePod.from_json(value)).end_after == end
    for _ in range(12):
        found = step(value, seconds)
        if found.status is not None:
            value = after(value, found.status)
        elif found.again_after is not None:
            assert found.again_after > 0
            seconds += found.again_after
        else:
            break
    if policy == "Never" or (policy == "OnFailure" and code == 0):
        assert value["status"]["phase"] == ("Failed" if code else "Succeeded")
    else:
        assert value["status"]["containerStatuses"][0]["restartCount"] > 0
