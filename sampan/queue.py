"""A queue of keys to look at, for any number of workers.

Promises: fair (first come, first served); a key that is added many times while it waits is handed out once; a key is
never with two workers, and one that is added while a worker has it comes again afterwards; a failed key comes again
after a delay that doubles.
Source of the promises: client-go's workqueue documentation.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import random
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from itertools import count
from typing import Generic, TypeVar

from sampan.clock import Clock

log = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)
FIRST_RETRY, MOST_RETRY = 0.02, 300.0


class KeyQueue(Generic[K]):
    """See the module. `first` and `most` bound the delay of a retry, in seconds."""

    def __init__(self, clock: Clock, *, first: float = FIRST_RETRY, most: float = MOST_RETRY) -> None:
        self._clock = clock
        self._first = first
        self._most = most
        self._ready: asyncio.Queue[K] = asyncio.Queue()  # bounded by the number of keys: each is in it at most once
        self._wanted: set[K] = set()
        self._taken: set[K] = set()
        self._failures: dict[K, int] = {}
        self._later: list[tuple[float, int, K]] = []
        self._due: dict[K, float] = {}
        self._order = count()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """How many keys wait to be taken now."""
        return self._ready.qsize()

    def add(self, key: K) -> None:
        """Have a key looked at as soon as a worker is free."""
        if key in self._wanted:
            return
        self._wanted.add(key)
        if key not in self._taken:
            self._ready.put_nowait(key)

    def add_after(self, key: K, seconds: float) -> None:
        """Have a key looked at in some time; of several times, the earliest counts."""
        if seconds <= 0:
            self.add(key)
            return
        deadline = self._clock.monotonic() + seconds
        if self._due.get(key, deadline) < deadline:
            return
        self._due[key] = deadline
        heapq.heappush(self._later, (deadline, next(self._order), key))
        if self._later[0][2] == key:
            self._arm()

    def retry(self, key: K) -> float:
        """Have a failed key looked at after its back-off, which is returned in seconds."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay = min(self._most, self._first * 2.0 ** min(failures - 1, 40)) * random.uniform(0.8, 1.2)
        self.add_after(key, delay)
        return delay

    def failures(self, key: K) -> int:
        """How often in a row a key has failed."""
        return self._failures.get(key, 0)

    def forget(self, key: K) -> None:
        """A key was dealt with: its next failure starts from the shortest delay."""
        self._failures.pop(key, None)

    @asynccontextmanager
    async def take(self) -> AsyncIterator[K]:
        """The next key, this worker's alone until the block ends."""
        key = await self._ready.get()
        self._wanted.discard(key)
        self._taken.add(key)
        try:
            yield key
        finally:
            self._taken.discard(key)
            if key in self._wanted:
                self._ready.put_nowait(key)

    def clock_moved(self) -> None:
        """The clock has jumped: look again at what is due."""
        self._arm()

    def close(self) -> None:
        """Drop the timer, so that nothing is added any more by time."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        self.close()
        if self._later:
            wait = max(0.0, self._later[0][0] - self._clock.monotonic())
            self._timer = asyncio.get_running_loop().call_later(wait, self._ring)

    def _ring(self) -> None:
        now = self._clock.monotonic()
        while self._later and self._later[0][0] <= now + 0.001:
            deadline, _, key = heapq.heappop(self._later)
            if self._due.get(key) == deadline:
                del self._due[key]
                self.add(key)
        self._arm()
