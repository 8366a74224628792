"""A cluster in memory for histories of thousands of steps: objects, the writes that actions make, and views of it.

It keeps what the API server promises (UIDs, resourceVersions, conflicts, generations, preconditions) and nothing of
how: tests of the server itself use a real one.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

from controllers.nodes import node_name
from sampan.actions import Action, Stale, Turn
from sampan.api.base import Object
from sampan.api.core_v1 import ContainerState, ContainerStateTerminated, ContainerStatus, Pod, PodCondition
from sampan.client import Client, PatchKind
from sampan.errors import ApiError
from sampan.events import EventRecorder
from sampan.kinds import PODS
from sampan.loop import Controller
from sampan.objects import Key, key_of, meta
from sampan.patches import merge_patch, strategic
from sampan.patches.models import of_model
from sampan.resource import Resource
from sampan.world import INDEXES, Index

M = TypeVar("M", bound=Object)
START = datetime(2030, 1, 1, tzinfo=UTC)


class View:
    """A World: what one controller has seen so far."""

    def __init__(self, objects: Mapping[Resource[Any], Mapping[Key, Any]], now: datetime, indexes: Any) -> None:
        self._objects = {resource: dict(some) for resource, some in objects.items()}
        self._indexes = indexes
        self.now = now

    def get(self, resource: Resource[M], namespace: str, name: str) -> M | None:
        return cast("M | None", self._objects.get(resource, {}).get(Key(namespace, name)))

    def all(self, resource: Resource[M]) -> list[M]:
        return list(self._objects.get(resource, {}).values())

    def by(self, resource: Resource[M], index: str, value: str) -> list[M]:
        function = {**INDEXES, "node": node_name, **self._indexes.get(resource, {})}[index]
        return [one for one in self.all(resource) if value in function(one)]


@dataclass
class Cluster:
    """The API of a cluster, as far as actions use it; also what its client is to them."""

    now: datetime = START
    objects: dict[Resource[Any], dict[Key, Any]] = field(default_factory=dict)
    events: list[tuple[str, str, str]] = field(default_factory=list)
    indexes: dict[Resource[Any], dict[str, Index]] = field(default_factory=dict)
    refuse: Callable[[str, Resource[Any]], ApiError | None] = lambda verb, resource: None
    version: int = 0

    def view(self) -> View:
        """Everything, as of now."""
        return View(self.objects, self.now, self.indexes)

    def all(self, resource: Resource[M]) -> list[M]:
        """All objects of a resource."""
        return list(self.objects.get(resource, {}).values())

    def put(self, resource: Resource[M], obj: M) -> M:
        """Store an object with a new resourceVersion, or drop it when nothing holds a deleted one any more."""
        self.version += 1
        m = meta(obj)
        new = obj.model_copy(update={"metadata": m.model_copy(update={"resource_version": str(self.version)})})
        table = self.objects.setdefault(resource, {})
        if m.deletion_timestamp is not None and not m.finalizers and resource is not PODS:
            table.pop(key_of(obj), None)
        else:
            table[key_of(obj)] = new
        return new

    # what Client offers

    async def create(self, resource: Resource[M], obj: M) -> M:
        self._refused("create", resource)
        m = meta(obj)
        name = m.name or f"{m.generate_name}{self.version + 1:05d}"
        if Key(m.namespace or "", name) in self.objects.get(resource, {}):
            raise ApiError(409, "AlreadyExists", f"{name} already exists")
        given = {"name": name, "uid": f"u{self.version + 1}", "creation_timestamp": self.now, "generation": 1}
        return self.put(resource, obj.model_copy(update={"metadata": m.model_copy(update=given)}))

    async def get(self, resource: Resource[M], name: str, namespace: str = "") -> M:
        found = self.objects.get(resource, {}).get(Key(namespace, name))
        if found is None:
            raise ApiError(404, "NotFound", f"{name} not found")
        return cast(M, found)

    async def update(self, resource: Resource[M], obj: M, *, subresource: str = "") -> M:
        self._refused("update", resource)
        there = await self.get(resource, meta(obj).name or "", meta(obj).namespace or "")
        wanted = meta(obj).resource_version
        if wanted and wanted != meta(there).resource_version:
            raise ApiError(409, "Conflict", "the object has been modified")
        return self._written(resource, there, obj, subresource)

    async def patch(
        self,
        resource: Resource[M],
        name: str,
        patch: Any,
        *,
        namespace: str = "",
        kind: PatchKind = PatchKind.MERGE,
        subresource: str = "",
    ) -> M:
        self._refused("patch", resource)
        there = await self.get(resource, name, namespace)
        value = there.to_json()
        if kind is PatchKind.STRATEGIC:
            value = strategic.apply(value, patch, of_model(resource.model))
        else:
            value = merge_patch.apply(value, patch)
        new = resource.model.from_json(value)
        if meta(new).uid != meta(there).uid or meta(new).resource_version != meta(there).resource_version:
            raise ApiError(409, "Conflict", "the object has been modified")
        return self._written(resource, there, new, subresource)

    async def delete(self, resource: Resource[M], name: str, namespace: str = "", **options: Any) -> dict[str, Any]:
        self._refused("delete", resource)
        there = await self.get(resource, name, namespace)
        m = meta(there)
        if options.get("uid") not in (None, m.uid):
            raise ApiError(409, "Conflict", "another object")
        going = there.model_copy(
            update={"metadata": m.model_copy(update={"deletion_timestamp": m.deletion_timestamp or self.now})}
        )
        self.put(resource, going)
        if resource is PODS and (options.get("grace_period_seconds") == 0 or not cast(Any, there).spec.node_name):
            self.pod_ended(cast(Pod, going))
        return {}

    # what happens to pods

    def pod_bound(self, pod: Pod, node: str) -> Pod:
        """The scheduler has chosen."""
        return self.put(PODS, pod.model_copy(update={"spec": pod.spec.model_copy(update={"node_name": node})}))

    def pod_ready(self, pod: Pod, ready: bool = True) -> Pod:
        """The agent reports the pod as running, ready or not."""
        condition = PodCondition(type="Ready", status="True" if ready else "False", last_transition_time=self.now)
        status = pod.status.model_copy(update={"phase": "Running", "conditions": [condition], "pod_ip": "10.0.0.1"})
        return self.put(PODS, pod.model_copy(update={"status": status}))

    def pod_finished(self, pod: Pod, exit_code: int = 0) -> Pod:
        """The agent reports the end of the pod's container."""
        ended = ContainerStateTerminated(exit_code=exit_code, finished_at=self.now)
        container = ContainerStatus(name="main", state=ContainerState(terminated=ended))
        phase = "Failed" if exit_code else "Succeeded"
        status = pod.status.model_copy(update={"phase": phase, "conditions": [], "container_statuses": [container]})
        return self.put(PODS, pod.model_copy(update={"status": status}))

    def pod_ended(self, pod: Pod) -> None:
        """A pod that was being deleted is no more, unless a finalizer holds it."""
        self.version += 1
        if not pod.metadata.finalizers:
            self.objects[PODS].pop(key_of(pod), None)

    def advance(self, seconds: float) -> None:
        """Time passes."""
        self.now += timedelta(seconds=seconds)

    def _refused(self, verb: str, resource: Resource[Any]) -> None:
        error = self.refuse(verb, resource)
        if error is not None:
            raise error

    def _written(self, resource: Resource[M], there: M, new: M, subresource: str) -> M:
        old: Any = there
        wanted: Any = new
        if subresource == "status":
            told = meta(new)  # a write of status takes labels and annotations along, as the API server's does
            m = meta(there).model_copy(update={"labels": told.labels, "annotations": told.annotations})
            return self.put(resource, cast(M, old.model_copy(update={"status": wanted.status, "metadata": m})))
        m = meta(new)
        spec_changed = getattr(old, "spec", None) != getattr(wanted, "spec", None)
        update: dict[str, Any] = {
            "metadata": m.model_copy(update={"generation": (meta(there).generation or 0) + spec_changed})
        }
        if hasattr(old, "status"):
            update["status"] = old.status
        return self.put(resource, cast(M, wanted.model_copy(update=update)))


class _Recorder:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def record(self, about: Any, type: str, reason: str, message: str, *, of: Any = None) -> None:
        self._cluster.events.append((type, reason, message))


@dataclass
class Runner:
    """One controller with a view of its own, which may lag, but never behind its own writes."""

    cluster: Cluster
    controller: Controller[Any]
    view: View | None = None
    again_after: float | None = None

    def look(self) -> None:
        """The controller's caches catch up."""
        self.view = self.cluster.view()

    def turn(self, key: Key, *, patient: bool = True) -> Exception | None:
        """One turn of a key, in the view as it is. Returns what it failed with."""
        self.cluster.indexes = {**self.cluster.indexes, **{r: dict(i) for r, i in self.controller.indexes.items()}}
        if self.view is None or patient:
            self.look()
        view = self.view
        assert view is not None
        view.now = self.cluster.now
        owner = view.get(self.controller.of, *key)
        if owner is not None:
            actions: Iterable[Action] = self.controller.reconcile(owner, view)
        else:
            actions = self.controller.gone(key, view) if self.controller.gone is not None else ()
        error, turn = perform(self.cluster, actions)
        self.again_after = turn.again_after
        if turn.written or turn.deleted:
            self.view = None
        return error


def perform(cluster: Cluster, actions: Iterable[Action]) -> tuple[Exception | None, Turn]:
    """Perform actions as the loop does; errors that the loop would retry are returned."""
    turn = Turn(cast(Client, cluster), cast(EventRecorder, _Recorder(cluster)))

    async def all_of_them() -> None:
        for action in actions:
            await action.perform(turn)

    try:
        _finish(all_of_them())
    except (ApiError, Stale) as error:
        return error, turn
    return None, turn


_loops: list[asyncio.AbstractEventLoop] = []


def _finish(work: Any) -> None:
    """Run a coroutine that never really waits, from a synchronous test."""
    if not _loops or _loops[0].is_closed():
        _loops[:] = [asyncio.new_event_loop()]
    _loops[0].run_until_complete(work)


def shuffled(seed: int, things: Iterable[M]) -> list[M]:
    """The things in an order that depends on the seed only."""
    ordered = list(things)
    random.Random(seed).shuffle(ordered)
    return ordered
