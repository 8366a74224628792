"""Which pods leave a node that is drained, and what stands in the way: pure, in kubectl's words.

Source: "Safely Drain a Node". A pod of a daemon set stays; a mirror pod stays; a pod that nothing makes anew, or whose
emptyDir would be lost, stands in the way until a flag says that this is meant.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Pod = dict[str, Any]
MIRROR = "kubernetes.io/config.mirror"
DAEMON_SETS = "DaemonSet-managed Pods"
BARE = "Pods that declare no controller"
LOCAL = "Pods with local storage"


@dataclass(frozen=True)
class Rules:
    """What the flags allow."""

    force: bool = False
    ignore_daemon_sets: bool = False
    delete_local_data: bool = False
    skip_ending_seconds: int = 0


@dataclass
class Plan:
    """What is to be done."""

    leaving: list[Pod] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    obstacles: list[str] = field(default_factory=list)


def plan(pods: Sequence[Pod], rules: Rules, has_owner: Callable[[Pod], bool]) -> Plan:
    """Decide for each pod. `has_owner`: whether its controller still exists."""
    found = Plan()
    warned: dict[str, list[str]] = {}
    forbidden: dict[str, list[str]] = {}
    for pod in pods:
        name = f"{pod['metadata'].get('namespace', '')}/{pod['metadata']['name']}"
        if MIRROR in (pod["metadata"].get("annotations") or {}) or _is_ending(pod, rules.skip_ending_seconds):
            continue
        finished = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
        if _owner_kind(pod) == "DaemonSet" and not finished and (has_owner(pod) or not rules.force):
            group = warned if rules.ignore_daemon_sets else forbidden
            text = "ignoring" if rules.ignore_daemon_sets else "cannot delete"
            tail = "" if rules.ignore_daemon_sets else " (use --ignore-daemonsets to ignore)"
            group.setdefault(f"{text} {DAEMON_SETS}{tail}", []).append(name)
            continue
        if not finished:
            if not _owner_kind(pod):
                head = f"deleting {BARE}" if rules.force else f"cannot delete {BARE} (use --force to override)"
                (warned if rules.force else forbidden).setdefault(head, []).append(name)
            if any("emptyDir" in volume for volume in pod.get("spec", {}).get("volumes") or ()):
                allowed = rules.delete_local_data
                head = (
                    f"deleting {LOCAL}"
                    if allowed
                    else f"cannot delete {LOCAL} (use --delete-emptydir-data to override)"
                )
                (warned if allowed else forbidden).setdefault(head, []).append(name)
        found.leaving.append(pod)
    found.warnings = [f"{head}: {', '.join(names)}" for head, names in warned.items()]
    found.obstacles = [f"{head}: {', '.join(names)}" for head, names in forbidden.items()]
    return found


def _owner_kind(pod: Pod) -> str:
    owners = pod["metadata"].get("ownerReferences") or ()
    return next((str(one["kind"]) for one in owners if one.get("controller")), "")


def _is_ending(pod: Pod, seconds: int) -> bool:
    stamp = pod["metadata"].get("deletionTimestamp")
    if not stamp or seconds <= 0:
        return False
    return (datetime.now(UTC) - datetime.fromisoformat(stamp)).total_seconds() > seconds
