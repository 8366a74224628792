"""A pod's description."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kctl.describe.containers import container_lines
from kctl.describe.templates import node_selectors, tolerations, topology
from kctl.describe.text import NONE, controlled_by, labels, line, notes, time
from kctl.describe.volumes import volume_lines


def pod_lines(pod: dict[str, Any]) -> Iterable[str]:
    """All but its events."""
    metadata, spec, status = pod["metadata"], pod.get("spec") or {}, pod.get("status") or {}
    yield line("Name", metadata["name"])
    yield line("Namespace", metadata["namespace"])
    yield line("Priority", spec.get("priority", 0))
    if spec.get("priorityClassName"):
        yield line("Priority Class Name", spec["priorityClassName"])
    if spec.get("runtimeClassName"):
        yield line("Runtime Class Name", spec["runtimeClassName"])
    yield line("Service Account", spec.get("serviceAccountName", ""))
    node = spec.get("nodeName")
    yield line("Node", f"{node}/{status.get('hostIP', '')}" if node else NONE)
    if status.get("startTime"):
        yield line("Start Time", time(status["startTime"]))
    yield from labels("Labels", metadata.get("labels"))
    yield from notes(metadata.get("annotations"))
    if metadata.get("deletionTimestamp"):
        from kctl.ages import age

        yield line("Status", f"Terminating (lasts {age(metadata['deletionTimestamp'])})")
        yield line("Termination Grace Period", f"{metadata.get('deletionGracePeriodSeconds', 0)}s")
    else:
        yield line("Status", status.get("phase", ""))
    if status.get("reason"):
        yield line("Reason", status["reason"])
    if status.get("message"):
        yield line("Message", status["message"])
    if profile := (spec.get("securityContext") or {}).get("seccompProfile"):
        yield line("SeccompProfile", profile.get("type", ""))
    yield line("IP", status.get("podIP", ""))
    yield from _addresses(status.get("podIPs") or ())
    if owner := controlled_by(metadata):
        yield line("Controlled By", owner)
    if status.get("nominatedNodeName"):
        yield line("NominatedNodeName", status["nominatedNodeName"])
    yield from _containers(pod)
    if spec.get("readinessGates"):
        yield from _gates(spec["readinessGates"], status)
    if status.get("conditions"):
        yield "Conditions:"
        yield "  Type\tStatus"
        yield from (f"  {one['type']} \t{one['status']} " for one in status["conditions"])
    yield from volume_lines(spec.get("volumes") or (), 0, "  ")
    yield line("QoS Class", status.get("qosClass", "BestEffort"))
    yield from node_selectors(spec, 0)
    yield from tolerations(spec.get("tolerations") or (), 0)
    if spec.get("topologySpreadConstraints"):
        yield from topology(spec["topologySpreadConstraints"], 0)


def _addresses(found: Iterable[dict[str, Any]]) -> Iterable[str]:
    rows = [f"  IP:\t{one.get('ip', '')}" for one in found]
    yield from ["IPs:", *rows] if rows else [line("IPs", NONE)]


def _containers(pod: dict[str, Any]) -> Iterable[str]:
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    for heading, field, states in (
        ("Init Containers", "initContainers", "initContainerStatuses"),
        ("Containers", "containers", "containerStatuses"),
        ("Ephemeral Containers", "ephemeralContainers", "ephemeralContainerStatuses"),
    ):
        if spec.get(field):
            known = {one["name"]: one for one in status.get(states) or ()}
            yield from container_lines(heading, spec[field], known, 0, pod)


def _gates(gates: Iterable[dict[str, Any]], status: dict[str, Any]) -> Iterable[str]:
    known = {one["type"]: one["status"] for one in status.get("conditions") or ()}
    yield "Readiness Gates:"
    yield "  Type\tStatus"
    yield from (f"  {one['conditionType']} \t{known.get(one['conditionType'], NONE)} " for one in gates)
