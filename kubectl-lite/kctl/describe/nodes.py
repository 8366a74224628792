"""A node's description: its state, what runs on it, and how much of it is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from kctl.ages import age
from kctl.describe.text import NONE, boolean, labels, line, many, notes, time
from sampan.quantity import canonical, milli

Value = dict[str, Any]
SYSTEM = (
    ("Machine ID", "machineID"),
    ("System UUID", "systemUUID"),
    ("Boot ID", "bootID"),
    ("Kernel Version", "kernelVersion"),
    ("OS Image", "osImage"),
    ("Operating System", "operatingSystem"),
    ("Architecture", "architecture"),
    ("Container Runtime Version", "containerRuntimeVersion"),
    ("Kubelet Version", "kubeletVersion"),
)
ROLE = "node-role.kubernetes.io/"


def node_lines(value: Value, pods: Sequence[Value], lease: Value | str) -> Iterable[str]:
    """All but its events. `lease` is the node's, or why there is none."""
    metadata, spec, status = value["metadata"], value.get("spec") or {}, value.get("status") or {}
    yield line("Name", metadata["name"])
    roles = [key.removeprefix(ROLE) or NONE for key in sorted(metadata.get("labels") or {}) if key.startswith(ROLE)]
    yield line("Roles", ",".join(roles) or NONE)
    yield from labels("Labels", metadata.get("labels"))
    yield from notes(metadata.get("annotations"))
    yield line("CreationTimestamp", time(metadata.get("creationTimestamp")))
    yield from many("Taints", sorted(map(_taint, spec.get("taints") or ())))
    yield line("Unschedulable", boolean(spec.get("unschedulable")))
    yield from _lease(lease)
    if status.get("conditions"):
        yield "Conditions:"
        yield "  Type\tStatus\tLastHeartbeatTime\tLastTransitionTime\tReason\tMessage"
        yield "  ----\t------\t-----------------\t------------------\t------\t-------"
        for one in status["conditions"]:
            beat, change = time(one.get("lastHeartbeatTime")), time(one.get("lastTransitionTime"))
            yield (
                f"  {one['type']} \t{one['status']} \t{beat} \t{change} \t{one.get('reason', '')}"
                f" \t{one.get('message', '')}"
            )
    yield "Addresses:"
    yield from (f"  {one['type']}:\t{one['address']}" for one in status.get("addresses") or ())
    for name in ("Capacity", "Allocatable"):
        if found := status.get(name.lower()):
            yield f"{name}:"
            yield from (line(key, amount, 1) for key, amount in sorted(found.items()))
    system = status.get("nodeInfo") or {}
    yield "System Info:"
    yield from (line(name, system.get(field, ""), 1) for name, field in SYSTEM)
    if spec.get("podCIDR"):
        yield line("PodCIDR", spec["podCIDR"])
    if spec.get("podCIDRs"):
        yield line("PodCIDRs", ",".join(spec["podCIDRs"]))
    if spec.get("providerID"):
        yield line("ProviderID", spec["providerID"])
    yield from _pods(value, [one for one in pods if _lives(one)])


def _lives(pod: Value) -> bool:
    return (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")


def _taint(one: Value) -> str:
    return f"{one['key']}={one['value']}:{one['effect']}" if one.get("value") else f"{one['key']}:{one['effect']}"


def _lease(lease: Value | str) -> Iterable[str]:
    if isinstance(lease, str):
        yield line("Lease", f"Failed to get lease: {lease}")
        return
    spec = lease.get("spec") or {}
    yield "Lease:"
    yield line("HolderIdentity", spec.get("holderIdentity") or "<unset>", 1)
    yield line("AcquireTime", time(spec.get("acquireTime")), 1)
    yield line("RenewTime", time(spec.get("renewTime")), 1)


def requested(pod: Value, kind: str, name: str) -> int:
    """Milli-units of a resource that a pod asks for (`requests`) or may have (`limits`), init containers included."""
    spec = pod.get("spec") or {}

    def of(container: Value) -> int:
        return milli(((container.get("resources") or {}).get(kind) or {}).get(name, "0"))

    total = sum(map(of, spec.get("containers") or ()))
    sidecars = 0
    most = 0
    for one in spec.get("initContainers") or ():
        if one.get("restartPolicy") == "Always":
            sidecars += of(one)
            most = max(most, sidecars)
        else:
            most = max(most, sidecars + of(one))
    overhead = milli((spec.get("overhead") or {}).get(name, "0"))
    return max(total + sidecars, most) + overhead


def shown(amount: int, name: str) -> str:
    """Milli-units as a quantity."""
    if name == "cpu" and amount % 1000:
        return f"{amount}m"
    whole = -(-amount // 1000)
    for unit, size in (("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)):
        if name != "cpu" and whole and whole % size == 0:
            return f"{whole // size}{unit}"
    return canonical(str(whole))


def _share(amount: int, of: int) -> str:
    return f"{int(amount * 100 / of) if of else 0}%"


def _pods(value: Value, pods: Sequence[Value]) -> Iterable[str]:
    allocatable = (value.get("status") or {}).get("allocatable") or (value.get("status") or {}).get("capacity") or {}
    yield line("Non-terminated Pods", f"({len(pods)} in total)")
    yield "  Namespace\tName\t\tCPU Requests\tCPU Limits\tMemory Requests\tMemory Limits\tAge"
    yield "  ---------\t----\t\t------------\t----------\t---------------\t-------------\t---"
    for pod in pods:
        cells = []
        for name in ("cpu", "memory"):
            for kind in ("requests", "limits"):
                amount = requested(pod, kind, name)
                cells.append(f"{shown(amount, name)} ({_share(amount, milli(allocatable.get(name, '0')))})")
        metadata = pod["metadata"]
        yield "\t".join(
            [f"  {metadata['namespace']}", f"{metadata['name']}", "", *cells, age(metadata.get("creationTimestamp"))]
        )
    yield "Allocated resources:"
    yield "  (Total limits may be over 100 percent, i.e., overcommitted.)"
    yield "  Resource\tRequests\tLimits"
    yield "  --------\t--------\t------"
    extra = [name for name in sorted(allocatable) if name.startswith("hugepages-") or "/" in name]
    for name in ("cpu", "memory", "ephemeral-storage", *extra):
        cells = []
        for kind in ("requests", "limits"):
            amount = sum(requested(pod, kind, name) for pod in pods)
            share = f" ({_share(amount, milli(allocatable.get(name, '0')))})" if "/" not in name else ""
            cells.append(f"{shown(amount, name)}{share}")
        yield "\t".join([f"  {name}", *cells])
