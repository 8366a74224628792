"""Pods: how they begin, what may change, when they end at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apiserver.kind import Context, Kind, Strategy
from apiserver.kinds.cells import Plain, look
from apiserver.kinds.pod_calls import create_binding, subresources
from apiserver.kinds.pod_cells import COLUMNS
from apiserver.kinds.pod_defaults import default_pod, qos_class
from apiserver.kinds.pod_rules import check_images, check_spec
from apiserver.kinds.pod_updates import check_status, check_update
from sampan.api.core_v1 import HostIP, Pod, PodCondition, PodIP, PodStatus
from sampan.api.meta_v1 import DeleteOptions
from sampan.errors import FieldError, InvalidError
from sampan.kinds import BINDINGS, PODS

MIRROR = "kubernetes.io/config.mirror"
GATED = "Scheduling is blocked due to non-empty scheduling gates"


def begin(pod: Pod, context: Context) -> None:
    """A new pod is Pending and knows its quality of service. Raises InvalidError."""
    if pod.spec.ephemeral_containers:
        error = FieldError.forbidden("spec.ephemeralContainers", "cannot be set on create")
        raise InvalidError("Pod", "", pod.metadata.name or "", [error])
    default_pod(pod.spec)
    pod.status = PodStatus(phase="Pending", qos_class=qos_class(pod.spec))
    if pod.spec.scheduling_gates:
        pod.status.conditions = [
            PodCondition(type="PodScheduled", status="False", reason="SchedulingGated", message=GATED)
        ]


def change(new: Pod, old: Pod, context: Context) -> None:
    """What is left out gets its default again, so that it differs in nothing from before."""
    default_pod(new.spec)
    if new.spec.ephemeral_containers != old.spec.ephemeral_containers:
        new.spec.ephemeral_containers = old.spec.ephemeral_containers


def tell(new: Pod, old: Pod, context: Context) -> None:
    """The status says every address twice, singly and in a list."""
    status = new.status
    status.qos_class = status.qos_class or old.status.qos_class
    if status.pod_ip and not status.pod_ips:
        status.pod_ips = [PodIP(ip=status.pod_ip)]
    elif status.pod_ips:
        status.pod_ip = status.pod_ips[0].ip
    if status.host_ip and not status.host_ips:
        status.host_ips = [HostIP(ip=status.host_ip)]
    elif status.host_ips:
        status.host_ip = status.host_ips[0].ip


def validate(pod: Pod) -> Iterator[FieldError]:
    """All rules between fields."""
    yield from check_spec(pod.spec, "spec")
    yield from check_images(pod.spec, "spec")
    if MIRROR in pod.metadata.annotations and not pod.spec.node_name:
        yield FieldError.invalid(
            f"metadata.annotations[{MIRROR}]",
            pod.metadata.annotations[MIRROR],
            "must set spec.nodeName if mirror pod annotation is set",
        )
    if pod.spec.scheduling_gates and pod.spec.node_name:
        yield FieldError.forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared")


def grace(pod: Pod, options: DeleteOptions) -> int:
    """Seconds to end in; none for a pod that no node has, or that has ended."""
    if not pod.spec.node_name or pod.status.phase in ("Succeeded", "Failed"):
        return 0
    asked = options.grace_period_seconds
    seconds = asked if asked is not None else pod.spec.termination_grace_period_seconds or 0
    return seconds if seconds >= 0 else 1


def first_ip(pod: Plain) -> str:
    """The pod's first address."""
    ips: Any = look(pod, "status", "podIPs") or []
    return str(ips[0].get("ip", "")) if ips else str(look(pod, "status", "podIP") or "")


POD = Kind(
    PODS,
    columns=COLUMNS,
    strategy=Strategy[Pod](
        traced=True,
        prepare_create=begin,
        prepare_update=change,
        prepare_status=tell,
        validate=validate,
        validate_update=check_update,
        validate_status=check_status,
        selectable={
            "spec.nodeName": lambda o: look(o, "spec", "nodeName") or "",
            "spec.restartPolicy": lambda o: look(o, "spec", "restartPolicy") or "",
            "spec.schedulerName": lambda o: look(o, "spec", "schedulerName") or "",
            "spec.serviceAccountName": lambda o: look(o, "spec", "serviceAccountName") or "",
            "spec.hostNetwork": lambda o: "true" if look(o, "spec", "hostNetwork") else "false",
            "status.phase": lambda o: look(o, "status", "phase") or "",
            "status.podIP": first_ip,
            "status.podIPs": first_ip,
            "status.nominatedNodeName": lambda o: look(o, "status", "nominatedNodeName") or "",
        },
        tracks_generation=True,
        delete_returns_object=True,
        grace=grace,
    ),
    status=True,
    subresources=subresources(),
)

BINDING = Kind(BINDINGS, verbs=("create",), create=create_binding)
