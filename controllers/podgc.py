"""Pods that nobody looks after: those of nodes that are no more, and finished ones beyond a limit.

Source: "Pod Lifecycle", garbage collection of Pods.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from controllers.conditions import stamp
from controllers.nodes import node_name
from controllers.pods import FAILED, created_at, is_finished, is_terminating
from sampan.actions import Action, Batch, Delete, Patch, RequeueAfter
from sampan.api.core_v1 import Node, Pod
from sampan.client import PatchKind
from sampan.informer import Change
from sampan.kinds import NODES, PODS
from sampan.loop import Controller, Watch
from sampan.objects import Key
from sampan.world import World

QUARANTINE_SECONDS = 40.0
TERMINATED_LIMIT = 12500
TERMINATED = Key("", "*finished")
"""No node can be called that, so the key is free for the limit on finished pods."""


class Garbage:
    """Remembers since when a node that pods name has been missing: it may only be late."""

    def __init__(self, quarantine: float = QUARANTINE_SECONDS, limit: int = TERMINATED_LIMIT) -> None:
        self._quarantine = quarantine
        self._limit = limit
        self._missing: dict[str, datetime] = {}

    def here(self, node: Node, _: World) -> Iterator[Action]:
        """The node exists."""
        self._missing.pop(node.metadata.name or "", None)
        yield from ()

    def missing(self, key: Key, world: World) -> Iterator[Action]:
        """The node does not exist: its pods fail and go, after a while."""
        if key == TERMINATED:
            yield from surplus(world.by(PODS, "finished", "yes"), self._limit)
            return
        pods = world.by(PODS, "node", key.name)
        if not pods:
            self._missing.pop(key.name, None)
            return
        now = world.now
        since = self._missing.setdefault(key.name, now)
        left = (since + timedelta(seconds=self._quarantine) - now).total_seconds()
        if left > 0:
            yield RequeueAfter(left)
        else:
            yield from orphaned(pods, now)


def surplus(finished: list[Pod], limit: int) -> Iterator[Action]:
    """Pure: the oldest finished pods beyond the limit go."""
    count = len(finished) - limit
    if limit > 0 and count > 0:
        yield Batch([Delete(PODS, pod, grace_period_seconds=0) for pod in sorted(finished, key=created_at)[:count]])


def orphaned(pods: list[Pod], now: datetime) -> Iterator[Action]:
    """Pure: pods whose node is no more are failed, so that their owners count them, and removed at once."""
    reason = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "DeletionByPodGC",
        "message": "PodGC: node no longer exists",
        "lastTransitionTime": stamp(now).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    change = {"status": {"phase": FAILED, "conditions": [reason]}}
    alive = [pod for pod in pods if not is_finished(pod)]
    if alive:
        patches = [Patch(PODS, p, change, PatchKind.STRATEGIC, subresource="status", or_gone=True) for p in alive]
        yield Batch(patches)
    yield Batch([Delete(PODS, pod, grace_period_seconds=0) for pod in pods])


def _finished(pod: Pod) -> Iterator[str]:
    if is_finished(pod) and not is_terminating(pod):
        yield "yes"


def _pod_changed(change: Change[Pod], world: World) -> Iterator[Key]:
    new = change.new
    if new is None:
        return
    if new.spec.node_name and world.get(NODES, "", new.spec.node_name) is None:
        yield Key("", new.spec.node_name)
    if is_finished(new) and (change.old is None or not is_finished(change.old)):
        yield TERMINATED


def pod_garbage(garbage: Garbage) -> Controller[Node]:
    """The controller over `garbage`."""
    return Controller(
        name="pod-garbage-collector",
        of=NODES,
        reconcile=garbage.here,
        gone=garbage.missing,
        watches=(Watch(PODS, _pod_changed),),
        indexes={PODS: {"node": node_name, "finished": _finished}},
        workers=1,
    )
