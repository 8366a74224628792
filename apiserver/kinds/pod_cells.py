"""The columns of a pod: what `kubectl get pods` says of its state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver.kind import AGE, NAME, Cell, Column, Since
from apiserver.kinds.cells import NONE, Plain, look

Statuses = list[Mapping[str, Any]]


def is_sidecar(container: Mapping[str, Any] | None) -> bool:
    """Whether an init container goes on running beside the others."""
    return container is not None and container.get("restartPolicy") == "Always"


def statuses(pod: Plain, kind: str) -> Statuses:
    """Container statuses of one kind, in order."""
    return look(pod, "status", kind) or []


def condition(pod: Plain, kind: str) -> Mapping[str, Any]:
    """A condition of the pod, empty if it has none of the kind."""
    found = (one for one in look(pod, "status", "conditions") or () if one.get("type") == kind)
    return next(found, {})


def ended(terminated: Mapping[str, Any]) -> str:
    """Why a container ended."""
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def initializing(pod: Plain) -> tuple[str | None, int]:
    """What the init containers are at (None when they are done), and how many sidecars are ready."""
    specs = look(pod, "spec", "initContainers") or []
    by_name = {one.get("name"): one for one in specs}
    ready = 0
    for index, status in enumerate(statuses(pod, "initContainerStatuses")):
        state = status.get("state") or {}
        terminated, waiting = state.get("terminated"), state.get("waiting")
        if terminated is not None and not terminated.get("exitCode"):
            continue
        if is_sidecar(by_name.get(status.get("name"))) and status.get("started"):
            ready += bool(status.get("ready"))
            continue
        if terminated is not None:
            return f"Init:{ended(terminated)}", ready
        if waiting is not None and waiting.get("reason") not in (None, "", "PodInitializing"):
            return f"Init:{waiting['reason']}", ready
        return f"Init:{index}/{len(specs)}", ready
    return None, ready


def running(pod: Plain, reason: str) -> str:
    """The reason as the containers of a pod past its initialization tell it."""
    any_running = False
    for status in reversed(statuses(pod, "containerStatuses")):
        state = status.get("state") or {}
        terminated, waiting = state.get("terminated"), state.get("waiting")
        if waiting is not None and waiting.get("reason"):
            reason = waiting["reason"]
        elif terminated is not None:
            reason = ended(terminated)
        elif status.get("ready") and state.get("running") is not None:
            any_running = True
    if reason == "Completed" and any_running:
        return "Running" if condition(pod, "Ready").get("status") == "True" else "NotReady"
    return reason


def status(pod: Plain) -> str:
    """The STATUS column."""
    phase = look(pod, "status", "phase") or ""
    given = look(pod, "status", "reason") or ""
    reason: str = given or phase
    if condition(pod, "PodScheduled").get("reason") == "SchedulingGated":
        reason = "SchedulingGated"
    init, _ = initializing(pod)
    if init is not None:
        reason = init
    if init is None or condition(pod, "Initialized").get("status") == "True":
        reason = running(pod, reason)
    if look(pod, "metadata", "deletionTimestamp"):
        if given == "NodeLost":
            return "Unknown"
        if phase not in ("Succeeded", "Failed"):
            return "Terminating"
    return reason


def ready(pod: Plain) -> str:
    """The READY column: how many containers are, of how many."""
    specs = look(pod, "spec", "initContainers") or []
    total = len(look(pod, "spec", "containers") or ()) + sum(map(is_sidecar, specs))
    init, count = initializing(pod)
    if init is None or condition(pod, "Initialized").get("status") == "True":
        for one in statuses(pod, "containerStatuses"):
            count += bool(one.get("ready")) and look(one, "state", "running") is not None
    return f"{count}/{total}"


def restarts(pod: Plain) -> Cell:
    """The RESTARTS column: how often, and when last."""
    by_name = {one.get("name"): one for one in look(pod, "spec", "initContainers") or ()}
    counted = statuses(pod, "initContainerStatuses")
    init, _ = initializing(pod)
    if init is None or condition(pod, "Initialized").get("status") == "True":
        sidecars = [one for one in counted if is_sidecar(by_name.get(one.get("name")))]
        counted = sidecars + statuses(pod, "containerStatuses")
    count = sum(one.get("restartCount") or 0 for one in counted)
    last = max((look(one, "lastState", "terminated", "finishedAt") or "" for one in counted), default="")
    return Since(last, f"{count} ({{}} ago)") if count and last else str(count)


def address(pod: Plain) -> Cell:
    """The IP column."""
    ips = look(pod, "status", "podIPs") or []
    return (ips[0].get("ip") if ips else look(pod, "status", "podIP")) or NONE


def gates(pod: Plain) -> Cell:
    """The READINESS GATES column: how many are open, of how many."""
    wanted = look(pod, "spec", "readinessGates") or []
    if not wanted:
        return NONE
    return (
        f"{sum(condition(pod, one.get('conditionType', '')).get('status') == 'True' for one in wanted)}/{len(wanted)}"
    )


COLUMNS = (
    NAME,
    Column("Ready", ready, description="How many containers are ready, of how many."),
    Column("Status", status, description="The aggregate state of the containers in this pod."),
    Column("Restarts", restarts, description="How often its containers have been restarted, and when last."),
    AGE,
    Column("IP", address, priority=1, description="Address of the pod."),
    Column("Node", lambda o: look(o, "spec", "nodeName") or NONE, priority=1, description="Where it runs."),
    Column(
        "Nominated Node",
        lambda o: look(o, "status", "nominatedNodeName") or NONE,
        priority=1,
        description="Where it may run once others have made place.",
    ),
    Column("Readiness Gates", gates, priority=1, description="How many readiness gates are open."),
)
