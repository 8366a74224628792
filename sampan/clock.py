"""The one source of time: everything that waits or stamps is given a Clock.

Under a virtual event loop (looptime) `monotonic` and `sleep` follow the loop, and `now` follows them, so that a test
lives a day in a millisecond. `offset` moves a test cluster's calendar.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta


class Clock:
    """The machine's clock, moved by `offset`."""

    def __init__(self, offset: timedelta = timedelta()) -> None:
        self.offset = offset

    def now(self) -> datetime:
        """The calendar time, aware, in UTC."""
        return datetime.now(UTC) + self.offset

    def monotonic(self) -> float:
        """Seconds that only grow, moved by the offset as well."""
        return time.monotonic() + self.offset.total_seconds()

    async def sleep(self, seconds: float) -> None:
        """Wait on the running event loop's clock."""
        await asyncio.sleep(seconds)


class LoopClock(Clock):
    """Time as the running event loop tells it, counted from `start`: for tests in virtual time."""

    def __init__(self, start: datetime) -> None:
        super().__init__()
        self._start = start
        self._first: float | None = None

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def now(self) -> datetime:
        elapsed = self.monotonic()
        if self._first is None:
            self._first = elapsed
        return self._start + timedelta(seconds=elapsed - self._first)
