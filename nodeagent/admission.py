"""Whether a pod may run on this node at all: the node's own last word, for pods that no scheduler placed. Pure.

Only a pod of which nothing has ever run is refused; what runs already was admitted by an earlier life of the agent.
Source: the kubelet's admission: NodeAffinity, OutOfcpu, OutOfmemory, OutOfpods, NodePorts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nodeagent.plan import Verdict
from nodeagent.resources import pod_total
from sampan import quantity
from sampan.api import core_v1
from sampan.node_affinity import allows

UNITS = {"cpu": 1_000_000, "memory": 1_000}
"""What pod_total counts in one CPU, and in one byte."""


def refusal(
    pod: core_v1.Pod,
    others: Iterable[core_v1.Pod],
    node: core_v1.Node,
    allocatable: Mapping[str, str],
) -> Verdict | None:
    """Why a pod can't be admitted beside the others; None when it can."""
    if not allows(pod.spec, node.metadata.name or "", node.metadata.labels):
        return _refused(
            "NodeAffinity", "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
        )
    alive = [one for one in others if one.status.phase not in ("Succeeded", "Failed")]
    most = quantity.value(allocatable.get("pods", "0"))
    if most and len(alive) + 1 > most:
        return _refused(
            "OutOfpods", f"Node didn't have enough resource: pods, requested: 1, used: {len(alive)}, capacity: {most}"
        )
    for name, unit in UNITS.items():
        asked = pod_total(pod, name)
        have = quantity.milli(allocatable.get(name, "0")) * (unit // 1000)
        used = sum(pod_total(one, name) for one in alive)
        if asked and have and used + asked > have:
            scale = 1000  # messages count milli-CPUs, and bytes
            return _refused(
                f"OutOf{name}",
                f"Node didn't have enough resource: {name}, requested: {asked // scale}, used: {used // scale}, "
                f"capacity: {have // scale}",
            )
    if _ports(pod) & {port for one in alive for port in _ports(one)}:
        return _refused(
            "NodePorts", "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
        )
    return None


def _refused(reason: str, message: str) -> Verdict:
    return Verdict("Failed", reason, f"Pod was rejected: {message}")


def _ports(pod: core_v1.Pod) -> set[tuple[str, str, int]]:
    """Ports of the node's own addresses that a pod takes."""
    found = set()
    for spec in (*pod.spec.init_containers, *pod.spec.containers):
        for port in spec.ports:
            number = port.host_port or (port.container_port if pod.spec.host_network else 0)
            if number:
                address = port.host_ip or "0.0.0.0"
                found.add((address, port.protocol or "TCP", number))
    return found


def has_begun(pod: core_v1.Pod) -> bool:
    """Whether something of the pod has run, by its status."""
    status = pod.status
    reports = (*status.init_container_statuses, *status.container_statuses)
    return status.phase not in (None, "Pending") or any(one.container_id for one in reports)
