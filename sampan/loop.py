"""The one loop of all controllers: what changed becomes keys, a key becomes decisions, decisions are performed.

Always: a key is with one worker at a time; before a key is looked at again, the caches show what was written (and
deleted) for it the last time, so no decision is made on a view that lacks our own writes; a bug or an error in one
key never stops the others.
Elsewhere: what can be decided (actions.py), what can be looked at (world.py), the queue's promises (queue.py).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NoReturn, TypeVar

from sampan.actions import Action, Adopt, Release, Stale, Turn
from sampan.api.base import Object
from sampan.client import Client, Unreachable
from sampan.clock import Clock
from sampan.errors import ApiError
from sampan.events import EventRecorder
from sampan.informer import Change
from sampan.leader import LeadershipLost
from sampan.logs import fields
from sampan.objects import Key, controller_of, key_of, meta, uid_of
from sampan.queue import KeyQueue
from sampan.resource import Resource
from sampan.selectors import Selector
from sampan.world import CONTROLLER, NAMESPACE, ORPHAN, Caches, Index, World

log = logging.getLogger(__name__)

O = TypeVar("O", bound=Object)  # noqa: E741 - an owner
M = TypeVar("M", bound=Object)
Keys = Callable[[Change[Any], World], Iterable[Key]]


def own_key(change: Change[Any], _: World) -> Iterable[Key]:
    """The key of the changed object itself."""
    return (key_of(change.object),)


@dataclass(frozen=True)
class Watch:
    """Changes of another resource, and whose keys they concern."""

    of: Resource[Any]
    keys: Keys


@dataclass(frozen=True)
class Controller(Generic[O]):
    """A kind of object, and what to do about one.

    `reconcile` is pure: given the object as last seen and the World, it yields actions. `owns` are resources whose
    objects concern the owner they name as controller, and, through `selector`, orphans an owner may adopt.
    `reads` are resources that it looks at without being told of changes. `gone` is for a key that is no more.
    `field_selectors` narrow what is watched of a resource, for all controllers of the process.
    """

    name: str
    of: Resource[O]
    reconcile: Callable[[O, World], Iterable[Action]]
    owns: Sequence[Resource[Any]] = ()
    selector: Callable[[O], Selector | None] | None = None
    watches: Sequence[Watch] = ()
    reads: Sequence[Resource[Any]] = ()
    gone: Callable[[Key, World], Iterable[Action]] | None = None
    keys: Keys = own_key
    indexes: Mapping[Resource[Any], Mapping[str, Index]] = field(default_factory=dict)
    field_selectors: Mapping[Resource[Any], str] = field(default_factory=dict)
    workers: int = 4

    def resources(self) -> set[Resource[Any]]:
        """All that must be watched for it."""
        return {self.of, *self.owns, *self.reads, *self.indexes, *(one.of for one in self.watches)}

    def keys_of_owners(self, change: Change[Any], world: World) -> Iterable[Key]:
        """The owners that a change of an owned object concerns: its controller, else who may adopt it."""
        found: set[Key] = set()
        present: list[Object] = [one for one in (change.old, change.new) if one is not None]
        for obj in present:
            namespace = meta(obj).namespace or ""
            reference = controller_of(obj)
            if reference is not None:
                if reference.kind == self.of.kind and reference.api_version.split("/")[0] == self._group:
                    found.add(Key(namespace if self.of.namespaced else "", reference.name))
            elif self.selector is not None and obj is change.new and meta(obj).deletion_timestamp is None:
                for owner in world.by(self.of, NAMESPACE, namespace):
                    selector = self.selector(owner)
                    if selector is not None and selector and selector.matches(meta(obj).labels):
                        found.add(key_of(owner))
        return found

    @property
    def _group(self) -> str:
        return self.of.group or self.of.version


@dataclass(frozen=True)
class Claim(Generic[M]):
    """Which objects are an owner's, and what it takes to make that so."""

    owned: list[M]
    actions: list[Action]


def claim(
    owner: Object, owner_resource: Resource[Any], selector: Selector | None, of: Resource[M], world: World
) -> Claim[M]:
    """The owner's objects: those that name it as controller, and after adoption the matching orphans of its namespace.

    One that no longer matches is released. An owner that is being deleted adopts nothing.
    Source: "ControllerRef proposal", rules for adoption and release.
    """
    owned: list[M] = []
    actions: list[Action] = []
    going = meta(owner).deletion_timestamp is not None
    if selector is None or not selector:
        return Claim(world.by(of, CONTROLLER, uid_of(owner)), [])
    for obj in world.by(of, CONTROLLER, uid_of(owner)):
        if selector.matches(meta(obj).labels):
            owned.append(obj)
        elif not going:
            actions.append(Release(owner, of, obj))
    if going:
        return Claim(owned, actions)
    for obj in world.by(of, ORPHAN, meta(owner).namespace or ""):
        if selector.matches(meta(obj).labels):
            actions.append(Adopt(owner_resource, owner, of, obj))
            owned.append(obj)
    return Claim(owned, actions)


def caches_for(
    controllers: Iterable[Controller[Any]], client: Client, clock: Clock, also: Iterable[Resource[Any]] = ()
) -> Caches:
    """The caches that a set of controllers needs, each resource once, and those of further resources."""
    indexes: dict[Resource[Any], dict[str, Index]] = {resource: {} for resource in also}
    selectors: dict[Resource[Any], str] = {}
    for controller in controllers:
        for resource in controller.resources():
            indexes.setdefault(resource, {}).update(controller.indexes.get(resource, {}))
        selectors.update(controller.field_selectors)
    return Caches(client, clock, indexes, selectors)


class Loop:
    """Runs controllers over shared caches. `queues` collects their queues, for whoever moves the clock."""

    def __init__(
        self,
        client: Client,
        caches: Caches,
        recorders: Callable[[str], EventRecorder],
        clock: Clock,
        queues: list[KeyQueue[Any]] | None = None,
    ) -> None:
        self._client = client
        self._caches = caches
        self._recorders = recorders
        self._clock = clock
        self._queues: list[KeyQueue[Any]] = [] if queues is None else queues

    async def run(self, controllers: Iterable[Controller[Any]]) -> None:
        """Run them until cancelled; the caches must run and be synced."""
        async with asyncio.TaskGroup() as group:
            for controller in controllers:
                queue: KeyQueue[Key] = KeyQueue(self._clock)
                self._queues.append(queue)
                turns = _Turns(self._client, self._caches, self._recorders(controller.name))
                self._feed(controller, queue)
                for number in range(controller.workers):
                    group.create_task(work(controller, turns, queue), name=f"{controller.name} {number}")

    def _feed(self, controller: Controller[Any], queue: KeyQueue[Key]) -> None:
        watches = [Watch(controller.of, controller.keys), *controller.watches]
        watches += [Watch(resource, controller.keys_of_owners) for resource in controller.owns]
        for watch in watches:

            def tell(change: Change[Any], keys: Keys = watch.keys) -> None:
                for key in keys(change, self._caches):
                    queue.add(key)

            self._caches.informer(watch.of).subscribe(tell)


@dataclass
class _Turns:
    """Begins and ends the turns of one controller's keys."""

    client: Client
    caches: Caches
    recorder: EventRecorder
    last: dict[Key, Turn] = field(default_factory=dict)

    async def begin(self, key: Key) -> Turn:
        """A turn, once the caches show what the key's last one did. Raises TimeoutError."""
        previous = self.last.get(key)
        if previous is not None:
            for resource, version in previous.written.items():
                if self.caches.watches(resource):
                    await self.caches.informer(resource).at_least(version)
            for resource, deleted, uid in previous.deleted:
                if self.caches.watches(resource):
                    informer = self.caches.informer(resource)
                    await informer.until(lambda i=informer, d=deleted, u=uid: _going(i.get(*d), u))  # type: ignore[misc]
            self.last.pop(key, None)
        turn = Turn(self.client, self.recorder)
        return turn

    def end(self, key: Key, turn: Turn) -> None:
        """Remember what there is to wait for."""
        turn.latest.clear()
        if turn.written or turn.deleted:
            self.last[key] = turn


def _going(obj: Object | None, uid: str) -> bool:
    return obj is None or uid_of(obj) != uid or meta(obj).deletion_timestamp is not None


async def work(controller: Controller[Any], turns: _Turns, queue: KeyQueue[Key]) -> NoReturn:
    """One worker of any controller. Run several; a key is never with two."""
    while True:
        async with queue.take() as key:
            try:
                turn = await turns.begin(key)
                owner = turns.caches.get(controller.of, *key)
                try:
                    for action in _decisions(controller, key, owner, turns.caches):
                        await action.perform(turn)
                finally:
                    turns.end(key, turn)
            except Exception as error:  # the loop's edge: a bug in one object must not stop the rest
                _failed(controller, queue, key, error)
            else:
                queue.forget(key)
                if turn.again_after is not None:
                    queue.add_after(key, turn.again_after)


def _decisions(controller: Controller[Any], key: Key, owner: Object | None, world: World) -> Iterable[Action]:
    if owner is not None:
        return controller.reconcile(owner, world)
    return controller.gone(key, world) if controller.gone is not None else ()


def _failed(controller: Controller[Any], queue: KeyQueue[Key], key: Key, error: Exception) -> None:
    about = {"controller": controller.name, "object": key}
    if namespace_is_terminating(error):
        queue.forget(key)
        log.debug("the namespace is being deleted", extra=fields(**about))
        return
    delay = queue.retry(key)
    if isinstance(error, Stale | LeadershipLost) or (isinstance(error, ApiError) and error.is_conflict):
        log.debug("looked at an old state", extra=fields(**about, error=error))
    elif isinstance(error, ApiError | Unreachable | TimeoutError):
        text = error or type(error).__name__
        log.warning(
            "will try again", extra=fields(**about, error=text, failures=queue.failures(key), after=f"{delay:.2f}s")
        )
    else:
        log.error("a bug in a controller", exc_info=error, extra=fields(**about, after=f"{delay:.2f}s"))


def namespace_is_terminating(error: Exception) -> bool:
    """Whether a create failed only because its namespace is being deleted."""
    causes = error.details.get("causes") or () if isinstance(error, ApiError) else ()
    return any(isinstance(one, dict) and one.get("reason") == "NamespaceTerminating" for one in causes)
