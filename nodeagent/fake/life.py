"""The life of a pod on a fake node: what the API says of it -> the next thing to tell the API. Pure.

A pod's annotations say what it plays: how long it takes to start, when its containers end and with which exit code,
whether it is ready. All of its containers live and end together; init containers have always succeeded.
Always: the step follows from the pod and the time alone, so a process that begins anew goes on where another ended.
Source: the Kubernetes documentation, "Pod Lifecycle".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from nodeagent.fake.model import Container, ContainerStatus, FakePod, State
from nodeagent.restart import FIRST_DELAY, MOST_DELAY

START_AFTER = "sampan.dev/fake-start-after"
END_AFTER = "sampan.dev/fake-end-after"
EXIT_CODE = "sampan.dev/fake-exit-code"
READY = "sampan.dev/fake-ready"
JOB_SECONDS = 1.0
"""A job's pod ends by itself after this; another pod never does, unless its annotations say so."""
RUNTIME = "fake"
ENDED = ("Succeeded", "Failed")
CRASH_LOOP = "CrashLoopBackOff"
_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?")


@dataclass(frozen=True, slots=True)
class Facts:
    """What a pod is told of where it is. `pod_ip` is its own address, were it to begin now."""

    node_ip: str
    pod_ip: str
    start_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Step:
    """What to do: patch the status with this, or delete the pod for good, or neither; and in how many seconds to
    look again."""

    status: dict[str, Any] | None = None
    delete: bool = False
    again_after: float | None = None


REST = Step()


@dataclass(frozen=True, slots=True)
class Part:
    """What a pod's annotations say that it plays. `end_after` None: it does not end."""

    start_after: float
    end_after: float | None
    exit_code: int
    ready: bool


def next_step(pod: FakePod, facts: Facts, now: datetime) -> Step:
    """What to do about a pod that is bound to a fake node."""
    if pod.metadata.deletion_timestamp is not None:
        return _leaving(pod, now)
    if pod.status.phase in ENDED:
        return REST
    try:
        part = part_of(pod, facts.start_seconds)
    except ValueError as error:
        return Step({"phase": "Failed", "reason": "InvalidAnnotation", "message": str(error)})
    deadline = pod.spec.active_deadline_seconds
    left = None
    if deadline is not None and pod.status.start_time is not None:
        left = _seconds(pod.status.start_time + timedelta(seconds=deadline), now)
        if left <= 0:
            text = "Pod was active on the node longer than the specified deadline"
            return Step(_ended(pod, now, 137, "Failed") | {"reason": "DeadlineExceeded", "message": text})
    step = _living(pod, part, facts, now)
    if step.status is None and left is not None:
        return Step(again_after=left if step.again_after is None else min(left, step.again_after))
    return step


def part_of(pod: FakePod, start_seconds: float = 0.0) -> Part:
    """What a pod plays. Raises ValueError that names the annotation."""
    said = pod.metadata.annotations
    of_a_job = any(one.kind == "Job" and one.controller for one in pod.metadata.owner_references)
    code, ready = said.get(EXIT_CODE, "0"), said.get(READY, "true")
    if not (code.isascii() and code.isdecimal() and int(code) < 256):
        raise ValueError(f"annotation {EXIT_CODE}: {code!r} is not a number from 0 to 255")
    if ready not in ("true", "false"):
        raise ValueError(f"annotation {READY}: {ready!r} is neither true nor false")
    return Part(
        start_after=_duration(START_AFTER, said[START_AFTER]) if START_AFTER in said else start_seconds,
        end_after=_duration(END_AFTER, said[END_AFTER]) if END_AFTER in said else JOB_SECONDS if of_a_job else None,
        exit_code=int(code),
        ready=ready == "true",
    )


def _duration(name: str, text: str) -> float:
    found = _DURATION.fullmatch(text)
    if not found or not text:
        raise ValueError(f"annotation {name}: {text!r} is no duration such as 500ms, 5s or 1m30s")
    hours, minutes, seconds, thousandths = (float(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + seconds + thousandths / 1000


def _living(pod: FakePod, part: Part, facts: Facts, now: datetime) -> Step:
    reports = pod.status.container_statuses
    state = reports[0].state if reports else None
    if (
        state is None
        or pod.status.start_time is None
        or not (state.running or state.terminated or _crashed(reports[0]))
    ):
        wait = part.start_after - _seconds(now, _bound_at(pod) or now)
        return Step(again_after=wait) if wait > 0 else Step(_running(pod, part, facts, now))
    if state.running is None:
        wait = _seconds(_last_end(reports[0]) or now, now) + _backoff(reports[0].restart_count)
        return Step(again_after=wait) if wait > 0 else Step(_running(pod, part, facts, now, restarted=True))
    if part.end_after is not None:
        wait = part.end_after - _seconds(now, state.running.started_at or now)
        if wait <= 0:
            return Step(_over(pod, part.exit_code, now))
        if _is_ready(pod) == _shall_be_ready(pod, part):
            return Step(again_after=wait)
    if _is_ready(pod) != _shall_be_ready(pod, part):
        return Step({"conditions": _conditions(pod, now, ready=not _is_ready(pod), containers=part.ready)})
    return REST


def _leaving(pod: FakePod, now: datetime) -> Step:
    """It goes at once; one that somebody holds by a finalizer ends first, as a real one would."""
    held, ended = bool(pod.metadata.finalizers), pod.status.phase in ENDED
    if held and not ended:
        phase = "Failed" if pod.spec.restart_policy != "Never" else "Succeeded"
        return Step(_ended(pod, now, 0 if phase == "Succeeded" else 137, phase))
    if held and pod.metadata.deletion_grace_period_seconds == 0:
        return REST
    return Step(delete=True)


def _over(pod: FakePod, code: int, now: datetime) -> dict[str, Any]:
    """The containers have ended: for good, or until their back-off is over."""
    policy = pod.spec.restart_policy or "Always"
    if policy == "Never" or (policy == "OnFailure" and code == 0):
        return _ended(pod, now, code, "Failed" if code else "Succeeded")
    return {
        "conditions": _conditions(pod, now, ready=False, containers=False),
        "containerStatuses": [
            _report(pod, one, old, ready=False)
            | {
                "state": {"waiting": {"reason": CRASH_LOOP, "message": _crash_text(pod, one, old)}},
                "lastState": {"terminated": _termination(pod, one, old, now, code)},
            }
            for one, old in _containers(pod)
        ],
    }


def _crash_text(pod: FakePod, one: Container, old: ContainerStatus) -> str:
    meta = pod.metadata
    delay = int(_backoff(old.restart_count))
    return f"back-off {delay}s restarting failed container={one.name} pod={meta.name}_{meta.namespace}({meta.uid})"


def _running(pod: FakePod, part: Part, facts: Facts, now: datetime, *, restarted: bool = False) -> dict[str, Any]:
    moment = _stamp(now)
    address = facts.node_ip if pod.spec.host_network else (pod.status.pod_ip or facts.pod_ip)
    ready = _shall_be_ready(pod, part)
    status: dict[str, Any] = {
        "phase": "Running",
        "observedGeneration": pod.metadata.generation,
        "hostIP": facts.node_ip,
        "hostIPs": [{"ip": facts.node_ip}],
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": moment if pod.status.start_time is None else _stamp(pod.status.start_time),
        "conditions": _conditions(pod, now, ready=ready, containers=part.ready),
        "containerStatuses": [
            _report(pod, one, old, ready=part.ready, more=int(restarted))
            | {"state": {"running": {"startedAt": moment}}}
            for one, old in _containers(pod)
        ],
    }
    if pod.spec.init_containers and not restarted:
        status["initContainerStatuses"] = [_prepared(pod, one, moment) for one in pod.spec.init_containers]
    return status


def _ended(pod: FakePod, now: datetime, code: int, phase: str) -> dict[str, Any]:
    why = {"reason": "PodCompleted" if phase == "Succeeded" else "PodFailed"}
    return {
        "phase": phase,
        "conditions": [
            one | why if one["type"] in ("Ready", "ContainersReady") else one
            for one in _conditions(pod, now, ready=False, containers=False)
        ],
        "containerStatuses": [
            _report(pod, one, old, ready=False) | {"state": {"terminated": _termination(pod, one, old, now, code)}}
            for one, old in _containers(pod)
        ],
    }


def _containers(pod: FakePod) -> Iterable[tuple[Container, ContainerStatus]]:
    old = {one.name: one for one in pod.status.container_statuses}
    return [(one, old.get(one.name) or ContainerStatus(name=one.name)) for one in pod.spec.containers]


def _report(pod: FakePod, one: Container, old: ContainerStatus, *, ready: bool, more: int = 0) -> dict[str, Any]:
    count = old.restart_count + more
    return {
        "name": one.name,
        "lastState": old.last_state or {},
        "image": one.image or "",
        "imageID": f"{RUNTIME}://{one.image or ''}",
        "containerID": _container_id(pod, one, count),
        "ready": ready,
        "started": ready,
        "restartCount": count,
    }


def _container_id(pod: FakePod, one: Container, count: int) -> str:
    return f"{RUNTIME}://{pod.metadata.uid}-{one.name}-{count}"


def _prepared(pod: FakePod, one: Container, moment: str) -> dict[str, Any]:
    """An init container that has done its work, or a sidecar that runs."""
    shown = _report(pod, one, ContainerStatus(name=one.name), ready=True)
    if one.restart_policy == "Always":
        return shown | {"state": {"running": {"startedAt": moment}}}
    done = {"exitCode": 0, "reason": "Completed", "startedAt": moment, "finishedAt": moment}
    return shown | {"started": False, "state": {"terminated": done | {"containerID": shown["containerID"]}}}


def _termination(pod: FakePod, one: Container, old: ContainerStatus, now: datetime, code: int) -> dict[str, Any]:
    running = old.state.running if old.state is not None else None
    began = running.started_at if running is not None and running.started_at is not None else now
    return {
        "exitCode": code,
        "reason": "Error" if code else "Completed",
        "startedAt": _stamp(began),
        "finishedAt": _stamp(now),
        "containerID": _container_id(pod, one, old.restart_count),
    }


def _conditions(pod: FakePod, now: datetime, *, ready: bool, containers: bool) -> list[dict[str, Any]]:
    """Those of the agent's conditions that differ from what is told, for a strategic merge."""
    told = {one.type: one.status for one in pod.status.conditions}
    wanted: dict[str, tuple[bool, str | None, str | None]] = {
        "PodReadyToStartContainers": (True, None, None),
        "Initialized": (True, None, None),
        "Ready": (ready, None if ready else "ContainersNotReady" if not containers else "ReadinessGatesNotReady", None),
        "ContainersReady": (containers, None if containers else "ContainersNotReady", None),
    }
    found = []
    for type, (holds, reason, message) in wanted.items():
        status = "True" if holds else "False"
        if told.get(type) == status:
            continue
        found.append(
            {
                "type": type,
                "status": status,
                "reason": reason,
                "message": message,
                "lastProbeTime": None,
                "lastTransitionTime": _stamp(now),
                "observedGeneration": pod.metadata.generation,
            }
        )
    return found


def _shall_be_ready(pod: FakePod, part: Part) -> bool:
    told = {one.type: one.status for one in pod.status.conditions}
    return part.ready and all(told.get(gate.condition_type) == "True" for gate in pod.spec.readiness_gates)


def _is_ready(pod: FakePod) -> bool:
    return any(one.type == "Ready" and one.status == "True" for one in pod.status.conditions)


def _bound_at(pod: FakePod) -> datetime | None:
    scheduled = next((one for one in pod.status.conditions if one.type == "PodScheduled"), None)
    if scheduled is not None and scheduled.status == "True" and scheduled.last_transition_time is not None:
        return scheduled.last_transition_time
    return pod.metadata.creation_timestamp


def _crashed(report: ContainerStatus) -> bool:
    waiting = report.state.waiting if report.state is not None else None
    return waiting is not None and waiting.reason == CRASH_LOOP


def _last_end(report: ContainerStatus) -> datetime | None:
    if report.state is not None and report.state.terminated is not None:
        return report.state.terminated.finished_at
    last = State.from_json(report.last_state or {})
    return last.terminated.finished_at if last.terminated is not None else None


def _backoff(restarts: int) -> float:
    return min(MOST_DELAY, FIRST_DELAY * 2.0 ** min(restarts, 10))


def _seconds(later: datetime, earlier: datetime) -> float:
    return (later - earlier).total_seconds()


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
