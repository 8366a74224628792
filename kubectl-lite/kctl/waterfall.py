"""A pod's start as a waterfall: the steps that the API server and the node's agent noted, in order. Pure.

Where nobody remembers a step any more (a restarted server or agent), the object's own times stand in for it; they are
exact to a second only, and said to be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from kctl.ages import moment

ORDER = (
    "admitted", "stored", "scheduled", "bound", "seen", "volumes", "sandbox", "network", "image", "created", "started",
    "ready",
)  # fmt: skip
LABELS = {
    "admitted": "admitted",
    "stored": "stored",
    "scheduled": "scheduled",
    "bound": "bound",
    "seen": "seen by the agent",
    "volumes": "volumes",
    "sandbox": "sandbox",
    "network": "  network",
    "image": "image",
    "created": "created",
    "started": "started",
    "ready": "first ready",
}
WIDTH = 40


class Step(NamedTuple):
    """One step. `exact` is false for what is known to the second only."""

    name: str
    container: str
    begin: datetime
    end: datetime
    exact: bool = True

    @property
    def milliseconds(self) -> float:
        """How long it took."""
        return round((self.end - self.begin).total_seconds() * 1000, 3)

    @property
    def label(self) -> str:
        """How it is shown."""
        return f"{LABELS[self.name]} {self.container}".rstrip()


def steps_of(pod: Mapping[str, Any], noted: Sequence[Mapping[str, Any]]) -> list[Step]:
    """The steps in the order in which they began. `noted` are those of the API server and of the agent."""
    found: dict[tuple[str, str], Step] = {}
    for one in noted:
        begin, end = moment(one.get("begin")), moment(one.get("end"))
        name, container = str(one.get("step")), str(one.get("container") or "")
        if begin is not None and end is not None and name in LABELS:
            found[name, container] = Step(name, container, begin, end)
    for name, container, when in _told(pod):
        if when is not None and (name, container) not in found:
            found[name, container] = Step(name, container, when, when, exact=False)
    steps = sorted(found.values(), key=lambda one: (one.begin, ORDER.index(one.name)))
    return _from_before(steps)


def _told(pod: Mapping[str, Any]) -> list[tuple[str, str, datetime | None]]:
    """What the object itself says, to the second."""
    status = pod.get("status") or {}
    since = {one["type"]: one for one in status.get("conditions") or () if one.get("status") == "True"}
    times: list[tuple[str, str, datetime | None]] = [("stored", "", moment(pod["metadata"].get("creationTimestamp")))]
    if "PodScheduled" in since:
        times.append(("bound", "", moment(since["PodScheduled"].get("lastTransitionTime"))))
    times.append(("seen", "", moment(status.get("startTime"))))
    for key in ("initContainerStatuses", "containerStatuses"):
        for one in status.get(key) or ():
            state = one.get("state") or {}
            began = (state.get("running") or state.get("terminated") or {}).get("startedAt")
            if not one.get("restartCount"):
                times.append(("started", one["name"], moment(began)))
    if "Ready" in since:
        times.append(("ready", "", moment(since["Ready"].get("lastTransitionTime"))))
    return times


def _from_before(steps: list[Step]) -> list[Step]:
    """What happens at once has taken the time since the step before it was done: the way to the agent, the probes."""
    made: list[Step] = []
    for one in steps:
        before = max((other.end for other in made if other.exact), default=None)
        waited = one.name in ("seen", "ready") and one.exact
        if waited and before is not None and before < one.begin:
            one = one._replace(begin=before)
        made.append(one)
    return made


def lines(steps: Sequence[Step]) -> list[str]:
    """The waterfall as text: when each step began, how long it took, and where on the way."""
    if not steps:
        return ["nothing is known of its start"]
    first = min(one.begin for one in steps)
    whole = max((max(one.end for one in steps) - first).total_seconds(), 1e-6)
    labels = max(len(one.label) for one in steps)
    shown = [f"{'STEP':<{labels}}  {'AT':>10}  {'TOOK':>10}"]
    for one in steps:
        at = (one.begin - first).total_seconds()
        if not one.exact:
            shown.append(f"{one.label:<{labels}}  {'~' + _milliseconds(timedelta(seconds=max(0, at))):>10}")
            continue
        left = min(WIDTH - 1, int(at / whole * WIDTH))
        long = max(1, min(WIDTH - left, round((one.end - one.begin).total_seconds() / whole * WIDTH)))
        at_text, took = _milliseconds(one.begin - first), _milliseconds(one.end - one.begin)
        shown.append(f"{one.label:<{labels}}  {at_text:>10}  {took:>10}  {' ' * left}{'#' * long}")
    return shown


def _milliseconds(duration: timedelta) -> str:
    return f"{duration.total_seconds() * 1000:.1f} ms"


def to_json(pod: Mapping[str, Any], steps: Sequence[Step]) -> dict[str, Any]:
    """The waterfall as data."""
    exact = [one for one in steps if one.exact]
    total = (max(one.end for one in exact) - min(one.begin for one in exact)).total_seconds() if exact else 0.0
    return {
        "pod": pod["metadata"]["name"],
        "namespace": pod["metadata"].get("namespace", ""),
        "node": (pod.get("spec") or {}).get("nodeName", ""),
        "ready": any(one.name == "ready" for one in steps),
        "milliseconds": round(total * 1000, 3),
        "steps": [
            {
                "name": one.name,
                **({"container": one.container} if one.container else {}),
                "begin": one.begin.isoformat(timespec="microseconds").replace("+00:00", "Z"),
                "end": one.end.isoformat(timespec="microseconds").replace("+00:00", "Z"),
                "milliseconds": one.milliseconds,
                "exact": one.exact,
            }
            for one in steps
        ],
    }
