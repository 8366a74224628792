"""RuntimeClass: a pod may name only a class that there is, and has the overhead of its class.

There are no runtime classes here yet, so a pod that names one is refused rather than left to wait on a node.
Source: "Runtime Class", "Pod Overhead".
"""

from __future__ import annotations

from apiserver.admission.refusals import forbidden
from apiserver.kind import Admission, Attempt
from sampan.api.core_v1 import Pod
from sampan.kinds import PODS


async def validate(attempt: Attempt) -> None:
    """Raises ApiError 403."""
    pod: Pod = attempt.object
    if pod.spec.runtime_class_name:
        raise forbidden(attempt, f'pod rejected: RuntimeClass "{pod.spec.runtime_class_name}" not found')
    if pod.spec.overhead:
        raise forbidden(attempt, "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead")


RUNTIME_CLASS = Admission("RuntimeClass", frozenset({"CREATE"}), resources=(PODS,), validate=validate)
