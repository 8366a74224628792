"""The arithmetic of a rolling update: how large each replica set of a deployment should be. Pure.

Source: Deployment's documentation, "Rolling Update Deployment" and "Proportional scaling".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from controllers.conditions import resolved
from controllers.pods import created_at
from sampan.api.apps_v1 import Deployment, ReplicaSet

DESIRED = "deployment.kubernetes.io/desired-replicas"
MAX = "deployment.kubernetes.io/max-replicas"


@dataclass(frozen=True)
class Fence:
    """What must hold at every moment: at most `replicas + surge` pods, at least `replicas - unavailable` available."""

    replicas: int
    surge: int
    unavailable: int
    recreate: bool = False

    @classmethod
    def of(cls, deployment: Deployment) -> Fence:
        """Resolve a deployment's percentages: surge rounds up, unavailability down, and not both may be 0."""
        replicas = 1 if deployment.spec.replicas is None else deployment.spec.replicas
        strategy = deployment.spec.strategy
        if strategy is not None and strategy.type == "Recreate":
            return cls(replicas, 0, 0, recreate=True)
        rolling = strategy.rolling_update if strategy is not None else None
        surge_field = "25%" if rolling is None or rolling.max_surge is None else rolling.max_surge
        unavailable_field = "25%" if rolling is None or rolling.max_unavailable is None else rolling.max_unavailable
        surge = resolved(surge_field, replicas, round_up=True)
        unavailable = resolved(unavailable_field, replicas, round_up=False)
        if surge == 0 and unavailable == 0:
            unavailable = 1
        return cls(replicas, surge, min(unavailable, replicas))

    @property
    def most(self) -> int:
        """The most pods at once."""
        return self.replicas + self.surge

    @property
    def fewest(self) -> int:
        """The fewest available pods."""
        return self.replicas - self.unavailable

    def annotations(self) -> dict[str, str]:
        """How replica sets carry the numbers, to see later that they changed."""
        return {DESIRED: str(self.replicas), MAX: str(self.most)}


def size(rs: ReplicaSet) -> int:
    """The pods a replica set asks for."""
    return 1 if rs.spec.replicas is None else rs.spec.replicas


def available(rs: ReplicaSet) -> int:
    """The available pods of a replica set, as it last reported; an old report may count pods it has given up since."""
    return min(rs.status.available_replicas or 0, size(rs))


def new_size(fence: Fence, new: ReplicaSet | None, old: Sequence[ReplicaSet]) -> int:
    """How large the new set may be now."""
    now = size(new) if new is not None else 0
    if fence.recreate or now >= fence.replicas:
        return fence.replicas
    room = fence.most - now - sum(size(one) for one in old)
    return now + max(0, min(room, fence.replicas - now))


def scale_down_old(fence: Fence, new: ReplicaSet, old: Sequence[ReplicaSet]) -> dict[str, int]:
    """New sizes, by UID, of the old sets that can give pods up now: first unavailable ones, then available ones."""
    total = size(new) + sum(size(one) for one in old)
    new_unavailable = max(0, size(new) - available(new))
    allowed = total - fence.fewest - new_unavailable
    if allowed <= 0:
        return {}
    sizes = {one.metadata.uid or "": size(one) for one in old if size(one) > 0}
    oldest_first = sorted((one for one in old if size(one) > 0), key=created_at)
    for one in oldest_first:
        cut = max(0, min(allowed, size(one) - available(one)))
        sizes[one.metadata.uid or ""] -= cut
        allowed -= cut
    spare = available(new) + sum(available(one) for one in old) - fence.fewest
    for one in oldest_first:
        cut = max(0, min(spare, allowed, sizes[one.metadata.uid or ""]))
        sizes[one.metadata.uid or ""] -= cut
        allowed -= cut
        spare -= cut
    before = {one.metadata.uid or "": size(one) for one in old}
    return {uid: number for uid, number in sizes.items() if number != before[uid]}


def proportional(fence: Fence, new: ReplicaSet | None, old: Sequence[ReplicaSet]) -> dict[str, int]:
    """Sizes, by UID, after `replicas` was changed (or while paused): the sets keep their shares of the whole.

    A set that stands alone gets everything; when the new one is complete, the old ones end.
    """
    sets = [*old, new] if new is not None else list(old)
    active = [one for one in sets if size(one) > 0]
    if len(active) <= 1:
        only = active[0] if active else new if new is not None else max(old, key=created_at, default=None)
        return {} if only is None or size(only) == fence.replicas else {only.metadata.uid or "": fence.replicas}
    if new is not None and size(new) == fence.replicas == available(new) and _wanted_before(new) == fence.replicas:
        return {one.metadata.uid or "": 0 for one in old if size(one) > 0}
    if fence.recreate:
        return {}
    allowed = fence.most if fence.replicas > 0 else 0
    to_add = allowed - sum(size(one) for one in active)
    # Growing favours large and new sets, shrinking large and old ones.
    by_age = sorted(active, key=created_at, reverse=to_add > 0)
    ranked = sorted(by_age, key=size, reverse=True)
    sizes: dict[str, int] = {}
    added = 0
    for one in ranked:
        share = _share(one, fence)
        rest = to_add - added
        change = 0 if rest == 0 else min(share, rest) if to_add > 0 else max(share, rest)
        change = max(0, change) if to_add > 0 else min(0, change)
        sizes[one.metadata.uid or ""] = size(one) + change
        added += change
    if ranked:
        first = ranked[0].metadata.uid or ""
        sizes[first] = max(0, sizes[first] + to_add - added)
    return sizes


def _wanted_before(rs: ReplicaSet) -> int:
    text = rs.metadata.annotations.get(DESIRED, "")
    return int(text) if text.isdigit() else 0


def _share(rs: ReplicaSet, fence: Fence) -> int:
    """How many pods a set gains (or loses) to keep its share of the whole."""
    if fence.replicas == 0:
        return -size(rs)
    text = rs.metadata.annotations.get(MAX, "")
    before = int(text) if text.isdigit() and int(text) > 0 else fence.most
    exact = size(rs) * fence.most / before
    return math.floor(exact + 0.5) - size(rs)
