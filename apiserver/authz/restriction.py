"""NodeRestriction: a node agent creates no other node, no other node's lease, and no pod but for itself."""

from __future__ import annotations

from apiserver.authz.node import name_of
from apiserver.kind import Admission, Attempt
from sampan.errors import ApiError, Reason
from sampan.kinds import LEASES, NODES, PODS


def refused(attempt: Attempt, why: str) -> ApiError:
    """403 of an admission plugin."""
    resource = attempt.kind.resource
    return ApiError(
        403,
        Reason.FORBIDDEN,
        f'{resource.group_resource} "{attempt.name}" is forbidden: {why}',
        details={
            "name": attempt.name,
            "kind": resource.plural,
            **({"group": resource.group} if resource.group else {}),
        },
    )


async def restrict(attempt: Attempt) -> None:
    """Raises ApiError 403."""
    node = name_of(attempt.context.user)
    if not node or attempt.object is None:
        return
    resource = attempt.kind.resource
    if resource in (NODES, LEASES) and attempt.name != node:
        raise refused(attempt, f'node "{node}" is not allowed to modify {resource.kind.lower()} "{attempt.name}"')
    if resource == PODS and attempt.operation == "CREATE":
        if "kubernetes.io/config.mirror" not in attempt.object.metadata.annotations:
            raise refused(
                attempt,
                f'pod does not have "kubernetes.io/config.mirror" annotation, node "{node}" can only '
                "create mirror pods",
            )
        if attempt.object.spec.node_name != node:
            raise refused(attempt, f'node "{node}" can only create pods with spec.nodeName set to itself')


NODE_RESTRICTION = Admission(
    "NodeRestriction", frozenset({"CREATE", "UPDATE"}), (NODES, LEASES, PODS), ("", "status"), validate=restrict
)
