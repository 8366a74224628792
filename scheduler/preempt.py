"""Making room by force: which pods of lower priority would have to go, on which node, for one that fits nowhere.

Always: a victim's priority is lower than the pod's; the pod would fit once the victims are gone; no victim is
chosen that could stay. No I/O: the caller deletes victims and nominates the node.
Source: Kubernetes' "Pod Priority and Preemption"; the choice among nodes follows upstream's order of criteria.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from scheduler import filters
from scheduler.columns import Columns, Placed
from scheduler.filters import Filtered
from scheduler.place import Waiting, histogram, room
from scheduler.shape import Shape

FEWEST_CANDIDATES, CANDIDATE_SHARE = 100, 0.1
"""How many nodes are looked at: a tenth, at least a hundred (DefaultPreemptionArgs v1)."""
NO_VICTIMS = "No preemption victims found for incoming pod"
NOT_HELPFUL = "Preemption is not helpful for scheduling"
NEVER = "not eligible due to preemptionPolicy=Never."
LEAVING = "not eligible due to a terminating pod on the nominated node."
_LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)
_NEVER_STARTED = datetime(9999, 1, 1, tzinfo=UTC)

Protects = Callable[[Sequence[Placed]], int]
"""How many of these evictions would break a disruption budget."""


@dataclass(frozen=True, eq=False)
class Eviction:
    """The pods to delete on a node, most important first, so that the pod fits there."""

    node: str
    victims: tuple[Placed, ...]
    violations: int = 0


@dataclass(frozen=True, eq=False)
class Preemption:
    """What trying to make room came to. `message` is for the pod's event when there is no eviction."""

    eviction: Eviction | None = None
    message: str = ""
    reasons: dict[str, int] = field(default_factory=dict)


def no_budgets(victims: Sequence[Placed]) -> int:
    """Until there are PodDisruptionBudgets, nothing is protected."""
    return 0


def preempt(
    columns: Columns, pod: Waiting, filtered: Filtered, rng: np.random.Generator, protects: Protects = no_budgets
) -> Preemption:
    """Find the least painful eviction. The columns are as before when it returns."""
    shape = pod.shape
    if not shape.may_preempt:
        return Preemption(message=NEVER)
    if pod.nominated and _victims_leaving(columns, pod, filtered):
        return Preemption(message=LEAVING)
    nodes = columns.count
    curable = np.flatnonzero(filtered.curable & columns.living()[: len(filtered.curable)])
    reasons: dict[str, int] = {}
    if nodes > len(curable):
        reasons[NOT_HELPFUL] = nodes - len(curable)
    if min(columns.priorities, default=shape.priority) >= shape.priority:
        if len(curable):
            reasons[NO_VICTIMS] = len(curable)
        return Preemption(message=histogram(nodes, reasons) if nodes else "", reasons=reasons)
    wanted = max(FEWEST_CANDIDATES, int(nodes * CANDIDATE_SHARE))
    found: list[Eviction] = []
    start = int(rng.integers(len(curable))) if len(curable) else 0
    for row in np.roll(curable, -start).tolist():
        eviction, refused = _on_node(columns, pod, row, protects)
        if eviction is not None:
            found.append(eviction)
            if len(found) >= wanted:
                break
        for reason in refused:
            reasons[reason] = reasons.get(reason, 0) + 1
    if not found:
        return Preemption(message=histogram(nodes, reasons) if nodes else "", reasons=reasons)
    return Preemption(eviction=min(found, key=pain))


def pain(eviction: Eviction) -> tuple[int, int, int, int, float]:
    """What makes an eviction worse than another, most weighty first."""
    priorities = [victim.shape.priority for victim in eviction.victims]
    highest = max(priorities)
    earliest = min(
        (victim.started or _NEVER_STARTED for victim in eviction.victims if victim.shape.priority == highest),
    )
    # Priorities may be negative; shifted, a sum grows with every victim.
    summed = sum(priority + 2**31 for priority in priorities)
    return (eviction.violations, highest, summed, len(priorities), -(earliest - _LONG_AGO).total_seconds())


def importance(pod: Placed) -> tuple[int, datetime]:
    """Sorts the most important pod first: higher priority, then longer running."""
    return (-pod.shape.priority, pod.started or _NEVER_STARTED)


def _victims_leaving(columns: Columns, pod: Waiting, filtered: Filtered) -> bool:
    row = columns.rows.get(pod.nominated)
    if row is None or (row < len(filtered.curable) and not filtered.curable[row] and not filtered.feasible[row]):
        return False  # the nominated node can't take it whatever leaves
    return any(
        other.dying and other.preempted and other.shape.priority < pod.shape.priority
        for other in columns.on_row[row].values()
    )


def _on_node(columns: Columns, pod: Waiting, row: int, protects: Protects) -> tuple[Eviction | None, tuple[str, ...]]:
    """The eviction that would do on one node, or the reasons why none would."""
    shape = pod.shape
    lower = sorted(
        (other for other in columns.on_row[row].values() if other.shape.priority < shape.priority), key=importance
    )
    if not lower:
        return None, (NO_VICTIMS,)
    fits = _fits_by_room if _only_room_matters(columns, shape) else _fits_by_filters
    for other in lower:
        columns.take(other)
    taken = list(lower)
    try:
        if not fits(columns, pod, row):
            refusals = filters.run(columns, shape, pod.uid).refusals
            return None, tuple(refusal.reason for _, refusal in refusals if refusal.nodes[row])
        victims = []
        for other in lower:
            columns.put(other)
            taken.remove(other)
            if not fits(columns, pod, row):
                columns.take(other)
                taken.append(other)
                victims.append(other)
    finally:
        for other in taken:
            columns.put(other)
    return Eviction(columns.names[row], tuple(victims), protects(victims)), ()


def _only_room_matters(columns: Columns, shape: Shape) -> bool:
    """Whether resources and the pod's place are all that pods on a curable node can deny it."""
    return not (
        shape.ports or shape.hard_spread or shape.affinity or shape.anti_affinity
    ) and not columns.tallies.carried_against(shape)


def _fits_by_room(columns: Columns, pod: Waiting, row: int) -> bool:
    return bool(room(columns, pod.shape, np.array([row]), pod.uid)[0] >= 1)


def _fits_by_filters(columns: Columns, pod: Waiting, row: int) -> bool:
    return bool(filters.run(columns, pod.shape, pod.uid).feasible[row])
