"""Priority: the number that a pod's priority class stands for; one class at most is for all others."""

from __future__ import annotations

from apiserver.admission.refusals import forbidden
from apiserver.kind import Admission, Attempt, Json
from apiserver.kinds.priorityclass import SYSTEM_CLASSES
from sampan.api.core_v1 import Pod
from sampan.errors import ApiError
from sampan.kinds import PODS, PRIORITY_CLASSES

PREEMPT = "PreemptLowerPriority"


async def mutate(attempt: Attempt) -> None:
    """Resolve the class. Raises ApiError 403."""
    pod: Pod = attempt.object
    spec = pod.spec
    if attempt.operation == "UPDATE":
        old: Pod = attempt.old
        if spec.priority is None:
            spec.priority = old.spec.priority
        if spec.preemption_policy is None:
            spec.preemption_policy = old.spec.preemption_policy
        return
    found = await named(attempt, spec.priority_class_name) if spec.priority_class_name else default(attempt)
    priority, policy = 0, PREEMPT
    if found is not None:
        spec.priority_class_name = found["metadata"]["name"]
        priority, policy = found.get("value") or 0, found.get("preemptionPolicy") or PREEMPT
    if spec.priority is not None and spec.priority != priority:
        raise forbidden(
            attempt,
            f"the integer value of priority ({spec.priority}) must not be provided in pod spec; "
            f"priority admission controller computed {priority} from the given PriorityClass name",
        )
    if spec.preemption_policy is not None and spec.preemption_policy != policy:
        raise forbidden(
            attempt,
            f"the string value of PreemptionPolicy ({spec.preemption_policy}) must not be provided in pod spec; "
            f"priority admission controller computed {policy} from the given PriorityClass name",
        )
    spec.priority, spec.preemption_policy = priority, policy


async def named(attempt: Attempt, name: str) -> Json:
    """The class of a name. Raises ApiError 403."""
    server = attempt.context.server
    found = server.peek(PRIORITY_CLASSES, "", name)
    if found is not None:
        return found
    try:
        return await server.read(PRIORITY_CLASSES, "", name)
    except ApiError as error:
        if not error.is_not_found:
            raise
    if name in SYSTEM_CLASSES:
        return {"metadata": {"name": name}, "value": SYSTEM_CLASSES[name]}
    raise forbidden(attempt, f"no PriorityClass with name {name} was found")


def default(attempt: Attempt) -> Json | None:
    """The class for pods that name none; of several the lowest, so that nobody gains by a race."""
    found = [one for one in attempt.context.server.peek_all(PRIORITY_CLASSES) if one.get("globalDefault")]
    return min(found, key=lambda one: one.get("value") or 0, default=None)


async def validate_class(attempt: Attempt) -> None:
    """Raises ApiError 403 for a second default."""
    if not attempt.object.global_default:
        return
    for one in attempt.context.server.peek_all(PRIORITY_CLASSES):
        other = one["metadata"]["name"]
        if one.get("globalDefault") and other != attempt.name:
            raise forbidden(
                attempt,
                f"PriorityClass {other} is already marked as default. Only one default can exist",
            )


PRIORITY = Admission("Priority", frozenset({"CREATE", "UPDATE"}), resources=(PODS,), mutate=mutate)
PRIORITY_CLASS = Admission(
    "PriorityClass", frozenset({"CREATE", "UPDATE"}), resources=(PRIORITY_CLASSES,), validate=validate_class
)
