"""The watch cache: one etcd watch of everything, shared by every list, get and watch.

An object is serialised once, when its event arrives; lists join those bytes and watchers share them.
Always: events are applied in revision order, each once; `revision` says up to where; a key whose history has a gap, or
content that differs from etcd's, purges the cache, and then every watcher is told 410 and lists again.
Elsewhere: what watchers read (ring.py), what a selector matches (lists.py, watches.py), etcd's retries (storage.py).
"""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Any

from apiserver import metrics
from apiserver.history import History
from apiserver.ring import Event, Item, Ring
from apiserver.storage import PREFIX, PREFIX_END, Compacted, Entry, Storage, Watch, entry
from sampan.clock import Clock
from sampan.errors import ApiError, Reason
from sampan.logs import fields

log = logging.getLogger(__name__)

CHECK_SECONDS = 300.0
STALL_SECONDS = 1.0
FRESH_SECONDS = 10.0


class Shelf:
    """All objects of one resource, ordered by path, and their recent events."""

    def __init__(self, revision: int) -> None:
        self.items: dict[str, Item] = {}
        self._paths: list[str] = []
        self.ring = Ring(revision)
        self.changed = revision
        """The revision of the last change here."""
        self.joins: dict[str, tuple[int, bytes]] = {}
        """prefix -> (changed, joined bytes): lists that were asked for since the last change."""

    def put(self, item: Item) -> None:
        """Add or replace an object."""
        if item.path not in self.items:
            insort(self._paths, item.path)
        self.items[item.path] = item

    def drop(self, path: str) -> None:
        """Remove an object that is there."""
        del self.items[path]
        at = bisect_left(self._paths, path)
        del self._paths[at]

    def fill(self, items: list[Item]) -> None:
        """Replace everything at once."""
        self.items = {item.path: item for item in items}
        self._paths = sorted(self.items)

    def paths(self, prefix: str = "", after: str = "") -> list[str]:
        """Paths with a prefix (`namespace/`), in order, those after `after` only."""
        low = bisect_left(self._paths, max(prefix, after)) if prefix or after else 0
        if after and low < len(self._paths) and self._paths[low] == after:
            low += 1
        high = bisect_left(self._paths, prefix[:-1] + "0") if prefix else len(self._paths)
        return self._paths[low:high]

    def select(self, prefix: str = "", after: str = "") -> Iterator[Item]:
        """Objects with a prefix, in order."""
        items = self.items
        return (items[path] for path in self.paths(prefix, after))

    def joined(self, prefix: str) -> bytes:
        """The bytes of all objects with a prefix, with commas between them; kept until something changes."""
        found = self.joins.get(prefix)
        if found is None or found[0] != self.changed:
            if len(self.joins) > 8:
                self.joins.clear()
            items = self.items
            data = b",".join([items[path].bytes for path in self.paths(prefix)])
            found = self.joins[prefix] = (self.changed, data)
        return found[1]


def split(key: bytes) -> tuple[str, str]:
    """`/registry/core/pods/ns/name` -> (`core/pods`, `ns/name`)."""
    group, plural, path = key[len(PREFIX) :].decode().split("/", 2)
    return f"{group}/{plural}", path


class Cache:
    """Everything in etcd, as of `revision`."""

    def __init__(self, storage: Storage, clock: Clock | None = None) -> None:
        self.storage = storage
        self.revision = 0
        self.history = History()
        self._clock = clock or Clock()
        self.ready = asyncio.Event()
        self._shelves: dict[str, Shelf] = {}
        self._loaded = 0
        self._reaching: list[tuple[int, asyncio.Future[None]]] = []
        self._asking: asyncio.Task[int] | None = None
        self._next: asyncio.Task[int] | None = None
        self._reload = False

    def shelf(self, resource: str) -> Shelf:
        """The objects of `group-or-core/plural`."""
        found = self._shelves.get(resource)
        if found is None:
            found = self._shelves[resource] = Shelf(self._loaded)
        return found

    def wake(self) -> None:
        """Wake every watcher, to see that the server is stopping."""
        for shelf in self._shelves.values():
            shelf.ring.wake()

    async def run(self) -> None:
        """Follow etcd until cancelled."""
        pause = 0.1
        load = True
        while True:
            try:
                if load:
                    await self._load()
                    load = False
                async for response in self.storage.watch(self.revision + 1):
                    pause = 0.1
                    if not self._apply(response):
                        load = True
                        break
            except Compacted as error:
                log.warning("history is compacted, reading everything again", extra=fields(error=error))
                load = True
            except (Watch, ApiError) as error:
                log.warning("the watch of etcd broke", extra=fields(error=error, revision=self.revision))
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5.0)
            except ValueError:
                log.exception("an event could not be applied, reading everything again")
                metrics.PURGES.inc()
                load = True
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5.0)

    async def _load(self) -> None:
        found: dict[str, list[Item]] = {}
        start, revision = PREFIX, 0
        while True:
            page = await self.storage.page(start, PREFIX_END, revision=revision)
            revision = page.revision
            for one in page.entries:
                resource, path = split(one.key)
                found.setdefault(resource, []).append(Item(path, one.value, one.revision, one.version))
            if not page.more:
                break
            start = page.entries[-1].key + b"\0"
        old = self._shelves
        self._shelves = {}
        self._loaded = revision
        for resource in set(found) | set(old):
            self.shelf(resource).fill(found.get(resource, []))
        self.revision = revision
        self.history.note(self._clock.now().timestamp(), revision)
        for shelf in old.values():
            shelf.ring.forget()
        self.ready.set()
        self._arrived()

    def _apply(self, response: Any) -> bool:
        """Take in one response. False: a gap was seen, read everything again."""
        now = asyncio.get_running_loop().time()
        if self._reload:
            self._reload = False
            return False
        last = self.revision
        newest = last
        touched: set[Ring] = set()
        for change in response.events:
            kv = change.kv
            revision = kv.mod_revision
            if revision <= last:
                continue
            resource, path = split(kv.key)
            shelf = self.shelf(resource)
            old = shelf.items.get(path)
            if change.type == 1:
                if old is None:
                    continue
                gone = Item(path, old.stored, revision, old.version)
                shelf.drop(path)
                shelf.ring.add(Event(None, old, gone, now))
            else:
                before = old.version if old else 0
                if kv.version != before + 1:
                    log.error(
                        "events were lost, reading everything again",
                        extra=fields(key=kv.key.decode(), version=kv.version, before=before, revision=revision),
                    )
                    metrics.PURGES.inc()
                    return False
                item = Item(path, kv.value, revision, kv.version)
                shelf.put(item)
                shelf.ring.add(Event(item, old, item, now))
            shelf.changed = revision
            touched.add(shelf.ring)
            newest = max(newest, revision)
        if newest > last:
            self.revision = newest
            self.history.note(self._clock.now().timestamp(), newest)
            for ring in touched:
                ring.notify()
            self._arrived()
        return True

    def _arrived(self) -> None:
        if not self._reaching:
            return
        waiting, self._reaching = self._reaching, []
        for revision, future in waiting:
            if future.done():
                continue
            if revision <= self.revision:
                future.set_result(None)
            else:
                self._reaching.append((revision, future))

    async def reach(self, revision: int, seconds: float = FRESH_SECONDS) -> None:
        """Return when the cache has seen `revision`. Raises TimeoutError."""
        if self.ready.is_set() and revision <= self.revision:
            return
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._reaching.append((revision, future))
        async with asyncio.timeout(seconds):
            await future

    async def fresh(self) -> int:
        """Return when the cache is as new as etcd was at some moment after the call. Raises ApiError 503 or 504.

        Calls that come while etcd is being asked share the next question.
        """
        revision = await self._newest()
        if self.ready.is_set() and revision <= self.revision:
            return revision
        try:
            await self.reach(revision, STALL_SECONDS)
        except TimeoutError:
            tick = await self.storage.tick()
            try:
                await self.reach(max(tick, revision))
            except TimeoutError:
                raise ApiError(
                    504, Reason.TIMEOUT, f"Timeout: the watch of etcd has not shown revision {revision} in time"
                ) from None
        return revision

    async def _newest(self) -> int:
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self.storage.revision())
            return await asyncio.shield(self._asking)
        if self._next is None or self._next.done():
            self._next = asyncio.create_task(self._after(self._asking))
        return await asyncio.shield(self._next)

    async def _after(self, asking: asyncio.Task[int]) -> int:
        await asyncio.wait((asking,))
        self._asking = asyncio.current_task()
        self._next = None
        return await self.storage.revision()

    async def check(self) -> bool:
        """Compare with etcd at one revision. False, a count in the metrics and a purge when they differ."""
        revision = self.revision
        have = {
            (resource, path): item.revision
            for resource, shelf in self._shelves.items()
            for path, item in shelf.items.items()
        }
        start = PREFIX
        try:
            while True:
                page = await self.storage.page(start, PREFIX_END, revision=revision, keys_only=True)
                for one in page.entries:
                    if have.pop(split(one.key), 0) != one.revision:
                        return await self._differs(one.key.decode(), revision)
                if not page.more:
                    break
                start = page.entries[-1].key + b"\0"
        except Compacted:
            return True
        return not have or await self._differs("/".join(next(iter(have))), revision)

    async def _differs(self, key: str, revision: int) -> bool:
        log.error("the cache differs from etcd, reading everything again", extra=fields(key=key, revision=revision))
        metrics.PURGES.inc()
        self._reload = True
        await self.storage.tick()
        return False

    async def run_checks(self, seconds: float = CHECK_SECONDS) -> None:
        """Check now and then, until cancelled."""
        while True:
            await asyncio.sleep(seconds)
            try:
                await self.check()
            except ApiError as error:
                log.warning("the cache could not be checked", extra=fields(error=error))

    def item_of(self, found: Entry) -> Item:
        """An entry read from etcd directly, in the cache's form."""
        return Item(split(found.key)[1], found.value, found.revision, found.version)


__all__ = ["Cache", "Event", "Item", "Shelf", "entry", "split"]
