"""Jobs: why one is not finished. Pure."""

from __future__ import annotations

from kctl.why.facts import Facts, Value, condition, finished, holds, items, name_of, number, part, ready
from kctl.why.situation import Entry, PassOn, Situation, Words
from kctl.why.workloads import CONTROLLERS_ABSENT, FORBIDDEN, QUOTA, REFUSED


def _suspended(facts: Facts, job: Value) -> Words | None:
    return {"name": name_of(job)} if part(job, "spec", "suspend") and not holds(job, "Complete") else None


def _failed(facts: Facts, job: Value, *reasons: str) -> Words | None:
    kind = next((one for one in ("Failed", "FailureTarget") if holds(job, one)), "")
    found = condition(job, kind)
    if not kind or (reasons and found.get("reason") not in reasons):
        return None
    return {"said": found.get("message") or found.get("reason"), **_last(facts, job)}


def _last(facts: Facts, job: Value) -> dict[str, object]:
    """How its latest pod ended."""
    limit = number(job, "spec", "backoffLimit", default=6)
    words: dict[str, object] = {
        "limit": limit,
        "failed": number(job, "status", "failed"),
        "seconds": number(job, "spec", "activeDeadlineSeconds"),
        "how": "",
        "logs": "kctl describe job/" + name_of(job) + facts.option(job),
    }
    for pod in facts.owned(job, facts.pods):
        for one in items(pod, "status", "containerStatuses"):
            over = part(one, "state", "terminated") or part(one, "lastState", "terminated")
            if over and over.get("exitCode"):
                words["how"] = f"; container {one['name']} ends with exit code {over['exitCode']}"
                words["logs"] = f"kctl logs pod/{name_of(pod)}{facts.option(pod)} -c {one['name']}"
                words["lines"] = [f"| {line}" for line in facts.logs.get((name_of(pod), str(one["name"])), [])]
                return words
    return words


def _trouble(facts: Facts, job: Value) -> list[Value]:
    return [one for one in facts.owned(job, facts.pods) if not ready(one) and not finished(one)][:5]


def _retries(facts: Facts, job: Value) -> Words | None:
    failed = number(job, "status", "failed")
    alive = [one for one in facts.owned(job, facts.pods) if not finished(one)]
    return _last(facts, job) if failed and not alive and not holds(job, "Complete") else None


def _running(facts: Facts, job: Value) -> Words | None:
    if holds(job, "Complete"):
        return None
    return {
        "active": number(job, "status", "active"),
        "succeeded": number(job, "status", "succeeded"),
        "wanted": number(job, "spec", "completions", default=1),
        "failed": number(job, "status", "failed"),
    }


def _complete(facts: Facts, job: Value) -> Words | None:
    return {"succeeded": number(job, "status", "succeeded")} if holds(job, "Complete") else None


JOBS: tuple[Entry, ...] = (
    Situation("job-complete", _complete, "nothing is wrong: it is complete", "nothing to do", healthy=True),
    Situation(
        "job-back-off-limit",
        lambda facts, job: _failed(facts, job, "BackoffLimitExceeded"),
        "it gave up after {failed} failed pod(s) (backoffLimit {limit}){how}",
        "{logs}; then delete the job and make it again",
    ),
    Situation(
        "job-deadline",
        lambda facts, job: _failed(facts, job, "DeadlineExceeded"),
        "it was ended because it took longer than its activeDeadlineSeconds of {seconds}",
        "raise activeDeadlineSeconds, or have it do less; then delete the job and make it again",
    ),
    Situation(
        "job-failed",
        lambda facts, job: _failed(facts, job),
        "it failed: {said}{how}",
        "{logs}; then delete the job and make it again",
    ),
    Situation(
        "job-suspended",
        _suspended,
        "it is suspended",
        'kctl patch {label}{namespace} --type=merge -p \'{{"spec":{{"suspend":false}}}}\'',
    ),
    CONTROLLERS_ABSENT,
    QUOTA,
    FORBIDDEN,
    REFUSED,
    PassOn(_trouble),
    Situation(
        "job-retries",
        _retries,
        "{failed} pod(s) failed so far (backoffLimit {limit}){how}; the next is tried after a while",
        "{logs}",
    ),
    Situation(
        "job-running",
        _running,
        "it is at work: {active} pod(s) run, {succeeded} of {wanted} succeeded, {failed} failed",
        "kctl logs -f {label}{namespace}",
    ),
)
