"""Pure: the paths of a value, and what differs between two values.

Always: a named field of a type is a path when it is a leaf or empty; a key of a map and an element of a list are paths
themselves, besides what is in them.
Elsewhere: sets of paths (fieldsets.py), merging (merge.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from apiserver.apply.fieldsets import EMPTY, FIELD, INDEX, MEMBER, FieldSet, key_step, shown, value_step
from apiserver.apply.types import UNTYPED, Type
from sampan.patches.values import same

DEEPEST = 190
MOST_ERRORS = 10


class Malformed(ValueError):
    """A configuration does not fit its type; says where and why."""


class Changes(NamedTuple):
    """What differs between two values."""

    added: FieldSet
    modified: FieldSet
    removed: FieldSet

    @property
    def taken(self) -> FieldSet:
        """What whoever made the change has set."""
        return self.modified.union(self.added)


NOTHING = Changes(EMPTY, EMPTY, EMPTY)


def granular(value: Any, of: Type) -> bool:
    """Whether a value's parts are owned one by one."""
    if value.__class__ is dict:
        return not of.atomic
    return value.__class__ is list and of.list_type in ("set", "map")


def step_of(item: Any, of: Type) -> str:
    """The step to an element of a list of type `of`. Raises Malformed."""
    if of.list_type == "set":
        if item.__class__ is dict or item.__class__ is list or item is None:
            raise Malformed("expected a set of scalars")
        return value_step(item)
    if item.__class__ is not dict:
        raise Malformed("associative list with keys may not have non-map elements")
    fields = of.items.fields
    keys = {}
    for key in of.keys:
        found = item.get(key)
        if found is None and key in fields:
            found = fields[key].default
        if found is not None:
            keys[key] = found
        elif len(of.keys) == 1:
            raise Malformed(
                f'associative list with keys has an element that omits key field "{key}" '
                "(and doesn't have default value)"
            )
    if not keys:
        raise Malformed(f"associative list with keys has an element that omits all key fields {list(of.keys)}")
    return key_step(keys)


def steps(items: Sequence[Any], of: Type) -> list[str]:
    """The steps to a stored list's elements; those without keys go by their index."""
    made = []
    for index, item in enumerate(items):
        try:
            made.append(step_of(item, of))
        except Malformed:
            made.append(f"{INDEX}{index}")
    return made


def paths_of(value: Any, of: Type, *, whole: bool = False) -> FieldSet:
    """The paths of a value; `whole` counts objects and lists as paths too."""
    if value.__class__ is dict and not of.atomic:
        if not value:
            return MEMBER
        children = {}
        for name, inner in value.items():
            below = paths_of(inner, of.child(name) or UNTYPED, whole=whole)
            children[FIELD + name] = below if name in of.fields else FieldSet(True, below.children)
        return FieldSet(whole, children)
    if granular(value, of):
        if not value:
            return MEMBER
        children = {}
        for step, inner in zip(steps(value, of), value, strict=True):
            below = FieldSet(True, paths_of(inner, of.items, whole=whole).children)
            children[step] = children[step].union(below) if step in children else below
        return FieldSet(whole, children)
    return MEMBER


def check(value: Any, of: Type, path: tuple[str, ...] = ()) -> Iterator[str]:
    """What is wrong with an applied configuration: undeclared fields, doubled elements, missing keys."""
    if len(path) > DEEPEST:
        yield f"{shown(path[:8])}: nested more than {DEEPEST} levels deep"
    elif value.__class__ is dict:
        for name, inner in value.items():
            child = of.child(name)
            if child is None:
                yield f"{shown((*path, FIELD + name))}: field not declared in schema"
            else:
                yield from check(inner, child, (*path, FIELD + name))
    elif value.__class__ is list:
        seen = set()
        for index, inner in enumerate(value):
            step = f"{INDEX}{index}"
            if granular(value, of):
                try:
                    step = step_of(inner, of)
                except Malformed as error:
                    yield f"{shown(path)}: element {index}: {error}"
                    continue
                if step in seen:
                    yield f"{shown(path)}: duplicate entries for key {shown((step,))}"
                seen.add(step)
            yield from check(inner, of.items, (*path, step))


def changes(old: Any, new: Any, of: Type) -> Changes:
    """What differs between two values of a type."""
    if granular(old, of) and granular(new, of) and old.__class__ is new.__class__:
        if old.__class__ is dict:
            return _of_maps(old, new, of)
        return _of_lists(old, new, of)
    alike = same(old, new) or (of.text and _is_number(new) and str(old) == str(new))
    return NOTHING if alike else Changes(_below(new, of), MEMBER, _below(old, of))


def _below(value: Any, of: Type) -> FieldSet:
    return FieldSet(False, paths_of(value, of, whole=True).children)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _of_maps(old: dict[str, Any], new: dict[str, Any], of: Type) -> Changes:
    found: dict[str, Changes] = {}
    for name, mine in old.items():
        child = of.child(name) or UNTYPED
        if name not in new:
            found[FIELD + name] = Changes(EMPTY, EMPTY, _itself(mine, child))
        else:
            found[FIELD + name] = changes(mine, new[name], child)
    for name, theirs in new.items():
        if name not in old and theirs is not None:  # null asks for what is so already
            child = of.child(name) or UNTYPED
            if theirs or not child.omitted:
                found[FIELD + name] = Changes(_itself(theirs, child), EMPTY, EMPTY)
    return _joined(found)


def _of_lists(old: list[Any], new: list[Any], of: Type) -> Changes:
    before, after = grouped(old, of), grouped(new, of)
    found: dict[str, Changes] = {}
    for step, mine in before.items():
        theirs = after.get(step)
        if theirs is None:
            found[step] = Changes(EMPTY, EMPTY, _all(mine, of))
        elif len(mine) == len(theirs) == 1:
            found[step] = changes(mine[0], theirs[0], of.items)
        elif not same(mine, theirs):
            found[step] = Changes(EMPTY, MEMBER, EMPTY)
    for step, theirs in after.items():
        if step not in before:
            found[step] = Changes(_all(theirs, of), EMPTY, EMPTY)
    return _joined(found)


def grouped(items: Sequence[Any], of: Type) -> dict[str, list[Any]]:
    """The elements of a list by their steps, in order; a stored list may have an element twice."""
    made: dict[str, list[Any]] = {}
    for step, item in zip(steps(items, of), items, strict=True):
        made.setdefault(step, []).append(item)
    return made


def _itself(value: Any, of: Type) -> FieldSet:
    return FieldSet(True, paths_of(value, of, whole=True).children)


def _all(items: Sequence[Any], of: Type) -> FieldSet:
    made = MEMBER
    for item in items:
        made = made.union(_itself(item, of.items))
    return made


def _joined(found: dict[str, Changes]) -> Changes:
    return Changes(
        *(
            FieldSet(False, {step: one[place] for step, one in found.items() if one[place]})
            for place in range(len(Changes._fields))
        )
    )
