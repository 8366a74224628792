"""What clients saw, checked against what happened. Pure.

What happened is etcd's own history: every change of every object, in the one order of revisions. Clients' operations
fit it if each can be given a place in that order such that it answers as the store stood there, and an operation that
had ended before another began has the earlier place (linearizability: Herlihy and Wing, 1990). A write's place is its
resource version; a read's may be anywhere between two changes, and the earliest allowed one is the best choice,
because places are only ever bounded from below.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

Violation = str


class Did(StrEnum):
    """What a client asked for."""

    CREATE = "create"
    UPDATE = "update"
    """With a resourceVersion: compare and swap."""
    PATCH = "patch"
    DELETE = "delete"
    GET = "get"
    LIST = "list"


class Answer(StrEnum):
    """What came of it."""

    OK = "ok"
    ABSENT = "absent"
    REFUSED = "refused"
    """Already there, or another resource version."""
    UNKNOWN = "unknown"
    """A time-out or a broken connection: it may have happened or not."""


@dataclass(frozen=True)
class Change:
    """One change in etcd. `token` names the write that made it; empty for a deletion."""

    revision: int
    name: str
    token: str


@dataclass(frozen=True)
class Operation:
    """One request. Times are one clock's; `version` is the answer's resourceVersion, `expected` the request's.

    `token` is what was written or read; `uid` the object's, for a deletion; `items` what a list showed.
    """

    did: Did
    name: str
    began: float
    ended: float
    answer: Answer
    token: str = ""
    version: int = 0
    expected: int = 0
    deleted: int = 0
    """Of a deletion: the version that it found and deleted."""
    items: Mapping[str, tuple[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Watched:
    """One watch: from which version, and the events that came: changes, or bookmarks (no name)."""

    since: int
    events: tuple[Change, ...]


class History:
    """The changes in order, and what was there at any revision."""

    def __init__(self, changes: Sequence[Change]) -> None:
        self.changes = changes
        self.of: dict[str, list[Change]] = {}
        for change in changes:
            self.of.setdefault(change.name, []).append(change)

    def after(self, revision: int) -> list[Change]:
        """What happened after a revision."""
        return [change for change in self.changes if change.revision > revision]

    def at(self, revision: int) -> dict[str, tuple[str, int]]:
        """Name -> token and version of all that was there at a revision."""
        found: dict[str, tuple[str, int]] = {}
        for change in self.changes:
            if change.revision > revision:
                break
            if change.token:
                found[change.name] = change.token, change.revision
            else:
                found.pop(change.name, None)
        return found

    def before(self, change: Change) -> Change | None:
        """The same object's change before this one."""
        own = self.of[change.name]
        place = own.index(change)
        return own[place - 1] if place else None

    def spans(self, name: str) -> Iterator[tuple[Change, int]]:
        """Each state of a name (absent at first) with the last revision at which it held; a huge one for the last."""
        states = [Change(0, name, ""), *self.of.get(name, ()), Change(1 << 62, name, "")]
        for state, following in pairwise(states):
            yield state, following.revision - 1


def violations(history: History, operations: Sequence[Operation], watches: Sequence[Watched]) -> list[Violation]:
    """All that does not fit."""
    return [
        *_tokens(history, operations),
        *_places(history, operations),
        *_swaps(history, operations),
        *(problem for watch in watches for problem in _watched(history, watch)),
    ]


def _tokens(history: History, operations: Sequence[Operation]) -> Iterator[Violation]:
    """A write happens once, if acknowledged; at most once, if unknown; never, if refused."""
    happened = Counter(change.token for change in history.changes if change.token)
    writes = {one.token: one for one in operations if one.did in (Did.CREATE, Did.UPDATE, Did.PATCH)}
    for token, times in happened.items():
        if token not in writes:
            yield f"nobody wrote {token}"
        elif times > 1:
            yield f"{writes[token]} happened {times} times"
    for one in writes.values():
        if one.answer is Answer.OK and one.token not in happened:
            yield f"acknowledged and lost: {one}"
        if one.answer in (Answer.REFUSED, Answer.ABSENT) and one.token in happened:
            yield f"refused, and happened: {one}"
    ends = Counter(one.deleted for one in operations if one.did is Did.DELETE and one.answer is Answer.OK)
    for version, times in ends.items():
        if times > 1:
            yield f"{times} clients were told that they deleted version {version}"


def _places(history: History, operations: Sequence[Operation]) -> Iterator[Violation]:
    """Give each operation its earliest place; what has none is a violation."""
    placed: list[tuple[float, int]] = []
    for one in sorted(operations, key=lambda one: one.began):
        if one.answer not in (Answer.OK, Answer.ABSENT):
            continue
        bound = max((place for ended, place in placed if ended < one.began), default=0)
        place = _place(history, one, bound)
        if place is None:
            yield f"after revision {bound} was known there is no place for {one}"
        else:
            placed.append((one.ended, place))


def _place(history: History, one: Operation, bound: int) -> int | None:
    if one.did in (Did.CREATE, Did.UPDATE, Did.PATCH) and one.answer is Answer.OK:
        change = next((change for change in history.of.get(one.name, ()) if change.revision == one.version), None)
        fits = change is not None and change.token == one.token and change.revision > bound
        return one.version if fits else None
    if one.did is Did.LIST:
        return one.version if one.version >= bound and history.at(one.version) == one.items else None
    if one.did is Did.DELETE and one.answer is Answer.OK:
        following = (later for earlier, later in pairwise(history.of[one.name]) if earlier.revision == one.deleted)
        change = next(following, None)
        return change.revision if change is not None and not change.token and change.revision > bound else None
    wanted = (one.token, one.version) if one.answer is Answer.OK else ("", None)
    for state, last in history.spans(one.name):
        holds = state.token == wanted[0] and wanted[1] in (None, state.revision)
        if holds and last >= bound:
            return max(state.revision, bound)
    return None


def _swaps(history: History, operations: Sequence[Operation]) -> Iterator[Violation]:
    """A compare-and-swap that succeeded replaced the version it named; one that failed had been overtaken."""
    for one in operations:
        own = history.of.get(one.name, [])
        if one.did is Did.UPDATE and one.answer is Answer.OK:
            change = next((change for change in own if change.revision == one.version), None)
            before = history.before(change) if change else None
            if before is None or before.revision != one.expected or not before.token:
                yield f"swapped {before}: {one}"
        if one.did is Did.UPDATE and one.answer is Answer.REFUSED and not any(c.revision > one.expected for c in own):
            yield f"refused although nothing had changed: {one}"
        if one.did is Did.CREATE and one.answer is Answer.OK:
            change = next((change for change in own if change.revision == one.version), None)
            before = history.before(change) if change else None
            if before is not None and before.token:
                yield f"created over {before}: {one}"


def _watched(history: History, watch: Watched) -> Iterator[Violation]:
    """Every change after the start, once, in order, up to the last that came; a bookmark says that none is missing."""
    coming = iter(history.after(watch.since))
    for event in watch.events:
        if event.name:
            expected = next(coming, None)
            if event != expected:
                yield f"a watch since {watch.since} showed {event} where {expected} was due"
                return
        elif missing := [one for one in history.after(watch.since) if one.revision <= event.revision]:
            seen = [one for one in watch.events[: watch.events.index(event)] if one.name]
            if missing[-1] not in seen:
                yield f"a watch since {watch.since} had a bookmark at {event.revision} before {missing[-1]}"
                return
