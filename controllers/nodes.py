"""The life of nodes: who is silent becomes Unknown and tainted, and pods leave nodes whose taints they don't tolerate.

Always: silence counts only for as long as we could have heard (our own pause, disconnection or clock jump accuses
nobody), and is looked at twice; when every node is silent the fault is more likely ours, and no pod is evicted.
Sources: "Nodes" (heartbeats, rate limits on eviction), "Taints and Tolerations" (taint based evictions), KEP-589.
Zones are not told apart yet: the whole cluster is one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from types import MappingProxyType

from controllers.conditions import find, stamp
from controllers.daemonset import tolerates
from controllers.pods import condition, is_finished, is_terminating
from sampan.actions import Action, Batch, Delete, Event, Patch, RequeueAfter, Steps
from sampan.api.coordination_v1 import Lease
from sampan.api.core_v1 import Node, NodeCondition, Pod, Taint
from sampan.client import PatchKind
from sampan.events import NORMAL
from sampan.informer import Change
from sampan.kinds import NODES, PODS
from sampan.loop import Controller, Watch
from sampan.objects import Key
from sampan.world import World

LEASE_NAMESPACE = "kube-node-lease"
READY = "Ready"
PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure")
NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"
NO_SCHEDULE, NO_EXECUTE = "NoSchedule", "NoExecute"
CONDITION_TAINTS = {
    ("MemoryPressure", "True"): "node.kubernetes.io/memory-pressure",
    ("DiskPressure", "True"): "node.kubernetes.io/disk-pressure",
    ("PIDPressure", "True"): "node.kubernetes.io/pid-pressure",
    ("NetworkUnavailable", "True"): "node.kubernetes.io/network-unavailable",
}
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
OURS = {NOT_READY, UNREACHABLE, UNSCHEDULABLE, *CONDITION_TAINTS.values()}
GRACE_SECONDS = 40.0
STARTUP_GRACE_SECONDS = 60.0
SECOND_LOOK_SECONDS = 2.0
EVICTION_EVERY, SLOW_EVICTION_EVERY = 10.0, 100.0
PARTIAL_SHARE, LARGE_CLUSTER = 0.55, 50
DEFAULT_TOLERATION_SECONDS = 300


class Disruption(Enum):
    """How much of the cluster is unwell."""

    NONE = "none"
    PARTIAL = "partial"
    FULL = "full"


def disruption(nodes: int, unwell: int) -> Disruption:
    """Pure: no healthy node at all is a full disruption, more than two and 55 % a partial one."""
    if unwell and unwell >= nodes:
        return Disruption.FULL
    return Disruption.PARTIAL if unwell > 2 and unwell >= PARTIAL_SHARE * nodes else Disruption.NONE


def eviction_interval(state: Disruption, nodes: int) -> float | None:
    """Seconds between two nodes that start to lose their pods, or None while none may."""
    if state is Disruption.NONE:
        return EVICTION_EVERY
    if state is Disruption.PARTIAL and nodes > LARGE_CLUSTER:
        return SLOW_EVICTION_EVERY
    return None


def silenced(node: Node, now: datetime) -> list[NodeCondition]:
    """Pure: the conditions of a node that no longer reports."""
    found: list[NodeCondition] = []
    for type in (READY, *PRESSURES):
        old = find(node.status.conditions, type)
        never = old is None
        if old is not None and old.status == "Unknown":
            continue
        found.append(
            NodeCondition(
                type=type,
                status="Unknown",
                reason="NodeStatusNeverUpdated" if never else "NodeStatusUnknown",
                message="Kubelet never posted node status." if never else "Kubelet stopped posting node status.",
                last_heartbeat_time=old.last_heartbeat_time if old is not None else node.metadata.creation_timestamp,
                last_transition_time=stamp(now),
            )
        )
    return found


def wanted_taints(node: Node, *, no_execute: bool) -> set[tuple[str, str]]:
    """Pure: the taints of ours that the node's conditions call for, as (key, effect)."""
    ready = find(node.status.conditions, READY)
    taints: set[tuple[str, str]] = set()
    if ready is None or ready.status != "True":
        key = UNREACHABLE if ready is not None and ready.status == "Unknown" else NOT_READY
        taints.add((key, NO_SCHEDULE))
        if no_execute:
            taints.add((key, NO_EXECUTE))
    for one in node.status.conditions:
        key = CONDITION_TAINTS.get((one.type, one.status), "")
        if key:
            taints.add((key, NO_SCHEDULE))
    if node.spec.unschedulable:
        taints.add((UNSCHEDULABLE, NO_SCHEDULE))
    return taints


def retainted(node: Node, wanted: set[tuple[str, str]], now: datetime) -> list[Taint] | None:
    """Pure: the node's taints with ours made so, or None when they are."""
    kept = [one for one in node.spec.taints if one.key not in OURS or (one.key, one.effect) in wanted]
    there = {(one.key, one.effect) for one in kept}
    added = [
        Taint(key=key, effect=effect, time_added=None if key == UNSCHEDULABLE else stamp(now))
        for key, effect in sorted(wanted - there)
    ]
    return [*kept, *added] if added or len(kept) != len(node.spec.taints) else None


def is_well(node: Node) -> bool:
    """Whether the node reports that it is ready."""
    ready = find(node.status.conditions, READY)
    return ready is not None and ready.status == "True"


@dataclass
class Vigil:
    """Listens for heartbeats, and decides about one node at a time. All its times are the event loop's."""

    grace: float = GRACE_SECONDS
    startup_grace: float = STARTUP_GRACE_SECONDS
    listening_for: Callable[[], float] = lambda: float("inf")
    clock: Callable[[], float] = lambda: asyncio.get_running_loop().time()
    _heard: dict[str, float] = field(default_factory=dict)
    _suspected: dict[str, float] = field(default_factory=dict)
    _unwell: set[str] = field(default_factory=set)
    _nodes: set[str] = field(default_factory=set)
    _next_eviction: float = float("-inf")
    _attended: float | None = None
    _awake_since: float = float("-inf")

    def heard_lease(self, change: Change[Lease]) -> None:
        """A node's lease was renewed."""
        if change.new is not None and change.new.metadata.namespace == LEASE_NAMESPACE:
            self._hear(change.new.metadata.name or "")

    def keys(self, change: Change[Node], world: World) -> Iterator[Key]:
        """The nodes that a change of a node concerns: itself, and all of them when the disruption changes."""
        name = change.object.metadata.name or ""
        before = self.disruption
        if change.new is None:
            for memory in (self._heard, self._suspected):
                memory.pop(name, None)
            self._nodes.discard(name)
            self._unwell.discard(name)
        else:
            self._nodes.add(name)
            (self._unwell.discard if is_well(change.new) else self._unwell.add)(name)
            if change.old is None or _beat(change.old) != _beat(change.new):
                self._hear(name)
        yield Key("", name)
        if self.disruption is not before:
            yield from (Key("", one) for one in self._nodes)

    @property
    def disruption(self) -> Disruption:
        """How much of the cluster is unwell."""
        return disruption(len(self._nodes), len(self._unwell))

    @property
    def attention_seconds(self) -> float:
        """How often `attend` is to be called."""
        return min(5.0, self.grace / 8)

    def attend(self) -> None:
        """Notice whether we were away: frozen, or on a machine that slept. Then every node has its grace anew.

        Heartbeats may have stopped for as long as we did, and the first ones after a thaw are still on their way.
        """
        self._notice()
        self._attended = self.clock()

    def _notice(self) -> None:
        now = self.clock()
        if self._attended is None:
            return
        if now - self._attended > 2 * self.attention_seconds:
            self._awake_since = now
            self._suspected.clear()
        self._attended = now

    async def keep_attention(self) -> None:
        """Attend until cancelled."""
        while True:
            self.attend()
            await asyncio.sleep(self.attention_seconds)

    def silent_for(self, name: str) -> float:
        """Seconds without a sign of life during which we could have heard one."""
        self._notice()  # a node's timer may ring before ours
        now = self.clock()
        heard = self._heard.setdefault(name, now)
        return min(now - heard, self.listening_for(), now - self._awake_since)

    def _hear(self, name: str) -> None:
        self._heard[name] = self.clock()
        self._suspected.pop(name, None)

    def reconcile(self, node: Node, world: World) -> Iterator[Action]:
        """What to do about one node."""
        name = node.metadata.name or ""
        grace = self.grace if find(node.status.conditions, READY) is not None else max(self.grace, self.startup_grace)
        left = grace - self.silent_for(name)
        now = world.now
        if left > 0:
            yield RequeueAfter(left + 0.05)
        elif not self._second_look(name):
            yield RequeueAfter(min(SECOND_LOOK_SECONDS, self.grace / 4))
        else:
            yield RequeueAfter(self.grace)
            changed = silenced(node, now)
            if changed:
                yield from _silence(node, changed)
                return  # the node comes again with its new conditions
        ready = find(node.status.conditions, READY)
        if ready is not None and ready.status == "Unknown":
            yield from _unready_pods(node, world.by(PODS, "node", name), now)
        taints = retainted(node, wanted_taints(node, no_execute=self._may_evict(node)), now)
        if taints is not None:
            patch = {
                "metadata": {"resourceVersion": node.metadata.resource_version},
                "spec": {"taints": [one.to_json() for one in taints] or None},
            }
            yield Patch(NODES, node, patch)
        wait = self._next_eviction - self.clock()
        if not is_well(node) and not _no_execute(node) and self._interval() is not None and wait > 0:
            yield RequeueAfter(wait)

    def _second_look(self, name: str) -> bool:
        since = self._suspected.setdefault(name, self.clock())
        return self.clock() - since >= min(SECOND_LOOK_SECONDS, self.grace / 4) - 0.01

    def _interval(self) -> float | None:
        return eviction_interval(self.disruption, len(self._nodes))

    def _may_evict(self, node: Node) -> bool:
        """Whether the node may carry NoExecute now: one more only every so often, none in a full disruption."""
        starting = find(node.status.conditions, READY) is None
        if starting or is_well(node) or self.disruption is Disruption.FULL:
            return False
        if _no_execute(node):
            return True
        interval = self._interval()
        if interval is None or self.clock() < self._next_eviction:
            return False
        self._next_eviction = self.clock() + interval
        return True


def _no_execute(node: Node) -> bool:
    return any(one.key in (NOT_READY, UNREACHABLE) and one.effect == NO_EXECUTE for one in node.spec.taints)


def _beat(node: Node) -> datetime | None:
    ready = find(node.status.conditions, READY)
    # What we ourselves wrote is no sign of life; it leaves the heartbeat as it was.
    return ready.last_heartbeat_time if ready is not None else None


def _silence(node: Node, changed: Sequence[NodeCondition]) -> Iterator[Action]:
    patch = {
        "metadata": {"resourceVersion": node.metadata.resource_version},
        "status": {"conditions": [one.to_json() for one in changed]},
    }
    yield Patch(NODES, node, patch, PatchKind.STRATEGIC, subresource="status")
    yield Event(NODES, node, NORMAL, "NodeNotReady", f"Node {node.metadata.name} status is now: NodeNotReady")


def _unready_pods(node: Node, pods: Sequence[Pod], now: datetime) -> Iterator[Action]:
    """Nobody answers there, so services must not send anyone there."""
    patches: list[Action] = []
    for pod in pods:
        ready = condition(pod, READY)
        if ready is None or ready.status != "True" or is_finished(pod):
            continue
        changed = ready.model_copy(update={"status": "False", "last_transition_time": stamp(now)})
        change = {"status": {"conditions": [changed.to_json()]}}
        patches.append(Patch(PODS, pod, change, PatchKind.STRATEGIC, subresource="status", or_gone=True))
        patches.append(Event(PODS, pod, "Warning", "NodeNotReady", "Node is not ready"))
    if patches:
        yield Batch(patches)


def node_lifecycle(vigil: Vigil) -> Controller[Node]:
    """The controller of a vigil; the lease informer must tell `vigil.heard_lease`."""
    return Controller(
        name="node-lifecycle-controller",
        of=NODES,
        reconcile=vigil.reconcile,
        keys=vigil.keys,
        indexes={PODS: {"node": node_name}},
    )


def node_name(pod: Pod) -> Iterator[str]:
    """An index of pods by the node they are bound to."""
    if pod.spec.node_name:
        yield pod.spec.node_name


def stay(pod: Pod, taints: Sequence[Taint], default_seconds: int | None) -> float | None:
    """Pure: seconds a pod may stay on a node with these NoExecute taints, None for ever.

    `default_seconds` replaces the 300 seconds that admission gives every pod for not-ready and unreachable nodes, so
    that a test cluster need not wait for five minutes.
    """
    shortest: float | None = None
    for taint in taints:
        matching = [one for one in pod.spec.tolerations if tolerates((one,), taint)]
        if not matching:
            return 0.0
        for one in matching:
            seconds = one.toleration_seconds
            if seconds is None:
                continue
            default = seconds == DEFAULT_TOLERATION_SECONDS and taint.key in (NOT_READY, UNREACHABLE)
            if default and default_seconds is not None:
                seconds = default_seconds
            shortest = min(float(max(0, seconds)), float("inf") if shortest is None else shortest)
    return shortest


def evict(
    node: Node,
    pods: Sequence[Pod],
    now: datetime,
    default_seconds: int | None = None,
    seen: Mapping[str, datetime] = MappingProxyType({}),
) -> Iterator[Action]:
    """Pure: pods whose time on a tainted node is up are deleted; for the others the time is set.

    `seen` is when a taint was seen first, by its key: nobody has to write `timeAdded`, and `kubectl taint` does not.
    """
    taints = [one for one in node.spec.taints if one.effect == NO_EXECUTE]
    if not taints:
        return
    since = max(one.time_added or seen.get(one.key or "", now) for one in taints)
    evictions: list[Action] = []
    for pod in pods:
        if is_terminating(pod):
            continue
        allowed = stay(pod, taints, default_seconds)
        if allowed is None:
            continue
        left = (since + timedelta(seconds=allowed) - now).total_seconds()
        if allowed > 0 and left > 0:
            yield RequeueAfter(left)
        else:
            evictions.append(_eviction(pod, now))
    if evictions:
        yield Batch(evictions)


def _eviction(pod: Pod, now: datetime) -> Action:
    reason = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "DeletionByTaintManager",
        "message": "Taint manager: deleting due to NoExecute taint",
        "lastTransitionTime": stamp(now).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    change = {"status": {"conditions": [reason]}}
    text = f"Marking for deletion Pod {pod.metadata.namespace}/{pod.metadata.name}"
    return Steps(
        (
            Event(PODS, pod, NORMAL, "TaintManagerEviction", text),
            Patch(PODS, pod, change, PatchKind.STRATEGIC, subresource="status", or_gone=True),
            Delete(PODS, pod),
        )
    )


def taint_eviction(default_seconds: int | None) -> Controller[Node]:
    """Evicts by NoExecute taints, whoever set them."""
    first_seen: dict[str, dict[str, datetime]] = {}  # by node; a restart counts anew, as upstream's does

    def reconcile(node: Node, world: World) -> Iterator[Action]:
        name = node.metadata.name or ""
        keys = [one.key or "" for one in node.spec.taints if one.effect == NO_EXECUTE]
        before = first_seen.pop(name, {})
        if keys:
            first_seen[name] = {key: before.get(key, world.now) for key in keys}
        pods = world.by(PODS, "node", name)
        yield from evict(node, pods, world.now, default_seconds, first_seen.get(name, {}))

    def tainted(change: Change[Node], _: World) -> Iterator[Key]:
        before: Sequence[Taint] = change.old.spec.taints if change.old is not None else ()
        if change.new is not None and list(before) != change.new.spec.taints:
            yield Key("", change.new.metadata.name or "")

    def pod_on(change: Change[Pod], world: World) -> Iterator[Key]:
        new = change.new
        if new is None or not new.spec.node_name:
            return
        old = change.old
        same = (
            old is not None
            and old.spec.node_name == new.spec.node_name
            and old.spec.tolerations == new.spec.tolerations
        )
        node = world.get(NODES, "", new.spec.node_name)
        if not same and node is not None and any(one.effect == NO_EXECUTE for one in node.spec.taints):
            yield Key("", new.spec.node_name)

    return Controller(
        name="taint-eviction-controller",
        of=NODES,
        reconcile=reconcile,
        keys=tainted,
        watches=(Watch(PODS, pod_on),),
        indexes={PODS: {"node": node_name}},
    )
