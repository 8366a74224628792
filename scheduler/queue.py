"""Pods that wait for a node, in three states: active, backing off, unschedulable.

Active ones are taken by priority, then by age. One that failed is unschedulable until something happens that could
help (hints.py), and then backs off for what is left of 1 s, doubling to 10 s with each attempt. What has been
unschedulable for 5 minutes is tried again anyway.
Always: a pod is in one state, or taken; a taken pod comes back only by `failed`, and goes only by `done`, `remove`.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from itertools import count

from sampan.clock import Clock
from scheduler.hints import Happening
from scheduler.place import Waiting
from scheduler.terms import Labels

FIRST_BACKOFF, MOST_BACKOFF = 1.0, 10.0
LEFTOVER_SECONDS = 300.0


class State(Enum):
    """Where a pod is."""

    ACTIVE = auto()
    BACKING_OFF = auto()
    UNSCHEDULABLE = auto()
    TAKEN = auto()


@dataclass(eq=False)
class Entry:
    """A waiting pod and its history. `ticket` tells a heap's current entry from stale ones."""

    pod: Waiting
    state: State
    since: float
    attempts: int = 0
    failed_at: float = 0.0
    refused_by: frozenset[str] = frozenset()
    ticket: int = 0

    @property
    def ready_at(self) -> float:
        """When its back-off ends."""
        if not self.attempts:
            return self.since
        return self.failed_at + min(MOST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(self.attempts - 1, 10))


class SchedulingQueue:
    """The pods that wait. Times are the clock's monotonic seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[str, Entry] = {}
        self._active: list[tuple[int, float, int, str]] = []
        self._backing_off: list[tuple[float, int, str]] = []
        self._leftovers: list[tuple[float, int, str]] = []
        self._counts = dict.fromkeys(State, 0)
        self._tickets = count(1)
        self._news = asyncio.Event()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, uid: str) -> bool:
        return uid in self._entries

    def state(self, uid: str) -> State | None:
        """Where a pod is, None if it does not wait."""
        entry = self._entries.get(uid)
        return entry.state if entry is not None else None

    def counts(self) -> dict[State, int]:
        """How many pods are in each state."""
        return dict(self._counts)

    @property
    def is_busy(self) -> bool:
        """Whether pods wait to be taken now."""
        return self._counts[State.ACTIVE] > 0

    def add(self, pod: Waiting) -> None:
        """A pod begins to wait, or one that waits now asks for something else: it is looked at soon."""
        entry = self._entries.get(pod.uid)
        if entry is None:
            entry = self._entries[pod.uid] = Entry(pod, State.TAKEN, self._clock.monotonic())
            self._counts[State.TAKEN] += 1
            self._activate(entry)
            return
        entry.pod = pod
        if entry.state is State.UNSCHEDULABLE:
            self._back_off(entry)
        elif entry.state is State.ACTIVE:
            self._activate(entry)  # its priority may be another

    def refresh(self, pod: Waiting) -> None:
        """A waiting pod is a new object but asks for the same."""
        entry = self._entries.get(pod.uid)
        if entry is not None:
            entry.pod = pod

    def remove(self, uid: str) -> None:
        """A pod is gone, or has a node."""
        entry = self._entries.pop(uid, None)
        if entry is not None:
            self._counts[entry.state] -= 1

    done = remove

    def take(self, limit: int) -> list[Waiting]:
        """The most urgent pods, in order."""
        self._ripen()
        taken: list[Waiting] = []
        while self._active and len(taken) < limit:
            *_, ticket, uid = heapq.heappop(self._active)
            entry = self._entries.get(uid)
            if entry is None or entry.ticket != ticket or entry.state is not State.ACTIVE:
                continue
            self._move(entry, State.TAKEN)
            taken.append(entry.pod)
        return taken

    def failed(self, uid: str, refused_by: frozenset[str] | None) -> None:
        """A taken pod has no node. `refused_by`: the filters to be appeased; None if something else went wrong."""
        entry = self._entries.get(uid)
        if entry is None:
            return
        entry.attempts += 1
        entry.failed_at = self._clock.monotonic()
        entry.refused_by = refused_by or frozenset()
        if refused_by is None:
            self._back_off(entry)
            return
        self._move(entry, State.UNSCHEDULABLE)
        heapq.heappush(self._leftovers, (entry.failed_at + LEFTOVER_SECONDS, entry.ticket, uid))
        self._news.set()

    def happened(self, what: Happening, namespaces: Mapping[str, Labels]) -> int:
        """Wake the pods that this could help. Returns how many."""
        if not self._counts[State.UNSCHEDULABLE]:
            return 0
        woken = 0
        for entry in list(self._entries.values()):
            if entry.state is State.UNSCHEDULABLE and what.helps(entry.pod.shape, entry.refused_by, namespaces):
                self._back_off(entry)
                woken += 1
        return woken

    async def ready(self) -> None:
        """Wait until there is a pod to take."""
        while True:
            self._news.clear()
            self._ripen()
            if self._counts[State.ACTIVE]:
                return
            due = [heap[0][0] for heap in (self._backing_off, self._leftovers) if heap]
            if not due:
                await self._news.wait()
                continue
            # Never too short for a clock to notice: a sleep that ends a hair early would be tried for ever.
            delay = max(0.001, min(due) - self._clock.monotonic())
            news = asyncio.ensure_future(self._news.wait())
            nap = asyncio.ensure_future(self._clock.sleep(delay))
            try:
                await asyncio.wait((news, nap), return_when=asyncio.FIRST_COMPLETED)
            finally:
                news.cancel()
                nap.cancel()

    def _ripen(self) -> None:
        """Move what has backed off long enough, and what has been left over too long."""
        now = self._clock.monotonic()
        for heap, state in ((self._leftovers, State.UNSCHEDULABLE), (self._backing_off, State.BACKING_OFF)):
            while heap:
                due, ticket, uid = heap[0]
                entry = self._entries.get(uid)
                stale = entry is None or entry.ticket != ticket or entry.state is not state
                if not stale and due > now:
                    break
                heapq.heappop(heap)
                if not stale and entry is not None:
                    self._activate(entry)

    def _back_off(self, entry: Entry) -> None:
        if entry.ready_at <= self._clock.monotonic():
            self._activate(entry)
            return
        self._move(entry, State.BACKING_OFF)
        heapq.heappush(self._backing_off, (entry.ready_at, entry.ticket, entry.pod.uid))
        self._news.set()

    def _activate(self, entry: Entry) -> None:
        self._move(entry, State.ACTIVE)
        entry.since = self._clock.monotonic()
        heapq.heappush(self._active, (-entry.pod.shape.priority, entry.since, entry.ticket, entry.pod.uid))
        self._news.set()

    def _move(self, entry: Entry, state: State) -> None:
        self._counts[entry.state] -= 1
        self._counts[state] += 1
        entry.state = state
        entry.ticket = next(self._tickets)
