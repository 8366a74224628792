"""What was used between two looks at a node: CPU as a rate, memory as it was at the second look. Pure.

Source: the kubelet's stats.k8s.io summary; metrics.k8s.io/v1beta1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Usage = dict[str, str]


@dataclass(frozen=True)
class Look:
    """A node's summary, and when it came: seconds on a clock that only grows."""

    at: float
    summary: Mapping[str, Any]


def node_usage(before: Look, after: Look) -> Usage:
    """Of the whole node."""
    return _usage(before.summary.get("node") or {}, after.summary.get("node") or {}, after.at - before.at)


def pod_usages(before: Look, after: Look) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """(namespace, pod) -> its containers. One that was not there at the first look has no rate yet, and is left out."""
    old = {(uid, name): container for uid, _, name, container in _containers(before)}
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for uid, key, name, container in _containers(after):
        earlier = old.get((uid, name))
        if earlier is not None and _cpu(container) >= _cpu(earlier):
            usage = _usage(earlier, container, after.at - before.at)
            found.setdefault(key, []).append({"name": name, "usage": usage})
    return found


def _containers(look: Look) -> list[tuple[str, tuple[str, str], str, Mapping[str, Any]]]:
    return [
        (str(pod["podRef"]["uid"]), (str(pod["podRef"]["namespace"]), str(pod["podRef"]["name"])), one["name"], one)
        for pod in look.summary.get("pods") or ()
        for one in pod.get("containers") or ()
    ]


def _cpu(value: Mapping[str, Any]) -> int:
    return int((value.get("cpu") or {}).get("usageCoreNanoSeconds") or 0)


def _usage(before: Mapping[str, Any], after: Mapping[str, Any], seconds: float) -> Usage:
    rate = max(0, _cpu(after) - _cpu(before)) / max(seconds, 1e-3)
    memory = int((after.get("memory") or {}).get("workingSetBytes") or 0)
    return {"cpu": f"{round(rate)}n", "memory": f"{memory // 1024}Ki"}
