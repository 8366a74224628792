"""Deletes what has lost its last owner, waits for dependents in the foreground, and sets orphans free.

Always: an owner counts as absent only after a live look, and what is deleted is exactly what was looked at (UID and
resourceVersion are preconditions). Collection begins when every kind has been listed once.
Sources: "Garbage Collection", "Owners and Dependents"; the finalizers are upstream's. Elsewhere: the graph (graph.py).
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from enum import Enum
from typing import Any, NoReturn

from controllers.discovery import Catalogue, discover
from controllers.garbage.graph import FOREGROUND, ORPHAN, Graph, Identity, Node
from sampan.api.base import Object
from sampan.api.meta_v1 import OwnerReference
from sampan.client import Client, PatchKind, Propagation, Unreachable
from sampan.clock import Clock
from sampan.errors import ApiError, SampanError
from sampan.events import WARNING, EventRecorder
from sampan.informer import Change, Informer
from sampan.kinds import CUSTOM_RESOURCE_DEFINITIONS
from sampan.leader import LeadershipLost
from sampan.logs import fields
from sampan.objects import PartialObjectMetadata, meta, uid_of
from sampan.queue import KeyQueue
from sampan.resource import Resource
from sampan.world import Caches

log = logging.getLogger(__name__)

WORKERS = 8
LIST_SECONDS = 30.0
MOST_ABSENT = 2000
IGNORED = frozenset({"events", "events.events.k8s.io"})
"""They have no owners, and there are many."""


class Owner(Enum):
    """What a reference to an owner turns out to be."""

    SOLID = "solid"
    ABSENT = "absent"
    WAITING = "waiting for its dependents"


class GarbageCollector:
    """Follows every kind, through the shared caches where there is one, else by metadata alone."""

    def __init__(self, client: Client, caches: Caches, recorder: EventRecorder, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._recorder = recorder
        self._graph = Graph()
        self._queue: KeyQueue[str] = KeyQueue(clock)
        self._catalogue = Catalogue(())
        self._absent: OrderedDict[str, None] = OrderedDict()
        self._followed: dict[tuple[str, str], asyncio.Task[NoReturn] | None] = {}
        self._informers: dict[tuple[str, str], Informer[Any]] = {}
        self._shared = {(one.resource.group, one.resource.plural): one for one in caches.complete()}
        self._definitions = caches.informer(CUSTOM_RESOURCE_DEFINITIONS)
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Collect garbage until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._definitions.subscribe(lambda _: self._changed.set())
            await self._refresh(group)
            await self._listed()
            for number in range(WORKERS):
                group.create_task(self._work(), name=f"garbage {number}")
            while True:
                await self._changed.wait()
                self._changed.clear()
                await self._refresh(group)

    async def _listed(self) -> None:
        """Wait for the first lists, but not for ever: one kind that can't be listed must not stop all collection.

        What is missing then costs at most a foreground deletion that ends early: absence is always looked at live.
        """
        try:
            async with asyncio.timeout(LIST_SECONDS):
                for informer in tuple(self._informers.values()):
                    await informer.synced()
        except TimeoutError:
            missing = [one.resource.group_resource for one in self._informers.values() if not one.has_synced]
            log.warning("some kinds can't be listed", extra=fields(resources=",".join(missing)))

    async def _refresh(self, group: asyncio.TaskGroup) -> None:
        """Follow the kinds that are served by now, and no others."""
        while True:
            try:
                self._catalogue = await discover(self._client)
                break
            except (ApiError, Unreachable) as error:
                log.warning("can't discover what is served", extra=fields(error=error))
                await self._clock.sleep(5)
        served = {
            (one.resource.group, one.resource.plural): one.resource
            for one in self._catalogue.preferred("list", "watch", "delete")
            if one.resource.group_resource not in IGNORED
        }
        for name, resource in served.items():
            if name in self._followed:
                continue
            informer = self._shared.get(name)
            if informer is not None:
                self._followed[name] = None
            else:
                informer = Informer(self._client, resource, clock=self._clock)
                self._followed[name] = group.create_task(informer.run(), name=f"garbage informer {resource.plural}")
            self._informers[name] = informer
            informer.subscribe(self._listener(resource))
        for name in self._followed.keys() - served.keys():
            task = self._followed.pop(name)
            if task is not None:
                task.cancel()
            for obj in self._informers.pop(name).items():
                self._look(self._graph.remove(uid_of(obj)))

    def _listener(self, resource: Resource[Any]) -> Callable[[Change[Any]], None]:
        def tell(change: Change[Object]) -> None:
            if change.new is not None:
                self._look(self._graph.observe(resource, change.new))
                if resource.group_resource == CUSTOM_RESOURCE_DEFINITIONS.group_resource:
                    self._changed.set()
            elif change.old is not None:
                self._remember_absent(uid_of(change.old))
                self._look(self._graph.remove(uid_of(change.old)))

        return tell

    def _look(self, uids: set[str]) -> None:
        for uid in uids:
            self._queue.add(uid)

    def _remember_absent(self, uid: str) -> None:
        self._absent[uid] = None
        if len(self._absent) > MOST_ABSENT:
            self._absent.popitem(last=False)

    async def _work(self) -> NoReturn:
        while True:
            async with self._queue.take() as uid:
                try:
                    await self._collect(uid)
                except Exception as error:  # the loop's edge: one object's trouble is its own
                    delay = self._queue.retry(uid)
                    about = fields(object=self._shown(uid), error=error or type(error).__name__, after=f"{delay:.2f}s")
                    if isinstance(error, ApiError | SampanError | TimeoutError):
                        quiet = isinstance(error, LeadershipLost) or (isinstance(error, ApiError) and error.is_conflict)
                        log.log(logging.DEBUG if quiet else logging.INFO, "will look again", extra=about)
                    else:
                        log.error("a bug in the garbage collector", exc_info=error, extra=about)
                else:
                    self._queue.forget(uid)

    def _shown(self, uid: str) -> str:
        node = self._graph.nodes.get(uid)
        return f"{node.identity.kind} {node.identity.key}" if node is not None else uid

    async def _collect(self, uid: str) -> None:
        node = self._graph.nodes.get(uid)
        if node is None:
            return
        if node.virtual:
            if uid in self._absent:
                self._look(node.dependents)
            return
        if not node.deleting and self._graph.is_well_owned(uid):
            return
        resource = node.identity.resource
        assert resource is not None
        live = await self._live(resource, node.identity)
        if live is None:
            self._remember_absent(uid)
            self._look(self._graph.remove(uid))
            return
        m = live.metadata
        if m.deletion_timestamp is not None:
            if ORPHAN in m.finalizers:
                await self._orphan(node, resource, live)
            elif FOREGROUND in m.finalizers:
                await self._foreground(node, resource, live)
            return
        if not m.owner_references:
            return
        verdicts = [(one, await self._verdict(node, one)) for one in m.owner_references]
        stale = [one.uid for one, verdict in verdicts if verdict is not Owner.SOLID]
        if len(stale) < len(verdicts):
            if stale:
                await self._disown(resource, live, stale)
            return
        waiting = any(verdict is Owner.WAITING for _, verdict in verdicts)
        if waiting and self._graph.dependents(uid):
            policy = Propagation.FOREGROUND
        elif ORPHAN in m.finalizers:
            policy = Propagation.ORPHAN
        elif FOREGROUND in m.finalizers:
            policy = Propagation.FOREGROUND
        else:
            policy = Propagation.BACKGROUND
        log.debug(
            "deleting what nobody owns", extra=fields(kind=resource.kind, object=node.identity.key, policy=policy)
        )
        try:
            await self._client.delete(
                resource,
                m.name or "",
                m.namespace or "",
                propagation=policy,
                uid=m.uid,
                resource_version=m.resource_version,
            )
        except ApiError as error:
            if not error.is_not_found:
                raise

    async def _live(self, resource: Resource[Any], identity: Identity) -> PartialObjectMetadata | None:
        """The object of that UID as it is now, None when it does not exist."""
        found = self._catalogue.find(resource.api_version, resource.kind)
        if found is None:
            return None
        try:
            live = await self._client.get(found, identity.key.name, identity.key.namespace)
        except ApiError as error:
            if error.is_not_found:
                return None
            raise
        return live if live.metadata.uid == identity.uid else None

    async def _verdict(self, dependent: Node, reference: OwnerReference) -> Owner:
        if reference.uid in self._absent:
            return Owner.ABSENT
        resource = self._catalogue.find(reference.api_version, reference.kind)
        if resource is None:
            self._changed.set()  # perhaps it is served by now
            raise SampanError(f"its owner's kind {reference.kind} ({reference.api_version}) is not served")
        namespace = dependent.identity.key.namespace
        if resource.namespaced and not namespace:
            text = "a cluster-scoped object can't be owned by a namespaced one"
            self._complain(dependent, f"ownerRef {reference.kind} {reference.name}: {text}")
            return Owner.SOLID
        known = self._graph.nodes.get(reference.uid)
        key = (namespace if resource.namespaced else "", reference.name)
        if known is not None and not known.virtual and known.identity.key == key and not known.deleting:
            return Owner.SOLID
        try:
            live = await self._client.get(resource, reference.name, key[0])
        except ApiError as error:
            if not error.is_not_found:
                raise
            live = None
        if live is None or live.metadata.uid != reference.uid:
            if known is not None and not known.virtual and known.identity.key != key:
                text = f"ownerRef {reference.kind} {reference.name} does not exist in namespace {namespace!r}"
                self._complain(dependent, text)
            elif known is None or known.virtual:
                self._remember_absent(reference.uid)
            return Owner.ABSENT
        if live.metadata.deletion_timestamp is not None and FOREGROUND in live.metadata.finalizers:
            return Owner.WAITING
        return Owner.SOLID

    def _complain(self, node: Node, text: str) -> None:
        resource = node.identity.resource
        if resource is None:
            return
        informer = self._informers.get((resource.group, resource.plural))
        obj = informer.get(*node.identity.key) if informer is not None else None
        if obj is not None:
            self._recorder.record(obj, WARNING, "OwnerRefInvalidNamespace", text, of=resource)

    async def _foreground(self, node: Node, resource: Resource[Any], live: PartialObjectMetadata) -> None:
        """Take the finalizer off when no dependent holds the object up, else see that the dependents go."""
        blocking = self._graph.blocking(node.identity.uid)
        if not blocking:
            await self._drop_finalizer(resource, live, FOREGROUND)
            return
        self._look({one.identity.uid for one in blocking if not one.deleting})

    async def _orphan(self, node: Node, resource: Resource[Any], live: PartialObjectMetadata) -> None:
        """Set all dependents free, then take the finalizer off."""
        for dependent in self._graph.dependents(node.identity.uid):
            below = dependent.identity.resource
            if below is None:
                continue
            found = await self._live(below, dependent.identity)
            if found is not None:
                await self._disown(below, found, [node.identity.uid])
        await self._drop_finalizer(resource, live, ORPHAN)

    async def _disown(self, resource: Resource[Any], live: PartialObjectMetadata, owners: list[str]) -> None:
        gone = [{"$patch": "delete", "uid": one} for one in owners]
        patch: dict[str, Any] = {"ownerReferences": gone, "uid": live.metadata.uid}
        kind = PatchKind.STRATEGIC
        if "." in resource.group and not resource.group.endswith(".k8s.io"):  # custom resources know no strategic merge
            kept = [one.to_json() for one in live.metadata.owner_references if one.uid not in owners]
            patch = {"ownerReferences": kept or None, "resourceVersion": live.metadata.resource_version}
            kind = PatchKind.MERGE
        await self._patch(resource, live, {"metadata": patch}, kind)

    async def _drop_finalizer(self, resource: Resource[Any], live: PartialObjectMetadata, finalizer: str) -> None:
        kept = [one for one in live.metadata.finalizers if one != finalizer]
        patch = {"metadata": {"finalizers": kept or None, "resourceVersion": live.metadata.resource_version}}
        await self._patch(resource, live, patch, PatchKind.MERGE)

    async def _patch(self, resource: Resource[Any], live: PartialObjectMetadata, patch: Any, kind: PatchKind) -> None:
        found = self._catalogue.find(resource.api_version, resource.kind)
        if found is None:
            return
        m = meta(live)
        try:
            await self._client.patch(found, m.name or "", patch, namespace=m.namespace or "", kind=kind)
        except ApiError as error:
            if not error.is_not_found:
                raise
