"""What a row of probe answers amounts to: thresholds, as a pure fold over answers.

Source: the API reference, "Probe": successThreshold in a row to succeed, failureThreshold in a row to fail.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from sampan.api import core_v1

FIRST_TRIES = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8)
"""Seconds between a container's first tries, all within its first period: a server that listens after 10 ms is not
left out for 10 s. They decide nothing when they fail."""


class ProbeKind(StrEnum):
    """Which probe of a container."""

    STARTUP = "Startup"
    READINESS = "Readiness"
    LIVENESS = "Liveness"


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a container is probed, and what it takes to change one's mind. Seconds and counts."""

    initial_delay: float
    period: float
    timeout: float
    successes: int
    failures: int

    @classmethod
    def of(cls, probe: core_v1.Probe) -> Schedule:
        """With upstream's defaults for what is not given."""
        return cls(
            initial_delay=float(probe.initial_delay_seconds or 0),
            period=float(probe.period_seconds or 10),
            timeout=float(probe.timeout_seconds or 1),
            successes=probe.success_threshold or 1,
            failures=probe.failure_threshold or 3,
        )


@dataclass(frozen=True, slots=True)
class Row:
    """Answers of one kind in a row, and what is held true for now (None: nothing yet)."""

    held: bool | None = None
    last: bool | None = None
    count: int = 0


def fold(row: Row, ok: bool, schedule: Schedule) -> Row:
    """The row after one more answer."""
    count = row.count + 1 if row.last is ok else 1
    needed = schedule.successes if ok else schedule.failures
    held = ok if count >= needed else row.held
    return replace(row, held=held, last=ok, count=count)


def initial(kind: ProbeKind) -> Row:
    """Before the first answer: alive, but neither started nor ready."""
    return Row(held=True if kind is ProbeKind.LIVENESS else None)
