"""What came of looking at one thing: a value, how a list of them is judged, and how it is shown. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """What came of a check."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True)
class Check:
    """One line of the table."""

    name: str
    state: State
    result: str
    remedy: str = ""


def good(name: str, result: str) -> Check:
    """All is well."""
    return Check(name, State.OK, result)


def doubtful(name: str, result: str, remedy: str) -> Check:
    """It works, but not for long or not well."""
    return Check(name, State.WARNING, result, remedy)


def failed(name: str, result: str, remedy: str) -> Check:
    """It does not work like this."""
    return Check(name, State.FAILED, result, remedy)


def passed(found: Sequence[Check], ignored: Iterable[str] = ()) -> bool:
    """Whether nothing failed but what is ignored: names, or "all"."""
    names = set(ignored)
    return all(one.state is not State.FAILED or one.name in names or "all" in names for one in found)


def table(found: Sequence[Check]) -> str:
    """For a person."""
    rows = [
        ("CHECK", "STATE", "RESULT", "WHAT TO DO"),
        *((one.name, one.state, one.result, one.remedy) for one in found),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = ["  ".join((*(row[i].ljust(widths[i]) for i in range(3)), row[3])).rstrip() for row in rows]
    return "\n".join(lines)
