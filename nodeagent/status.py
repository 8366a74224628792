"""What is reported of a pod: desired pod + what is observed + the plan -> PodStatus, as upstream words it. Pure.

Always: conditions that others own (PodScheduled, readiness gates, DisruptionTarget ...) stay as the API has them; a
transition time changes only with its status; a container that was reported as ended stays reported.
Source: the Kubernetes documentation, "Pod Lifecycle"; KEP-753 (sidecars), KEP-3085 (PodReadyToStartContainers),
KEP-5067 (observedGeneration).
Elsewhere: how it gets into the API (statuses.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from nodeagent.observed import Container, ContainerState, Observed
from nodeagent.plan import Plan
from nodeagent.resources import qos_class
from nodeagent.restart import Kind, Member, members, restarts
from sampan.api import core_v1

DISRUPTED = "DisruptionTarget"
OWNED = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady")
UNKNOWN_EXIT_CODE = 137
LOST = "The container could not be located when the pod was terminated"


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What status says of the node that a pod is on."""

    host_ips: tuple[str, ...]
    runtime_name: str


def status_of(pod: core_v1.Pod, seen: Observed, plan: Plan, facts: NodeFacts, now: datetime) -> core_v1.PodStatus:
    """The status of a pod at `now`."""
    ended = bool(plan.verdict) or pod.metadata.deletion_timestamp is not None
    reports = {member.name: _report(pod, member, seen, plan, facts) for member in members(pod)}
    if ended and not seen.alive and pod.metadata.deletion_timestamp is not None and not _making(seen):
        reports = {name: _settled(report) for name, report in reports.items()}
    phase = phase_of(pod, reports, ended=ended and not _making(seen))
    verdict = plan.verdict
    if verdict and verdict.reason and not seen.alive:
        phase = verdict.phase
    if pod.status.phase in ("Succeeded", "Failed"):
        phase = pod.status.phase
    never_began = bool(verdict and verdict.reason) and not (seen.sandboxes or seen.containers or _making(seen))
    told = reports
    if never_began and not any(report.container_id for report in reports.values()):
        told = {}  # a refused pod has no containers to tell of, or kubectl would say that they are being created
    old = pod.status
    ips = _pod_ips(pod, seen, facts, phase)
    fields: dict[str, Any] = {
        "phase": phase,
        "start_time": old.start_time or now.replace(microsecond=0),
        "qos_class": old.qos_class or qos_class(pod).value,
        "observed_generation": pod.metadata.generation,
        "host_ip": facts.host_ips[0] if facts.host_ips else None,
        "host_ips": [core_v1.HostIP(ip=ip) for ip in facts.host_ips],
        "pod_ip": ips[0] if ips else None,
        "pod_ips": [core_v1.PodIP(ip=ip) for ip in ips],
        "init_container_statuses": _told(told, pod.spec.init_containers),
        "container_statuses": _told(told, pod.spec.containers),
        "ephemeral_container_statuses": _told(told, pod.spec.ephemeral_containers),
        "reason": verdict.reason if verdict and verdict.reason else old.reason,
        "message": verdict.message if verdict and verdict.message else old.message,
    }
    conditions = _conditions(pod, seen, reports, phase)
    kept = [one for one in old.conditions if one.type not in OWNED]
    if verdict is not None and verdict.disrupted:
        kept = [one for one in kept if one.type != DISRUPTED]
        conditions.append(
            core_v1.PodCondition(type=DISRUPTED, status="True", reason="TerminationByKubelet", message=verdict.message)
        )
    if not any(one.type == "PodScheduled" for one in kept):
        kept.append(core_v1.PodCondition(type="PodScheduled", status="True"))
    generation = pod.metadata.generation
    fields["conditions"] = [_since(condition, old.conditions, generation, now) for condition in conditions] + [
        one if one.last_transition_time else _since(one, old.conditions, generation, now) for one in kept
    ]
    return old.model_copy(update=fields)


def _told(
    reports: dict[str, core_v1.ContainerStatus], specs: Iterable[core_v1.Container | core_v1.EphemeralContainer]
) -> list[core_v1.ContainerStatus]:
    return [reports[one.name] for one in specs if one.name in reports]


def _making(seen: Observed) -> bool:
    return bool(seen.busy & {"start", "sandbox"})


# --- containers


def _report(pod: core_v1.Pod, member: Member, seen: Observed, plan: Plan, facts: NodeFacts) -> core_v1.ContainerStatus:
    newest = seen.newest(member.name)
    old = _old_report(pod, member)
    failure = seen.failures.get(member.name)
    first = "PodInitializing" if pod.spec.init_containers else "ContainerCreating"
    waiting: core_v1.ContainerStateWaiting | None = None
    if failure is not None:
        waiting = core_v1.ContainerStateWaiting(reason=failure.reason, message=failure.message or None)
    if (held := plan.waiting.get(member.name)) is not None:
        waiting = core_v1.ContainerStateWaiting(reason=held.reason, message=held.message or None)
    shown: dict[str, Any] = {
        "name": member.name,
        "image": member.spec.image or "",
        "image_id": "",
        "ready": False,
        "started": False,
        "last_state": core_v1.ContainerState(),
        "volume_mounts": [
            core_v1.VolumeMountStatus(
                name=mount.name,
                mount_path=mount.mount_path,
                read_only=mount.read_only or None,
                recursive_read_only=(mount.recursive_read_only or "Disabled") if mount.read_only else None,
            )
            for mount in member.spec.volume_mounts
        ],
    }
    if member.kind is not Kind.EPHEMERAL and (wanted := member.spec.resources) is not None:
        shown["allocated_resources"] = dict(wanted.requests)
        if wanted.requests or wanted.limits:
            shown["resources"] = core_v1.ResourceRequirements(limits=wanted.limits, requests=wanted.requests)
    if member.spec.lifecycle is not None and member.spec.lifecycle.stop_signal:
        shown["stop_signal"] = member.spec.lifecycle.stop_signal
    if newest is None:
        if old is not None and old.container_id and (plan.verdict or pod.metadata.deletion_timestamp):
            return old if old.state and old.state.terminated else _settled(old)
        shown["state"] = core_v1.ContainerState(waiting=waiting or core_v1.ContainerStateWaiting(reason=first))
        if old is not None and old.container_id:
            shown["restart_count"] = old.restart_count
            shown["last_state"] = _last_of(old)
        return core_v1.ContainerStatus(**shown)
    runtime = facts.runtime_name
    shown |= {
        "restart_count": newest.restart_count,
        "image": newest.image or shown["image"],
        "image_id": newest.image_ref,
        "container_id": f"{runtime}://{newest.id}",
    }
    earlier = [one for one in seen.of_name(member.name)[1:] if one.exited]
    if earlier:
        shown["last_state"] = core_v1.ContainerState(terminated=_terminated(earlier[0], runtime))
    elif old is not None and old.restart_count == newest.restart_count and old.last_state is not None:
        shown["last_state"] = old.last_state  # the runtime has forgotten it, the API has not
    if newest.running:
        health = seen.health.get(newest.id)
        if newest.user is not None:
            user = newest.user
            shown["user"] = core_v1.ContainerUser(
                linux=core_v1.LinuxContainerUser(uid=user.uid, gid=user.gid, supplemental_groups=list(user.groups))
            )
        shown["state"] = core_v1.ContainerState(
            running=core_v1.ContainerStateRunning(started_at=_when(newest.started_at))
        )
        shown["started"] = bool(health and health.started)
        if member.kind is Kind.INIT:
            shown["ready"] = False
        else:
            shown["ready"] = bool(health and health.started and health.ready)
    elif newest.exited:
        over = _terminated(newest, runtime)
        coming = plan.verdict is None and not pod.metadata.deletion_timestamp
        if waiting is not None and coming and restarts(pod, member, newest.exit_code):
            shown["state"] = core_v1.ContainerState(waiting=waiting)
            shown["last_state"] = core_v1.ContainerState(terminated=over)
        else:
            shown["state"] = core_v1.ContainerState(terminated=over)
        if member.kind is Kind.INIT:
            shown["ready"] = newest.exit_code == 0
    elif newest.state is ContainerState.CREATED:
        shown["state"] = core_v1.ContainerState(waiting=waiting or core_v1.ContainerStateWaiting(reason=first))
    else:
        shown["state"] = core_v1.ContainerState(
            terminated=core_v1.ContainerStateTerminated(
                exit_code=UNKNOWN_EXIT_CODE,
                reason="ContainerStatusUnknown",
                message="The container could not be located when the pod was deleted."
                "  The container used to be Running",
            )
        )
    return core_v1.ContainerStatus(**shown)


def _old_report(pod: core_v1.Pod, member: Member) -> core_v1.ContainerStatus | None:
    status = pod.status
    reports: Iterable[core_v1.ContainerStatus] = {
        Kind.INIT: status.init_container_statuses,
        Kind.SIDECAR: status.init_container_statuses,
        Kind.REGULAR: status.container_statuses,
        Kind.EPHEMERAL: status.ephemeral_container_statuses,
    }[member.kind]
    return next((one for one in reports if one.name == member.name), None)


def _last_of(old: core_v1.ContainerStatus) -> core_v1.ContainerState:
    """The last ended container of a report whose container the runtime has forgotten."""
    if old.state is not None and old.state.terminated is not None:
        return core_v1.ContainerState(terminated=old.state.terminated)
    return old.last_state or core_v1.ContainerState()


def _settled(report: core_v1.ContainerStatus) -> core_v1.ContainerStatus:
    """A report of a pod that has ended: every container has ended too, the lost and the never started included."""
    if report.state is not None and report.state.terminated is not None:
        return report
    if not report.container_id:
        return report
    gone = core_v1.ContainerStateTerminated(exit_code=UNKNOWN_EXIT_CODE, reason="ContainerStatusUnknown", message=LOST)
    waits = report.state is not None and report.state.waiting is not None
    if waits and report.last_state is not None and report.last_state.terminated is not None:
        gone = report.last_state.terminated
    return report.model_copy(
        update={"state": core_v1.ContainerState(terminated=gone), "ready": False, "started": False}
    )


def _terminated(dead: Container, runtime: str) -> core_v1.ContainerStateTerminated:
    reason = dead.reason or ("Completed" if dead.exit_code == 0 else "Error")
    return core_v1.ContainerStateTerminated(
        exit_code=dead.exit_code,
        reason=reason,
        message=dead.message or None,
        started_at=_when(dead.started_at),
        finished_at=_when(dead.finished_at),
        container_id=f"{runtime}://{dead.id}",
    )


def _when(seconds: float) -> datetime | None:
    return datetime.fromtimestamp(int(seconds), UTC) if seconds > 0 else None


# --- phase


def phase_of(pod: core_v1.Pod, reports: Mapping[str, core_v1.ContainerStatus], *, ended: bool = False) -> str:
    """Pending, Running, Succeeded or Failed, from the reports of all containers by name.

    `ended`: no container of the pod starts any more.
    """
    never = pod.spec.restart_policy == "Never"
    initialising = False
    running_sidecars = False
    for member in members(pod):
        state = reports[member.name].state or core_v1.ContainerState()
        if member.kind is Kind.SIDECAR:
            running_sidecars |= state.running is not None
            if not (state.running is not None and reports[member.name].started):
                initialising = True
        elif member.kind is Kind.INIT:
            last = reports[member.name].last_state
            if state.terminated is not None:
                if state.terminated.exit_code != 0:
                    if never or (ended and not running_sidecars):
                        return "Failed"
                    initialising = True
            elif not (last is not None and last.terminated is not None and last.terminated.exit_code == 0):
                initialising = True
    running = stopped = succeeded = waiting = 0
    for spec in pod.spec.containers:
        report = reports[spec.name]
        state = report.state or core_v1.ContainerState()
        last = report.last_state
        if state.running is not None:
            running += 1
        elif state.terminated is not None:
            stopped += 1
            succeeded += state.terminated.exit_code == 0
        elif last is not None and last.terminated is not None:
            stopped += 1
        else:
            waiting += 1
    if running == 0 and stopped == 0 and ended and not running_sidecars:
        return "Failed"  # it came to its end before anything of it ran
    if initialising and not (running or stopped):
        return "Pending"
    if waiting:
        return "Failed" if ended and running == 0 and not running_sidecars else "Pending"
    if running:
        return "Running"
    if stopped == 0:
        return "Pending"
    if ended and not running_sidecars:
        return "Succeeded" if stopped == succeeded else "Failed"
    if running_sidecars or pod.spec.restart_policy in (None, "Always"):
        return "Running"
    if stopped == succeeded:
        return "Succeeded"
    return "Failed" if never else "Running"


# --- conditions


def _conditions(
    pod: core_v1.Pod, seen: Observed, reports: Mapping[str, core_v1.ContainerStatus], phase: str
) -> list[core_v1.PodCondition]:
    sandbox = seen.sandbox
    sandboxed = sandbox is not None and sandbox.ready
    containers = _containers_ready(pod, reports, phase)
    return [
        core_v1.PodCondition(type="PodReadyToStartContainers", status="True" if sandboxed else "False"),
        _initialized(pod, reports, phase),
        _ready(pod, containers, phase),
        containers,
    ]


def _condition(kind: str, reason: str = "", message: str = "") -> core_v1.PodCondition:
    """True without a reason, False with one."""
    return core_v1.PodCondition(
        type=kind, status="False" if reason else "True", reason=reason or None, message=message or None
    )


def _initialized(pod: core_v1.Pod, reports: Mapping[str, core_v1.ContainerStatus], phase: str) -> core_v1.PodCondition:
    if phase == "Succeeded":
        return core_v1.PodCondition(type="Initialized", status="True", reason="PodCompleted")
    past = any(
        (state := reports[spec.name].state) and (state.running or state.terminated) for spec in pod.spec.containers
    )
    incomplete = []
    for member in members(pod):
        report = reports[member.name]
        if (member.kind is Kind.SIDECAR and not past and not report.started) or (
            member.kind is Kind.INIT and not past and not report.ready
        ):
            incomplete.append(member.name)
    if not incomplete:
        return _condition("Initialized")
    return _condition(
        "Initialized", "ContainersNotInitialized", f"containers with incomplete status: [{' '.join(incomplete)}]"
    )


def _containers_ready(
    pod: core_v1.Pod, reports: Mapping[str, core_v1.ContainerStatus], phase: str
) -> core_v1.PodCondition:
    if phase == "Succeeded":
        return _condition("ContainersReady", "PodCompleted")
    if phase == "Failed":
        return _condition("ContainersReady", "PodFailed")
    unready = [
        member.name
        for member in members(pod)
        if member.kind in (Kind.SIDECAR, Kind.REGULAR) and not reports[member.name].ready
    ]
    if not unready:
        return _condition("ContainersReady")
    return _condition("ContainersReady", "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]")


def _ready(pod: core_v1.Pod, containers: core_v1.PodCondition, phase: str) -> core_v1.PodCondition:
    if containers.status != "True":
        return containers.model_copy(update={"type": "Ready"})
    found = {one.type: one.status for one in pod.status.conditions}
    missing = []
    for gate in pod.spec.readiness_gates:
        kind = gate.condition_type
        if kind not in found:
            missing.append(f'corresponding condition of pod readiness gate "{kind}" does not exist.')
        elif found[kind] != "True":
            missing.append(f'the status of pod readiness gate "{kind}" is not "True", but {found[kind]}')
    if missing:
        return _condition("Ready", "ReadinessGatesNotReady", ", ".join(missing))
    return _condition("Ready")


def _since(
    condition: core_v1.PodCondition, old: Iterable[core_v1.PodCondition], generation: int | None, now: datetime
) -> core_v1.PodCondition:
    """With the time of its last change, which is now unless it was the same before."""
    before = next((one for one in old if one.type == condition.type), None)
    unchanged = before is not None and before.status == condition.status
    when = before.last_transition_time if before is not None and unchanged else None
    return condition.model_copy(
        update={
            "last_transition_time": when or now.replace(microsecond=0),
            "observed_generation": generation,
        }
    )


def _pod_ips(pod: core_v1.Pod, seen: Observed, facts: NodeFacts, phase: str) -> tuple[str, ...]:
    if pod.spec.host_network:
        return facts.host_ips if seen.sandboxes or pod.status.pod_ip else ()
    sandbox = seen.sandbox
    if sandbox is not None and sandbox.ready and sandbox.ips:
        return sandbox.ips
    if seen.sandboxes or phase in ("Succeeded", "Failed") or pod.metadata.deletion_timestamp:
        return tuple(one.ip for one in pod.status.pod_ips)  # an ended pod keeps the address that it had
    return ()
