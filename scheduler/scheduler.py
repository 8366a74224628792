"""The scheduler: informers keep the columns, a loop takes waiting pods, places them, and has it told to the API.

Always: the columns hold what the informers say plus what is assumed; between taking a pod and putting it back
nothing is awaited, so no change can slip between a verdict and the pod's wait for changes.
Elsewhere: decisions (place.py, preempt.py), the calls (bind.py), what wakes pods (hints.py, queue.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from sampan.api.core_v1 import Namespace, Node, ObjectReference, Pod
from sampan.client import Client
from sampan.clock import Clock
from sampan.errors import ApiError, SampanError
from sampan.events import NORMAL, WARNING, EventRecorder
from sampan.informer import AnyInformer, Change, Informer
from sampan.kinds import NAMESPACES, NODES, PODS, REPLICA_SETS, SERVICES
from sampan.leader import LeadershipLost
from sampan.logs import fields
from scheduler import bind
from scheduler.columns import Changed, Columns, Placed
from scheduler.defaults import DefaultSpread
from scheduler.explain import Explanations
from scheduler.hints import Cause, Happening, causes_of
from scheduler.metrics import Metrics
from scheduler.place import Failure, Placement, Waiting, by_shape, failure_message, place
from scheduler.preempt import LEAVING, Eviction, preempt
from scheduler.queue import SchedulingQueue
from scheduler.shape import Shape, Shapes, demand

log = logging.getLogger(__name__)

DEFAULT_NAME = "default-scheduler"
BATCH = 256
"""Pods placed between two turns of the event loop."""
UNFINISHED = "status.phase!=Succeeded,status.phase!=Failed"
EVENT_WRITERS = 8
MOST_EVENTS = 20_000
"""Events that may wait; beyond that they are dropped. They wait while there are bindings to send."""
EVENT_SECONDS = 0.25
"""How long a writer of events waits for a moment without bindings before it writes the next one all the same."""


class Scheduler:
    """One scheduler for the pods that name it. `follow` keeps it informed, `schedule` (one replica only) acts."""

    def __init__(
        self,
        client: Client,
        *,
        name: str = DEFAULT_NAME,
        clock: Clock | None = None,
        seed: int | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self.name = name
        self.columns = Columns()
        self.explanations = Explanations()
        self.metrics = metrics or Metrics()
        self._client = client
        self._clock = clock or Clock()
        self.queue = SchedulingQueue(self._clock)
        self._rng = np.random.default_rng(seed)
        self._shapes = Shapes()
        self._spread = DefaultSpread()
        self._events = EventRecorder(client, name, clock=self._clock, most_waiting=MOST_EVENTS, pause=self._give_way)
        self._binder: bind.Binder | None = None
        self._assumed: set[str] = set()
        self.pods: Informer[Pod] = Informer(client, PODS, field_selector=UNFINISHED, clock=self._clock)
        self.nodes: Informer[Node] = Informer(client, NODES, clock=self._clock)
        self.namespaces: Informer[Namespace] = Informer(client, NAMESPACES, clock=self._clock)
        self.services = Informer(client, SERVICES, clock=self._clock)
        self.replica_sets = Informer(client, REPLICA_SETS, clock=self._clock)
        self.nodes.subscribe(self._on_node)
        self.namespaces.subscribe(self._on_namespace)
        self.services.subscribe(self._spread.on_service)
        self.replica_sets.subscribe(self._spread.on_replica_set)
        self.pods.subscribe(self._on_pod)

    @property
    def synced(self) -> bool:
        """Whether the first lists have all arrived."""
        return all(one.has_synced for one in self._informers)

    async def follow(self) -> None:
        """Keep informed until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for informer in self._informers:
                tasks.create_task(informer.run())

    async def schedule(self, client: Client | None = None) -> None:
        """Place pods until cancelled; call it in the leading replica. `client`: a fenced one for the writes."""
        for informer in self._informers:
            await informer.synced()
        writer = client or self._client
        self._binder = binder = bind.Binder(writer, self._clock, self._on_bound, self._on_bind_failure)
        async with asyncio.TaskGroup() as tasks, bind.Calls() as calls:
            for _ in range(EVENT_WRITERS):
                tasks.create_task(self._events.run())
            for _ in range(bind.SENDERS):
                tasks.create_task(binder.run())
            try:
                while True:
                    await self.queue.ready()
                    await self._round(writer, binder, calls)
                    await asyncio.sleep(0)
            finally:
                self._forget_assumed()

    @property
    def _informers(self) -> tuple[AnyInformer, ...]:
        return self.pods, self.nodes, self.namespaces, self.services, self.replica_sets

    # One round

    async def _round(self, client: Client, binder: bind.Binder, calls: bind.Calls) -> None:
        """Place what waits, then start the calls that follow from it."""
        placements: list[Placement] = []
        reports: list[tuple[Waiting, str, str | None, Eviction | None]] = []
        with self._timed():
            batch = [pod for pod in map(self._current, self.queue.take(BATCH)) if pod is not None]
            for shape, group in by_shape(batch):
                for outcome in place(self.columns, shape, group, self._rng):
                    if isinstance(outcome, Placement):
                        self._assumed.add(outcome.pod.uid)
                        self.explanations.keep(outcome)
                        placements.append(outcome)
                    else:
                        reports.append(self._on_failure(outcome))
        self.metrics.attempts.labels("scheduled").inc(len(placements))
        self.metrics.attempts.labels("unschedulable").inc(len(reports))
        for placement in placements:
            self._happened(Cause.POD_ASSIGNED, placement.pod.shape)
            await binder.put(placement)
        for pod, message, nominated, eviction in reports:
            await calls.start(self._report(client, pod, message, nominated, eviction))

    def _current(self, pod: Waiting) -> Waiting | None:
        """A taken pod as it is now, with the default spread of now."""
        found = self.pods.get(pod.namespace, pod.name)
        if found is None or found.metadata.uid != pod.uid or not self._is_ours(found):
            self.queue.remove(pod.uid)
            return None
        return self._waiting(found)

    def _on_failure(self, failure: Failure) -> tuple[Waiting, str, str | None, Eviction | None]:
        """Try to make room, and let the pod wait."""
        pod = failure.pod
        self.metrics.preemptions.inc()
        found = preempt(self.columns, pod, failure.filtered, self._rng) if failure.nodes else None
        message = failure_message(failure, found.message if found else "")
        self.explanations.keep(failure, message)
        self.queue.failed(pod.uid, failure.filtered.filters)
        if found is not None and found.eviction is not None:
            self.columns.nominated[pod.uid] = (pod.shape, found.eviction.node)
            # Those that another pod's preemption evicts already need not be evicted again.
            fresh = tuple(one for one in found.eviction.victims if not one.preempted)
            for victim in fresh:
                victim.preempted = True
            return pod, message, found.eviction.node, Eviction(found.eviction.node, fresh)
        if found is not None and found.message == LEAVING:
            return pod, message, None, None  # its victims are still leaving: it keeps its nomination
        self.columns.nominated.pop(pod.uid, None)
        return pod, message, "", None

    # Calls

    async def _give_way(self) -> None:
        """Before an event is written: bindings go first, for a while."""
        binder = self._binder
        if binder is None or (binder.calm.is_set() and not self.queue.is_busy):
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(EVENT_SECONDS):
                await binder.calm.wait()

    def _on_bound(self, placement: Placement, seconds: float) -> None:
        self.metrics.bind_seconds.observe(seconds)
        pod = placement.pod
        self.queue.done(pod.uid)  # assumed still, until the watch shows it
        self._events.record(
            _reference(pod),
            NORMAL,
            "Scheduled",
            f"Successfully assigned {pod.namespace}/{pod.name} to {placement.node}",
        )

    def _on_bind_failure(self, placement: Placement, error: SampanError) -> None:
        """Forget the assumption, unless the watch has said meanwhile that the pod is there."""
        pod = placement.pod
        if pod.uid not in self._assumed:
            return
        self._assumed.discard(pod.uid)
        self._take_off(pod.uid)
        if isinstance(error, LeadershipLost):  # said once, by the process
            self.queue.failed(pod.uid, None)
            return
        gone = isinstance(error, ApiError) and error.is_not_found
        log.log(
            logging.INFO if gone else logging.WARNING,
            "can't bind a pod",
            extra=fields(pod=f"{pod.namespace}/{pod.name}", node=placement.node, error=error),
        )
        self.metrics.attempts.labels("error").inc()
        if not gone:
            self._events.record(_reference(pod), WARNING, "FailedScheduling", f"binding rejected: {error}")
        self.queue.failed(pod.uid, None)

    async def _report(
        self, client: Client, pod: Waiting, message: str, nominated: str | None, eviction: Eviction | None
    ) -> None:
        self._events.record(_reference(pod), WARNING, "FailedScheduling", message)
        known = self.pods.get(pod.namespace, pod.name)
        if known is None or known.metadata.uid != pod.uid:
            return
        patch = bind.unscheduled_patch(known, message, nominated, self._clock.now())
        if patch is not None:
            await bind.patch_status(client, pod, patch)
        for victim in eviction.victims if eviction else ():
            if victim.dying:
                continue
            if await bind.evict(client, victim, self.name, self._clock):
                self.metrics.victims.inc()
                self._events.record(
                    ObjectReference(
                        api_version="v1", kind="Pod", namespace=victim.namespace, name=victim.name, uid=victim.uid
                    ),
                    NORMAL,
                    "Preempted",
                    f"Preempted by pod {pod.uid} on node {victim.node}",
                )
            else:
                victim.preempted = False
                self.columns.nominated.pop(pod.uid, None)

    # What informers tell

    def _on_node(self, change: Change[Node]) -> None:
        if change.new is not None:
            changed = self.columns.set_node(change.new)
        else:
            changed = self.columns.remove_node(change.object.metadata.name or "")
        if Changed.ADDED in changed:
            changed = Changed.ADDED
        causes = causes_of(changed)
        if causes:
            self._happened(causes)

    def _on_namespace(self, change: Change[Namespace]) -> None:
        labels = change.new.metadata.labels if change.new is not None else None
        if self.columns.tallies.set_namespace(change.object.metadata.name or "", labels):
            self._happened(Cause.NAMESPACE)

    def _on_pod(self, change: Change[Pod]) -> None:
        pod = change.new
        if pod is None or pod.status.phase in ("Succeeded", "Failed"):
            uid = change.object.metadata.uid or ""
            self.queue.remove(uid)
            self.columns.nominated.pop(uid, None)
            self._assumed.discard(uid)
            self._take_off(uid)
        elif pod.spec.node_name:
            self._on_assigned(pod)
        else:
            self._on_unassigned(change.old, pod)

    def _on_assigned(self, pod: Pod) -> None:
        meta, node = pod.metadata, pod.spec.node_name or ""
        uid, dying = meta.uid or "", meta.deletion_timestamp is not None
        self.queue.remove(uid)
        self.columns.nominated.pop(uid, None)
        self._assumed.discard(uid)
        old = self.columns.placed.get(uid)
        started = pod.status.start_time or meta.creation_timestamp
        if old is not None and old.node == node and old.dying == dying and _demand_of(old.shape) == demand(pod):
            old.started = started
            return
        preempted = (old is not None and old.preempted) or _is_preempted(pod)
        new = self.columns.place(
            uid,
            meta.namespace or "",
            meta.name or "",
            self._shapes.of(pod),
            node,
            started=started,
            dying=dying,
            preempted=preempted,
        )
        if old is None:
            self._happened(Cause.POD_ASSIGNED, new.shape)
            return
        self._happened(Cause.POD_CHANGED, old.shape)
        if new.shape is not old.shape:
            self._happened(Cause.POD_CHANGED, new.shape)

    def _on_unassigned(self, old: Pod | None, pod: Pod) -> None:
        uid = pod.metadata.uid or ""
        if not self._is_ours(pod):
            self.queue.remove(uid)
            self.columns.nominated.pop(uid, None)
            return
        waiting = self._waiting(pod)
        if waiting.nominated:
            self.columns.nominated[uid] = (waiting.shape, waiting.nominated)
        if uid in self._assumed or (uid in self.queue and old is not None and demand(old) == demand(pod)):
            self.queue.refresh(waiting)
        else:
            self.queue.add(waiting)

    def _is_ours(self, pod: Pod) -> bool:
        """Whether a pod without a node is for this scheduler, now."""
        return (
            (pod.spec.scheduler_name or DEFAULT_NAME) == self.name
            and not pod.spec.scheduling_gates
            and not pod.spec.node_name
            and pod.metadata.deletion_timestamp is None
        )

    def _waiting(self, pod: Pod) -> Waiting:
        shape = self._shapes.of(pod, self._spread.selector(pod))
        meta = pod.metadata
        nominated = pod.status.nominated_node_name or ""
        if not nominated and meta.uid in self.columns.nominated:
            nominated = self.columns.nominated[meta.uid][1]
        return Waiting(meta.uid or "", meta.namespace or "", meta.name or "", shape, nominated)

    # The rest

    def _take_off(self, uid: str) -> None:
        gone: Placed | None = self.columns.remove(uid)
        if gone is not None:
            self._happened(Cause.POD_GONE, gone.shape)

    def _happened(self, cause: Cause, pod: Shape | None = None) -> None:
        self.queue.happened(Happening(cause, pod), self.columns.tallies.namespaces)

    def _forget_assumed(self) -> None:
        """This replica no longer acts: what it assumed and nobody confirmed may not be."""
        for uid in tuple(self._assumed):
            self._assumed.discard(uid)
            self._take_off(uid)
            self.queue.failed(uid, None)

    @contextmanager
    def _timed(self) -> Iterator[None]:
        with self.metrics.batch_seconds.time():
            yield
        for state, number in self.queue.counts().items():
            self.metrics.pending.labels(state.name.lower()).set(number)


def _demand_of(shape: Shape) -> object:
    """What the pod of a shape asked for, without the default spread (Shapes' key)."""
    return shape.key[0] if isinstance(shape.key, tuple) else None


def _is_preempted(pod: Pod) -> bool:
    return any(
        one.type == "DisruptionTarget" and one.status == "True" and one.reason == "PreemptionByScheduler"
        for one in pod.status.conditions
    )


def _reference(pod: Waiting) -> ObjectReference:
    return ObjectReference(api_version="v1", kind="Pod", namespace=pod.namespace, name=pod.name, uid=pod.uid)
