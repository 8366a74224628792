"""Which changes in the cluster could help a pod that no node could take.

A pod is looked at again only when one of the filters that refused a node could now answer differently: most changes
(heartbeats, statuses, pods of no concern) wake nobody.
Elsewhere: who waits, and for how long at least (queue.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Flag, auto

from scheduler.columns import Changed
from scheduler.shape import Shape
from scheduler.tallies import carried_by
from scheduler.terms import Labels


class Cause(Flag):
    """A kind of change."""

    NODE_ADDED = auto()
    NODE_REMOVED = auto()
    NODE_ALLOCATABLE = auto()
    NODE_LABELS = auto()
    NODE_TAINTS = auto()
    POD_GONE = auto()
    POD_ASSIGNED = auto()
    POD_CHANGED = auto()
    NAMESPACE = auto()


POD = Cause.POD_GONE | Cause.POD_ASSIGNED | Cause.POD_CHANGED
NODE = Cause.NODE_ADDED | Cause.NODE_REMOVED | Cause.NODE_LABELS | Cause.NODE_TAINTS
HELPS: Mapping[str, Cause] = {
    "NodeUnschedulable": Cause.NODE_ADDED | Cause.NODE_TAINTS,
    "NodeName": Cause.NODE_ADDED,
    "TaintToleration": Cause.NODE_ADDED | Cause.NODE_TAINTS,
    "NodeAffinity": Cause.NODE_ADDED | Cause.NODE_LABELS,
    "NodePorts": Cause.NODE_ADDED | Cause.POD_GONE | Cause.POD_CHANGED,
    "NodeResourcesFit": Cause.NODE_ADDED | Cause.NODE_ALLOCATABLE | Cause.POD_GONE | Cause.POD_CHANGED,
    "PodTopologySpread": NODE | POD,
    "InterPodAffinity": NODE | POD | Cause.NAMESPACE,
}
"""By filter: what could make it accept a node that it refused."""
RELATIONS = ("PodTopologySpread", "InterPodAffinity")
"""Filters for which it matters which pod came or went."""


@dataclass(frozen=True)
class Happening:
    """Something happened. `pod` is the shape of the pod that came, went or changed."""

    cause: Cause
    pod: Shape | None = None

    def helps(self, shape: Shape, refused_by: frozenset[str], namespaces: Mapping[str, Labels]) -> bool:
        """Whether a pod that these filters refused may fit now. Unknown filters, or none, are helped by everything."""
        if not refused_by:
            return True
        for name in refused_by:
            helping = HELPS.get(name)
            if helping is None:
                return True
            if not helping & self.cause:
                continue
            if name in RELATIONS and self.pod is not None and not related(shape, self.pod, namespaces):
                continue
            return True
        return False


def related(shape: Shape, other: Shape, namespaces: Mapping[str, Labels]) -> bool:
    """Whether the presence of one pod matters to where another may go."""
    terms = [one.term for one in shape.hard_spread]
    terms += [near.term for near in (*shape.affinity, *shape.anti_affinity)]
    if any(term.matches(other.namespace, other.labels, namespaces) for term in terms):
        return True
    return any(
        rule.weight is None and rule.near.term.matches(shape.namespace, shape.labels, namespaces)
        for rule in carried_by(other)
    )


def causes_of(changed: Changed) -> Cause:
    """What a change of a node may help with."""
    found = Cause(0)
    for what, cause in (
        (Changed.ADDED, Cause.NODE_ADDED),
        (Changed.REMOVED, Cause.NODE_REMOVED),
        (Changed.ALLOCATABLE, Cause.NODE_ALLOCATABLE),
        (Changed.LABELS, Cause.NODE_LABELS),
        (Changed.TAINTS, Cause.NODE_TAINTS),
    ):
        if what in changed:
            found |= cause
    return found
