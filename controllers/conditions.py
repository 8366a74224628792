"""Small rules that the statuses of several kinds share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

from sampan.selectors import Selector, SelectorError, of_object

C = TypeVar("C", bound="Condition")


class Condition(Protocol):
    """Any of the API's condition types."""

    @property
    def type(self) -> str | None: ...
    @property
    def status(self) -> str | None: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def message(self) -> str | None: ...
    @property
    def last_transition_time(self) -> datetime | None: ...
    def model_copy(self: C, *, update: Mapping[str, Any] | None = None) -> C: ...


def find(conditions: Sequence[C], type: str) -> C | None:
    """The condition of a type."""
    return next((one for one in conditions if one.type == type), None)


def without(conditions: Sequence[C], type: str) -> list[C]:
    """The conditions of other types."""
    return [one for one in conditions if one.type != type]


def merged(conditions: Sequence[C], new: C, *also: str) -> list[C]:
    """The conditions with `new` in its type's place.

    Nothing changes when status, reason and message (and the attributes `also`) are the same; the transition time
    moves only with the status (API conventions, "Typical status properties").
    """
    old = find(conditions, new.type or "")
    if old is None:
        return [*conditions, new]
    compared = ("status", "reason", "message", *also)
    if all(getattr(old, name) == getattr(new, name) for name in compared):
        return list(conditions)
    if old.status == new.status:
        new = new.model_copy(update={"last_transition_time": old.last_transition_time})
    return [new if one.type == new.type else one for one in conditions]


def stamp(now: datetime) -> datetime:
    """A moment as metav1.Time keeps it."""
    return now.replace(microsecond=0)


def resolved(value: int | str | None, total: int, *, round_up: bool) -> int:
    """An IntOrString as a number of replicas. An unreadable one counts as 0: the API server refuses those."""
    if value is None:
        return 0
    if isinstance(value, int):
        return value
    digits = value.removesuffix("%")
    if not value.endswith("%") or not digits.isdigit():
        return 0
    exact = int(digits) * total / 100
    return math.ceil(exact - 1e-9) if round_up else math.floor(exact + 1e-9)


def selector_of(selector: object) -> Selector | None:
    """A compiled LabelSelector; None for one that selects nothing or says the impossible."""
    try:
        return of_object(selector)  # type: ignore[arg-type]  # any model's LabelSelector
    except SelectorError:
        return None
