"""Where waiting pods go: from columns and a batch of equal pods to placements and failures. No I/O, no clock.

Each pod goes to one of the nodes that score best at its turn, ties broken by a seeded draw. Pods of one shape are
placed as a batch: filters and scores are asked once, then only the node that took a pod is looked at again.
Always: no node is ever given more than it has; the same columns, pods and seed give the same placements.
Elsewhere: making room by force (preempt.py), telling the API server (bind.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scheduler import filters, scores
from scheduler.columns import Columns
from scheduler.filters import Filtered
from scheduler.scores import Floats, Numbers
from scheduler.shape import PODS, Shape

ENDLESS = 2**31


@dataclass(frozen=True, eq=False)
class Waiting:
    """A pod that has no node yet. `nominated`: the node it made room on."""

    uid: str
    namespace: str
    name: str
    shape: Shape
    nominated: str = ""


@dataclass(frozen=True, eq=False)
class Verdict:
    """What the filters and scores said when a batch began. `names` are the rows' nodes at that time."""

    names: Sequence[str]
    filtered: Filtered
    scores: dict[str, Numbers]


@dataclass(frozen=True, eq=False)
class Placement:
    """A pod and the node that it is assumed to be on from now. `turn`: its place in its batch, from 0."""

    pod: Waiting
    node: str
    verdict: Verdict
    turn: int = 0


@dataclass(frozen=True, eq=False)
class Failure:
    """A pod that no node can take."""

    pod: Waiting
    verdict: Verdict
    nodes: int

    @property
    def filtered(self) -> Filtered:
        """What each filter refused."""
        return self.verdict.filtered


Outcome = Placement | Failure


def place(columns: Columns, shape: Shape, batch: Sequence[Waiting], rng: np.random.Generator) -> list[Outcome]:
    """Place pods of one shape in order, and count them into the columns."""
    outcomes: list[Outcome] = []
    waiting = list(batch)
    steady = is_steady(columns, shape)
    while waiting:
        verdict = judge(columns, shape, waiting[0].uid)
        if not verdict.filtered.feasible.any():
            outcomes += [Failure(pod, verdict, columns.count) for pod in waiting]
            break
        rows = _rows_for(columns, shape, waiting, verdict, rng, steady)
        for turn, (pod, row) in enumerate(zip(waiting, rows, strict=False)):
            node = columns.names[row]
            columns.nominated.pop(pod.uid, None)
            columns.place(pod.uid, pod.namespace, pod.name, shape, node)
            outcomes.append(Placement(pod, node, verdict, turn))
        del waiting[: len(rows)]
    return outcomes


def judge(columns: Columns, shape: Shape, uid: str = "") -> Verdict:
    """Ask every filter, and every score if any node is left."""
    filtered = filters.run(columns, shape, uid)
    found = scores.evaluate(columns, shape, filtered.feasible) if filtered.feasible.any() else {}
    return Verdict(tuple(columns.names), filtered, found)


def is_steady(columns: Columns, shape: Shape) -> bool:
    """Whether placing a pod leaves the verdicts on its equals alone, but for the node's room and the spread score."""
    namespaces = columns.tallies.namespaces
    if any(spread.matches_self for spread in shape.hard_spread):
        return False
    rules = [*shape.affinity, *shape.anti_affinity, *(near for _, near in shape.preferred)]
    return not any(near.term.matches(shape.namespace, shape.labels, namespaces) for near in rules)


def room(columns: Columns, shape: Shape, rows: npt.NDArray[np.intp], uid: str = "") -> Numbers:
    """How many more pods of a shape each row has room for, as far as resources and ports go."""
    reserved = columns.reserved(shape, uid) if columns.nominated else {}
    found = np.full(len(rows), 1 if shape.ports else ENDLESS, dtype=np.int64)
    for name, amount in ((PODS, 1), *shape.requests.items()):
        index = columns.resource(name)
        if amount <= 0 or index is None:
            continue
        free = columns.allocatable[index, : columns.size] - columns.used[index, : columns.size]
        for row, others in reserved.items():
            free[row] -= sum(1 if name == PODS else one.requests.get(name, 0) for one in others)
        found = np.minimum(found, free[rows] // amount)
    return found


def _rows_for(
    columns: Columns,
    shape: Shape,
    waiting: Sequence[Waiting],
    verdict: Verdict,
    rng: np.random.Generator,
    steady: bool,
) -> list[int]:
    """The rows of the first pods of the batch: at least one, as many as this verdict can tell."""
    feasible = verdict.filtered.feasible
    first = waiting[0]
    nominated = columns.rows.get(first.nominated) if first.nominated else None
    if nominated is not None and nominated < len(feasible) and feasible[nominated]:
        return [nominated]
    rows = np.flatnonzero(feasible)
    if not steady or len(waiting) == 1 or first.nominated:
        summed = scores.total(verdict.scores)[rows] + rng.random(len(rows))
        return [int(rows[int(summed.argmax())])]
    count = next((turn for turn, pod in enumerate(waiting) if pod.nominated), len(waiting))
    return _fill(columns, shape, count, verdict, rows, rng)


def _fill(
    columns: Columns, shape: Shape, count: int, verdict: Verdict, rows: npt.NDArray[np.intp], rng: np.random.Generator
) -> list[int]:
    """Choose rows for up to `count` pods, looking only at the chosen row again after each.

    Stops early when a row is full and the scores of the others depend on which rows are possible.
    """
    left = room(columns, shape, rows)
    has = columns.allocatable[:2, rows]
    scored = columns.scored[:2, rows].copy()
    used = columns.used[:2, rows].copy()
    changing = (scores.LEAST, scores.BALANCED, scores.SPREAD)
    fixed = sum(
        (verdict.scores[one.name][rows] * one.weight for one in scores.SCORES if one.name not in changing),
        np.zeros(len(rows), dtype=np.int64),
    )
    base: Floats = fixed + verdict.scores[scores.LEAST][rows] + verdict.scores[scores.BALANCED][rows] + 0.0
    relative = any(
        len(np.unique(verdict.scores[name][rows])) > 1
        for name in ("TaintToleration", "NodeAffinity", "InterPodAffinity")
    )
    spread = _SpreadScore(columns, shape, verdict, rows) if shape.soft_spread else None
    ties: Floats = rng.random(len(rows))
    asked = (shape.requests.get("cpu", 0), shape.requests.get("memory", 0))
    balance = bool(asked[0] or asked[1])
    open_rows = len(rows)
    chosen: list[int] = []
    for draw in rng.random(count):
        value = base + ties if spread is None else base + ties + spread.value()
        index = int(value.argmax())
        chosen.append(int(rows[index]))
        ties[index] = draw
        left[index] -= 1
        scored[0, index] += shape.scored_cpu
        scored[1, index] += shape.scored_memory
        used[0, index] += asked[0]
        used[1, index] += asked[1]
        base[index] = fixed[index] + _resource_score(shape, has, scored, used, index, balance)
        if spread is not None:
            spread.add(index)
        if left[index] <= 0:
            open_rows -= 1
            if spread is not None or relative or not open_rows:
                break
            base[index] = -np.inf
    return chosen


def _resource_score(shape: Shape, has: Numbers, scored: Numbers, used: Numbers, index: int, balance: bool) -> int:
    """Least allocated plus balanced allocation of one row, as scores.py has them for all."""
    least = real = 0
    shares = []
    asked = (shape.requests.get("cpu", 0), shape.requests.get("memory", 0))
    for kind, extra in enumerate((shape.scored_cpu, shape.scored_memory)):
        capacity = int(has[kind, index])
        if capacity <= 0:
            continue
        real += 1
        wanted = int(scored[kind, index]) + extra
        if wanted <= capacity:
            least += (capacity - wanted) * scores.MOST // capacity
        shares.append(min((int(used[kind, index]) + asked[kind]) / capacity, 1.0))
    found = least // real if real else 0
    if balance:
        deviation = abs(shares[0] - shares[1]) / 2 if len(shares) == 2 else 0.0
        found += int((1 - deviation) * scores.MOST)
    return found


class _SpreadScore:
    """The weighted spread score of some rows, updated as pods are added."""

    def __init__(self, columns: Columns, shape: Shape, verdict: Verdict, rows: npt.NDArray[np.intp]) -> None:
        parts = scores.spread_parts(columns, shape, verdict.filtered.feasible)
        assert parts is not None
        self._weight = next(one.weight for one in scores.SCORES if one.name == scores.SPREAD)
        self._scored = parts.scored[rows]
        self._all = bool(self._scored.all())
        self._raw: Floats = np.zeros(len(rows))
        self._domains = []
        for part in parts.domains:
            present = part.present[rows]
            self._raw += np.where(present, part.counts[rows] * part.weight + part.skew, 0.0)
            if part.grows:
                self._domains.append((part.per_node, part.ids[rows], present, part.weight))

    def add(self, index: int) -> None:
        """Count a pod on a row."""
        for per_node, ids, present, weight in self._domains:
            if not present[index]:
                continue
            if per_node:
                self._raw[index] += weight
            else:
                self._raw[ids == ids[index]] += weight

    def value(self) -> Floats:
        """The score of each row, times its weight in the sum."""
        raw = np.rint(self._raw)
        if not self._all:
            return scores.spread_scaled(raw, self._scored) * float(self._weight)
        low, high = raw.min(), raw.max()
        if high == 0:
            return np.full(len(raw), float(scores.MOST * self._weight))
        raw -= high + low
        raw *= -scores.MOST / high
        # The factor is inexact: what should be whole may come out a hair below.
        found: Floats = np.floor(raw + 1e-9)
        found *= self._weight
        return found


# What became of a pod that fits nowhere, in words


def histogram(nodes: int, reasons: dict[str, int]) -> str:
    """`0/3 nodes are available: 1 Too many pods, 2 Insufficient cpu.`: upstream's wording and order."""
    counted = ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items()))
    return f"0/{nodes} nodes are available: {counted}."


def failure_message(failure: Failure, preemption: str = "") -> str:
    """Why a pod was not placed, as its event and its PodScheduled condition say it.

    `preemption` is what trying to make room came to.
    """
    if not failure.nodes:
        return "no nodes available to schedule pods"
    message = histogram(failure.nodes, failure.filtered.reasons())
    return f"{message} preemption: {preemption}" if preemption else message


def by_shape(batch: Iterable[Waiting]) -> list[tuple[Shape, list[Waiting]]]:
    """Group pods that arrive in priority order: equals together, no pod before one of higher priority."""
    groups: list[tuple[Shape, list[Waiting]]] = []
    open_groups: dict[Shape, list[Waiting]] = {}
    priority: int | None = None
    for pod in batch:
        if pod.shape.priority != priority:
            open_groups = {}
            priority = pod.shape.priority
        group = open_groups.get(pod.shape)
        if group is None:
            group = open_groups[pod.shape] = []
            groups.append((pod.shape, group))
        group.append(pod)
    return groups
