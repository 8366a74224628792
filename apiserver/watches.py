"""The watch verb: a stream of frames from a ring, in the asked form.

Always: a watcher sees each event once, in revision order, or is told 410 and lists again. It costs a position in the
ring and at most WRITE_BUFFER bytes of unsent frames; while it does not read, its position stands still.
Source: "Efficient detection of changes" and "Streaming lists" of the API concepts.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web

from apiserver import metrics
from apiserver.http.request import Asked, truth
from apiserver.kind import AnyKind
from apiserver.lists import not_older, parse_version, whole
from apiserver.matching import Match, converts, view
from apiserver.negotiate import JSON, Form
from apiserver.registry import storage_name
from apiserver.ring import Event, Item, Ring, chunk
from apiserver.tables import one as in_form
from sampan.errors import ApiError, FieldError, InvalidError, Reason

if TYPE_CHECKING:
    from apiserver.core import Core
    from apiserver.http.connection import Connection

BOOKMARK_SECONDS = 60.0
LONGEST_SECONDS = 3600
WRITE_BUFFER = 256 * 1024
STUCK_SECONDS = 60.0
INITIAL_END = "k8s.io/initial-events-end"


def frame(kind: str, value: bytes) -> bytes:
    """One event on the wire."""
    return b'{"type":"%b","object":%b}\n' % (kind.encode(), value)


def expired(asked: int, oldest: int) -> ApiError:
    """410 for a position whose events have been dropped."""
    return ApiError(410, Reason.EXPIRED, f"too old resource version: {asked} ({oldest})")


class Lens:
    """How one watcher sees events: which, and in which form."""

    def __init__(self, core: Core, kind: AnyKind, match: Match, form: Form, include: str) -> None:
        self._core, self._kind, self._match, self._form, self._include = core, kind, match, form, include
        self._as_is = form.plain and not converts(kind)
        self.whole = self._as_is and match.everything and not match.prefix
        """Sees all events as the same bytes as everybody."""

    @property
    def current(self) -> bool:
        """Whether the kind's objects are still read as when the watch began; a custom kind may change or go."""
        resource = self._kind.resource
        now = self._core.registry.find(resource.group, resource.version, resource.plural)
        return now is self._kind or (now is not None and now.from_stored is self._kind.from_stored)

    def shown(self, item: Item) -> bytes:
        """An object in the watcher's form."""
        if self._as_is:
            return item.bytes
        return self.rendered(view(self._kind, item).value)

    def rendered(self, value: dict[str, Any]) -> bytes:
        """A value in the watcher's form."""
        return orjson.dumps(in_form(self._kind, value, self._form, self._include, self._core.clock.now()))

    def initial(self, items: Iterable[Item]) -> Iterator[bytes]:
        """ADDED for what is there already."""
        return (frame("ADDED", self.shown(item)) for item in items if self._match.selects(item))

    def see(self, event: Event) -> bytes:
        """The frame of an event, empty if it is none of this watcher's business."""
        match = self._match
        if match.prefix and not event.item.path.startswith(match.prefix):
            return b""
        if match.everything:
            kind = event.type
        else:
            now, before = match.selects(event.new), match.selects(event.old)
            if not now and not before:
                return b""
            kind = "MODIFIED" if now and before else "ADDED" if now else "DELETED"
            if kind == "DELETED" and event.new is not None and event.old is not None:
                gone = Item(event.item.path, event.old.stored, event.revision, event.old.version)
                return frame(kind, self.shown(gone))
        return event.frame(kind) if self._as_is else frame(kind, self.shown(event.item))

    def bookmark(self, revision: int, *, end: bool = False) -> bytes:
        """Where the watcher stands."""
        metadata: dict[str, Any] = {"resourceVersion": str(revision), "creationTimestamp": None}
        if end:
            metadata["annotations"] = {INITIAL_END: "true"}
        resource = self._kind.resource
        return frame(
            "BOOKMARK",
            self.rendered({"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}),
        )


async def watch(
    core: Core, kind: AnyKind, asked: Asked, match: Match, form: Form, request: web.BaseRequest
) -> web.StreamResponse:
    """Answer a watch until its timeout, the client's end or the server's. Raises ApiError before the first byte."""
    query = asked.query
    version = query.get("resourceVersion", "")
    initial = query.get("sendInitialEvents", "")
    bookmarks = truth(query.get("allowWatchBookmarks", ""))
    if form.media != JSON:
        raise ApiError(406, Reason.NOT_ACCEPTABLE, "only application/json is served to watches")
    _check_initial(initial, query.get("resourceVersionMatch", ""), bookmarks)
    lens = Lens(core, kind, match, form, query.get("includeObject", "Metadata"))
    seconds = whole(query, "timeoutSeconds") or random.randint(LONGEST_SECONDS // 2, LONGEST_SECONDS)
    resource = storage_name(kind.storage)
    listed = truth(initial) or (not initial and version in ("", "0"))
    floor = 0
    if listed or not version:
        await not_older(core.cache, version)
    else:
        floor = parse_version(version)
        await core.cache.ready.wait()
    shelf = core.cache.shelf(resource)
    ring = shelf.ring
    stream = Stream(core, ring, lens, request, bookmarks, floor)
    position = ring.end if listed or not version or floor == 0 else ring.position(floor)
    first: list[bytes] = []
    if listed:
        first += lens.initial(list(shelf.select(match.prefix)))
        if truth(initial):
            first.append(lens.bookmark(core.cache.revision, end=True))
    if position is None:
        metrics.EXPIRED.inc()
        first.append(frame("ERROR", orjson.dumps(expired(floor, ring.since).to_status())))
    with metrics.WATCHERS.labels("WATCH").track_inprogress():
        return await stream.run(first, position, seconds)


def _check_initial(initial: str, match: str, bookmarks: bool) -> None:
    if match and not initial:
        raise InvalidError(
            "ListOptions",
            "meta.k8s.io",
            "",
            [
                FieldError.forbidden(
                    "resourceVersionMatch",
                    "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
                )
            ],
        )
    if initial and match != "NotOlderThan":
        raise InvalidError(
            "ListOptions",
            "meta.k8s.io",
            "",
            [
                FieldError.forbidden(
                    "resourceVersionMatch",
                    "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
                )
            ],
        )


class Stream:
    """One watcher's connection."""

    def __init__(
        self, core: Core, ring: Ring, lens: Lens, request: web.BaseRequest, bookmarks: bool, floor: int
    ) -> None:
        self._core, self._ring, self._lens, self._bookmarks, self._floor = core, ring, lens, bookmarks, floor
        self._request = request
        self._connection: Connection = request.protocol  # type: ignore[assignment]  # our own Server makes them
        self._chunked = False

    async def run(self, first: list[bytes], position: int | None, seconds: float) -> web.StreamResponse:
        """Send everything until it ends."""
        response = web.StreamResponse(headers={"Content-Type": JSON, "Cache-Control": "no-cache, private"})
        self._chunked = self._request.version >= (1, 1)
        if self._chunked:
            response.enable_chunked_encoding()
        else:
            response.force_close()
        await response.prepare(self._request)
        transport = self._request.transport
        if transport is None:
            return response
        transport.set_write_buffer_limits(high=WRITE_BUFFER)
        self._connection.cancel_on_loss()
        for at in range(0, len(first), 256):
            await self._send(b"".join(first[at : at + 256]))
        if position is not None:
            await self._follow(position, seconds)
        self._connection.cancel_on_loss(False)
        await response.write_eof()
        return response

    async def _follow(self, position: int, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        core, ring, lens = self._core, self._ring, self._lens
        end = loop.time() + seconds
        next_bookmark = loop.time() + BOOKMARK_SECONDS
        while not core.stopping and lens.current:
            now = loop.time()
            if now >= end:
                break
            if position >= ring.end and not ring.broken:
                wake_at = min(end, next_bookmark) if self._bookmarks else end
                if now >= wake_at:
                    next_bookmark = now + BOOKMARK_SECONDS
                    await self._send(lens.bookmark(max(core.cache.revision, self._floor)))
                    continue
                await ring.wait(position, wake_at)
                continue
            events = ring.read(position)
            if events is None:
                metrics.EXPIRED.inc()
                await self._send(frame("ERROR", orjson.dumps(expired(self._floor, ring.since).to_status())))
                return
            if events[0].revision <= self._floor:
                data = b"".join([lens.see(event) for event in events if event.revision > self._floor])
            elif lens.whole and self._chunked:
                await self._write(ring.frames(position, events))
                position += len(events)
                continue
            else:
                data = b"".join([lens.see(event) for event in events])
            position += len(events)
            if data:
                await self._send(data)
        if self._bookmarks and position >= ring.end and not ring.broken and not core.stopping:
            await self._send(lens.bookmark(max(core.cache.revision, self._floor)))

    async def _send(self, data: bytes) -> None:
        await self._write(chunk(data) if self._chunked else data)

    async def _write(self, data: bytes) -> None:
        transport = self._request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the watcher is gone")
        transport.write(data)
        if self._connection.paused:
            try:
                async with asyncio.timeout(STUCK_SECONDS):
                    await self._connection.drained()
            except TimeoutError:
                transport.abort()
                raise ConnectionResetError("the watcher does not read") from None
