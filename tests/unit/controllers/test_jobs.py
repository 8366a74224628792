"""Random histories of jobs: pods end in any order, vanish, and are counted by a controller whose caches lag."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import simulation
from controllers import job_pods as jp
from controllers.conditions import find
from controllers.job import JOB, TTL_AFTER_FINISHED, is_over
from controllers.pods import is_active, is_finished, is_terminating
from sampan.api.batch_v1 import Job
from sampan.kinds import JOBS, PODS
from sampan.objects import Key, key_of
from simulation import Cluster, Runner

KEY = Key("ns", "sum")


def job(**spec: Any) -> Job:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "x"}]}}
    wanted = {
        "backoffLimit": 6,
        "parallelism": 1,
        "completions": 1,
        "completionMode": "NonIndexed",
        "template": template,
    }
    return Job.from_json({"metadata": {"namespace": "ns", "name": "sum"}, "spec": {**wanted, **spec}})


class Work:
    """A job with its controller, and what really became of its pods."""

    def __init__(self, wanted: Job) -> None:
        self.cluster = Cluster()
        self.controller = Runner(self.cluster, JOB)
        self.succeeded: set[str] = set()
        self.failed: set[str] = set()
        simulation._finish(self.cluster.create(JOBS, wanted))

    @property
    def job(self) -> Job:
        return self.cluster.objects[JOBS][KEY]  # type: ignore[no-any-return]

    def running(self) -> list[Any]:
        return sorted((pod for pod in self.cluster.all(PODS) if is_active(pod)), key=key_of)

    def step(self, choice: int, patient: bool) -> None:
        kind, which = choice % 5, choice // 5
        if kind in (0, 1):
            self.controller.turn(KEY, patient=patient)
        elif kind == 4:
            self.sweep()
        elif self.running():
            pod = self.running()[which % len(self.running())]
            self.end(pod, 0 if kind == 2 else 1)
        self.cluster.advance(1)

    def end(self, pod: Any, code: int) -> None:
        self.cluster.pod_finished(self.cluster.pod_bound(pod, "n1"), code)
        (self.failed if code else self.succeeded).add(pod.metadata.uid)

    def sweep(self) -> None:
        """Pods that are being deleted end: by failure if they still ran."""
        for pod in [p for p in self.cluster.all(PODS) if is_terminating(p)]:
            if not is_finished(pod):
                self.end(pod, 137)
            for left in [p for p in self.cluster.all(PODS) if p.metadata.uid == pod.metadata.uid]:
                self.cluster.pod_ended(left)

    def settle(self, succeed: bool = True) -> None:
        for _ in range(400):
            version = self.cluster.version
            self.controller.turn(KEY)
            self.sweep()
            if succeed and not is_over(self.job):
                for pod in self.running():
                    self.end(pod, 0)
            if self.cluster.version == version:
                if self.controller.again_after is None:
                    return
                self.cluster.advance(self.controller.again_after)
        raise AssertionError("it never comes to rest")


histories = st.lists(st.tuples(st.integers(0, 39), st.booleans()), max_size=60)


@settings(max_examples=120, deadline=None)
@given(completions=st.integers(1, 6), parallelism=st.integers(1, 4), history=histories)
def test_every_end_is_counted_once_and_no_pod_is_too_many(
    completions: int, parallelism: int, history: list[tuple[int, bool]]
) -> None:
    work = Work(job(completions=completions, parallelism=parallelism, backoffLimit=1000))
    for choice, patient in history:
        work.step(choice, patient)
        assert len(work.running()) <= min(parallelism, completions)
        assert (work.job.status.succeeded or 0) <= len(work.succeeded)
    work.settle()
    assert is_over(work.job)
    assert work.job.status.succeeded == len(work.succeeded) == completions
    assert (work.job.status.failed or 0) == len(work.failed)
    assert work.job.status.completion_time is not None
    assert not any(jp.has_finalizer(pod) for pod in work.cluster.all(PODS))


@settings(max_examples=80, deadline=None)
@given(completions=st.integers(1, 6), parallelism=st.integers(1, 4), history=histories)
def test_every_index_succeeds_once(completions: int, parallelism: int, history: list[tuple[int, bool]]) -> None:
    spec = {"completions": completions, "parallelism": parallelism, "completionMode": "Indexed", "backoffLimit": 1000}
    work = Work(job(**spec))
    for choice, patient in history:
        work.step(choice, patient)
        indexes = [jp.index_of(pod) for pod in work.running()]
        assert len(indexes) == len(set(indexes)) <= parallelism
        assert all(0 <= one < completions for one in indexes)
    work.settle()
    assert jp.parse_indexes(work.job.status.completed_indexes, completions) == set(range(completions))
    won = [jp.index_of(p) for p in work.cluster.all(PODS) if p.metadata.uid in work.succeeded]
    assert sorted(won) == list(range(completions))


@settings(max_examples=80, deadline=None)
@given(limit=st.integers(0, 3), history=histories)
def test_a_job_fails_after_its_limit_and_then_nothing_runs(limit: int, history: list[tuple[int, bool]]) -> None:
    work = Work(job(completions=20, parallelism=3, backoffLimit=limit))
    for choice, patient in history:
        work.step(choice, patient)
        if is_over(work.job):
            placed = [pod for pod in work.cluster.all(PODS) if pod.spec.node_name]
            assert not [pod for pod in placed if not is_finished(pod)], "it is over, and a pod runs"
            assert len(work.failed) > limit
    if not is_over(work.job):
        for _ in range(limit + 2):
            for pod in work.running():
                work.end(pod, 1)
            for _ in range(5):
                work.controller.turn(KEY)
                work.sweep()
            work.cluster.advance(1200)
            work.controller.turn(KEY)
        work.settle(succeed=False)
    failed = find(work.job.status.conditions, "Failed")
    assert failed is not None
    assert (failed.reason, failed.message) == ("BackoffLimitExceeded", "Job has reached the specified backoff limit")
    assert find(work.job.status.conditions, "FailureTarget") is not None


def test_failures_are_replaced_after_ten_seconds_doubling() -> None:
    work = Work(job())
    waits = []
    for _ in range(3):
        work.controller.turn(KEY)
        work.controller.turn(KEY)
        (pod,) = work.running()
        work.end(pod, 1)
        for _ in range(3):
            work.controller.turn(KEY)
        assert work.running() == []
        waits.append(work.controller.again_after)
        work.cluster.advance(work.controller.again_after or 0)
    assert waits == [10, 20, 40]


def test_a_deadline_ends_the_job() -> None:
    work = Work(job(activeDeadlineSeconds=30))
    work.controller.turn(KEY)
    assert work.controller.again_after is not None
    assert 29 <= work.controller.again_after <= 30
    work.cluster.advance(30)
    work.settle(succeed=False)
    failed = find(work.job.status.conditions, "Failed")
    assert failed is not None
    assert failed.reason == "DeadlineExceeded"
    assert not work.running()


def test_a_suspended_job_runs_nothing_until_it_is_resumed() -> None:
    work = Work(job(parallelism=2, completions=4))
    work.controller.turn(KEY)
    assert len(work.running()) == 2
    simulation._finish(work.cluster.patch(JOBS, "sum", {"spec": {"suspend": True}}, namespace="ns"))
    for _ in range(4):
        work.controller.turn(KEY)
        work.sweep()
    assert work.running() == []
    suspended = find(work.job.status.conditions, "Suspended")
    assert suspended is not None
    assert (suspended.status, suspended.reason) == ("True", "JobSuspended")
    assert work.job.status.start_time is None
    simulation._finish(work.cluster.patch(JOBS, "sum", {"spec": {"suspend": False}}, namespace="ns"))
    work.cluster.advance(100)
    work.settle()
    assert is_over(work.job)


def test_a_failure_policy_ends_or_spares_the_job() -> None:
    policy = {
        "rules": [
            {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}},
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        ]
    }
    work = Work(job(podFailurePolicy=policy))
    work.controller.turn(KEY)
    (pod,) = work.running()
    work.end(pod, 42)
    work.settle(succeed=False)
    failed = find(work.job.status.conditions, "Failed")
    assert failed is not None
    assert failed.reason == "PodFailurePolicy"
    assert failed.message == (
        f"Container main for pod ns/{pod.metadata.name} failed with exit code 42 matching FailJob rule at index 0"
    )


def indexed(work: Work, index: int) -> Any:
    (pod,) = [one for one in work.running() if jp.index_of(one) == index]
    return pod


def turns(work: Work, count: int = 4) -> None:
    for _ in range(count):
        work.controller.turn(KEY)
        work.sweep()


def test_an_index_that_fails_too_often_is_given_up_and_the_others_go_on() -> None:
    work = Work(job(completions=3, parallelism=3, completionMode="Indexed", backoffLimit=None, backoffLimitPerIndex=1))
    turns(work)
    for expected in ("0", "1"):
        failing = indexed(work, 1)
        assert failing.metadata.annotations[jp.INDEX_FAILURES] == expected
        work.end(failing, 1)
        turns(work)
        assert {jp.index_of(pod) for pod in work.running()} == {0, 2}
        work.cluster.advance(work.controller.again_after or 0)
        turns(work)
    assert work.job.status.failed_indexes == "1"
    assert not is_over(work.job)
    for index in (0, 2):
        work.end(indexed(work, index), 0)
    turns(work)
    failed = find(work.job.status.conditions, "Failed")
    assert failed is not None
    assert (failed.reason, failed.message) == ("FailedIndexes", "Job has failed indexes")
    assert (work.job.status.succeeded, work.job.status.completed_indexes) == (2, "0,2")


def test_too_many_failed_indexes_end_the_job() -> None:
    spec = {"completions": 4, "parallelism": 4, "completionMode": "Indexed", "backoffLimitPerIndex": 0}
    work = Work(job(**spec, backoffLimit=None, maxFailedIndexes=1))
    turns(work)
    for index in (0, 1):
        work.end(indexed(work, index), 1)
    turns(work)
    failed = find(work.job.status.conditions, "Failed")
    assert failed is not None
    assert failed.reason == "MaxFailedIndexesExceeded"
    assert work.running() == []


def test_a_success_policy_ends_the_job_early() -> None:
    rules = [{"succeededIndexes": "0,1"}, {"succeededIndexes": "2-5", "succeededCount": 1}]
    work = Work(job(completions=6, parallelism=6, completionMode="Indexed", successPolicy={"rules": rules}))
    turns(work)
    work.end(indexed(work, 0), 0)
    turns(work)
    assert not is_over(work.job)
    work.end(indexed(work, 4), 0)
    turns(work)
    complete = find(work.job.status.conditions, "Complete")
    assert complete is not None
    assert (complete.reason, complete.message) == ("SuccessPolicy", "Matched rules at index 1")
    assert work.running() == []


def test_pods_of_a_vanished_job_are_let_go() -> None:
    work = Work(job())
    work.controller.turn(KEY)
    del work.cluster.objects[JOBS][KEY]
    work.controller.turn(KEY)
    assert not any(jp.has_finalizer(pod) for pod in work.cluster.all(PODS))


def test_a_finished_job_is_deleted_after_its_time() -> None:
    work = Work(job(ttlSecondsAfterFinished=60))
    work.controller.turn(KEY)
    work.settle()
    expiry = Runner(work.cluster, TTL_AFTER_FINISHED)
    expiry.turn(KEY)
    assert expiry.again_after is not None
    work.cluster.advance(expiry.again_after)
    expiry.turn(KEY)
    assert KEY not in work.cluster.objects[JOBS]


@given(st.sets(st.integers(0, 200)))
def test_indexes_are_read_as_they_are_written(indexes: set[int]) -> None:
    assert jp.parse_indexes(jp.format_indexes(indexes), 201) == indexes


def test_indexes_are_written_as_upstream_does() -> None:
    assert jp.format_indexes([1, 3, 4, 5, 7, 8]) == "1,3-5,7,8"
