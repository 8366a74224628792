"""What may change in a pod once it is there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sampan import names
from sampan.api.core_v1 import Container, ContainerStatus, Pod, PodSpec, Toleration
from sampan.errors import FieldError

MIRROR = "kubernetes.io/config.mirror"
MUTABLE = (
    "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
    "`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def check_update(new: Pod, old: Pod) -> Iterator[FieldError]:
    """The rules for PUT and PATCH of a pod."""
    for member, ours, theirs in (
        ("containers", new.spec.containers, old.spec.containers),
        ("initContainers", new.spec.init_containers, old.spec.init_containers),
    ):
        if len(ours) != len(theirs):
            yield FieldError.forbidden(f"spec.{member}", "pod updates may not add or remove containers")
            return
    mirror, before = new.metadata.annotations.get(MIRROR), old.metadata.annotations.get(MIRROR)
    if mirror != before:
        verb = "add" if before is None else "remove or update"
        yield FieldError.forbidden(f"metadata.annotations[{MIRROR}]", f"may not {verb} mirror pod annotation")
    late = list(check_deadline(new.spec, old.spec))
    yield from late
    if late and new.spec.active_deadline_seconds is not None:
        return
    yield from check_tolerations(new.spec.tolerations, old.spec.tolerations)
    yield from check_gates(new.spec, old.spec)
    differences = sorted(different(allowing(new.spec, old.spec).to_json(), old.spec.to_json(), "spec"))
    if differences:
        yield FieldError.forbidden(
            "spec", f"pod updates may not change fields other than {MUTABLE}\n" + "\n".join(differences)
        )


def check_deadline(new: PodSpec, old: PodSpec) -> Iterator[FieldError]:
    """A deadline may come nearer, not go away."""
    ours, theirs = new.active_deadline_seconds, old.active_deadline_seconds
    path = "spec.activeDeadlineSeconds"
    if theirs is None:
        return
    if ours is None:
        yield FieldError.invalid(path, None, "must not update from a positive integer to nil value")
    elif ours > theirs:
        yield FieldError.invalid(path, ours, "must be less than or equal to previous value")


def check_tolerations(new: Sequence[Toleration], old: Sequence[Toleration]) -> Iterator[FieldError]:
    """Tolerations may be added, and their seconds changed."""

    def marks(tolerations: Sequence[Toleration]) -> list[dict[str, Any]]:
        return [one.model_copy(update={"toleration_seconds": None}).to_json() for one in tolerations]

    kept = marks(new)
    if any(one not in kept for one in marks(old)):
        yield FieldError.forbidden(
            "spec.tolerations", "existing toleration can not be modified except its tolerationSeconds"
        )


def check_gates(new: PodSpec, old: PodSpec) -> Iterator[FieldError]:
    """Scheduling gates are only ever taken away."""
    known = {gate.name for gate in old.scheduling_gates}
    for index, gate in enumerate(new.scheduling_gates):
        if gate.name not in known:
            yield FieldError.forbidden(
                f"spec.schedulingGates[{index}].name",
                f"only deletion is allowed, but found new scheduling gate '{gate.name}'",
            )


def allowing(new: PodSpec, old: PodSpec) -> PodSpec:
    """The new spec with everything that may change set back to what it was."""

    def as_before(ours: Sequence[Container], theirs: Sequence[Container]) -> list[Container]:
        return [one.model_copy(update={"image": before.image}) for one, before in zip(ours, theirs, strict=True)]

    changes: dict[str, Any] = {
        "containers": as_before(new.containers, old.containers),
        "init_containers": as_before(new.init_containers, old.init_containers),
        "active_deadline_seconds": old.active_deadline_seconds,
        "tolerations": old.tolerations,
        "scheduling_gates": old.scheduling_gates,
    }
    if (old.termination_grace_period_seconds or 0) < 0 and new.termination_grace_period_seconds == 1:
        changes["termination_grace_period_seconds"] = old.termination_grace_period_seconds
    if old.scheduling_gates and old.node_selector.items() <= new.node_selector.items():
        changes["node_selector"] = old.node_selector
    return new.model_copy(update=changes)


def different(new: Any, old: Any, path: str) -> Iterator[str]:
    """Each place where two plain values differ, with both values."""
    if isinstance(new, dict) and isinstance(old, dict):
        for key in new.keys() | old.keys():
            yield from different(new.get(key), old.get(key), f"{path}.{key}")
    elif isinstance(new, list) and isinstance(old, list) and len(new) == len(old):
        for index, (ours, theirs) in enumerate(zip(new, old, strict=True)):
            yield from different(ours, theirs, f"{path}[{index}]")
    elif new != old:
        yield f"  {path}: {old!r} -> {new!r}"


def check_status(new: Pod, old: Pod) -> Iterator[FieldError]:
    """The rules for writes of the status."""
    if new.status.qos_class != old.status.qos_class:
        yield FieldError.invalid("status.qosClass", new.status.qos_class, "field is immutable")
    yield from check_states(
        new.status.ephemeral_container_statuses,
        old.status.ephemeral_container_statuses,
        "Never",
        "status.ephemeralContainerStatuses",
    )
    for wire, ips in (
        ("podIPs", [one.ip for one in new.status.pod_ips]),
        ("hostIPs", [one.ip for one in new.status.host_ips]),
    ):
        for index, ip in enumerate(ips):
            for complaint in names.ip_address(ip):
                yield FieldError.invalid(f"status.{wire}[{index}]", ip, complaint)
    policy = old.spec.restart_policy
    sidecars = {one.name for one in old.spec.init_containers if one.restart_policy == "Always"}
    if policy != "Always":
        yield from check_states(
            new.status.container_statuses, old.status.container_statuses, policy, "status.containerStatuses"
        )
        yield from check_states(
            [one for one in new.status.init_container_statuses if one.name not in sidecars],
            [one for one in old.status.init_container_statuses if one.name not in sidecars],
            policy,
            "status.initContainerStatuses",
        )


def check_states(
    new: Sequence[ContainerStatus], old: Sequence[ContainerStatus], policy: str | None, path: str
) -> Iterator[FieldError]:
    """A container that has ended for good does not run again."""
    now = {one.name: one for one in new}
    for index, one in enumerate(old):
        ended = one.state.terminated if one.state is not None else None
        if ended is None or (policy == "OnFailure" and ended.exit_code != 0):
            continue
        later = now.get(one.name)
        if later is not None and (later.state is None or later.state.terminated is None):
            yield FieldError.forbidden(f"{path}[{index}].state", "may not be transitioned to non-terminated state")
