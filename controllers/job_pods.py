"""What a job's pods amount to: who succeeded, who failed, which indexes are done. Pure.

Sources: Job's documentation ("Completion mode", "Pod failure policy") and KEP-2307 (counting through a finalizer: a
finished pod is first noted as uncounted in the job's status, then loses its finalizer, then is counted).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from controllers import pods as pods_
from sampan.api.batch_v1 import Job, PodFailurePolicyRule
from sampan.api.core_v1 import Container, EnvVar, EnvVarSource, ObjectFieldSelector, Pod, PodSpec
from sampan.kinds import JOBS
from sampan.objects import owned_by

FINALIZER = "batch.kubernetes.io/job-tracking"
INDEX = "batch.kubernetes.io/job-completion-index"
INDEX_FAILURES = "batch.kubernetes.io/job-index-failure-count"
INDEXED = "Indexed"
IGNORE, FAIL_JOB, FAIL_INDEX = "Ignore", "FailJob", "FailIndex"
FIRST_BACKOFF, MOST_BACKOFF = 10.0, 600.0


@dataclass
class Tally:
    """A job's pods, sorted by what became of them."""

    active: list[Pod] = field(default_factory=list)
    terminating: list[Pod] = field(default_factory=list)
    succeeded: list[Pod] = field(default_factory=list)
    failed: list[Pod] = field(default_factory=list)


def has_finalizer(pod: Pod) -> bool:
    """Whether the pod still waits to be counted."""
    return FINALIZER in pod.metadata.finalizers


def tally(pods: Iterable[Pod]) -> Tally:
    """Sort the pods. One that is deleted before it ever had a node will not finish by itself: it has failed."""
    found = Tally()
    for pod in pods:
        if pod.status.phase == pods_.SUCCEEDED:
            found.succeeded.append(pod)
        elif pod.status.phase == pods_.FAILED or (pods_.is_terminating(pod) and not pod.spec.node_name):
            found.failed.append(pod)
        elif pods_.is_terminating(pod):
            found.terminating.append(pod)
        else:
            found.active.append(pod)
    return found


def index_of(pod: Pod) -> int:
    """The pod's completion index, -1 when it has none."""
    text = pod.metadata.annotations.get(INDEX, "")
    return int(text) if text.isdigit() else -1


def parse_indexes(text: str | None, completions: int) -> set[int]:
    """`1,3-5` as a set; what can't be read or is out of range is left out."""
    found: set[int] = set()
    for part in (text or "").split(","):
        first, _, last = part.partition("-")
        if first.isdigit() and (last or first).isdigit():
            found.update(range(int(first), min(int(last or first), completions - 1) + 1))
    return found


def format_indexes(indexes: Iterable[int]) -> str:
    """The shortest form of a set of indexes: `1,3-5`."""
    parts: list[str] = []
    ordered = sorted(indexes)
    start = 0
    for position, number in enumerate(ordered):
        if position + 1 < len(ordered) and ordered[position + 1] == number + 1:
            continue
        first = ordered[start]
        parts.append(
            str(first) if first == number else f"{first},{number}" if number == first + 1 else f"{first}-{number}"
        )
        start = position + 1
    return ",".join(parts)


def indexes_to_start(completions: int, count: int, taken: set[int]) -> list[int]:
    """The lowest free indexes."""
    return [number for number in range(completions) if number not in taken][:count]


def verdict(job: Job, pod: Pod) -> tuple[str, str]:
    """What the failure policy says of a failed pod: an action (`Count` by default) and why."""
    policy = job.spec.pod_failure_policy
    for number, rule in enumerate(policy.rules if policy is not None else ()):
        why = _matches(rule, pod)
        if why:
            return rule.action, f"{why} matching {rule.action} rule at index {number}"
    return "Count", ""


def _matches(rule: PodFailurePolicyRule, pod: Pod) -> str:
    where = f"pod {pod.metadata.namespace}/{pod.metadata.name}"
    if rule.on_exit_codes is not None:
        wanted = rule.on_exit_codes
        for status in [*pod.status.init_container_statuses, *pod.status.container_statuses]:
            ended = status.state.terminated if status.state is not None else None
            if ended is None or ended.exit_code == 0:
                continue
            if wanted.container_name and wanted.container_name != status.name:
                continue
            if (ended.exit_code in wanted.values) is (wanted.operator == "In"):
                return f"Container {status.name} for {where} failed with exit code {ended.exit_code}"
        return ""
    for pattern in rule.on_pod_conditions:
        found = pods_.condition(pod, pattern.type)
        if found is not None and found.status == (pattern.status or "True"):
            return f"Pod {pod.metadata.namespace}/{pod.metadata.name} has condition {pattern.type}"
    return ""


def finished_at(pod: Pod) -> datetime:
    """When the pod's last container ended, or the best that is known."""
    ends = [
        status.state.terminated.finished_at
        for status in pod.status.container_statuses
        if status.state is not None and status.state.terminated is not None and status.state.terminated.finished_at
    ]
    ready = pods_.condition(pod, "Ready")
    known = max(ends, default=None) or pod.metadata.deletion_timestamp
    known = known or (ready.last_transition_time if ready is not None else None)
    return known or pods_.created_at(pod)[0]


def index_failures(pod: Pod) -> int:
    """How often the pod's index had failed before the pod."""
    text = pod.metadata.annotations.get(INDEX_FAILURES, "")
    return int(text) if text.isdigit() else 0


def failures_of_index(job: Job, found: Tally, index: int) -> int:
    """How often an index has failed, as its failed pods know. Ignored failures do not count."""
    failed = (pod for pod in found.failed if index_of(pod) == index)
    return max((index_failures(pod) + (verdict(job, pod)[0] != IGNORE) for pod in failed), default=0)


def failed_indexes(job: Job, found: Tally) -> set[int]:
    """The indexes that have failed too often, or for good by the failure policy (KEP-3850)."""
    limit = job.spec.backoff_limit_per_index
    if limit is None:
        return set()
    failed: set[int] = set()
    for pod in found.failed:
        action = verdict(job, pod)[0]
        if action == FAIL_INDEX or (action != IGNORE and index_failures(pod) >= limit):
            failed.add(index_of(pod))
    return failed


def backoff_of_index(found: Tally, index: int, now: datetime) -> float:
    """Seconds before an index is tried again, when indexes back off on their own."""
    return backoff(Tally(failed=[pod for pod in found.failed if index_of(pod) == index]), now)


def backoff(found: Tally, now: datetime) -> float:
    """Seconds before pods are replaced: 10, doubling with every failure since the last success, at most 600."""
    last_success = max((finished_at(pod) for pod in found.succeeded), default=None)
    failures = [finished_at(pod) for pod in found.failed]
    if last_success is not None:
        failures = [one for one in failures if one > last_success]
    if not failures:
        return 0.0
    delay = min(MOST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(len(failures) - 1, 10))
    return max(0.0, delay - (now - max(failures)).total_seconds())


def new_pod(job: Job, index: int | None, failures: int | None = None) -> Pod:
    """A pod of the job, for one completion index (that has failed so often before) or for none."""
    uid, name = job.metadata.uid or "", job.metadata.name or ""
    labels = {
        "batch.kubernetes.io/controller-uid": uid,
        "controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
        "job-name": name,
    }
    annotations: dict[str, str] = {}
    prefix, spec = name, job.spec.template.spec
    if index is not None:
        labels[INDEX] = annotations[INDEX] = str(index)
        if failures is not None:
            annotations[INDEX_FAILURES] = str(failures)
        prefix = f"{name}-{index}"
        spec = _indexed(spec, prefix)
    pod = pods_.from_template(
        job.spec.template,
        owned_by(job, JOBS),
        namespace=job.metadata.namespace or "",
        prefix=prefix,
        labels=labels,
        annotations=annotations,
        finalizers=(FINALIZER,),
    )
    return pod.model_copy(update={"spec": spec})


def _indexed(spec: PodSpec, hostname: str) -> PodSpec:
    """The pod's spec with the index in its environment and hostname."""
    reference = ObjectFieldSelector(field_path=f"metadata.annotations['{INDEX}']")
    variable = EnvVar(name="JOB_COMPLETION_INDEX", value_from=EnvVarSource(field_ref=reference))

    def with_variable(containers: Sequence[Container]) -> Iterator[Container]:
        for one in containers:
            has = any(env.name == variable.name for env in one.env)
            yield one if has else one.model_copy(update={"env": [*one.env, variable]})

    return spec.model_copy(
        update={
            "containers": list(with_variable(spec.containers)),
            "init_containers": list(with_variable(spec.init_containers)),
            "hostname": spec.hostname or hostname[:63].rstrip("-"),
        }
    )
