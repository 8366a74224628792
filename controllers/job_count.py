"""Counting the ends of a job's pods, each exactly once, through the finalizer that holds them. Pure.

A finished pod is first noted in `uncountedTerminatedPods` (or its index in `completedIndexes`), then loses its
finalizer, and is counted when that shows; so neither a crash nor a vanished pod counts twice or not at all (KEP-2307).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from controllers import job_pods as jp
from sampan.api.batch_v1 import Job, JobStatus, UncountedTerminatedPods
from sampan.api.core_v1 import Pod


@dataclass(frozen=True)
class Counted:
    """A status with the ends of pods counted, and the pods that may lose their finalizer once it is written."""

    status: JobStatus
    noted: list[Pod]
    ignored: list[Pod]

    @property
    def settled(self) -> bool:
        """Whether every end has been counted."""
        waiting = self.status.uncounted_terminated_pods
        return waiting is None or not (waiting.succeeded or waiting.failed)


def count(job: Job, pods: Sequence[Pod], found: jp.Tally) -> Counted:
    """Count what has lost its finalizer, and note what has ended since."""
    status = job.status
    before = status.uncounted_terminated_pods or UncountedTerminatedPods()
    held = {pod.metadata.uid or "" for pod in pods if jp.has_finalizer(pod)}
    succeeded = (status.succeeded or 0) + sum(uid not in held for uid in before.succeeded)
    failed = (status.failed or 0) + sum(uid not in held for uid in before.failed)
    waiting_succeeded = [uid for uid in before.succeeded if uid in held]
    waiting_failed = [uid for uid in before.failed if uid in held]
    noted: list[Pod] = []
    ignored: list[Pod] = []
    completed = status.completed_indexes
    indexed = job.spec.completion_mode == jp.INDEXED
    done = jp.parse_indexes(completed, job.spec.completions or 0) if indexed else set()
    for pod in found.succeeded:
        if not jp.has_finalizer(pod):
            continue
        noted.append(pod)
        if indexed:
            done.add(jp.index_of(pod))
        elif (pod.metadata.uid or "") not in waiting_succeeded:
            waiting_succeeded.append(pod.metadata.uid or "")
    for pod in found.failed:
        if not jp.has_finalizer(pod):
            continue
        if jp.verdict(job, pod)[0] == jp.IGNORE:
            ignored.append(pod)
            continue
        noted.append(pod)
        if (pod.metadata.uid or "") not in waiting_failed:
            waiting_failed.append(pod.metadata.uid or "")
    if indexed:
        done = {one for one in done if 0 <= one < (job.spec.completions or 0)}
        completed = jp.format_indexes(done) or None
        succeeded = len(done)
        waiting_succeeded = []
    given_up = status.failed_indexes
    if indexed and job.spec.backoff_limit_per_index is not None:
        lost = jp.parse_indexes(given_up, job.spec.completions or 0) | (jp.failed_indexes(job, found) - done)
        given_up = jp.format_indexes(lost)
    waiting = UncountedTerminatedPods(succeeded=waiting_succeeded, failed=waiting_failed)
    return Counted(
        status.model_copy(
            update={
                "succeeded": succeeded or None,
                "failed": failed or None,
                "completed_indexes": completed,
                "failed_indexes": given_up,
                "uncounted_terminated_pods": waiting,
            }
        ),
        noted,
        ignored,
    )


def successes(status: JobStatus) -> int:
    """Pods (or indexes) that succeeded, counted or not."""
    waiting = status.uncounted_terminated_pods
    return (status.succeeded or 0) + len(waiting.succeeded if waiting is not None else ())


def failures(status: JobStatus) -> int:
    """Pods that failed, counted or not."""
    waiting = status.uncounted_terminated_pods
    return (status.failed or 0) + len(waiting.failed if waiting is not None else ())
