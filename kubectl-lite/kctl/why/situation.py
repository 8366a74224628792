"""A situation is a declaration: its name, when it holds, the cause and the next step as texts. Pure.

Always: the first situation of a table that holds is the answer, so that what comes first in a table is what causes
what comes later. A PassOn hands the question to another object, the one that is the reason for this one's state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kctl.why.facts import Facts, Value, kind_of, label

Words = Mapping[str, Any]
"""What the texts of a situation name. `lines`, if there, is the evidence."""
DEEPEST = 6


@dataclass(frozen=True)
class Situation:
    """One cause. `when` gives the words for the texts if it holds, else None."""

    name: str
    when: Callable[[Facts, Value], Words | None]
    cause: str
    next: str
    healthy: bool = False


@dataclass(frozen=True)
class PassOn:
    """The cause is another object's: the first of these that is not as it should be."""

    to: Callable[[Facts, Value], Iterable[Value]]


Entry = Situation | PassOn
Tables = Mapping[str, Sequence[Entry]]


@dataclass(frozen=True)
class Diagnosis:
    """The one cause and the one next step. `chain` leads from the object asked about to the one that has the cause."""

    situation: str
    cause: str
    next: str
    healthy: bool
    chain: tuple[str, ...]
    lines: tuple[str, ...] = field(default=())

    def to_json(self, namespace: str) -> dict[str, Any]:
        """As `-o json` shows it."""
        found: dict[str, Any] = {
            "object": self.chain[0],
            "situation": self.situation,
            "healthy": self.healthy,
            "cause": self.cause,
            "next": self.next,
            "chain": list(self.chain),
            "evidence": list(self.lines),
        }
        return found | ({"namespace": namespace} if namespace else {})


UNKNOWN = Situation(
    "unknown",
    lambda facts, value: {"label": label(value), "namespace": facts.option(value)},
    "nothing that kctl knows explains the state of {label}",
    "kctl describe {label}{namespace}",
)


def diagnose(tables: Tables, facts: Facts, value: Value, depth: int = 0) -> Diagnosis:
    """The cause, by the tables."""
    for entry in (*tables.get(kind_of(value), tables[""]), UNKNOWN):
        if isinstance(entry, PassOn):
            for other in entry.to(facts, value) if depth < DEEPEST else ():
                found = diagnose(tables, facts, other, depth + 1)
                if not found.healthy:
                    return replace(found, chain=(label(value), *found.chain))
            continue
        words = entry.when(facts, value)
        if words is None:
            continue
        words = {"label": label(value), "namespace": facts.option(value), **words}
        return Diagnosis(
            entry.name,
            entry.cause.format_map(words),
            entry.next.format_map(words),
            entry.healthy,
            (label(value),),
            tuple(words.get("lines", ())),
        )
    raise AssertionError("UNKNOWN always holds")
