"""Which pods, and which nodes, a rule speaks of: rules as hashable values.

A rule that is a value can be a dictionary's key, so that a count for it is kept once, however many pods share it.
Elsewhere: selectors themselves (sampan.selectors), how many pods match a term on which node (tallies.py), what a
node's labels are (columns.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from sampan import selectors
from sampan.api.core_v1 import NodeSelectorTerm
from sampan.selectors import LabelSelectorObject, Operator, Requirement, Selector, SelectorError

Labels = Mapping[str, str]
NAME_FIELD = "metadata.name"
"""The only field that `matchFields` knows."""


def compile_selector(selector: LabelSelectorObject | None) -> Selector | None:
    """A label selector; None matches nothing, as an absent one does. So does one that asks the impossible."""
    try:
        return selectors.of_object(selector)
    except SelectorError:
        return None


@dataclass(frozen=True)
class PodTerm:
    """Pods of some namespaces with some labels. `living` leaves out pods that are being deleted."""

    namespaces: frozenset[str]
    selectors: tuple[Selector | None, ...]
    namespace_selector: Selector | None = None
    living: bool = False

    def matches(self, namespace: str, labels: Labels, namespaces: Mapping[str, Labels]) -> bool:
        """Whether a pod is one of them. `namespaces` gives the labels of every namespace."""
        if namespace not in self.namespaces:
            chosen = self.namespace_selector
            if chosen is None or not chosen.matches(namespaces.get(namespace, {})):
                return False
        return all(one is not None and one.matches(labels) for one in self.selectors)


@dataclass(frozen=True)
class AllTerms:
    """Pods that every one of some terms matches."""

    terms: tuple[PodTerm, ...]
    living: bool = False

    def matches(self, namespace: str, labels: Labels, namespaces: Mapping[str, Labels]) -> bool:
        """Whether a pod is one of them."""
        return all(one.matches(namespace, labels, namespaces) for one in self.terms)


@dataclass(frozen=True)
class Near:
    """A pod affinity term: pods matched by `term` in the same domain of `topology_key`."""

    term: PodTerm
    topology_key: str


@dataclass(frozen=True)
class Spread:
    """A topology spread constraint (PodSpec v1, topologySpreadConstraints)."""

    term: PodTerm
    topology_key: str
    max_skew: int
    min_domains: int = 1
    honor_affinity: bool = True
    honor_taints: bool = False
    matches_self: bool = True


class NodeTerm(NamedTuple):
    """A node selector term: everything asked of labels and of metadata.name must hold. None never holds."""

    labels: tuple[Requirement, ...] | None
    names: tuple[Requirement, ...] = ()

    def matches(self, name: str, labels: Labels) -> bool:
        """Whether a node is one of them. A term that asks nothing matches no node (NodeSelectorTerm v1)."""
        if self.labels is None or not (self.labels or self.names):
            return False
        return all(one.predicate()(labels) for one in self.labels) and all(
            one.predicate()({NAME_FIELD: name}) for one in self.names
        )

    @classmethod
    def of(cls, term: NodeSelectorTerm) -> NodeTerm:
        """Read one from the API. One that asks the impossible never matches."""
        try:
            labels = tuple(selectors.checked(selectors.of_expression(one)) for one in term.match_expressions)
            names = tuple(selectors.of_expression(one) for one in term.match_fields)
        except SelectorError:
            return cls(None)
        possible = (Operator.IN, Operator.NOT_IN)
        if any(one.key != NAME_FIELD or one.operator not in possible or len(one.values) != 1 for one in names):
            return cls(None)
        return cls(labels, names)


class Taint(NamedTuple):
    """What of a node's taint matters here."""

    key: str
    value: str
    effect: str


class Tolerance(NamedTuple):
    """A pod's toleration. An empty key or effect stands for any."""

    key: str
    operator: str
    value: str
    effect: str

    def accepts(self, taint: Taint) -> bool:
        """Whether it tolerates a taint (Toleration v1). An operator that is not Exists or Equal tolerates nothing."""
        if self.effect and self.effect != taint.effect:
            return False
        if self.key and self.key != taint.key:
            return False
        if self.operator == "Exists":
            return True
        return bool(self.key) and self.operator in ("", "Equal") and self.value == taint.value


UNSCHEDULABLE_TAINT = Taint("node.kubernetes.io/unschedulable", "", "NoSchedule")
"""What a pod must tolerate to be placed on a cordoned node (Well-Known Labels, Annotations and Taints)."""
