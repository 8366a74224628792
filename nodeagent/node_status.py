"""What is reported of the node: machine, load, runtime -> NodeStatus. Pure.

Source: the Kubernetes documentation, "Node Status"; reasons and messages are the kubelet's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nodeagent.cri import Conditions, Image, Version
from nodeagent.machine import MEBI, Load, System
from sampan import quantity
from sampan.api import core_v1
from sampan.version import GIT_VERSION

LEAST_MEMORY = 100 * MEBI
LEAST_PIDS = 256
MOST_IMAGES = 50


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """What the configuration says of a node."""

    name: str
    address: str
    port: int
    max_pods: int
    fake_capacity: Mapping[str, str]


def capacity(settings: NodeSettings, system: System, load: Load) -> dict[str, str]:
    """All that the node has."""
    real = {
        "cpu": str(system.cpus),
        "memory": f"{system.memory // 1024}Ki",
        "ephemeral-storage": f"{load.disk_size // 1024}Ki",
        "pods": str(settings.max_pods),
        "hugepages-1Gi": "0",
        "hugepages-2Mi": "0",
    }
    return real | dict(settings.fake_capacity)


def allocatable(settings: NodeSettings, total: Mapping[str, str]) -> dict[str, str]:
    """What pods may ask for: less memory and disk than the node has, so that the node itself can go on."""
    left = dict(total)
    if "memory" not in settings.fake_capacity:
        left["memory"] = f"{max(0, quantity.value(total['memory']) - LEAST_MEMORY) // 1024}Ki"
    if "ephemeral-storage" not in settings.fake_capacity:
        left["ephemeral-storage"] = str(quantity.value(total["ephemeral-storage"]) * 9 // 10)
    return left


def node_status(
    settings: NodeSettings,
    system: System,
    load: Load,
    runtime: Conditions | None,
    version: Version | None,
    images: Sequence[Image],
    old: core_v1.NodeStatus,
    now: datetime,
    trouble: str = "",
    pressures: Collection[str] = (),
) -> core_v1.NodeStatus:
    """The status at `now`. `runtime` is None when it does not answer; `trouble` is anything else in the way.

    `pressures` are those of MemoryPressure and DiskPressure that hold.
    """
    total = capacity(settings, system, load)
    fields: dict[str, Any] = {
        "addresses": [
            core_v1.NodeAddress(type="InternalIP", address=settings.address),
            core_v1.NodeAddress(type="Hostname", address=settings.name),
        ],
        "capacity": total,
        "allocatable": allocatable(settings, total),
        "daemon_endpoints": core_v1.NodeDaemonEndpoints(kubelet_endpoint=core_v1.DaemonEndpoint(port=settings.port)),
        "node_info": core_v1.NodeSystemInfo(
            machine_id=system.machine_id,
            system_uuid=system.system_uuid,
            boot_id=system.boot_id,
            kernel_version=system.kernel,
            os_image=system.os_image,
            container_runtime_version=f"{version.name}://{version.version}" if version else "",
            kubelet_version=GIT_VERSION,
            kube_proxy_version="",
            operating_system="linux",
            architecture=system.architecture,
        ),
        "images": [
            core_v1.ContainerImage(names=[*image.digests, *image.tags], size_bytes=image.size)
            for image in sorted(images, key=lambda one: (-one.size, one.id))[:MOST_IMAGES]
            if image.tags or image.digests
        ],
        "conditions": [
            _since(condition, old, now)
            for condition in (
                *_pressures(pressures, load),
                _ready(runtime, trouble),
            )
        ],
    }
    if runtime is not None:
        fields["runtime_handlers"] = _handlers(runtime)
        fields["features"] = core_v1.NodeFeatures(supplemental_groups_policy=runtime.supplemental_groups_policy)
    known = {condition.type for condition in fields["conditions"]}
    fields["conditions"] += [condition for condition in old.conditions if condition.type not in known]
    return old.model_copy(update=fields)


def _handlers(runtime: Conditions) -> list[core_v1.NodeRuntimeHandler]:
    return [
        core_v1.NodeRuntimeHandler(
            name=handler.name,
            features=core_v1.NodeRuntimeHandlerFeatures(
                recursive_read_only_mounts=handler.recursive_read_only_mounts, user_namespaces=handler.user_namespaces
            ),
        )
        for handler in runtime.handlers
    ]


def _pressures(felt: Collection[str], load: Load) -> list[core_v1.NodeCondition]:
    return [
        _condition(
            "MemoryPressure",
            "MemoryPressure" in felt,
            ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
            ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ),
        _condition(
            "DiskPressure",
            "DiskPressure" in felt,
            ("KubeletHasDiskPressure", "kubelet has disk pressure"),
            ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ),
        _condition(
            "PIDPressure",
            load.pids_free < LEAST_PIDS,
            ("KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
            ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ),
    ]


def _condition(kind: str, holds: bool, yes: tuple[str, str], no: tuple[str, str]) -> core_v1.NodeCondition:
    reason, message = yes if holds else no
    return core_v1.NodeCondition(type=kind, status="True" if holds else "False", reason=reason, message=message)


def _ready(runtime: Conditions | None, trouble: str) -> core_v1.NodeCondition:
    problems = [trouble] if trouble else []
    if runtime is None:
        problems.append("container runtime is down")
    else:
        if not runtime.runtime_ready:
            problems.append(f"container runtime not ready: {runtime.runtime_message}")
        if not runtime.network_ready:
            problems.append(f"container runtime network not ready: {runtime.network_message}")
    text = problems[0] if len(problems) == 1 else "[" + ", ".join(problems) + "]"
    return _condition(
        "Ready",
        not problems,
        ("KubeletReady", "kubelet is posting ready status"),
        ("KubeletNotReady", text),
    )


def _since(condition: core_v1.NodeCondition, old: core_v1.NodeStatus, now: datetime) -> core_v1.NodeCondition:
    whole = now.replace(microsecond=0)
    before = next((one for one in old.conditions if one.type == condition.type), None)
    same = before is not None and before.status == condition.status
    changed = before.last_transition_time if before is not None and same else None
    return condition.model_copy(update={"last_heartbeat_time": whole, "last_transition_time": changed or whole})


def status_change(old: core_v1.NodeStatus, new: core_v1.NodeStatus, *, heartbeat: bool) -> dict[str, Any]:
    """The fields of a status that differ, on the wire; heartbeat times alone count only if `heartbeat`."""
    before, after = old.to_json(), new.to_json()
    change = {key: value for key, value in after.items() if before.get(key) != value and key != "conditions"}
    if "allocatable" in change or "capacity" in change:
        for key in ("allocatable", "capacity"):
            gone = before.get(key, {}).keys() - after.get(key, {}).keys()
            change[key] = after.get(key, {}) | dict.fromkeys(gone)
    if "nodeInfo" in change:
        change["nodeInfo"] = after["nodeInfo"]
    known = {one["type"]: one for one in before.get("conditions", ())}
    conditions = []
    for condition in after.get("conditions", ()):
        was = known.get(condition["type"], {})
        beat = heartbeat and condition.get("lastHeartbeatTime") != was.get("lastHeartbeatTime")
        if beat or any(condition.get(key) != was.get(key) for key in ("status", "reason", "message")):
            conditions.append(condition)
    if conditions:
        change["conditions"] = conditions
    return change
