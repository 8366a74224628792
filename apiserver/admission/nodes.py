"""NodeRestriction: a node writes its own Node, its own Lease and its own pods, nothing else.

Elsewhere: what a node may read and which verbs it has (authz/).
Source: "Using Node Authorization", "NodeRestriction".
"""

from __future__ import annotations

from typing import Any

from apiserver.admission.refusals import forbidden
from apiserver.kind import Admission, Attempt, User
from sampan.api.core_v1 import Node, Pod
from sampan.errors import ApiError
from sampan.kinds import LEASES, NODES, PODS, SERVICE_ACCOUNTS

GROUP = "system:nodes"
PREFIX = "system:node:"
MIRROR = "kubernetes.io/config.mirror"
LEASE_NAMESPACE = "kube-node-lease"
RESTRICTED = "node-restriction.kubernetes.io"
OWN_LABELS = frozenset(
    {
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "kubernetes.io/arch",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/instance-type",
        "node.kubernetes.io/instance-type",
        "failure-domain.beta.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/region",
        "topology.kubernetes.io/zone",
        "topology.kubernetes.io/region",
    }
)
"""Labels in Kubernetes' own domains that a node may set on itself."""
OWN_PREFIXES = ("kubelet.kubernetes.io", "node.kubernetes.io")


def node_name(user: User) -> str | None:
    """The name of the node that asks, or None for anyone else. A node without a name is the empty one."""
    if GROUP not in user.groups:
        return None
    return user.name.removeprefix(PREFIX) if user.name.startswith(PREFIX) else ""


async def validate(attempt: Attempt) -> None:
    """Raises ApiError 403 for what is not the node's own."""
    name = node_name(attempt.context.user)
    if name is None:
        return
    if not name:
        user = attempt.context.user.name
        raise forbidden(attempt, f'could not determine node from user "{user}"')
    resource = attempt.kind.resource
    if resource == PODS:
        await check_pod(attempt, name)
    elif resource == NODES:
        check_node(attempt, name)
    elif resource == LEASES:
        check_lease(attempt, name)
    elif resource == SERVICE_ACCOUNTS:
        await check_token(attempt, name)


async def check_pod(attempt: Attempt, name: str) -> None:
    """Its own pods: their status, their deletion; mirror pods too."""
    old: Pod | None = attempt.old
    match attempt.operation, attempt.subresource:
        case "CREATE", "":
            pod: Pod = attempt.object
            if MIRROR not in pod.metadata.annotations:
                raise forbidden(
                    attempt, f'pod does not have "{MIRROR}" annotation, node "{name}" can only create mirror pods'
                )
            if pod.spec.node_name != name:
                raise forbidden(attempt, f'node "{name}" can only create pods with spec.nodeName set to itself')
        case "UPDATE", "status":
            if old is None or old.spec.node_name != name:
                raise forbidden(
                    attempt, f'node "{name}" can only update pod status for pods with spec.nodeName set to itself'
                )
            if attempt.object.metadata.labels != old.metadata.labels:
                raise forbidden(attempt, f'node "{name}" cannot update labels through pod status')
        case "DELETE", "":
            if old is None or old.spec.node_name != name:
                raise forbidden(attempt, f'node "{name}" can only delete pods with spec.nodeName set to itself')
        case "CREATE", "eviction":
            found = attempt.context.server.peek(PODS, attempt.namespace, attempt.name)
            if found is None or found.get("spec", {}).get("nodeName") != name:
                raise forbidden(attempt, f"node {name} can only evict pods with spec.nodeName set to itself")
        case operation, subresource:
            what = f"pods/{subresource}" if subresource else "pods"
            raise forbidden(attempt, f'node "{name}" may not {operation.lower()} {what}')


def check_node(attempt: Attempt, name: str) -> None:
    """Its own Node, without its taints, or labels that are not a node's to set."""
    if attempt.name != name:
        raise forbidden(attempt, f'node "{name}" is not allowed to modify node "{attempt.name}"')
    new: Node | None = attempt.object
    old: Node | None = attempt.old
    if new is None:
        return
    if old is not None and attempt.subresource == "" and new.spec.taints != old.spec.taints:
        raise forbidden(attempt, f'node "{name}" is not allowed to modify taints')
    if new.spec.config_source is not None and (old is None or new.spec.config_source != old.spec.config_source):
        raise forbidden(attempt, f'node "{name}" is not allowed to update configSource to a new non-nil configSource')
    if new.metadata.owner_references and (
        old is None or new.metadata.owner_references != old.metadata.owner_references
    ):
        raise forbidden(attempt, f'node "{name}" is not allowed to modify ownerReferences')
    before = old.metadata.labels if old is not None else {}
    changed = {
        key for key in new.metadata.labels.keys() | before.keys() if new.metadata.labels.get(key) != before.get(key)
    }
    denied = sorted(key for key in changed if not may_set(key))
    if denied:
        raise forbidden(attempt, f'node "{name}" is not allowed to modify labels: {", ".join(denied)}')


def may_set(label: str) -> bool:
    """Whether a node may set a label on itself."""
    domain = label.partition("/")[0] if "/" in label else ""
    if domain == RESTRICTED or domain.endswith("." + RESTRICTED):
        return False
    if label in OWN_LABELS or any(domain == one or domain.endswith("." + one) for one in OWN_PREFIXES):
        return True
    return not any(domain == one or domain.endswith("." + one) for one in ("kubernetes.io", "k8s.io"))


def check_lease(attempt: Attempt, name: str) -> None:
    """Its own heartbeat."""
    if attempt.namespace != LEASE_NAMESPACE:
        raise forbidden(attempt, f'can only access leases in the "{LEASE_NAMESPACE}" system namespace')
    if attempt.name != name:
        raise forbidden(attempt, "can only access node lease with the same name as the requesting node")


async def check_token(attempt: Attempt, name: str) -> None:
    """Tokens for the accounts of its pods, bound to them."""
    if attempt.subresource != "token":
        raise forbidden(attempt, f'node "{name}" may not write service accounts')
    request: Any = attempt.object
    bound = request.spec.bound_object_ref if request is not None and request.spec is not None else None
    if bound is None or bound.kind != "Pod" or not bound.name:
        raise forbidden(attempt, "node requested token not bound to a pod")
    if not bound.uid:
        raise forbidden(attempt, "node requested token with a pod binding without a uid")
    try:
        pod = await attempt.context.server.read(PODS, attempt.namespace, bound.name)
    except ApiError as error:
        raise forbidden(attempt, str(error)) from error
    if pod["metadata"].get("uid") != bound.uid:
        raise forbidden(
            attempt, f"the UID in the bound object reference ({bound.uid}) does not match the UID in record. "
            "The object might have been deleted and then recreated"
        )  # fmt: skip
    if pod.get("spec", {}).get("nodeName") != name:
        raise forbidden(attempt, "node requested token bound to a pod scheduled on a different node")


NODE_RESTRICTION = Admission(
    "NodeRestriction",
    frozenset({"CREATE", "UPDATE", "DELETE"}),
    resources=(PODS, NODES, LEASES, SERVICE_ACCOUNTS),
    subresources=("", "status", "eviction", "binding", "ephemeralcontainers", "token"),
    validate=validate,
)
