"""When the steps of one pod's start began and were done, as the agent saw them: for kctl trace.

Kept in memory, a few marks a pod, from one clock. The first of each counts: a container's restart is no start of the
pod. Pure but for the clock.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sampan.clock import Clock

SEEN, READY = "seen", "ready"
VOLUMES, SANDBOX, NETWORK = "volumes", "sandbox", "network"
IMAGE, CREATED, STARTED = "image", "created", "started"
MOST = 512
"""Marks of one pod; more containers than that are not told of."""


class Timings:
    """The marks of one pod."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._marks: dict[tuple[str, str], list[datetime]] = {}
        self.ready = False

    def begin(self, step: str, container: str = "") -> None:
        """A step begins, or happens at once."""
        if (step, container) not in self._marks and len(self._marks) < MOST:
            self._marks[step, container] = [self._clock.now()]

    def end(self, step: str, container: str = "") -> None:
        """A step that had begun is done."""
        marks = self._marks.get((step, container))
        if marks is not None and len(marks) == 1:
            marks.append(self._clock.now())

    def to_json(self) -> list[dict[str, Any]]:
        """In the order in which the steps began; times in RFC 3339 with microseconds."""
        found = []
        for (step, container), marks in self._marks.items():
            one = {"step": step, "begin": stamp(marks[0]), "end": stamp(marks[-1])}
            found.append(one | ({"container": container} if container else {}))
        return found


def stamp(when: datetime) -> str:
    """With microseconds."""
    return when.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
