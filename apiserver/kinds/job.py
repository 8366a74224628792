"""Jobs: the selector and the labels of a job's pods are made by the server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from apiserver.kind import AGE, NAME, Cell, Column, Context, Kind, Since, Strategy
from apiserver.kinds.cells import Plain, container_columns, look, selector_column
from apiserver.kinds.pod_defaults import default_spec
from apiserver.kinds.pod_rules import check_template
from apiserver.kinds.templates import IMMUTABLE, check_matches, check_same_selector
from apiserver.tables import age
from sampan import selectors
from sampan.api.batch_v1 import Job, JobSpec
from sampan.api.defaults import fill
from sampan.api.meta_v1 import LabelSelector
from sampan.errors import FieldError
from sampan.kinds import JOBS

CONTROLLER_UID = "batch.kubernetes.io/controller-uid"
JOB_NAME = "batch.kubernetes.io/job-name"
OLD_CONTROLLER_UID = "controller-uid"
OLD_JOB_NAME = "job-name"
MOST_PARALLEL_INDEXED = 100_000
STATES = (
    ("Complete", "Complete"),
    ("Failed", "Failed"),
    ("", "Terminating"),
    ("Suspended", "Suspended"),
    ("FailureTarget", "FailureTarget"),
    ("SuccessCriteriaMet", "SuccessCriteriaMet"),
)


def default(job: Job) -> None:
    """Fill in what depends on other fields."""
    fill(job)
    spec = job.spec
    default_spec(spec.template.spec)
    if spec.completions is None and spec.parallelism is None:
        spec.completions = spec.parallelism = 1
    if spec.parallelism is None:
        spec.parallelism = 1
    if spec.backoff_limit is None:
        spec.backoff_limit = 6 if spec.backoff_limit_per_index is None else 2**31 - 1
    if spec.pod_replacement_policy is None:
        spec.pod_replacement_policy = "TerminatingOrFailed" if spec.pod_failure_policy is None else "Failed"


def begin(job: Job, context: Context) -> None:
    """A new one gets a selector of its own, unless its author wants to choose it."""
    default(job)
    if not job.metadata.labels and job.spec.template.metadata.labels:
        job.metadata.labels = dict(job.spec.template.metadata.labels)
    if job.spec.manual_selector:
        return
    uid, name = job.metadata.uid or "", job.metadata.name or ""
    made = {CONTROLLER_UID: uid, OLD_CONTROLLER_UID: uid}
    if len(name) <= 63:
        made |= {JOB_NAME: name, OLD_JOB_NAME: name}
    job.spec.template.metadata.labels = made | job.spec.template.metadata.labels
    if job.spec.selector is None:
        job.spec.selector = LabelSelector()
    job.spec.selector.match_labels = {CONTROLLER_UID: uid} | job.spec.selector.match_labels


def change(new: Job, old: Job, context: Context) -> None:
    """What the server made stays, whether it was sent back or not."""
    default(new)
    if new.spec.selector is None:
        new.spec.selector = old.spec.selector
    if not old.spec.manual_selector:
        kept = {
            key: value
            for key, value in old.spec.template.metadata.labels.items()
            if key in (CONTROLLER_UID, OLD_CONTROLLER_UID, JOB_NAME, OLD_JOB_NAME)
        }
        new.spec.template.metadata.labels = kept | new.spec.template.metadata.labels


def validate(job: Job) -> Iterator[FieldError]:
    """Completions, template and selector."""
    spec = job.spec
    if spec.selector is None:
        yield FieldError.required("spec.selector")
    if spec.completion_mode == "Indexed":
        if spec.completions is None:
            yield FieldError.required("spec.completions", "when completion mode is Indexed")
        if (spec.parallelism or 0) > MOST_PARALLEL_INDEXED:
            yield FieldError.invalid(
                "spec.parallelism", spec.parallelism, f"must be less than or equal to {MOST_PARALLEL_INDEXED} "
                "when completion mode is Indexed"
            )  # fmt: skip
    elif spec.completion_mode == "NonIndexed":
        if spec.backoff_limit_per_index is not None:
            why = "requires indexed completion mode"
            yield FieldError.invalid("spec.backoffLimitPerIndex", spec.backoff_limit_per_index, why)
        if spec.success_policy is not None:
            yield FieldError.invalid("spec.successPolicy", "<the policy>", "requires indexed completion mode")
    if spec.max_failed_indexes is not None and spec.backoff_limit_per_index is None:
        yield FieldError.required("spec.backoffLimitPerIndex", "when maxFailedIndexes is specified")
    yield from check_failure_policy(spec)
    yield from check_template(spec.template, "spec.template")
    policy, path = spec.template.spec.restart_policy, "spec.template.spec.restartPolicy"
    if policy == "Always":
        yield FieldError.required(path, 'valid values: "OnFailure", "Never"')
    elif spec.pod_failure_policy is not None and policy != "Never":
        yield FieldError.invalid(path, policy, 'only "Never" is supported when podFailurePolicy is specified')
    yield from check_matches(spec.selector, spec.template)
    if not spec.manual_selector and spec.selector is not None:
        expected = {CONTROLLER_UID: job.metadata.uid or "", JOB_NAME: job.metadata.name or ""}
        if not is_generated(spec.selector, expected | {OLD_CONTROLLER_UID: expected[CONTROLLER_UID]}):
            yield FieldError.invalid("spec.selector", spec.selector.to_json(), "`selector` not auto-generated")
        labels, uid = spec.template.metadata.labels, job.metadata.uid or ""
        for key, wanted in ((OLD_CONTROLLER_UID, uid), (CONTROLLER_UID, uid)):
            at = f"spec.template.metadata.labels[{key}]"
            if key not in labels:
                yield FieldError.required(at, f"must be '{wanted}'")
            elif labels[key] != wanted:
                yield FieldError.invalid(at, labels, f"must be '{wanted}'")


def is_generated(selector: LabelSelector, labels: dict[str, str]) -> bool:
    """Whether a selector selects what the server itself would."""
    try:
        compiled = selectors.of_object(selector)
    except selectors.SelectorError:
        return True  # the rules on the selector's fields tell it
    return compiled is not None and compiled.matches(labels)


def check_failure_policy(spec: JobSpec) -> Iterator[FieldError]:
    """Each rule asks for exit codes or for conditions, of containers that there are."""
    policy = spec.pod_failure_policy
    if policy is None:
        return
    template = spec.template.spec
    known = {one.name for one in (*template.containers, *template.init_containers)}
    for index, rule in enumerate(policy.rules):
        path, codes = f"spec.podFailurePolicy.rules[{index}]", rule.on_exit_codes
        if codes is not None and rule.on_pod_conditions:
            why = "specifying both OnExitCodes and OnPodConditions is not supported"
            yield FieldError.invalid(path, rule.to_json(), why)
        elif codes is None and not rule.on_pod_conditions:
            why = "specifying one of OnExitCodes and OnPodConditions is required"
            yield FieldError.invalid(path, rule.to_json(), why)
        if codes is not None:
            if codes.container_name is not None and codes.container_name not in known:
                yield FieldError.invalid(
                    f"{path}.onExitCodes.containerName",
                    codes.container_name,
                    "must be one of the container or initContainer names in the pod template",
                )
            for place, code in enumerate(codes.values):
                if code == 0 and codes.operator == "In":
                    at = f"{path}.onExitCodes.values[{place}]"
                    yield FieldError.invalid(at, code, "must not be 0 for the In operator")
        if rule.action == "FailIndex" and spec.backoff_limit_per_index is None:
            yield FieldError.invalid(f"{path}.action", rule.action, "requires the backoffLimitPerIndex to be set")
    if spec.pod_replacement_policy != "Failed":
        yield FieldError.invalid(
            "spec.podReplacementPolicy",
            spec.pod_replacement_policy,
            'only "Failed" is supported when podFailurePolicy is specified',
        )


def validate_update(new: Job, old: Job) -> Iterator[FieldError]:
    """A running job goes on as it began."""
    ours, theirs = new.spec, old.spec
    yield from check_completions(ours, theirs)
    yield from check_same_selector(ours.selector, theirs.selector)
    if ours.template != theirs.template and not (theirs.suspend and old.status.start_time is None):
        yield FieldError.invalid("spec.template", "<the new template>", IMMUTABLE)
    for wire, one, before in (
        ("completionMode", ours.completion_mode, theirs.completion_mode),
        ("backoffLimitPerIndex", ours.backoff_limit_per_index, theirs.backoff_limit_per_index),
        ("managedBy", ours.managed_by, theirs.managed_by),
    ):
        if one != before:
            yield FieldError.invalid(f"spec.{wire}", one, IMMUTABLE)
    if ours.pod_failure_policy != theirs.pod_failure_policy:
        yield FieldError.invalid("spec.podFailurePolicy", "<the new policy>", IMMUTABLE)
    if ours.success_policy != theirs.success_policy:
        yield FieldError.invalid("spec.successPolicy", "<the new policy>", IMMUTABLE)


def check_completions(new: JobSpec, old: JobSpec) -> Iterator[FieldError]:
    """An indexed job may grow or shrink, together with its parallelism."""
    if new.completions == old.completions:
        return
    if old.completion_mode != "Indexed":
        yield FieldError.invalid("spec.completions", new.completions, IMMUTABLE)
    elif new.completions != new.parallelism or old.completions != old.parallelism:
        yield FieldError.invalid(
            "spec.completions", new.completions, "can only be modified in tandem with spec.parallelism"
        )


def state(o: Plain) -> str:
    """The STATUS column."""
    held = {one.get("type") for one in look(o, "status", "conditions") or () if one.get("status") == "True"}
    for kind, shown in STATES:
        if kind in held or (not kind and look(o, "metadata", "deletionTimestamp")):
            return shown
    return "Running"


def completions(o: Plain) -> str:
    """The COMPLETIONS column."""
    done = look(o, "status", "succeeded") or 0
    wanted, parallelism = look(o, "spec", "completions"), look(o, "spec", "parallelism") or 0
    if wanted is not None:
        return f"{done}/{wanted}"
    return f"{done}/1 of {parallelism}" if parallelism > 1 else f"{done}/1"


def duration(o: Plain) -> Cell:
    """The DURATION column: until it was complete, or until now."""
    start, end = look(o, "status", "startTime"), look(o, "status", "completionTime")
    if not start:
        return ""
    if not end:
        return Since(start)
    return age((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds())


JOB = Kind(
    JOBS,
    columns=(
        NAME,
        Column("Status", state, description="What it is at."),
        Column("Completions", completions, description="How many pods have succeeded, of how many."),
        Column("Duration", duration, description="Time from its start to its completion."),
        AGE,
        *container_columns("spec", "template", "spec"),
        selector_column(),
    ),
    strategy=Strategy[Job](
        prepare_create=begin,
        prepare_update=change,
        validate=validate,
        validate_update=validate_update,
        selectable={"status.successful": lambda o: str(look(o, "status", "succeeded") or 0)},
        tracks_generation=True,
    ),
    status=True,
)
