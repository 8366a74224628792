"""What every node has and what is on it, as columns of numbers: a row a node, a column a resource, label or taint.

Always: a row's `used` is the sum of the requests of the pods placed or assumed on it, whichever order nodes and
pods arrive in. Columns of labels are made when a rule first asks for a key and are then kept.
Elsewhere: counts of pods by term (tallies.py), rules over the columns (filters.py, scores.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import Flag, auto

import numpy as np
import numpy.typing as npt

from sampan.api.core_v1 import Node
from sampan.selectors import Requirement
from scheduler.shape import CPU, MEMORY, PODS, STORAGE, Requests, Shape, amounts
from scheduler.tallies import Tallies
from scheduler.terms import NAME_FIELD, NodeTerm, Taint

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Ids = npt.NDArray[np.int32]
MOST_LABEL_COLUMNS = 1024
"""Beyond this many label keys in use, all columns are forgotten and made again as they are asked for."""
FIRST_CAPACITY = 64


class Changed(Flag):
    """What became different about a node, as far as any rule cares."""

    NOTHING = 0
    ADDED = auto()
    REMOVED = auto()
    ALLOCATABLE = auto()
    LABELS = auto()
    TAINTS = auto()
    IMAGES = auto()


@dataclass(eq=False)
class Placed:
    """A pod on a node, or assumed to be there until the API server says so."""

    uid: str
    namespace: str
    name: str
    shape: Shape
    node: str
    row: int
    started: datetime | None = None
    dying: bool = False
    preempted: bool = False
    """Being deleted to make room for a pod of higher priority."""


@dataclass(eq=False)
class LabelColumn:
    """One label key: which value each row has, as a number (-1: the label is absent)."""

    ids: Ids
    numbers: dict[str, int] = field(default_factory=dict)
    values: list[str] = field(default_factory=list)

    def put(self, row: int, value: str | None) -> None:
        """Set a row's value."""
        if value is None:
            self.ids[row] = -1
            return
        number = self.numbers.get(value)
        if number is None:
            number = self.numbers[value] = len(self.values)
            self.values.append(value)
        self.ids[row] = number

    def where(self, key: str, requirement: Requirement, rows: int) -> Bools:
        """The rows whose value satisfies a requirement: each distinct value is asked once."""
        holds = requirement.predicate()
        table = np.fromiter(
            [*(holds({key: value}) for value in self.values), holds({})], dtype=np.bool_, count=len(self.values) + 1
        )
        return table[self.ids[:rows]]


class Columns:
    """Nodes and the pods on them."""

    def __init__(self) -> None:
        self._capacity = FIRST_CAPACITY
        self.size = 0
        """How many rows are in use, dead ones included. Every column is read as `[:size]`."""
        self.names: list[str] = []
        self.nodes: list[Node | None] = []
        self.rows: dict[str, int] = {}
        self._free: list[int] = []
        self.resources: dict[str, int] = {CPU: 0, MEMORY: 1, STORAGE: 2, PODS: 3}
        self.allocatable: Ints = np.zeros((4, self._capacity), dtype=np.int64)
        self.used: Ints = np.zeros((4, self._capacity), dtype=np.int64)
        self.scored: Ints = np.zeros((2, self._capacity), dtype=np.int64)
        self.alive: Bools = np.zeros(self._capacity, dtype=np.bool_)
        self.cordoned: Bools = np.zeros(self._capacity, dtype=np.bool_)
        self.taints: dict[Taint, Bools] = {}
        self._labels: dict[str, LabelColumn] = {}
        self.images: dict[str, dict[int, int]] = {}
        self.ports: dict[tuple[str, int], dict[int, dict[str, int]]] = {}
        self.placed: dict[str, Placed] = {}
        self.on_row: list[dict[str, Placed]] = []
        self.nominated: dict[str, tuple[Shape, str]] = {}
        self.priorities: Counter[int] = Counter()
        """How many placed pods have each priority."""
        self.tallies = Tallies(self._capacity)

    @classmethod
    def of(cls, nodes: Iterable[Node]) -> Columns:
        """Columns of some nodes, with no pods."""
        columns = cls()
        for node in nodes:
            columns.set_node(node)
        return columns

    @property
    def count(self) -> int:
        """How many nodes there are."""
        return int(np.count_nonzero(self.alive[: self.size]))

    def living(self) -> Bools:
        """Which rows are nodes."""
        return self.alive[: self.size]

    # Nodes

    def set_node(self, node: Node) -> Changed:
        """Add or update a node, from an informer's event. Returns what about it matters and is different."""
        name = node.metadata.name or ""
        row = self.rows.get(name)
        old = self.nodes[row] if row is not None else None
        if row is None:
            row = self._new_row(name)
        changed = Changed.NOTHING if old is not None else Changed.ADDED
        if old is None or old.status.allocatable != node.status.allocatable:
            self._put_allocatable(row, amounts(node.status.allocatable))
            changed |= Changed.ALLOCATABLE
        if old is None or old.metadata.labels != node.metadata.labels:
            for key, column in self._labels.items():
                column.put(row, node.metadata.labels.get(key))
            changed |= Changed.LABELS
        if (
            old is None
            or _taints(old) != _taints(node)
            or bool(old.spec.unschedulable) != bool(node.spec.unschedulable)
        ):
            self._put_taints(row, _taints(node))
            self.cordoned[row] = bool(node.spec.unschedulable)
            changed |= Changed.TAINTS
        if old is None or old.status.images != node.status.images:
            self._put_images(row, old, node)
            changed |= Changed.IMAGES
        self.nodes[row] = node
        self.alive[row] = True
        return changed

    def remove_node(self, name: str) -> Changed:
        """Forget a node. Its pods stay counted under its name until they are gone too."""
        row = self.rows.get(name)
        if row is None or (old := self.nodes[row]) is None:
            return Changed.NOTHING
        self._put_allocatable(row, {})
        self._put_taints(row, [])
        self._put_images(row, old, None)
        for column in self._labels.values():
            column.put(row, None)
        self.cordoned[row] = False
        self.alive[row] = False
        self.nodes[row] = None
        self._release(row)
        return Changed.REMOVED

    def label(self, key: str) -> LabelColumn:
        """The column of a label key."""
        found = self._labels.get(key)
        if found is None:
            if len(self._labels) >= MOST_LABEL_COLUMNS:
                self._labels.clear()
            found = self._labels[key] = LabelColumn(np.full(self._capacity, -1, dtype=np.int32))
            for row, node in enumerate(self.nodes):
                if node is not None:
                    found.put(row, node.metadata.labels.get(key))
        return found

    def matching(self, requirements: Iterable[Requirement]) -> Bools:
        """The rows whose labels satisfy all of some requirements."""
        found = self.living().copy()
        for one in requirements:
            found &= self.label(one.key).where(one.key, one, self.size)
        return found

    def term(self, term: NodeTerm) -> Bools:
        """The rows that a node selector term matches."""
        if term.labels is None or not (term.labels or term.names):
            return np.zeros(self.size, dtype=np.bool_)
        found = self.matching(term.labels)
        for one in term.names:
            holds: Callable[[dict[str, str]], bool] = one.predicate()
            named = np.zeros(self.size, dtype=np.bool_)
            inside = [self.rows[name] for name in one.values if name in self.rows]
            named[inside] = True
            found &= named if holds({NAME_FIELD: next(iter(one.values), "")}) else ~named
        return found

    # Pods

    def place(
        self,
        uid: str,
        namespace: str,
        name: str,
        shape: Shape,
        node: str,
        *,
        started: datetime | None = None,
        dying: bool = False,
        preempted: bool = False,
    ) -> Placed:
        """Count a pod on a node. A pod that is already somewhere moves."""
        if uid in self.placed:
            self.remove(uid)
        row = self.rows.get(node)
        if row is None:
            row = self._new_row(node)
        pod = Placed(uid, namespace, name, shape, node, row, started, dying, preempted)
        self.placed[uid] = pod
        self.priorities[shape.priority] += 1
        self.put(pod)
        return pod

    def remove(self, uid: str) -> Placed | None:
        """Take a pod off its node, if it is on one."""
        pod = self.placed.pop(uid, None)
        if pod is not None:
            self.take(pod)
            self.priorities[pod.shape.priority] -= 1
            if not self.priorities[pod.shape.priority]:
                del self.priorities[pod.shape.priority]
            self._release(pod.row)
        return pod

    def put(self, pod: Placed) -> None:
        """Count a pod in on its row."""
        self.on_row[pod.row][pod.uid] = pod
        self._count(pod, 1)

    def take(self, pod: Placed) -> None:
        """Count a pod out of its row; `put` brings it back. Preemption tries what would be so."""
        del self.on_row[pod.row][pod.uid]
        self._count(pod, -1)

    def _count(self, pod: Placed, sign: int) -> None:
        shape, row = pod.shape, pod.row
        for name, amount in shape.requests.items():
            index = self.resources.get(name)
            if index is None:
                index = self._new_resource(name)
            self.used[index, row] += sign * amount
        self.used[3, row] += sign
        self.scored[0, row] += sign * shape.scored_cpu
        self.scored[1, row] += sign * shape.scored_memory
        for protocol, number, address in shape.ports:
            taken = self.ports.setdefault((protocol, number), {}).setdefault(row, {})
            taken[address] = taken.get(address, 0) + sign
            if not taken[address]:
                del taken[address]
                if not taken:
                    del self.ports[protocol, number][row]
                    if not self.ports[protocol, number]:
                        del self.ports[protocol, number]
        self.tallies.add(shape, row, pod.dying, sign)

    def reserved(self, shape: Shape, uid: str = "") -> dict[int, list[Shape]]:
        """The pods that wait for their victims to leave, at least as important as `shape`, by row."""
        found: dict[int, list[Shape]] = {}
        for other, (wanted, node) in self.nominated.items():
            if other != uid and wanted.priority >= shape.priority and node in self.rows:
                found.setdefault(self.rows[node], []).append(wanted)
        return found

    # Room

    def resource(self, name: str) -> int | None:
        """The index of a resource's row in `allocatable` and `used`, None if no node or pod has it."""
        return self.resources.get(name)

    def _put_allocatable(self, row: int, has: Requests) -> None:
        self.allocatable[:, row] = 0
        for name, amount in has.items():
            index = self.resources.get(name)
            if index is None:
                index = self._new_resource(name)
            self.allocatable[index, row] = amount

    def _put_taints(self, row: int, taints: list[Taint]) -> None:
        for column in self.taints.values():
            column[row] = False
        for taint in taints:
            found = self.taints.get(taint)
            if found is None:
                self.taints = {one: column for one, column in self.taints.items() if column.any()}
                found = self.taints[taint] = np.zeros(self._capacity, dtype=np.bool_)
            found[row] = True

    def _put_images(self, row: int, old: Node | None, new: Node | None) -> None:
        for image in old.status.images if old is not None else ():
            for name in image.names:
                on = self.images.get(name)
                if on is not None:
                    on.pop(row, None)
                    if not on:
                        del self.images[name]
        for image in new.status.images if new is not None else ():
            for name in image.names:
                self.images.setdefault(name, {})[row] = image.size_bytes or 0

    def _new_row(self, name: str) -> int:
        if self._free:
            row = self._free.pop()
            self.names[row] = name
        else:
            row = self.size
            if row >= self._capacity:
                self._grow()
            self.size += 1
            self.names.append(name)
            self.nodes.append(None)
            self.on_row.append({})
        self.rows[name] = row
        return row

    def _release(self, row: int) -> None:
        if self.nodes[row] is None and not self.on_row[row] and self.rows.get(self.names[row]) == row:
            del self.rows[self.names[row]]
            self.names[row] = ""
            self._free.append(row)

    def _new_resource(self, name: str) -> int:
        index = self.resources[name] = len(self.resources)
        empty = np.zeros((1, self._capacity), dtype=np.int64)
        self.allocatable = np.concatenate([self.allocatable, empty])
        self.used = np.concatenate([self.used, empty])
        return index

    def _grow(self) -> None:
        more = self._capacity
        self._capacity *= 2
        wide = ((0, 0), (0, more))
        self.allocatable = np.pad(self.allocatable, wide)
        self.used = np.pad(self.used, wide)
        self.scored = np.pad(self.scored, wide)
        self.alive = np.pad(self.alive, (0, more))
        self.cordoned = np.pad(self.cordoned, (0, more))
        self.taints = {taint: np.pad(column, (0, more)) for taint, column in self.taints.items()}
        for column in self._labels.values():
            column.ids = np.pad(column.ids, (0, more), constant_values=-1)
        self.tallies.grow(self._capacity)


def _taints(node: Node) -> list[Taint]:
    return [Taint(one.key, one.value or "", one.effect) for one in node.spec.taints]
