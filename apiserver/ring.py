"""The newest events of one resource, shared by all its watchers; each keeps only a position.

Always: positions grow by one an event, revisions never fall; a reader whose position has been dropped is told so.
A reader that is slow costs nothing but its position. Wake-ups come at once when it is quiet, in batches when it is not.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from operator import attrgetter
from typing import Any

import orjson

FEWEST_EVENTS = 32
"""So many are kept however big they are."""
KEEP_EVENTS = 1024
MOST_EVENTS = 16384
MOST_BYTES = 32 * 2**20
KEEP_SECONDS = 90.0
BATCH_SECONDS = 0.005
READER_SECONDS, MOST_REST_SECONDS = 0.0003, 0.05
"""How much longer to rest after waking the readers, for each of them: sending costs by the batch, not by the event."""
BATCH_EVENTS = 256
BATCH_BYTES = 256 * 1024


def splice(value: bytes, revision: int) -> bytes:
    """Put metadata.resourceVersion into a stored object; 0 is none.

    Ours begin with kind, apiVersion and a non-empty metadata.
    """
    at = value.find(b'"metadata":{')
    if at < 0 or not revision:
        return value
    at += 12
    return b'%b"resourceVersion":"%d",%b' % (value[:at], revision, value[at:])


def chunk(data: bytes) -> bytes:
    """A chunk of HTTP/1.1's chunked transfer coding (RFC 9112, section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class Item:
    """One object at one revision: its bytes as sent, and its value once somebody asks."""

    __slots__ = ("_value", "bytes", "path", "revision", "stored", "version")

    def __init__(self, path: str, stored: bytes, revision: int, version: int) -> None:
        self.path = path
        """`namespace/name`, or `name` for what lives in no namespace."""
        self.stored = stored
        self.bytes = splice(stored, revision)
        self.revision = revision
        self.version = version
        self._value: dict[str, Any] | None = None

    @classmethod
    def of_value(cls, path: str, value: dict[str, Any], revision: int, version: int = 0) -> Item:
        """An item of a value that has its resourceVersion already."""
        made = cls.__new__(cls)
        made.path, made.revision, made.version = path, revision, version
        made.bytes = made.stored = orjson.dumps(value)
        made._value = value
        return made

    @property
    def value(self) -> dict[str, Any]:
        """The object as plain JSON. Shared: never mutate it."""
        if self._value is None:
            self._value = orjson.loads(self.bytes)
        return self._value


class Event:
    """A change: `old` is None for what is new, `new` for what is gone. `item` is what watchers are sent."""

    __slots__ = ("_frames", "at", "item", "new", "old", "revision")

    def __init__(self, new: Item | None, old: Item | None, item: Item, at: float) -> None:
        self.new = new
        self.old = old
        self.item = item
        self.revision = item.revision
        self.at = at
        self._frames: dict[str, bytes] = {}

    @property
    def type(self) -> str:
        """ADDED, MODIFIED or DELETED, for someone who sees every object of the resource."""
        return "DELETED" if self.new is None else "ADDED" if self.old is None else "MODIFIED"

    def frame(self, kind: str) -> bytes:
        """The event on the wire, with a newline; made once a type."""
        found = self._frames.get(kind)
        if found is None:
            found = self._frames[kind] = b'{"type":"%b","object":%b}\n' % (kind.encode(), self.item.bytes)
        return found


_revision = attrgetter("revision")


def _release(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class Ring:
    """The events of one resource from revision `since` on (events at `since` or below may be missing)."""

    def __init__(self, since: int) -> None:
        self.since = since
        self.first = 0
        """The position of the oldest event kept."""
        self._events: list[Event] = []
        self._bytes = 0
        self._waiting: set[asyncio.Future[None]] = set()
        self._woken_at = 0.0
        self._wake_planned = False
        self.broken = False
        self._joined: tuple[int, int, bytes] = (0, 0, b"")

    @property
    def end(self) -> int:
        """The position of the next event."""
        return self.first + len(self._events)

    def add(self, event: Event) -> None:
        """Append an event; drop old ones that are more than enough."""
        self._events.append(event)
        self._bytes += len(event.item.bytes)
        if len(self._events) > KEEP_EVENTS + 256 or self._bytes > MOST_BYTES:
            self._trim(event.at)

    def _trim(self, now: float) -> None:
        drop = 0
        count, size = len(self._events), self._bytes
        for event in self._events:
            left = count - drop
            too_many = left > KEEP_EVENTS and (left > MOST_EVENTS or event.at <= now - KEEP_SECONDS)
            too_big = left > FEWEST_EVENTS and size > MOST_BYTES
            if not too_many and not too_big:
                break
            size -= len(event.item.bytes)
            drop += 1
        if drop:
            self.since = self._events[drop - 1].revision
            self.first += drop
            self._bytes = size
            del self._events[:drop]

    def position(self, revision: int) -> int | None:
        """Where to read on after `revision`. None when events after it may have been dropped."""
        if revision < self.since:
            return None
        return self.first + bisect_right(self._events, revision, key=_revision)

    def read(self, position: int) -> list[Event] | None:
        """Events from `position` on, as many as one batch holds. None when some were dropped, or the ring is broken."""
        if position < self.first or self.broken:
            return None
        at = position - self.first
        events = self._events[at : at + BATCH_EVENTS]
        size = 0
        for index, event in enumerate(events):
            size += len(event.item.bytes)
            if size > BATCH_BYTES:
                return events[: index + 1]
        return events

    def frames(self, position: int, events: list[Event]) -> bytes:
        """The frames of `events`, read at `position`, as a chunk, for one who sees every object; made once for all."""
        key = (position, len(events))
        if self._joined[:2] != key:
            self._joined = (*key, chunk(b"".join([event.frame(event.type) for event in events])))
        return self._joined[2]

    def forget(self) -> None:
        """Tell all readers to list again: the events between here and what comes next are unknown."""
        self.broken = True
        self.wake()

    async def wait(self, position: int, until: float) -> None:
        """Return when there is something to read at `position`, or at the loop's time `until`."""
        if position < self.end or self.broken:
            return
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._waiting.add(future)
        timer = loop.call_at(until, _release, future)
        try:
            await future
        finally:
            timer.cancel()
            self._waiting.discard(future)

    def notify(self) -> None:
        """Wake the readers: now if the last time is a while ago, else a little later, with whatever came until then."""
        if self._wake_planned or not self._waiting:
            return
        loop = asyncio.get_running_loop()
        rest = min(MOST_REST_SECONDS, max(BATCH_SECONDS, READER_SECONDS * len(self._waiting)))
        pause = self._woken_at + rest - loop.time()
        if pause <= 0:
            self.wake()
        else:
            self._wake_planned = True
            loop.call_later(pause, self.wake)

    def wake(self) -> None:
        """Wake the readers now."""
        self._wake_planned = False
        self._woken_at = asyncio.get_running_loop().time()
        waiting, self._waiting = self._waiting, set()
        for future in waiting:
            _release(future)
