"""Which nodes a pod may go to: each filter is a function over all nodes at once.

A filter returns the nodes it refuses, by reason; a node counts for the first filter that refuses it, in this order.
Always: the vector form agrees with the obvious one, node by node (property tests).
Sources: Kubernetes' scheduling documentation; names, order and reasons are upstream's, since users search for them.
Elsewhere: preferences among the nodes that are left (scores.py), what the reasons add up to (place.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from scheduler.columns import Bools, Columns
from scheduler.shape import PODS, Shape
from scheduler.terms import UNSCHEDULABLE_TAINT, Spread

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Refusal:
    """Nodes that can't take the pod, and why. `curable`: where taking pods off the node might help."""

    reason: str
    nodes: Bools
    curable: Bools | bool = False


Check = Callable[[Columns, Shape], Iterable[Refusal]]


@dataclass(frozen=True)
class Filter:
    """A named rule. `touched` says whether pods on the nodes can change its verdict on a shape."""

    name: str
    check: Check
    touched: Callable[[Shape], bool] = lambda shape: False


@dataclass(eq=False)
class Filtered:
    """What all filters say of one shape. `refusals` name the filter; each node is in those of one filter at most."""

    feasible: Bools
    curable: Bools
    refusals: list[tuple[str, Refusal]] = field(default_factory=list)

    @property
    def filters(self) -> frozenset[str]:
        """The filters that refused a node."""
        return frozenset(name for name, _ in self.refusals)

    def reasons(self) -> dict[str, int]:
        """How many nodes each reason refuses."""
        found: dict[str, int] = {}
        for _, refusal in self.refusals:
            found[refusal.reason] = found.get(refusal.reason, 0) + int(np.count_nonzero(refusal.nodes))
        return found


def run(columns: Columns, shape: Shape, uid: str = "") -> Filtered:
    """Ask every filter. Room promised to other pods of at least the same priority counts as taken."""
    feasible = columns.living().copy()
    curable = np.zeros(columns.size, dtype=np.bool_)
    refusals: list[tuple[str, Refusal]] = []
    for one in FILTERS:
        passed = feasible.copy()
        found = one.check(columns, shape) if one.name != FIT else resources_fit(columns, shape, uid)
        incurable = np.zeros(columns.size, dtype=np.bool_)
        for refusal in found:
            nodes = refusal.nodes & passed
            if not nodes.any():
                continue
            refusals.append((one.name, Refusal(refusal.reason, nodes, refusal.curable)))
            feasible &= ~nodes
            incurable |= nodes & ~np.asarray(refusal.curable)
        curable |= passed & ~feasible & ~incurable
    return Filtered(feasible, curable, refusals)


# The filters


def node_unschedulable(columns: Columns, shape: Shape) -> Iterator[Refusal]:
    """A cordoned node takes only pods that tolerate being there."""
    if not shape.tolerates(UNSCHEDULABLE_TAINT):
        yield Refusal("node(s) were unschedulable", columns.cordoned[: columns.size])


def node_name(columns: Columns, shape: Shape) -> Iterator[Refusal]:
    """A pod that names a node goes there only."""
    if shape.node_name:
        others = np.ones(columns.size, dtype=np.bool_)
        if (row := columns.rows.get(shape.node_name)) is not None:
            others[row] = False
        yield Refusal("node(s) didn't match the requested node name", others)


def taint_toleration(columns: Columns, shape: Shape) -> Iterator[Refusal]:
    """Every NoSchedule and NoExecute taint must be tolerated."""
    refused = untolerated(columns, shape)
    if refused is not None:
        yield Refusal("node(s) had untolerated taint(s)", refused)


def untolerated(columns: Columns, shape: Shape) -> Bools | None:
    """The nodes with a taint that keeps the pod away, None if there is none."""
    refused: Bools | None = None
    for taint, nodes in columns.taints.items():
        if taint.effect in ("NoSchedule", "NoExecute") and not shape.tolerates(taint):
            refused = nodes[: columns.size].copy() if refused is None else refused | nodes[: columns.size]
    return refused


def node_affinity(columns: Columns, shape: Shape) -> Iterator[Refusal]:
    """The node selector and the required node affinity must match."""
    if (pinned := shape.pinned) is not None:
        others = np.ones(columns.size, dtype=np.bool_)
        others[[columns.rows[name] for name in pinned if name in columns.rows]] = False
        yield Refusal("node(s) didn't satisfy plugin(s) [NodeAffinity]", others)
        chosen = chosen_nodes(columns, shape)
        if chosen is not None:
            yield Refusal("node(s) didn't match Pod's node affinity/selector", ~chosen & ~others)
        return
    chosen = chosen_nodes(columns, shape)
    if chosen is not None:
        yield Refusal("node(s) didn't match Pod's node affinity/selector", ~chosen)


def chosen_nodes(columns: Columns, shape: Shape) -> Bools | None:
    """The nodes that the pod's selector and required node affinity allow, None for all."""
    if not shape.node_selector and shape.node_terms is None:
        return None
    chosen = columns.matching(shape.node_selector)
    if shape.node_terms is not None:
        any_term = np.zeros(columns.size, dtype=np.bool_)
        for term in shape.node_terms:
            any_term |= columns.term(term)
        chosen &= any_term
    return chosen


def node_ports(columns: Columns, shape: Shape) -> Iterator[Refusal]:
    """No host port may be taken twice at one address; 0.0.0.0 is every address."""
    refused = np.zeros(columns.size, dtype=np.bool_)
    for protocol, number, address in shape.ports:
        for row, taken in columns.ports.get((protocol, number), {}).items():
            if address == "0.0.0.0" or address in taken or "0.0.0.0" in taken:
                refused[row] = True
    if shape.ports:
        yield Refusal("node(s) didn't have free ports for the requested pod ports", refused, True)


def resources_fit(columns: Columns, shape: Shape, uid: str = "") -> Iterator[Refusal]:
    """What the pod asks for must be free on the node, and so must a place for a pod."""
    size = columns.size
    reserved = columns.reserved(shape, uid) if columns.nominated else {}

    def taken(index: int, name: str) -> Numbers:
        used = columns.used[index, :size]
        if reserved:
            used = used.copy()
            for row, waiting in reserved.items():
                used[row] += sum(1 if name == PODS else one.requests.get(name, 0) for one in waiting)
        return used

    has = columns.allocatable[3, :size]
    yield Refusal("Too many pods", taken(3, PODS) + 1 > has, True)
    for name, amount in shape.requests.items():
        if amount <= 0:
            continue
        index = columns.resource(name)
        if index is None:
            yield Refusal(f"Insufficient {name}", np.ones(size, dtype=np.bool_))
            continue
        has = columns.allocatable[index, :size]
        yield Refusal(f"Insufficient {name}", taken(index, name) > has - amount, has >= amount)


def topology_spread(columns: Columns, shape: Shape) -> Iterator[Refusal]:
    """No domain may get more than maxSkew ahead of the emptiest one."""
    if not shape.hard_spread:
        return
    size = columns.size
    missing = np.zeros(size, dtype=np.bool_)
    for spread in shape.hard_spread:
        missing |= columns.label(spread.topology_key).ids[:size] < 0
    yield Refusal("node(s) didn't match pod topology spread constraints (missing required label)", missing)
    refused = np.zeros(size, dtype=np.bool_)
    for spread in shape.hard_spread:
        column = columns.label(spread.topology_key)
        eligible = counted_nodes(columns, shape, spread) & ~missing
        per_domain, present = domain_sums(columns, spread.topology_key, columns.tallies.count(spread.term), eligible)
        domains = int(np.count_nonzero(present))
        least = int(per_domain[present].min()) if domains >= spread.min_domains and domains else 0
        here = per_domain[column.ids[:size]]
        refused |= here + int(spread.matches_self) - least > spread.max_skew
    yield Refusal("node(s) didn't match pod topology spread constraints", refused & ~missing, True)


def counted_nodes(columns: Columns, shape: Shape, spread: Spread) -> Bools:
    """The nodes whose pods count for a constraint (nodeAffinityPolicy, nodeTaintsPolicy)."""
    counted = columns.living().copy()
    if spread.honor_affinity and (chosen := chosen_nodes(columns, shape)) is not None:
        counted &= chosen
    if spread.honor_taints and (refused := untolerated(columns, shape)) is not None:
        counted &= ~refused
    return counted


def domain_sums(columns: Columns, key: str, counts: Numbers, nodes: Bools) -> tuple[Numbers, Bools]:
    """Counts summed over the nodes of each domain, and which domains any of `nodes` is in.

    Both have one entry more than there are domains, for nodes without the label: zero and False. So they can be
    indexed by the label's column, whose -1 stands for "none".
    """
    column = columns.label(key)
    domains = len(column.values) + 1
    ids = column.ids[: columns.size]
    inside = ids[nodes]
    sums = np.bincount(inside + 1, weights=counts[: columns.size][nodes], minlength=domains).astype(np.int64)
    present = np.bincount(inside + 1, minlength=domains) > 0
    sums, present = np.roll(sums, -1), np.roll(present, -1)
    sums[-1], present[-1] = 0, False
    return sums, present


def inter_pod_affinity(columns: Columns, shape: Shape) -> Iterator[Refusal]:
    """Near the pods it must be near, away from those it must avoid, and from those that must avoid it."""
    size, living = columns.size, columns.living()
    told = np.zeros(size, dtype=np.bool_)  # a node gives the first reason only
    together = shape.all_affinity
    if together is not None:
        counts = columns.tallies.count(together)
        lonely = True
        near = np.ones(size, dtype=np.bool_)
        labelled = np.ones(size, dtype=np.bool_)
        for one in shape.affinity:
            ids = columns.label(one.topology_key).ids[:size]
            sums, _ = domain_sums(columns, one.topology_key, counts, living)
            lonely = lonely and not sums.any()
            near &= sums[ids] > 0
            labelled &= ids >= 0
        first = lonely and together.matches(shape.namespace, shape.labels, columns.tallies.namespaces)
        told |= ~(labelled if first else near)
        yield Refusal("node(s) didn't match pod affinity rules", told.copy())
    refused = np.zeros(size, dtype=np.bool_)
    for one in shape.anti_affinity:
        ids = columns.label(one.topology_key).ids[:size]
        sums, _ = domain_sums(columns, one.topology_key, columns.tallies.count(one.term), living)
        refused |= sums[ids] > 0
    if shape.anti_affinity:
        yield Refusal("node(s) didn't match pod anti-affinity rules", refused & ~told, True)
        told |= refused
    kept_away = np.zeros(size, dtype=np.bool_)
    for carried, counts in columns.tallies.carried_against(shape):
        if carried.weight is None:
            key = carried.near.topology_key
            sums, _ = domain_sums(columns, key, counts, living)
            kept_away |= sums[columns.label(key).ids[:size]] > 0
    yield Refusal("node(s) didn't satisfy existing pods anti-affinity rules", kept_away & ~told, True)


FIT, SPREAD, AFFINITY = "NodeResourcesFit", "PodTopologySpread", "InterPodAffinity"
FILTERS: tuple[Filter, ...] = (
    Filter("NodeUnschedulable", node_unschedulable),
    Filter("NodeName", node_name),
    Filter("TaintToleration", taint_toleration),
    Filter("NodeAffinity", node_affinity),
    Filter("NodePorts", node_ports, lambda shape: bool(shape.ports)),
    Filter(FIT, resources_fit, lambda shape: True),
    Filter(SPREAD, topology_spread, lambda shape: bool(shape.hard_spread)),
    Filter(AFFINITY, inter_pod_affinity, lambda shape: True),
)
"""In the order in which they are asked: upstream's default plugins."""
