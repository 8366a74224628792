"""Pure: sets of field paths, as managedFields hold them, and their FieldsV1 form.

A path's steps are written as FieldsV1 writes them: `f:name`, `k:{"name":"web"}`, `v:"x"`, `i:0`; `.` is the place
itself.
Source: KEP-555 (server-side apply), "FieldsV1" of the API reference.
Elsewhere: which paths a value has (values.py), who owns them (managers.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

DEEPEST = 200
"""Most steps that a path may have."""
FIELD, KEY, VALUE, INDEX = "f:", "k:", "v:", "i:"
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class FieldSet:
    """A set of paths, as a tree: whether this place is in it, and the sets below."""

    member: bool = False
    children: Mapping[str, FieldSet] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether there is any path; no set keeps empty children."""
        return self.member or bool(self.children)

    def below(self, step: str) -> FieldSet:
        """The set under a step; empty if there is none."""
        return self.children.get(step, EMPTY)

    def union(self, other: FieldSet) -> FieldSet:
        """Paths that are in either."""
        if not other.children:
            return self if self.member or not other.member else FieldSet(True, self.children)
        children = dict(self.children)
        for step, theirs in other.children.items():
            mine = children.get(step)
            children[step] = theirs if mine is None else mine.union(theirs)
        return FieldSet(self.member or other.member, children)

    def intersection(self, other: FieldSet) -> FieldSet:
        """Paths that are in both."""
        return self._kept(self.member and other.member, other, FieldSet.intersection)

    def difference(self, other: FieldSet) -> FieldSet:
        """Paths that are not in the other; what lies below a path of the other stays."""
        return self._kept(self.member and not other.member, other, FieldSet.difference)

    def without(self, other: FieldSet) -> FieldSet:
        """Paths that are neither in the other nor below one of its paths."""
        if other.member:
            return EMPTY
        return self._kept(self.member, other, FieldSet.without)

    def _kept(self, member: bool, other: FieldSet, of: Callable[[FieldSet, FieldSet], FieldSet]) -> FieldSet:
        children = {step: of(mine, other.children.get(step, EMPTY)) for step, mine in self.children.items()}
        return FieldSet(member, {step: one for step, one in children.items() if one})

    def paths(self, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
        """All paths, in order."""
        if self.member:
            yield above
        for step in sorted(self.children):
            yield from self.children[step].paths((*above, step))

    def encode(self) -> Json:
        """The FieldsV1 form."""
        made = {step: self.children[step].encode() for step in sorted(self.children)}
        return {".": {}, **made} if self.member and made else made


EMPTY = FieldSet()
MEMBER = FieldSet(True)


def of_paths(*paths: tuple[str, ...]) -> FieldSet:
    """The set of some paths."""
    made = EMPTY
    for path in paths:
        one = MEMBER
        for step in reversed(path):
            one = FieldSet(False, {step: one})
        made = made.union(one)
    return made


def decode(value: Any, depth: int = DEEPEST) -> FieldSet:
    """Read a FieldsV1. Raises ValueError."""
    if not isinstance(value, dict):
        raise ValueError(f"expected an object of fields, found {value!r}")
    if not depth:
        raise ValueError(f"fields are nested more than {DEEPEST} levels deep")
    children: dict[str, FieldSet] = {}
    member = False
    for step, inner in value.items():
        if step == ".":
            member = True
            continue
        below = decode(inner, depth - 1) if inner else MEMBER
        name = canonical(step)
        children[name] = children[name].union(below) if name in children else below
    return FieldSet(member or not children, children)


def decode_root(value: Any) -> FieldSet:
    """Read the FieldsV1 of a whole object: the empty one has no path at all. Raises ValueError."""
    return decode(value) if value else EMPTY


def canonical(step: str) -> str:
    """A step in the one form that is compared. Raises ValueError."""
    kind, text = step[:2], step[2:]
    try:
        if kind == FIELD:
            return step
        if kind == KEY:
            keys = orjson.loads(text)
            if not isinstance(keys, dict) or not keys:
                raise ValueError(f"keys of a list's element are no object: {step!r}")
            return key_step(keys)
        if kind == VALUE:
            return value_step(orjson.loads(text))
        if kind == INDEX:
            return f"{INDEX}{int(text)}"
    except orjson.JSONDecodeError as error:
        raise ValueError(f"no JSON in {step!r}: {error}") from error
    raise ValueError(f"missing type of path element: {step!r}; one begins with f:, k:, v: or i:")


def key_step(keys: Mapping[str, Any]) -> str:
    """The step to a list's element by its keys."""
    return KEY + orjson.dumps(keys, option=orjson.OPT_SORT_KEYS).decode()


def value_step(value: Any) -> str:
    """The step to a set's element."""
    return VALUE + orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def shown(path: tuple[str, ...]) -> str:
    """A path as conflicts are told: `.spec.containers[name="web"].image`."""
    return "".join(_shown(step) for step in path)


def _shown(step: str) -> str:
    kind, text = step[:2], step[2:]
    if kind == FIELD:
        return f".{text}"
    if kind == KEY:
        pairs = (f"{name}={orjson.dumps(value).decode()}" for name, value in orjson.loads(text).items())
        return f"[{','.join(pairs)}]"
    return f"[={text}]" if kind == VALUE else f"[{text}]"
