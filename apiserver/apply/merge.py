"""Pure: merging an applied configuration into a live value, and taking away what is no longer applied.

Always: neither argument is changed, but the result may share parts with them.
Elsewhere: who owns what, and conflicts (managers.py).
"""

from __future__ import annotations

from typing import Any

from apiserver.apply.fieldsets import FIELD, FieldSet
from apiserver.apply.types import UNTYPED, Type
from apiserver.apply.values import granular, grouped, steps


def merge(live: Any, applied: Any, of: Type) -> Any:
    """The live value with everything that is applied set to it."""
    if not (granular(live, of) and granular(applied, of) and live.__class__ is applied.__class__):
        return applied
    if live.__class__ is dict:
        made = dict(live)
        for name, value in applied.items():
            made[name] = merge(live[name], value, of.child(name) or UNTYPED) if name in live else value
        return made
    return _lists(live, applied, of)


def _lists(live: list[Any], applied: list[Any], of: Type) -> list[Any]:
    """The applied elements in their order; those of others stay behind the elements that they followed."""
    ours = grouped(applied, of)
    theirs = grouped(live, of)
    order = list(theirs)
    places = {step: place for place, step in enumerate(order)}
    made: list[Any] = []
    at = 0
    for step, values in ours.items():
        until = places.get(step)
        while at < (len(order) if until is None else until) and (until is not None or order[at] not in ours):
            if order[at] not in ours:
                made.extend(theirs[order[at]])
            at += 1
        before = theirs.get(step, ())
        if len(before) == len(values) == 1:
            made.append(merge(before[0], values[0], of.items))
        else:
            made.extend(values)
        if until is not None:
            at = max(at, until + 1)
    made.extend(item for step in order[at:] if step not in ours for item in theirs[step])
    return made


def prune(value: Any, last: FieldSet, kept: FieldSet, of: Type) -> Any:
    """The value without what is in `last` and not in `kept`.

    A declared field counts as in a set when anything below it is; a key of a map and an element of a list only when
    it is itself, and with it goes all that it holds.
    """
    if not last.children or not granular(value, of):
        return value
    if value.__class__ is dict:
        made = {}
        for name, inner in value.items():
            mine, theirs = last.below(FIELD + name), kept.below(FIELD + name)
            named = name in of.fields
            if (mine if named else mine.member) and not (theirs if named else theirs.member):
                continue
            made[name] = prune(inner, mine, theirs, of.child(name) or UNTYPED)
        return made
    return [
        prune(item, last.below(step), kept.below(step), of.items)
        for step, item in zip(steps(value, of), value, strict=True)
        if not last.below(step).member or kept.below(step).member
    ]
