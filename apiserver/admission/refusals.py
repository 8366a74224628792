"""How admission says no: 403, worded as upstream words it."""

from __future__ import annotations

from typing import Any

from apiserver.kind import Attempt
from sampan.errors import ApiError, Reason


def forbidden(attempt: Attempt, why: str, *causes: dict[str, Any]) -> ApiError:
    """The refusal of an attempt."""
    resource = attempt.kind.resource
    name = attempt.name or getattr(getattr(attempt.object, "metadata", None), "generate_name", None) or ""
    quoted = f' "{name}"' if name else ""
    details = {"name": name, "group": resource.group, "kind": resource.plural, "causes": list(causes)}
    return ApiError(
        403,
        Reason.FORBIDDEN,
        f"{resource.group_resource}{quoted} is forbidden: {why}",
        details={key: value for key, value in details.items() if value},
    )
