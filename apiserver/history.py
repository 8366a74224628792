"""Which revision was the newest at a time: a small record, so that the past can be asked for by the clock. Pure.

Always: a point (time, revision) says that the revision was the newest at that time and until just before the next
point, to within `STEP_SECONDS`. A list of the past is then an exact list at that revision, out of etcd's own history
(lists.py).
Elsewhere: who notes (cache.py), what is kept in etcd so that a restart does not forget (compaction.py), the page
(past.py).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

STEP_SECONDS = 1.0
MOST_POINTS = 4096
"""More are thinned out, the older half first."""
KEPT_SECONDS = 20.0
"""Points that are written to etcd are at least so far apart."""
MOST_KEPT = 180

Point = tuple[float, int]


class History:
    """Points in the order of time. Times are seconds of the calendar."""

    def __init__(self) -> None:
        self._points: list[Point] = []
        self._last: Point = (0.0, 0)

    def note(self, now: float, revision: int) -> None:
        """The newest revision, whenever it changes."""
        at, known = self._last
        if known and int(now / STEP_SECONDS) != int(at / STEP_SECONDS):
            self._points.append(self._last)
            if len(self._points) > MOST_POINTS:
                half = MOST_POINTS // 2
                self._points = self._points[:half:2] + self._points[half:]
        if now >= at:  # a clock that was put back tells nothing new until it has caught up
            self._last = (now, revision)
        else:
            self._last = (at, max(known, revision))

    def remember(self, points: Iterable[Point]) -> None:
        """Take in what another server, or an earlier life of this one, had noted."""
        before = self._points[0] if self._points else self._last
        limit = before[0] if before[1] else float("inf")
        self._points = sorted(one for one in points if one[0] < limit) + self._points

    def forget(self, revision: int) -> None:
        """What is older has been compacted away. The point that leads up to `revision` stays."""
        keep = next((n for n, one in enumerate(self._points) if one[1] >= revision), len(self._points))
        self._points = self._points[keep:]

    def at(self, when: float) -> int:
        """The newest revision at a time; 0 if that is before all that is known."""
        if self._last[1] and when >= self._last[0]:
            return self._last[1]
        found = bisect_right(self._points, when, key=lambda one: one[0])
        return self._points[found - 1][1] if found else 0

    @property
    def oldest(self) -> Point | None:
        """The earliest point."""
        return self._points[0] if self._points else self._last if self._last[1] else None

    @property
    def newest(self) -> Point | None:
        """The latest point."""
        return self._last if self._last[1] else None

    def kept(self) -> list[Point]:
        """What is worth writing down: few points, evenly thinned."""
        found: list[Point] = []
        for one in (*self._points, self._last):
            if one[1] and (not found or one[0] - found[-1][0] >= KEPT_SECONDS):
                found.append(one)
        return found[-MOST_KEPT:]
