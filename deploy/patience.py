"""How long a command waits for a cluster: for as long as it gets on, however slow the machine is.

What counts is not the wall's time but the share of it in which the cluster's processes were not kept waiting for a
processor by others, and it counts from the last step that the cluster made. So a cluster that hangs is given up after
the same time on an idle machine and on a busy one, and one of ten that start together is not given up at all.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path

from deploy import cgroups

LOOK_SECONDS = 1.0
IDLE_SHARE = 0.02
"""Who wants less of a processor than that does not wait for one."""


@dataclass(frozen=True)
class Use:
    """Seconds that processes have run on a processor, and have waited for one though they could run."""

    ran: float = 0.0
    waited: float = 0.0


def fair_seconds(wall: float, ran: float, waited: float) -> float:
    """How much of `wall` seconds counts for processes that ran and waited so long in them. Pure.

    Figures that fell say nothing, because processes that have ended took theirs along: then all of it counts.
    """
    if min(ran, waited) < 0 or ran + waited <= IDLE_SHARE * wall:
        return wall
    return wall * (ran / (ran + waited))


def use_of(cgroup: str) -> Use:
    """Of the processes that a cgroup has now (the kernel's Documentation/scheduler/sched-stats)."""
    ran = waited = 0
    for pid in cgroups.processes(cgroup):
        with contextlib.suppress(OSError, ValueError):
            words = Path(f"/proc/{pid}/schedstat").read_text().split()
            ran, waited = ran + int(words[0]), waited + int(words[1])
    return Use(ran / 1e9, waited / 1e9)


class Patience:
    """`seconds` of a cluster's own time for each step that it makes."""

    def __init__(self, seconds: float, cgroup: str) -> None:
        self.seconds = seconds
        self._cgroup = cgroup
        self._spent = 0.0
        self._began = self._looked = time.monotonic()
        self._use = use_of(cgroup)

    @property
    def told(self) -> str:
        """For a message: how long that was."""
        wall = time.monotonic() - self._began
        busy = f" of its own ({wall:.0f} s on this busy machine)" if wall > 1.2 * self.seconds else ""
        return f"{self.seconds:.0f} s{busy}"

    def progress(self) -> None:
        """The cluster has made a step: count anew."""
        self._spent, self._began = 0.0, time.monotonic()

    def left(self) -> float:
        """Seconds, at least, that one may wait for the next step; 0 when it is time to give up."""
        now = time.monotonic()
        if now - self._looked >= LOOK_SECONDS:
            use = use_of(self._cgroup)
            self._spent += fair_seconds(now - self._looked, use.ran - self._use.ran, use.waited - self._use.waited)
            self._looked, self._use = now, use
        return max(0.0, self.seconds - self._spent)
