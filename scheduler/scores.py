"""Which of the possible nodes a pod would rather go to: each score is a function over all nodes at once, 0 to 100.

Weights and formulas are upstream's (KubeSchedulerConfiguration's default plugins), so that clusters fill alike.
Always: the vector form agrees with the obvious one, node by node (property tests).
Elsewhere: what a sequence of equal pods does to the scores (place.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np
import numpy.typing as npt

from scheduler.columns import Bools, Columns
from scheduler.filters import counted_nodes, domain_sums
from scheduler.shape import CPU, HOSTNAME, MEMORY, Shape, full_image_name

Numbers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.floating[Any]]
MOST = 100
MEBIBYTE = 1024 * 1024
SMALLEST_IMAGES, LARGEST_IMAGES = 23 * MEBIBYTE, 1000 * MEBIBYTE
"""Images of less than the one don't matter; a container's of more than the other don't matter more."""


@dataclass(frozen=True)
class Score:
    """A named preference and what it weighs in the sum."""

    name: str
    weight: int
    value: Callable[[Columns, Shape, Bools], Numbers]


def evaluate(columns: Columns, shape: Shape, feasible: Bools) -> dict[str, Numbers]:
    """Every score of every node; nodes that are not feasible have no meaningful value."""
    return {one.name: one.value(columns, shape, feasible) for one in SCORES}


def total(scores: dict[str, Numbers]) -> Numbers:
    """The weighted sum."""
    summed: Numbers = sum((scores[one.name] * one.weight for one in SCORES), np.zeros(1, dtype=np.int64))
    return summed


def normalised(raw: Numbers, feasible: Bools, *, reverse: bool = False) -> Numbers:
    """Scale so that the largest value of a feasible node becomes 100 (or 0, in reverse)."""
    largest = int(raw[feasible].max()) if feasible.any() else 0
    if largest == 0:
        return np.full(len(raw), MOST if reverse else 0, dtype=np.int64)
    scaled: Numbers = raw * MOST // largest
    return MOST - scaled if reverse else scaled


# The scores


def taint_toleration(columns: Columns, shape: Shape, feasible: Bools) -> Numbers:
    """Fewer PreferNoSchedule taints that the pod does not tolerate are better."""
    raw = np.zeros(columns.size, dtype=np.int64)
    for taint, nodes in columns.taints.items():
        if taint.effect == "PreferNoSchedule" and not shape.tolerates(taint):
            raw += nodes[: columns.size]
    return normalised(raw, feasible, reverse=True)


def node_affinity(columns: Columns, shape: Shape, feasible: Bools) -> Numbers:
    """The weights of the preferred terms that a node matches."""
    raw = np.zeros(columns.size, dtype=np.int64)
    for weight, term in shape.preferred_nodes:
        raw += weight * columns.term(term)
    return normalised(raw, feasible)


def least_allocated(columns: Columns, shape: Shape, feasible: Bools) -> Numbers:
    """The larger the share of CPU and memory that stays free, the better."""
    has = columns.allocatable[:2, : columns.size]
    wanted = columns.scored[:2, : columns.size] + np.array([[shape.scored_cpu], [shape.scored_memory]])
    return least_allocated_of(has, wanted)


def least_allocated_of(has: Numbers, wanted: Numbers) -> Numbers:
    """The mean over resources of the free share in percent; a resource that a node has not does not count."""
    real = has > 0
    share = np.where(real & (wanted <= has), (has - wanted) * MOST // np.maximum(has, 1), 0)
    scored: Numbers = share.sum(axis=0) // np.maximum(real.sum(axis=0), 1)
    return scored


def balanced_allocation(columns: Columns, shape: Shape, feasible: Bools) -> Numbers:
    """The closer the used shares of CPU and memory are to each other, the better."""
    if not shape.requests.get(CPU) and not shape.requests.get(MEMORY):
        return np.zeros(columns.size, dtype=np.int64)
    has = columns.allocatable[:2, : columns.size]
    asked = np.array([[shape.requests.get(CPU, 0)], [shape.requests.get(MEMORY, 0)]])
    return balanced_allocation_of(has, columns.used[:2, : columns.size] + asked)


def balanced_allocation_of(has: Numbers, wanted: Numbers) -> Numbers:
    """100 less the standard deviation of the used shares in percent."""
    share = np.minimum(wanted / np.maximum(has, 1), 1.0)
    deviation = np.where((has > 0).all(axis=0), np.abs(share[0] - share[1]) / 2, 0.0)
    scored: Numbers = ((1 - deviation) * MOST).astype(np.int64)
    return scored


def image_locality(columns: Columns, shape: Shape, feasible: Bools) -> Numbers:
    """The more bytes of the pod's images are there already, the better; widely spread images count more."""
    raw = np.zeros(columns.size, dtype=np.int64)
    nodes = max(columns.count, 1)
    for image in shape.images:
        sizes = columns.images.get(full_image_name(image), {})
        for row, size in sizes.items():
            raw[row] += int(size * (len(sizes) / nodes))
    if not raw.any():
        return raw
    most = LARGEST_IMAGES * max(len(shape.images), 1)
    scored: Numbers = MOST * (np.clip(raw, SMALLEST_IMAGES, most) - SMALLEST_IMAGES) // (most - SMALLEST_IMAGES)
    return scored


def topology_spread(columns: Columns, shape: Shape, feasible: Bools) -> Numbers:
    """Fewer pods of the same kind in a node's domains are better."""
    parts = spread_parts(columns, shape, feasible)
    if parts is None:
        return np.zeros(columns.size, dtype=np.int64)
    raw = np.zeros(columns.size)
    for part in parts.domains:
        raw += np.where(part.present, part.counts * part.weight + part.skew, 0.0)
    return spread_scaled(np.rint(raw), parts.scored)


@dataclass(eq=False)
class SpreadDomain:
    """One soft constraint: each row's domain, the count of matching pods in it, and what a pod weighs."""

    ids: npt.NDArray[np.int32]
    present: Bools
    counts: Numbers
    weight: float
    skew: int
    per_node: bool
    grows: bool
    """Whether placing a pod adds one to its domain."""


@dataclass(eq=False)
class SpreadParts:
    """The ingredients of the spread score, for those who update them pod by pod."""

    domains: list[SpreadDomain]
    scored: Bools
    """The feasible nodes that have every label asked for; the others score 0."""


def spread_parts(columns: Columns, shape: Shape, feasible: Bools) -> SpreadParts | None:
    """Count the matching pods of every domain, None if the shape has no soft constraint."""
    if not shape.soft_spread:
        return None
    size = columns.size
    labelled = columns.living().copy()
    if not shape.spread_defaulted:  # nodes without a zone still spread over hosts by default
        for spread in shape.soft_spread:
            labelled &= columns.label(spread.topology_key).ids[:size] >= 0
    scored = feasible & labelled
    domains = []
    for spread in shape.soft_spread:
        ids = columns.label(spread.topology_key).ids[:size]
        present = ids >= 0
        counts = columns.tallies.count(spread.term)
        per_node = spread.topology_key == HOSTNAME
        counted = counted_nodes(columns, shape, spread) & labelled
        if per_node:
            here = counts[:size].copy()
            number = int(np.count_nonzero(scored))
        else:
            here = domain_sums(columns, spread.topology_key, counts, counted)[0][ids]
            number = len(np.unique(ids[scored]))
        grows = spread.matches_self
        domains.append(SpreadDomain(ids, present, here, log(number + 2), spread.max_skew - 1, per_node, grows))
    return SpreadParts(domains, scored)


def spread_scaled(raw: Floats, scored: Bools) -> Numbers:
    """The more pods, the lower: from raw counts to 0..100. Nodes that are not scored get 0."""
    if not scored.any():
        return np.zeros(len(raw), dtype=np.int64)
    low, high = raw[scored].min(), raw[scored].max()
    if high == 0:
        return np.where(scored, MOST, 0).astype(np.int64)
    return np.where(scored, np.floor(MOST * (high + low - raw) / high), 0).astype(np.int64)


def inter_pod_affinity(columns: Columns, shape: Shape, feasible: Bools) -> Numbers:
    """Preferred affinity and anti-affinity, the pod's own and that of the pods already placed."""
    size, living = columns.size, columns.living()
    raw = np.zeros(size, dtype=np.int64)
    rules = [(near, weight, columns.tallies.count(near.term)) for weight, near in shape.preferred]
    rules += [
        (carried.near, carried.weight, counts)
        for carried, counts in columns.tallies.carried_against(shape)
        if carried.weight is not None
    ]
    for near, weight, counts in rules:
        sums, _ = domain_sums(columns, near.topology_key, counts, living)
        raw += weight * sums[columns.label(near.topology_key).ids[:size]]
    if not rules or not feasible.any():
        return raw * 0
    low, high = int(raw[feasible].min()), int(raw[feasible].max())
    if high == low:
        return raw * 0
    scored: Numbers = (MOST * ((raw - low) / (high - low))).astype(np.int64)
    return scored


LEAST, BALANCED, SPREAD = "NodeResourcesFit", "NodeResourcesBalancedAllocation", "PodTopologySpread"
SCORES: tuple[Score, ...] = (
    Score("TaintToleration", 3, taint_toleration),
    Score("NodeAffinity", 2, node_affinity),
    Score(SPREAD, 2, topology_spread),
    Score("InterPodAffinity", 2, inter_pod_affinity),
    Score(LEAST, 1, least_allocated),
    Score(BALANCED, 1, balanced_allocation),
    Score("ImageLocality", 1, image_locality),
)
