"""How many pods of which kind are on which node, counted as they come and go.

Pods of one Shape are one Group: whether a term matches is asked once a group, never once a pod. A tally is made when
somebody first asks for its term, and is then kept.
Always: a tally equals a fresh count over all pods (a property test holds it to that).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from scheduler.shape import Shape
from scheduler.terms import AllTerms, Labels, Near, PodTerm

Counts = npt.NDArray[np.int64]
AnyTerm = PodTerm | AllTerms
MOST_TALLIES = 4096
"""Beyond this many, all are forgotten and made again as they are asked for."""
HARD_AFFINITY_WEIGHT = 1
"""What a placed pod's required affinity counts for in scores (InterPodAffinityArgs v1, hardPodAffinityWeight)."""


@dataclass(frozen=True)
class Carried:
    """A rule that placed pods bring along. `weight` None: required anti-affinity, which keeps other pods away."""

    near: Near
    weight: int | None


@dataclass(eq=False)
class Group:
    """The pods of one shape: how many on each row, and how many of those are being deleted."""

    shape: Shape
    rows: Counter[int] = field(default_factory=Counter)
    dying: Counter[int] = field(default_factory=Counter)
    tallies: list[tuple[Counts, bool]] = field(default_factory=list)
    carried: list[Counts] = field(default_factory=list)


class Tallies:
    """Counts of pods a row. `capacity` rows at first; `grow` makes room."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._groups: dict[Shape, Group] = {}
        self._tallies: dict[AnyTerm, Counts] = {}
        self._carried: dict[Carried, Counts] = {}
        self._carried_totals: Counter[Carried] = Counter()
        self._matching: dict[Shape, tuple[int, list[tuple[Carried, Counts]]]] = {}
        self._carried_version = 0
        self.namespaces: dict[str, Labels] = {}

    def grow(self, capacity: int) -> None:
        """Make room for more rows."""
        self._capacity = capacity
        self._forget()

    def set_namespace(self, name: str, labels: Labels | None) -> bool:
        """Learn a namespace's labels (None: it is gone). Returns whether any rule could care."""
        if self.namespaces.get(name) == labels:
            return False
        if labels is None:
            self.namespaces.pop(name, None)
        else:
            self.namespaces[name] = dict(labels)
        cares = any(_by_namespace_labels(term) for term in self._tallies) or any(
            _by_namespace_labels(one.near.term) for one in self._carried
        )
        if cares:
            self._forget()
        return cares

    def add(self, shape: Shape, row: int, dying: bool, sign: int = 1) -> None:
        """Count a pod in (`sign` 1) or out (-1)."""
        group = self._groups.get(shape)
        if group is None:
            group = self._groups[shape] = self._group(shape)
        group.rows[row] += sign
        if dying:
            group.dying[row] += sign
        for counts, living in group.tallies:
            if not (living and dying):
                counts[row] += sign
        if group.carried:
            for counts in group.carried:
                counts[row] += sign
            for one in carried_by(shape):
                self._carried_totals[one] += sign
        if sign < 0 and not group.rows[row]:
            del group.rows[row]
            del group.dying[row]
            if not group.rows:
                del self._groups[shape]

    def count(self, term: AnyTerm) -> Counts:
        """How many pods a term matches on each row. The array stays up to date until the next call here."""
        found = self._tallies.get(term)
        if found is not None:
            return found
        if len(self._tallies) >= MOST_TALLIES:
            self._forget()
        counts = np.zeros(self._capacity, dtype=np.int64)
        for group in self._groups.values():
            if term.matches(group.shape.namespace, group.shape.labels, self.namespaces):
                for row, number in group.rows.items():
                    counts[row] += number - (group.dying[row] if term.living else 0)
                group.tallies.append((counts, term.living))
        self._tallies[term] = counts
        return counts

    def carried_against(self, shape: Shape) -> list[tuple[Carried, Counts]]:
        """The rules of placed pods that speak of a pod of this shape, with how many pods a row carry each."""
        version, found = self._matching.get(shape, (-1, []))
        if version != self._carried_version:
            found = [
                (one, counts)
                for one, counts in self._carried.items()
                if one.near.term.matches(shape.namespace, shape.labels, self.namespaces)
            ]
            if len(self._matching) >= MOST_TALLIES:
                self._matching.clear()
            self._matching[shape] = (self._carried_version, found)
        return [(one, counts) for one, counts in found if self._carried_totals[one] > 0]

    def _group(self, shape: Shape) -> Group:
        group = Group(shape)
        for term, counts in self._tallies.items():
            if term.matches(shape.namespace, shape.labels, self.namespaces):
                group.tallies.append((counts, term.living))
        if shape.carries and len(self._carried) >= MOST_TALLIES:
            self._drop_unused()
        for one in carried_by(shape):
            counts_of = self._carried.get(one)
            if counts_of is None:
                counts_of = self._carried[one] = np.zeros(self._capacity, dtype=np.int64)
                self._carried_version += 1
            group.carried.append(counts_of)
        return group

    def _drop_unused(self) -> None:
        self._carried = {one: counts for one, counts in self._carried.items() if self._carried_totals[one] > 0}
        self._carried_version += 1

    def _forget(self) -> None:
        """Make everything that is derived again from the groups, as it is asked for."""
        self._tallies.clear()
        self._carried.clear()
        self._matching.clear()
        self._carried_version += 1
        for group in self._groups.values():
            group.tallies.clear()
            group.carried.clear()
            for one in carried_by(group.shape):
                counts = self._carried.setdefault(one, np.zeros(self._capacity, dtype=np.int64))
                for row, number in group.rows.items():
                    counts[row] += number
                group.carried.append(counts)


def carried_by(shape: Shape) -> tuple[Carried, ...]:
    """The rules that a placed pod of this shape imposes or prefers for others (affinity works both ways)."""
    if not shape.carries:
        return ()
    rules = [Carried(near, None) for near in shape.anti_affinity]
    rules += [Carried(near, HARD_AFFINITY_WEIGHT) for near in shape.affinity]
    rules += [Carried(near, weight) for weight, near in shape.preferred]
    return tuple(dict.fromkeys(rules))


def _by_namespace_labels(term: AnyTerm) -> bool:
    if isinstance(term, AllTerms):
        return any(_by_namespace_labels(one) for one in term.terms)
    return term.namespace_selector is not None and bool(term.namespace_selector)
