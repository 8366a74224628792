"""What a node watches of itself, and below which amount it is under pressure. Pure.

Source: the Kubernetes documentation, "Node-pressure Eviction": signals, hard thresholds and their defaults, conditions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from sampan import quantity

DEFAULTS = {
    "memory.available": "100Mi",
    "nodefs.available": "10%",
    "nodefs.inodesFree": "5%",
    "imagefs.available": "15%",
    "imagefs.inodesFree": "5%",
}


class Signal(StrEnum):
    """What can run short."""

    MEMORY = "memory.available"
    DISK = "nodefs.available"
    FILES = "nodefs.inodesFree"
    IMAGE_DISK = "imagefs.available"
    IMAGE_FILES = "imagefs.inodesFree"

    @property
    def resource(self) -> str:
        """As messages name it."""
        if self is Signal.MEMORY:
            return "memory"
        return "inodes" if self in (Signal.FILES, Signal.IMAGE_FILES) else "ephemeral-storage"

    @property
    def condition(self) -> str:
        """The Node's condition that says so."""
        return "MemoryPressure" if self is Signal.MEMORY else "DiskPressure"


@dataclass(frozen=True, slots=True)
class Threshold:
    """A signal and the least that must be there of it: an amount, or a share of all."""

    signal: Signal
    amount: int = 0
    percent: float = 0.0

    def of(self, capacity: int) -> int:
        """The least amount, where there is `capacity` in all."""
        return self.amount or int(capacity * self.percent / 100)


@dataclass(frozen=True, slots=True)
class Available:
    """What is there of a signal's resource, and how much there could be. Bytes, or inodes."""

    amount: int
    capacity: int


@dataclass(frozen=True, slots=True)
class Shortage:
    """A threshold that is met: less than `least` is there."""

    signal: Signal
    least: int
    available: int


def thresholds(hard: Mapping[str, str]) -> tuple[Threshold, ...]:
    """From `{"memory.available": "100Mi", "nodefs.available": "10%"}`. A threshold of zero is none.

    Raises ValueError for an unknown signal, and an amount that is none.
    """
    found = []
    for name, text in hard.items():
        try:
            signal = Signal(name)
        except ValueError:
            raise ValueError(f"unknown eviction signal {name!r}; known are {', '.join(Signal)}") from None
        try:
            if text.endswith("%"):
                one = Threshold(signal, percent=float(text.removesuffix("%")))
            else:
                one = Threshold(signal, amount=quantity.value(text))
        except ValueError:
            raise ValueError(f"eviction threshold of {name}: {text!r} is no amount and no percentage") from None
        if one.amount < 0 or not 0 <= one.percent <= 100:
            raise ValueError(f"eviction threshold of {name}: {text!r} must not be negative, nor above 100%")
        if one.amount or one.percent:
            found.append(one)
    return tuple(found)


def shortages(limits: Iterable[Threshold], seen: Mapping[Signal, Available]) -> list[Shortage]:
    """What runs short, memory first."""
    found = []
    for one in limits:
        there = seen.get(one.signal)
        if there is not None and there.amount < (least := one.of(there.capacity)):
            found.append(Shortage(one.signal, least, there.amount))
    return sorted(found, key=lambda one: list(Signal).index(one.signal))


class Pressures:
    """Which conditions hold: a pressure is told for some time after it was last felt, so that it does not flap."""

    def __init__(self, transition_seconds: float) -> None:
        self._lasts = transition_seconds
        self._felt: dict[str, float] = {}

    def update(self, short: Iterable[Shortage], now: float) -> frozenset[str]:
        """The conditions that hold at `now`, in seconds of a monotonic clock."""
        for one in short:
            self._felt[one.signal.condition] = now
        self._felt = {kind: at for kind, at in self._felt.items() if at == now or now - at < self._lasts}
        return frozenset(self._felt)
