"""Replica sets: as many pods of a template as asked for.

Sources: ReplicaSet's documentation and API reference; event and condition wording is upstream's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from controllers import pods as pods_
from controllers.conditions import merged, selector_of, stamp, without
from sampan.actions import Action, Batch, Delete, Event, RequeueAfter, SetStatus
from sampan.api.apps_v1 import ReplicaSet, ReplicaSetCondition, ReplicaSetStatus
from sampan.api.core_v1 import Pod
from sampan.events import NORMAL, WARNING
from sampan.kinds import PODS, REPLICA_SETS
from sampan.loop import Controller, claim, namespace_is_terminating
from sampan.objects import controller_of, owned_by
from sampan.world import CONTROLLER, World

BURST = 500
REPLICA_FAILURE = "ReplicaFailure"


def plan(rs: ReplicaSet, pods: Sequence[Pod], related: Sequence[Pod], now: datetime) -> Iterator[Action]:
    """Pure: what to do about a replica set, given its pods and those of its sibling replica sets."""
    active = [pod for pod in pods if pods_.is_active(pod)]
    status = observed(rs, pods, now)
    if rs.metadata.deletion_timestamp is None:
        surplus = len(active) - _wanted(rs)
        if surplus < 0:
            yield _creation(rs, min(-surplus, BURST), status, now)
        elif surplus > 0:
            doomed = pods_.least_useful_first(active, related, now)[: min(surplus, BURST)]
            yield _deletion(rs, doomed, status, now)
            # Whoever reads the status must not count on pods that have just been given up.
            uids = {pod.metadata.uid for pod in doomed}
            status = observed(rs, [pod for pod in pods if pod.metadata.uid not in uids], now)
    yield SetStatus(REPLICA_SETS, rs, status)
    wait = pods_.until_next_available(active, rs.spec.min_ready_seconds or 0, now)
    if wait is not None:
        yield RequeueAfter(wait)


def observed(rs: ReplicaSet, pods: Sequence[Pod], now: datetime) -> ReplicaSetStatus:
    """Pure: the status that the pods amount to."""
    active = [pod for pod in pods if pods_.is_active(pod)]
    labels = rs.spec.template.metadata.labels.items()
    ready = [pod for pod in active if pods_.is_ready(pod)]
    available = sum(pods_.is_available(pod, rs.spec.min_ready_seconds or 0, now) for pod in ready)
    return ReplicaSetStatus(
        replicas=len(active),
        fully_labeled_replicas=sum(labels <= pod.metadata.labels.items() for pod in active) or None,
        ready_replicas=len(ready) or None,
        available_replicas=available or None,
        terminating_replicas=sum(pods_.is_terminating(pod) and not pods_.is_finished(pod) for pod in pods),
        observed_generation=rs.metadata.generation,
        conditions=without(rs.status.conditions, REPLICA_FAILURE),
    )


def _wanted(rs: ReplicaSet) -> int:
    return 1 if rs.spec.replicas is None else rs.spec.replicas


def _creation(rs: ReplicaSet, count: int, status: ReplicaSetStatus, now: datetime) -> Batch:
    pod = pods_.from_template(
        rs.spec.template,
        owned_by(rs, REPLICA_SETS),
        namespace=rs.metadata.namespace or "",
        prefix=rs.metadata.name or "",
    )

    def failed(error: Exception, _done: int, _untried: int) -> Iterable[Action]:
        if namespace_is_terminating(error):
            return
        yield Event(REPLICA_SETS, rs, WARNING, "FailedCreate", f"Error creating: {error}")
        yield _failure(rs, "FailedCreate", error, status, now)

    return Batch([pods_.create(pod, rs, REPLICA_SETS) for _ in range(count)], failed)


def _deletion(rs: ReplicaSet, doomed: Sequence[Pod], status: ReplicaSetStatus, now: datetime) -> Batch:
    def failed(error: Exception, _done: int, _untried: int) -> Iterable[Action]:
        yield Event(REPLICA_SETS, rs, WARNING, "FailedDelete", f"Error deleting: {error}")
        yield _failure(rs, "FailedDelete", error, status, now)

    def deletion(pod: Pod) -> Delete:
        told = Event(REPLICA_SETS, rs, NORMAL, "SuccessfulDelete", f"Deleted pod: {pod.metadata.name}")
        return Delete(PODS, pod, then=(told,))

    return Batch([deletion(pod) for pod in doomed], failed)


def _failure(
    rs: ReplicaSet, reason: str, error: Exception, status: ReplicaSetStatus, now: datetime
) -> SetStatus[ReplicaSet]:
    condition = ReplicaSetCondition(
        type=REPLICA_FAILURE, status="True", reason=reason, message=str(error), last_transition_time=stamp(now)
    )
    conditions = merged(rs.status.conditions, condition)
    return SetStatus(REPLICA_SETS, rs, status.model_copy(update={"conditions": conditions}))


def reconcile(rs: ReplicaSet, world: World) -> Iterator[Action]:
    """Claim the pods, then follow the plan."""
    selector = selector_of(rs.spec.selector)
    if not selector:
        yield Event(
            REPLICA_SETS, rs, WARNING, "SelectingAll", "This ReplicaSet is selecting no or all pods, so it is idle."
        )
        return
    claimed = claim(rs, REPLICA_SETS, selector, PODS, world)
    yield from claimed.actions
    owner = controller_of(rs)
    siblings = world.by(REPLICA_SETS, CONTROLLER, owner.uid) if owner is not None else [rs]
    related = [pod for one in siblings for pod in world.by(PODS, CONTROLLER, one.metadata.uid or "")]
    yield from plan(rs, claimed.owned, related, world.now)


REPLICA_SET = Controller(
    name="replicaset-controller",
    of=REPLICA_SETS,
    reconcile=reconcile,
    owns=(PODS,),
    selector=lambda rs: selector_of(rs.spec.selector),
    workers=8,
)
