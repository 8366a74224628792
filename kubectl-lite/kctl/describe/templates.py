"""Pod templates: what a workload's pods will be."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kctl.describe.containers import container_lines
from kctl.describe.text import aligned, labels, line, many, notes, selector
from kctl.describe.volumes import volume_lines


def template_lines(template: dict[str, Any]) -> list[str]:
    """A template alone, as `rollout history --revision` shows it."""
    return aligned(pod_template(template))


def pod_template(template: dict[str, Any]) -> Iterable[str]:
    """The lines of a template, with tabs."""
    metadata, spec = template.get("metadata") or {}, template.get("spec") or {}
    yield "Pod Template:"
    yield from labels("Labels", metadata.get("labels"), 1)
    if metadata.get("annotations"):
        yield from notes(metadata["annotations"], 1)
    if spec.get("serviceAccountName"):
        yield line("Service Account", spec["serviceAccountName"], 1)
    if spec.get("initContainers"):
        yield from container_lines("Init Containers", spec["initContainers"], {}, 1)
    yield from container_lines("Containers", spec.get("containers") or (), {}, 1)
    yield from volume_lines(spec.get("volumes") or (), 1)
    if spec.get("topologySpreadConstraints"):
        yield from topology(spec["topologySpreadConstraints"], 1)
    if spec.get("priorityClassName"):
        yield line("Priority Class Name", spec["priorityClassName"], 1)
    yield from node_selectors(spec, 1)
    yield from tolerations(spec.get("tolerations") or (), 1)


def node_selectors(spec: dict[str, Any], level: int) -> Iterable[str]:
    """What a node must have."""
    return labels("Node-Selectors", spec.get("nodeSelector"), level)


def topology(constraints: Iterable[dict[str, Any]], level: int) -> Iterable[str]:
    """How pods spread."""

    rows = [
        f"{one['topologyKey']}:{one['whenUnsatisfiable']} when max skew {one['maxSkew']} is exceeded"
        + (f" for selector {selector(one['labelSelector'])}" if one.get("labelSelector") else "")
        for one in constraints
    ]
    return many("Topology Spread Constraints", rows, level)


def tolerations(found: Iterable[dict[str, Any]], level: int) -> Iterable[str]:
    """The taints that are put up with."""

    rows = []
    for one in sorted(found, key=lambda one: (one.get("key", ""), one.get("effect", ""))):
        text = one.get("key", "")
        if one.get("value"):
            text += f"={one['value']}"
        if one.get("effect"):
            text += f":{one['effect']}"
        if one.get("operator") == "Exists" and not one.get("value"):
            text += " op=Exists" if text else "op=Exists"
        if one.get("tolerationSeconds") is not None:
            text += f" for {one['tolerationSeconds']}s"
        rows.append(text)
    return many("Tolerations", rows, level)
