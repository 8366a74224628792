"""NamespaceLifecycle: nothing is created in a namespace that is missing or ends; some namespaces are never deleted."""

from __future__ import annotations

from apiserver.admission.refusals import forbidden
from apiserver.kind import Admission, Attempt
from sampan.kinds import NAMESPACES

IMMORTAL = frozenset({"default", "kube-system", "kube-public"})


async def check(attempt: Attempt) -> None:
    """Raises ApiError 404 for a missing namespace, 403 for one that ends or may not be deleted."""
    if attempt.operation == "DELETE":
        if attempt.kind.resource == NAMESPACES and attempt.name in IMMORTAL:
            raise forbidden(attempt, "this namespace may not be deleted")
        return
    if not attempt.kind.resource.namespaced or not attempt.namespace:
        return
    server, name = attempt.context.server, attempt.namespace
    namespace = server.peek(NAMESPACES, "", name) or await server.read(NAMESPACES, "", name)
    if namespace["metadata"].get("deletionTimestamp") or namespace.get("status", {}).get("phase") == "Terminating":
        raise forbidden(
            attempt,
            f"unable to create new content in namespace {name} because it is being terminated",
            {
                "reason": "NamespaceTerminating",
                "message": f"namespace {name} is being terminated",
                "field": "metadata.namespace",
            },
        )


NAMESPACE_LIFECYCLE = Admission("NamespaceLifecycle", frozenset({"CREATE", "DELETE"}), mutate=check)
