"""Emptying a node by its own identity: cordoned, then its pods are evicted, so that budgets are honoured.

What kubectl drain does, with what a node may: pods of daemon sets stay until last, as they would only come back;
mirror pods and pods that have ended need nothing. A pod without a controller is evicted too: its machine goes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.machine.connection import Connection
from sampan.errors import ApiError, ClusterError

PAUSE_SECONDS = 0.5
BUDGET_SECONDS = 5.0
"""How soon an eviction that a budget forbade is tried again, as kubectl drain."""
MIRROR = "kubernetes.io/config.mirror"

Say = Callable[[str], None]
Pod = Mapping[str, Any]


@dataclass(frozen=True)
class Sorted:
    """A node's pods by what becomes of them."""

    evicted: list[Pod]
    last: list[Pod]
    """Of daemon sets: deleted when the others are gone."""


def sort_pods(pods: Sequence[Pod]) -> Sorted:
    """What is to be done with each. Pure."""
    evicted: list[Pod] = []
    last: list[Pod] = []
    for pod in pods:
        if MIRROR in (pod["metadata"].get("annotations") or {}):
            continue
        if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            continue
        owners = pod["metadata"].get("ownerReferences") or ()
        daemon = any(one.get("controller") and one.get("kind") == "DaemonSet" for one in owners)
        (last if daemon else evicted).append(pod)
    return Sorted(evicted, last)


def name_of(pod: Pod) -> str:
    """namespace/name"""
    return f"{pod['metadata'].get('namespace', '')}/{pod['metadata']['name']}"


def drain(connection: Connection, node: str, say: Say, *, seconds: float) -> None:
    """Cordon the node and empty it. Raises ClusterError when budgets or pods do not allow it in time, ApiError."""
    deadline = time.monotonic() + seconds
    connection.call("PATCH", f"/api/v1/nodes/{node}", {"spec": {"unschedulable": True}})
    say(f"node {node} takes no new pods")
    while (found := sort_pods(_pods(connection, node))).evicted:
        refused = [why for pod in found.evicted if (why := _evict(connection, pod, say))]
        if time.monotonic() > deadline:
            names = ", ".join(map(name_of, found.evicted[:5]))
            raise ClusterError(
                where=f"node {node}",
                what=f"{len(found.evicted)} pods are still there after {seconds:.0f} s ({names})"
                + (f": {refused[0]}" if refused else ""),
                remedy="wait for them, or run sampan leave --force",
            )
        time.sleep(BUDGET_SECONDS if refused else PAUSE_SECONDS)
    for pod in found.last:
        _delete(connection, pod)
    uids = {pod["metadata"]["uid"] for pod in found.last}
    while uids & {pod["metadata"]["uid"] for pod in _pods(connection, node)} and time.monotonic() < deadline:
        time.sleep(PAUSE_SECONDS)


def _pods(connection: Connection, node: str) -> list[Pod]:
    return list(connection.call("GET", f"/api/v1/pods?fieldSelector=spec.nodeName%3D{node}").get("items") or ())


def _path(pod: Pod) -> str:
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"


def _evict(connection: Connection, pod: Pod, say: Say) -> str:
    """Evict one that is not on its way; why it may not go yet, "" otherwise."""
    if pod["metadata"].get("deletionTimestamp"):
        return ""
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod["metadata"]["name"], "namespace": pod["metadata"]["namespace"]},
    }
    try:
        connection.call("POST", f"{_path(pod)}/eviction", body)
    except ApiError as error:
        if error.is_not_found:
            return ""
        if error.code == 429:
            return error.message
        raise
    say(f"evicting pod {name_of(pod)}")
    return ""


def _delete(connection: Connection, pod: Pod) -> None:
    try:
        connection.call("DELETE", _path(pod))
    except ApiError as error:
        if not error.is_not_found:
            raise
