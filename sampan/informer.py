"""A local copy of one collection that follows the server: a list, then a watch, for as long as it runs.

Always: subscribers see each change once, in the server's order, as (old, new) of the copy; after a gap the copy is
compared with a fresh list, so nothing is missed (intermediate states may be). Nothing polls.
Elsewhere: the calls (client.py), queues fed from changes (loop.py).
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, NoReturn, TypeVar

from sampan.api.base import Object
from sampan.client import Client, ListOf, WatchEvent
from sampan.clock import Clock
from sampan.errors import ApiError
from sampan.logs import fields
from sampan.objects import Key, key_of, meta, uid_of, version_of
from sampan.resource import Resource

log = logging.getLogger(__name__)

M = TypeVar("M", bound=Object)
FIRST_BACKOFF, MOST_BACKOFF = 0.1, 10.0
SHORT_WATCH_SECONDS = 1.0
WATCH_SECONDS = (300, 600)
SEEN_SECONDS = 30.0


@dataclass(frozen=True)
class Change(Generic[M]):
    """What became of one object: `old` is None when it is new, `new` when it is gone."""

    old: M | None
    new: M | None

    @property
    def object(self) -> M:
        """The object as last seen."""
        found = self.new if self.new is not None else self.old
        assert found is not None
        return found


Callback = Callable[[Change[M]], None]
Index = Callable[[M], Iterable[str]]


class Store(Generic[M]):
    """Objects by key, with indexes. `replace` and `apply` return what changed."""

    def __init__(self, indexes: Mapping[str, Index[M]]) -> None:
        self._objects: dict[Key, M] = {}
        self._functions = dict(indexes)
        self._indexes: dict[str, dict[str, dict[Key, M]]] = {name: {} for name in indexes}

    def get(self, key: Key) -> M | None:
        """One object, if it is there."""
        return self._objects.get(key)

    def items(self) -> list[M]:
        """All objects."""
        return list(self._objects.values())

    def by_index(self, index: str, value: str) -> list[M]:
        """The objects whose index function gave `value`. Raises KeyError for an unknown index."""
        return list(self._indexes[index].get(value, {}).values())

    def apply(self, key: Key, new: M | None) -> Change[M] | None:
        """Put or remove one object; None when nothing is different."""
        old = self._objects.get(key)
        if old is None and new is None:
            return None
        if old is not None and new is not None and meta(old).resource_version == meta(new).resource_version:
            return None
        for name, function in self._functions.items():
            table = self._indexes[name]
            before = set(function(old)) if old is not None else set()
            after = set(function(new)) if new is not None else set()
            for value in before - after:
                del table[value][key]
                if not table[value]:
                    del table[value]
            if new is not None:
                for value in after:
                    table.setdefault(value, {})[key] = new
        if new is None:
            del self._objects[key]
        else:
            self._objects[key] = new
        return Change(old, new)

    def replace(self, objects: Iterable[M]) -> list[Change[M]]:
        """Become exactly `objects`. An object of another UID under the same key is a deletion and an addition."""
        listed = {key_of(one): one for one in objects}
        changes = [self.apply(key, None) for key in self._objects.keys() - listed.keys()]
        for key, new in listed.items():
            old = self._objects.get(key)
            if old is not None and uid_of(old) != uid_of(new):
                changes.append(self.apply(key, None))
            changes.append(self.apply(key, new))
        return [change for change in changes if change is not None]


class Informer(Generic[M]):
    """Keeps a Store like the server's collection. Run it in a TaskGroup; await `synced` before reading."""

    def __init__(
        self,
        client: Client,
        resource: Resource[M],
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        indexes: Mapping[str, Index[M]] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.resource = resource
        self._client = client
        self._namespace = namespace
        self._label_selector = label_selector
        self._field_selector = field_selector
        self._store: Store[M] = Store(indexes or {})
        self._clock = clock or Clock()
        self._subscribers: list[Callback[M]] = []
        self._synced = asyncio.Event()
        self._version = 0
        self._connected_at: float | None = None
        self._waiters: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    def get(self, namespace: str, name: str) -> M | None:
        """One object of the copy."""
        return self._store.get(Key(namespace, name))

    def items(self) -> list[M]:
        """All objects of the copy."""
        return self._store.items()

    def by_index(self, index: str, value: str) -> list[M]:
        """The objects of the copy that an index function put under `value`."""
        return self._store.by_index(index, value)

    @property
    def has_synced(self) -> bool:
        """Whether the first list has arrived."""
        return self._synced.is_set()

    @property
    def resource_version(self) -> str:
        """The version up to which the copy is known to be complete."""
        return str(self._version)

    def watched_for(self) -> float:
        """Seconds, on the event loop's clock, for which the server has been followed without a break; 0 in a break."""
        return 0.0 if self._connected_at is None else asyncio.get_running_loop().time() - self._connected_at

    async def synced(self) -> None:
        """Wait for the first list."""
        await self._synced.wait()

    def subscribe(self, callback: Callback[M]) -> Callable[[], None]:
        """Call `callback` for every change from now on, and for each object already there as an addition.

        It runs inside the informer: it must be quick and must not raise. Returns what ends the subscription.
        """
        for one in self._store.items():
            callback(Change(None, one))
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback)

    async def at_least(self, resource_version: str | int, *, within: float = SEEN_SECONDS) -> None:
        """Wait until the copy includes a write that the server answered with this version.

        Raises TimeoutError. Without selectors every write to the collection shows here; with them, one that no
        longer matches may only show by the next bookmark.
        """
        wanted = int(resource_version)
        await self.until(lambda: self._version >= wanted, within=within)

    async def until(self, condition: Callable[[], bool], *, within: float = SEEN_SECONDS) -> None:
        """Wait until `condition` of the copy holds; it is asked after each change. Raises TimeoutError."""
        if condition():
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((condition, waiter))
        try:
            async with asyncio.timeout(within):
                await waiter
        finally:
            self._waiters = [one for one in self._waiters if one[1] is not waiter]

    async def run(self) -> NoReturn:
        """Follow the collection until cancelled. Errors are logged, and tried again with back-off."""
        failures = 0
        listed = False
        while True:
            began = self._clock.monotonic()
            try:
                if not listed:
                    await self._list(consistent=self._synced.is_set())
                    listed = True
                await self._watch()
                if self._clock.monotonic() - began >= SHORT_WATCH_SECONDS:
                    failures = 0
                    continue
                failures += 1
            except ApiError as error:
                if error.is_gone and listed:
                    log.info("the watch is too old, listing again", extra=fields(resource=self._name))
                    listed = False
                    failures += 1 if self._clock.monotonic() - began < SHORT_WATCH_SECONDS else 0
                    if failures <= 1:
                        continue
                else:
                    failures += 1
                    self._complain(error, failures)
            except Exception as error:  # the informer's edge: it must outlive any one answer
                failures = 1 if self._clock.monotonic() - began > MOST_BACKOFF * 2 else failures + 1
                self._complain(error, failures)
            self._connected_at = None
            delay = min(MOST_BACKOFF, FIRST_BACKOFF * 2 ** min(failures, 10)) * random.uniform(0.5, 1.0)
            await self._clock.sleep(delay)

    @property
    def _name(self) -> str:
        return self.resource.group_resource

    def _complain(self, error: Exception, failures: int) -> None:
        level = logging.INFO if failures == 1 else logging.WARNING
        if failures & (failures - 1):  # a long outage is told ever more rarely
            level = logging.DEBUG
        log.log(level, "can't follow", extra=fields(resource=self._name, failures=failures, error=error))

    async def _list(self, *, consistent: bool) -> None:
        page: ListOf[M] = await self._client.list(
            self.resource,
            self._namespace,
            resource_version=None if consistent else "0",
            label_selector=self._label_selector,
            field_selector=self._field_selector,
        )
        if self._connected_at is None:
            self._connected_at = asyncio.get_running_loop().time()
        changes = self._store.replace(page.items)
        self._version = int(page.resource_version or 0)
        self._synced.set()
        for change in changes:
            self._tell(change)
        self._wake()

    async def _watch(self) -> None:
        events = self._client.watch(
            self.resource,
            self._namespace,
            resource_version=str(self._version),
            timeout_seconds=random.randint(*WATCH_SECONDS),
            label_selector=self._label_selector,
            field_selector=self._field_selector,
        )
        async for event in events:
            if self._connected_at is None:
                self._connected_at = asyncio.get_running_loop().time()
            self._take(event)

    def _take(self, event: WatchEvent[M]) -> None:
        new = event.object
        version = version_of(new)
        if event.type != "BOOKMARK":
            key = key_of(new)
            old = self._store.get(key)
            if event.type == "DELETED":
                if old is not None and uid_of(old) != uid_of(new):
                    return  # an older namesake's end, told late
            elif 0 < version <= self._version:
                return  # told twice
            if old is not None and event.type != "DELETED" and uid_of(old) != uid_of(new):
                self._tell(self._store.apply(key, None))
            self._tell(self._store.apply(key, None if event.type == "DELETED" else new))
        self._version = max(self._version, version)
        self._wake()

    def _tell(self, change: Change[M] | None) -> None:
        if change is None:
            return
        for callback in tuple(self._subscribers):
            try:
                callback(change)
            except Exception:  # one subscriber's bug must not stop the others
                log.exception("a subscriber failed", extra=fields(resource=self._name, object=key_of(change.object)))

    def _wake(self) -> None:
        for condition, waiter in self._waiters:
            if not waiter.done() and condition():
                waiter.set_result(None)


AnyInformer = Informer[Any]
