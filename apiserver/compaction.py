"""History is kept for a while, then compacted; any one of the servers over one etcd does it.

With every look the record of times (history.py) is written down too, so that a restart does not forget it.
Always: never ahead of this server's cache, nor of what was the newest revision `KEEP_SECONDS` ago; whoever writes the
mark for an interval first (compare-and-swap) is the one that compacts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import orjson

from apiserver import metrics
from apiserver.cache import Cache
from apiserver.storage import PREFIX, Compacted, Stale, Storage
from sampan.errors import ApiError
from sampan.logs import fields

log = logging.getLogger(__name__)

KEEP_SECONDS = 300.0
LOOK_SECONDS = 60.0
END_SECONDS = 1.0
MOST_REVISIONS = 200_000
"""So much history is compacted even when it is younger."""
FEWEST_REVISIONS = 500
"""Less than this is not worth a write and a compaction."""
MARK = PREFIX + b"sampan.compaction/mark/-"
TIMES = PREFIX + b"sampan.history/times/-"


def due(samples: list[tuple[float, int]], now: float, done: int) -> int:
    """The revision to compact at, 0 for none. `samples` are (time, newest revision), oldest first."""
    old = [revision for at, revision in samples if at <= now - KEEP_SECONDS]
    target = old[-1] if old else 0
    newest = samples[-1][1] if samples else 0
    if newest - max(done, target) > MOST_REVISIONS and len(samples) > 1:
        target = max(target, samples[-2][1])
    return target if target - done >= FEWEST_REVISIONS else 0


class Compaction:
    """Looks once a minute."""

    def __init__(self, storage: Storage, cache: Cache) -> None:
        self._storage = storage
        self._cache = cache
        self._done = 0
        self._kept = 0

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        samples: list[tuple[float, int]] = []
        while True:
            samples.append((loop.time(), self._cache.revision))
            target = due(samples, loop.time(), self._done)
            if target:
                await self._guarded(self.compact(target))
                samples = [one for one in samples if one[1] >= target]
            await self._guarded(self.keep())
            await asyncio.sleep(LOOK_SECONDS)

    async def begin(self) -> None:
        """Recall the times, before anybody asks for them."""
        await self._guarded(self.recall())

    async def end(self) -> None:
        """Write the times down a last time, unless etcd takes too long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                await self._guarded(self.keep())

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except ApiError as error:
            log.warning("etcd's history could not be tended", extra=fields(error=error))

    async def recall(self) -> None:
        """Take in the times that were written down. Raises ApiError."""
        found = await self._storage.get(TIMES)
        if found is not None:
            self._cache.history.remember((at, revision) for at, revision in orjson.loads(found.value)["points"])

    async def keep(self) -> None:
        """Write the times down, if anything else has changed since. Raises ApiError."""
        if self._cache.revision <= self._kept + 1:
            return
        found = await self._storage.get(TIMES)
        try:
            points = orjson.dumps({"points": self._cache.history.kept()})
            self._kept = await self._storage.put(TIMES, points, found.revision if found else 0)
        except Stale:
            return

    async def compact(self, target: int) -> None:
        """Compact at `target`, unless another server has gone as far. Raises ApiError."""
        target = min(target, self._cache.revision)
        mark = await self._storage.get(MARK)
        if mark is not None and orjson.loads(mark.value)["revision"] >= target:
            self._done = max(self._done, int(orjson.loads(mark.value)["revision"]))
            return
        try:
            await self._storage.put(MARK, orjson.dumps({"revision": target}), mark.revision if mark else 0)
        except Stale:
            return
        with suppress(Compacted):
            await self._storage.compact(target)
        self._done = target
        self._cache.history.forget(target)
        metrics.COMPACTIONS.inc()
