"""What a deployment's status says: counts, and the conditions Available, Progressing and ReplicaFailure. Pure.

Source: Deployment's documentation, "Deployment status"; reasons and messages are upstream's.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from controllers.conditions import find, merged, stamp, without
from controllers.rollout import Fence, size
from sampan.api.apps_v1 import Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet

AVAILABLE, PROGRESSING, REPLICA_FAILURE = "Available", "Progressing", "ReplicaFailure"
NEW_RS_AVAILABLE = "NewReplicaSetAvailable"
DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"
PAUSED, RESUMED = "DeploymentPaused", "DeploymentResumed"
NO_DEADLINE = 2**31 - 1


def judged(
    deployment: Deployment, new: ReplicaSet | None, old: Sequence[ReplicaSet], now: datetime
) -> DeploymentStatus:
    """The status that the replica sets amount to."""
    sets = [*old, new] if new is not None else list(old)
    available = sum(one.status.available_replicas or 0 for one in sets)
    fence = Fence.of(deployment)
    terminating = sum(one.status.terminating_replicas or 0 for one in sets)
    status = DeploymentStatus(
        observed_generation=deployment.metadata.generation,
        replicas=sum(one.status.replicas for one in sets) or None,
        updated_replicas=(new.status.replicas if new is not None else 0) or None,
        ready_replicas=sum(one.status.ready_replicas or 0 for one in sets) or None,
        available_replicas=available or None,
        unavailable_replicas=max(0, sum(size(one) for one in sets) - available) or None,
        terminating_replicas=terminating,
        collision_count=deployment.status.collision_count,
        conditions=deployment.status.conditions,
    )
    enough = available >= fence.fewest
    verdict = DeploymentCondition(
        type=AVAILABLE,
        status="True" if enough else "False",
        reason="MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable",
        message="Deployment has minimum availability." if enough else "Deployment does not have minimum availability.",
        last_update_time=stamp(now),
        last_transition_time=stamp(now),
    )
    conditions = merged(status.conditions, verdict)
    conditions = _progress(deployment, status.model_copy(update={"conditions": conditions}), new, now)
    return status.model_copy(update={"conditions": _failure(conditions, new, old, now)})


def progressing(
    deployment: Deployment,
    conditions: Sequence[DeploymentCondition],
    status: str,
    reason: str,
    message: str,
    now: datetime,
    *,
    touch: bool = True,
) -> list[DeploymentCondition]:
    """The conditions with Progressing set; without a deadline there is none. `touch` renews its update time."""
    if not _has_deadline(deployment):
        return without(conditions, PROGRESSING)
    old = find(conditions, PROGRESSING)
    new = DeploymentCondition(
        type=PROGRESSING,
        status=status,
        reason=reason,
        message=message,
        last_update_time=stamp(now),
        last_transition_time=stamp(now),
    )
    if old is not None and (old.status, old.reason, old.message) == (status, reason, message) and not touch:
        return list(conditions)
    return merged(conditions, new, "last_update_time")


def paused_conditions(deployment: Deployment, now: datetime) -> tuple[Deployment, Deployment | None]:
    """The deployment with Progressing saying that it is paused or goes on, and the deployment before if that is new."""
    found = find(deployment.status.conditions, PROGRESSING)
    if not _has_deadline(deployment) or (found is not None and found.reason == DEADLINE_EXCEEDED):
        return deployment, None
    is_paused = found is not None and found.reason == PAUSED
    if bool(deployment.spec.paused) == is_paused:
        return deployment, None
    reason, text = (PAUSED, "Deployment is paused") if deployment.spec.paused else (RESUMED, "Deployment is resumed")
    conditions = progressing(deployment, deployment.status.conditions, "Unknown", reason, text, now)
    status = deployment.status.model_copy(update={"conditions": conditions})
    return deployment.model_copy(update={"status": status}), deployment


def seconds_to_deadline(deployment: Deployment, status: DeploymentStatus, now: datetime) -> float | None:
    """How long until a rollout that stands still has failed, or None when no clock runs."""
    found = find(status.conditions, PROGRESSING)
    if not _has_deadline(deployment) or found is None or deployment.spec.paused:
        return None
    if found.reason in (NEW_RS_AVAILABLE, DEADLINE_EXCEEDED) or found.last_update_time is None:
        return None
    deadline = found.last_update_time + timedelta(seconds=(deployment.spec.progress_deadline_seconds or 0) + 1)
    return max(1.0, (deadline - now).total_seconds())


def _has_deadline(deployment: Deployment) -> bool:
    seconds = deployment.spec.progress_deadline_seconds
    return seconds is not None and seconds != NO_DEADLINE


def _progress(
    deployment: Deployment, status: DeploymentStatus, new: ReplicaSet | None, now: datetime
) -> list[DeploymentCondition]:
    conditions = status.conditions
    found = find(conditions, PROGRESSING)
    if not _has_deadline(deployment):
        return without(conditions, PROGRESSING)
    if deployment.spec.paused or (found is not None and found.reason == PAUSED):
        return conditions
    replicas, updated = status.replicas or 0, status.updated_replicas or 0
    if replicas == updated and found is not None and found.reason == NEW_RS_AVAILABLE:
        return conditions
    name = f'ReplicaSet "{new.metadata.name}"' if new is not None else f'Deployment "{deployment.metadata.name}"'
    wanted = Fence.of(deployment).replicas
    before = deployment.status
    if (replicas, updated, status.available_replicas or 0) == (wanted, wanted, wanted):
        text = f"{name} has successfully progressed."
        return progressing(deployment, conditions, "True", NEW_RS_AVAILABLE, text, now)
    moved = (
        updated > (before.updated_replicas or 0)
        or replicas - updated < (before.replicas or 0) - (before.updated_replicas or 0)
        or (status.ready_replicas or 0) > (before.ready_replicas or 0)
        or (status.available_replicas or 0) > (before.available_replicas or 0)
    )
    if moved:
        return progressing(deployment, conditions, "True", "ReplicaSetUpdated", f"{name} is progressing.", now)
    if found is None:
        if new is None:
            return conditions
        text = f'Found new replica set "{new.metadata.name}"'
        return progressing(deployment, conditions, "True", "FoundNewReplicaSet", text, now)
    if _timed_out(deployment, found, now):
        text = f"{name} has timed out progressing."
        return progressing(deployment, conditions, "False", DEADLINE_EXCEEDED, text, now, touch=False)
    return conditions


def _timed_out(deployment: Deployment, found: DeploymentCondition, now: datetime) -> bool:
    if found.reason == NEW_RS_AVAILABLE:
        return False
    if found.reason == DEADLINE_EXCEEDED:
        return True
    since = found.last_update_time or now
    return now > since + timedelta(seconds=deployment.spec.progress_deadline_seconds or 0)


def _failure(
    conditions: list[DeploymentCondition], new: ReplicaSet | None, old: Sequence[ReplicaSet], now: datetime
) -> list[DeploymentCondition]:
    """Carry a replica set's failure up, the new one's first."""
    for rs in ([new] if new is not None else []) + list(old):
        failure = find(rs.status.conditions, REPLICA_FAILURE)
        if failure is not None:
            carried = DeploymentCondition(
                type=REPLICA_FAILURE,
                status=failure.status,
                reason=failure.reason,
                message=failure.message,
                last_update_time=stamp(now),
                last_transition_time=failure.last_transition_time,
            )
            return merged(conditions, carried)
    return without(conditions, REPLICA_FAILURE)
