"""Nodes: a node describes itself at registration, so its status is kept on create."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apiserver.kind import AGE, NAME, Column, Context, Kind, Strategy
from apiserver.kinds.cells import NONE, Plain, look
from apiserver.kinds.pod_defaults import rounded
from sampan.api.core_v1 import Node
from sampan.errors import FieldError
from sampan.kinds import NODES

ROLE_PREFIX = "node-role.kubernetes.io/"
ROLE_LABEL = "kubernetes.io/role"
UNKNOWN = "<unknown>"


def status(node: Plain) -> str:
    """The STATUS column: Ready, NotReady or Unknown, and whether it takes pods."""
    conditions = look(node, "status", "conditions") or ()
    ready = next((one.get("status") for one in conditions if one.get("type") == "Ready"), None)
    shown = "Unknown" if ready is None else "Ready" if ready == "True" else "NotReady"
    return f"{shown},SchedulingDisabled" if look(node, "spec", "unschedulable") else shown


def roles(node: Plain) -> str:
    """The ROLES column: what the role labels say."""
    found = set()
    for key, value in (look(node, "metadata", "labels") or {}).items():
        if key.startswith(ROLE_PREFIX) and key != ROLE_PREFIX:
            found.add(key.removeprefix(ROLE_PREFIX))
        elif key == ROLE_LABEL and value:
            found.add(value)
    return ",".join(sorted(found)) or NONE


def address(node: Plain, kind: str) -> str:
    """The first address of a kind."""
    found = (one.get("address") for one in look(node, "status", "addresses") or () if one.get("type") == kind)
    return next(found, None) or NONE


def info(node: Plain, member: str) -> str:
    """Something the node says of itself."""
    return look(node, "status", "nodeInfo", member) or UNKNOWN


def tidy(node: Node) -> None:
    """Amounts in canonical form; the pod block stands once singly and once in a list."""
    node.status.capacity = rounded(node.status.capacity)
    node.status.allocatable = rounded(node.status.allocatable)
    if node.spec.pod_cidr and not node.spec.pod_cidrs:
        node.spec.pod_cidrs = [node.spec.pod_cidr]
    elif node.spec.pod_cidrs and not node.spec.pod_cidr:
        node.spec.pod_cidr = node.spec.pod_cidrs[0]


def begin(node: Node, context: Context) -> None:
    """Tidy a new node."""
    tidy(node)


def change(new: Node, old: Node, context: Context) -> None:
    """Tidy a changed node."""
    tidy(new)


def validate(node: Node) -> Iterator[FieldError]:
    """Taints are told apart by key and effect."""
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate(node.spec.taints):
        if (taint.key, taint.effect) in seen:
            yield FieldError.duplicate(f"spec.taints[{index}]", taint.to_json())
        seen.add((taint.key, taint.effect))
    if node.spec.pod_cidrs and node.spec.pod_cidrs[0] != node.spec.pod_cidr:
        yield FieldError.invalid("spec.podCIDRs[0]", node.spec.pod_cidrs[0], "must match spec.podCIDR")
    if len(set(node.spec.pod_cidrs)) != len(node.spec.pod_cidrs):
        yield FieldError.duplicate("spec.podCIDRs", node.spec.pod_cidrs)


def validate_update(new: Node, old: Node) -> Iterator[FieldError]:
    """What a node was given once stays."""
    if old.spec.pod_cidrs and new.spec.pod_cidrs != old.spec.pod_cidrs:
        yield FieldError.forbidden("spec.podCIDRs", 'node updates may not change podCIDR except from "" to valid')
    if old.spec.provider_id and new.spec.provider_id != old.spec.provider_id:
        yield FieldError.forbidden("spec.providerID", 'node updates may not change providerID except from "" to valid')


def validate_status(new: Node, old: Node) -> Iterator[FieldError]:
    """Addresses are told apart."""
    seen: set[tuple[Any, Any]] = set()
    for index, one in enumerate(new.status.addresses):
        if (one.type, one.address) in seen:
            yield FieldError.duplicate(f"status.addresses[{index}]", one.to_json())
        seen.add((one.type, one.address))


NODE = Kind(
    NODES,
    columns=(
        NAME,
        Column("Status", status, description="The status of the node."),
        Column("Roles", roles, description="The roles of the node."),
        AGE,
        Column("Version", lambda o: look(o, "status", "nodeInfo", "kubeletVersion") or "", description="The agent's."),
        Column("Internal-IP", lambda o: address(o, "InternalIP"), priority=1),
        Column("External-IP", lambda o: address(o, "ExternalIP"), priority=1),
        Column("OS-Image", lambda o: info(o, "osImage"), priority=1),
        Column("Kernel-Version", lambda o: info(o, "kernelVersion"), priority=1),
        Column("Container-Runtime", lambda o: info(o, "containerRuntimeVersion"), priority=1),
    ),
    strategy=Strategy[Node](
        prepare_create=begin,
        prepare_update=change,
        prepare_status=change,
        validate=validate,
        validate_update=validate_update,
        validate_status=validate_status,
        selectable={"spec.unschedulable": lambda o: "true" if look(o, "spec", "unschedulable") else "false"},
        keeps_status_on_create=True,
    ),
    status=True,
)
