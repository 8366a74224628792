"""Jobs: pods that run until enough of them have succeeded.

Always: a pod's end is counted exactly once, even if the pod or this controller vanishes in between; a job that is over
(Complete or Failed) says so only when none of its pods runs any more.
Sources: Job's documentation, KEP-2307 (counting), KEP-3329 (failure policy), KEP-3998 (SuccessCriteriaMet), KEP-3939.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from controllers import job_pods as jp
from controllers import pods as pods_
from controllers.conditions import find, merged, stamp
from controllers.job_count import count, failures, successes
from sampan.actions import Action, Batch, Delete, Event, Patch, RequeueAfter, SetStatus
from sampan.api.batch_v1 import Job, JobCondition, JobStatus
from sampan.api.core_v1 import Pod
from sampan.client import PatchKind, Propagation
from sampan.events import NORMAL, WARNING
from sampan.kinds import JOBS, PODS
from sampan.loop import Controller, namespace_is_terminating
from sampan.objects import Key, controller_of
from sampan.world import CONTROLLER, World

COMPLETE, FAILED, SUSPENDED = "Complete", "Failed", "Suspended"
SUCCESS_CRITERIA_MET, FAILURE_TARGET = "SuccessCriteriaMet", "FailureTarget"
CONTROLLER_NAME = "kubernetes.io/job-controller"
DEFAULT_BACKOFF_LIMIT = 6
MOST_AT_ONCE = 500
UNSUPPORTED = ("scheduling",)


@dataclass(frozen=True)
class End:
    """Why a job is over."""

    type: str
    reason: str
    message: str


def is_over(job: Job) -> bool:
    """Whether the job is Complete or Failed."""
    return any(one.type in (COMPLETE, FAILED) and one.status == "True" for one in job.status.conditions)


def plan(job: Job, pods: Sequence[Pod], now: datetime) -> Iterator[Action]:
    """Pure: what to do about a job, given its pods."""
    if job.metadata.deletion_timestamp is not None or is_over(job):
        yield from _let_go(pod for pod in pods if jp.has_finalizer(pod))
        if is_over(job) and job.metadata.deletion_timestamp is None:
            yield from _deletions(job, [pod for pod in pods if pods_.is_active(pod)])
        return
    missing = [name for name in UNSUPPORTED if getattr(job.spec, name) is not None]
    if missing:
        text = f"spec fields that are not supported yet: {', '.join(missing)}; the job is not started"
        yield Event(JOBS, job, WARNING, "UnsupportedField", text)
        return
    found = jp.tally(pods)
    counted = count(job, pods, found)
    status = counted.status
    ignored = counted.ignored
    end = _end(job, found, status, now)
    suspended = bool(job.spec.suspend)
    conditions = status.conditions
    start = status.start_time
    if end is None:
        conditions, start = _suspension(job, status, now)
        if start is None and not suspended:
            start = stamp(now)
    creations: list[Action] = []
    doomed: list[Pod] = []
    wait = 0.0
    if end is not None or suspended:
        doomed = found.active
    else:
        doomed, creations, wait = _adjust(job, found, status, now)
    active = len(found.active) - len(doomed)
    terminating = len(found.terminating) + len(doomed)
    if end is not None:
        conditions, over = _ended(conditions, end, terminating, counted.settled, now)
    else:
        over = False
    status = status.model_copy(
        update={
            "conditions": conditions,
            "start_time": start,
            "active": active or None,
            "ready": sum(pods_.is_ready(pod) for pod in found.active if pod not in doomed),
            "terminating": terminating,
            "completion_time": stamp(now) if over and end is not None and end.type == COMPLETE else None,
        }
    )
    yield SetStatus(JOBS, job, status)
    yield from _told(job, status, end, over)
    yield from _let_go(counted.noted)
    yield from _let_go(ignored)
    yield from _deletions(job, doomed)
    if creations:
        yield Batch(creations, lambda error, done, untried: _failed_to_create(job, error))
    yield from _waits(job, status, wait, now, bool(end))


def _end(job: Job, found: jp.Tally, status: JobStatus, now: datetime) -> End | None:
    """Why the job is over, if it is; a target that was named before stays."""
    for type, final in ((FAILURE_TARGET, FAILED), (SUCCESS_CRITERIA_MET, COMPLETE)):
        target = find(status.conditions, type)
        if target is not None and target.status == "True":
            return End(final, target.reason or "", target.message or "")
    for pod in found.failed:
        action, why = jp.verdict(job, pod)
        if action == jp.FAIL_JOB and jp.has_finalizer(pod):
            return End(FAILED, "PodFailurePolicy", why)
    each = job.spec.backoff_limit_per_index is not None
    limit = job.spec.backoff_limit
    if limit is None:
        limit = 2**31 - 1 if each else DEFAULT_BACKOFF_LIMIT
    if failures(status) > limit or _restarted_too_often(job, found, limit):
        return End(FAILED, "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    if _past_deadline(job, status, now):
        return End(FAILED, "DeadlineExceeded", "Job was active longer than specified deadline")
    matched = _success_rule(job, status)
    if matched is not None:
        return End(COMPLETE, "SuccessPolicy", f"Matched rules at index {matched}")
    if each and job.spec.completions is not None:
        lost = len(jp.parse_indexes(status.failed_indexes, job.spec.completions))
        most = job.spec.max_failed_indexes
        if most is not None and lost > most:
            text = "Job has exceeded the specified maximal number of failed indexes"
            return End(FAILED, "MaxFailedIndexesExceeded", text)
        if lost and successes(status) + lost >= job.spec.completions:
            return End(FAILED, "FailedIndexes", "Job has failed indexes")
    if job.spec.completions is None:
        complete = successes(status) > 0 and not found.active and not found.terminating
    else:
        complete = successes(status) >= job.spec.completions and not job.spec.suspend
    if complete:
        return End(COMPLETE, "CompletionsReached", "Reached expected number of succeeded pods")
    return None


def _success_rule(job: Job, status: JobStatus) -> int | None:
    """The first rule of the success policy that the completed indexes fulfil (KEP-3998)."""
    completions = job.spec.completions or 0
    done = jp.parse_indexes(status.completed_indexes, completions)
    policy = job.spec.success_policy
    for number, rule in enumerate(policy.rules if policy is not None else ()):
        asked = jp.parse_indexes(rule.succeeded_indexes, completions) if rule.succeeded_indexes else None
        met = done if asked is None else done & asked
        wanted = rule.succeeded_count if rule.succeeded_count is not None else len(asked or ())
        if wanted and len(met) >= wanted:
            return number
    return None


def _restarted_too_often(job: Job, found: jp.Tally, limit: int) -> bool:
    """With restartPolicy OnFailure it is the containers' restarts in running pods that count."""
    if job.spec.template.spec.restart_policy != "OnFailure":
        return False
    statuses = (
        one
        for pod in found.active
        if pod.status.phase in (pods_.RUNNING, pods_.PENDING)
        for one in [*pod.status.init_container_statuses, *pod.status.container_statuses]
    )
    restarts = sum(one.restart_count for one in statuses)
    return restarts > 0 if limit == 0 else restarts >= limit


def _past_deadline(job: Job, status: JobStatus, now: datetime) -> bool:
    seconds, start = job.spec.active_deadline_seconds, status.start_time
    if seconds is None or start is None or job.spec.suspend:
        return False
    return now >= start + timedelta(seconds=seconds)


def _suspension(job: Job, status: JobStatus, now: datetime) -> tuple[list[JobCondition], datetime | None]:
    """The conditions and start time while suspended, and after."""
    found = find(status.conditions, SUSPENDED)
    was = found is not None and found.status == "True"
    if job.spec.suspend and not was:
        condition = _condition(SUSPENDED, "True", "JobSuspended", "Job suspended", now)
        return merged(status.conditions, condition), None
    if not job.spec.suspend and was:
        condition = _condition(SUSPENDED, "False", "JobResumed", "Job resumed", now)
        return merged(status.conditions, condition), stamp(now)
    return status.conditions, status.start_time


def _adjust(job: Job, found: jp.Tally, status: JobStatus, now: datetime) -> tuple[list[Pod], list[Action], float]:
    """Pods too many, pods to create, and how long a back-off holds creation up."""
    parallelism = 1 if job.spec.parallelism is None else job.spec.parallelism
    completions = job.spec.completions
    done = successes(status)
    if completions is None:
        wanted = len(found.active) if done > 0 else parallelism
        wanted = min(wanted, parallelism)
    else:
        lost = jp.parse_indexes(status.failed_indexes, completions)
        wanted = min(parallelism, max(0, completions - done - len(lost)))
    indexed = job.spec.completion_mode == jp.INDEXED and completions is not None
    finished = jp.parse_indexes(status.completed_indexes, completions or 0) if indexed else set()
    finished |= jp.parse_indexes(status.failed_indexes, completions or 0) if indexed else set()
    doomed: list[Pod] = []
    active = found.active
    if indexed:
        active, doomed = _one_an_index(active, finished, completions or 0)
    if len(active) > wanted:
        ordered = pods_.least_useful_first(active, (), now)
        return doomed + ordered[: len(active) - wanted], [], 0.0
    policy = job.spec.pod_replacement_policy or ("Failed" if job.spec.pod_failure_policy else "TerminatingOrFailed")
    standing = len(active) + (len(found.terminating) if policy == "Failed" else 0)
    lacking = min(wanted - standing, MOST_AT_ONCE)
    if lacking <= 0:
        return doomed, [], 0.0
    each = indexed and job.spec.backoff_limit_per_index is not None
    wait = 0.0 if each else jp.backoff(found, now)
    if wait > 0:
        return doomed, [], wait
    if not indexed:
        return doomed, [pods_.create(jp.new_pod(job, None), job, JOBS)] * lacking, 0.0
    held = active + (found.terminating if policy == "Failed" else [])
    taken = finished | {jp.index_of(pod) for pod in held}
    if each:
        waits = {n: jp.backoff_of_index(found, n, now) for n in {jp.index_of(pod) for pod in found.failed} - taken}
        resting = {number: seconds for number, seconds in waits.items() if seconds > 0}
        taken |= resting.keys()
        wait = min(resting.values(), default=0.0)
    numbers = jp.indexes_to_start(completions or 0, lacking, taken)
    creations: list[Action] = []
    for one in numbers:
        failed_before = jp.failures_of_index(job, found, one) if each else None
        creations.append(pods_.create(jp.new_pod(job, one, failed_before), job, JOBS))
    return doomed, creations, wait


def _one_an_index(active: Sequence[Pod], finished: set[int], completions: int) -> tuple[list[Pod], list[Pod]]:
    """The pods that may stay, the oldest of each index, and the others."""
    seen = set(finished)
    stay: list[Pod] = []
    go: list[Pod] = []
    for pod in sorted(active, key=pods_.created_at):
        index = jp.index_of(pod)
        if index in seen or not 0 <= index < completions:
            go.append(pod)
        else:
            seen.add(index)
            stay.append(pod)
    return stay, go


def _ended(
    conditions: Sequence[JobCondition], end: End, terminating: int, settled: bool, now: datetime
) -> tuple[list[JobCondition], bool]:
    """The conditions of a job that is over: the target at once, the end when no pod is left running."""
    target = FAILURE_TARGET if end.type == FAILED else SUCCESS_CRITERIA_MET
    new = merged(conditions, _condition(target, "True", end.reason, end.message, now))
    if terminating or not settled:
        return new, False
    return merged(new, _condition(end.type, "True", end.reason, end.message, now)), True


def _condition(type: str, status: str, reason: str, message: str, now: datetime) -> JobCondition:
    return JobCondition(
        type=type,
        status=status,
        reason=reason,
        message=message,
        last_probe_time=stamp(now),
        last_transition_time=stamp(now),
    )


def _told(job: Job, status: JobStatus, end: End | None, over: bool) -> Iterator[Action]:
    if over and end is not None and end.type == COMPLETE:
        yield Event(JOBS, job, NORMAL, "Completed", "Job completed")
    elif over and end is not None:
        yield Event(JOBS, job, WARNING, end.reason, end.message)
    before, after = find(job.status.conditions, SUSPENDED), find(status.conditions, SUSPENDED)
    if after is not None and after != before:
        reason, text = ("Suspended", "Job suspended") if after.status == "True" else ("Resumed", "Job resumed")
        yield Event(JOBS, job, NORMAL, reason, text)


def _let_go(pods: Iterable[Pod]) -> Iterator[Action]:
    """Take the finalizer off; the pods' ends are counted or no longer of interest."""
    patches = []
    for pod in pods:
        change = {"metadata": {"$deleteFromPrimitiveList/finalizers": [jp.FINALIZER]}}
        patches.append(Patch(PODS, pod, change, PatchKind.STRATEGIC, or_gone=True))
    if patches:
        yield Batch(patches)


def _deletions(job: Job, pods: Iterable[Pod]) -> Iterator[Action]:
    deletions = [
        Delete(PODS, pod, then=(Event(JOBS, job, NORMAL, "SuccessfulDelete", f"Deleted pod: {pod.metadata.name}"),))
        for pod in pods
    ]
    if deletions:
        yield Batch(deletions)


def _failed_to_create(job: Job, error: Exception) -> Iterator[Action]:
    if not namespace_is_terminating(error):
        yield Event(JOBS, job, WARNING, "FailedCreate", f"Error creating: {error}")


def _waits(job: Job, status: JobStatus, backoff: float, now: datetime, ended: bool) -> Iterator[Action]:
    if backoff > 0:
        yield RequeueAfter(backoff)
    seconds, start = job.spec.active_deadline_seconds, status.start_time
    if seconds is not None and start is not None and not ended and not job.spec.suspend:
        yield RequeueAfter(max(0.5, (start + timedelta(seconds=seconds) - now).total_seconds()))


def reconcile(job: Job, world: World) -> Iterator[Action]:
    """Follow the plan for the job's own pods; a job that another controller manages is left alone."""
    if job.spec.managed_by and job.spec.managed_by != CONTROLLER_NAME:
        return
    yield from plan(job, world.by(PODS, CONTROLLER, job.metadata.uid or ""), world.now)


def _gone(key: Key, world: World) -> Iterator[Action]:
    """Pods of a job that is no more must not be held by our finalizer."""
    yield from _let_go(pod for pod in world.by(PODS, "job", str(key)) if jp.has_finalizer(pod))


def _job_of(pod: Pod) -> Iterator[str]:
    owner = controller_of(pod)
    if owner is not None and owner.kind == JOBS.kind and owner.api_version.startswith("batch/"):
        yield str(Key(pod.metadata.namespace or "", owner.name))


def expire(job: Job, world: World) -> Iterator[Action]:
    """Delete a finished job when its ttlSecondsAfterFinished has passed ("TTL mechanism for finished Jobs")."""
    ttl = job.spec.ttl_seconds_after_finished
    if ttl is None or not is_over(job) or job.metadata.deletion_timestamp is not None:
        return
    ends = [one for one in job.status.conditions if one.type in (COMPLETE, FAILED) and one.status == "True"]
    finished = ends[0].last_transition_time or world.now
    left = (finished + timedelta(seconds=ttl) - world.now).total_seconds()
    if left > 0:
        yield RequeueAfter(left)
    else:
        yield Delete(JOBS, job, propagation=Propagation.FOREGROUND)


JOB = Controller(
    name="job-controller",
    of=JOBS,
    reconcile=reconcile,
    owns=(PODS,),
    indexes={PODS: {"job": _job_of}},
    gone=_gone,
)

TTL_AFTER_FINISHED = Controller(name="ttl-after-finished-controller", of=JOBS, reconcile=expire, workers=1)
