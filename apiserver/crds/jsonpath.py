"""The simple JSONPaths of CustomResourceDefinitions: columns, selectable fields, where the scale's numbers stand.

`.spec.replicas`, `.metadata.labels['a.b']`, `.status.conditions[?(@.type=="Ready")].status`, `.spec.items[*].name`.
Source: "JSONPath Support" of kubectl's documentation, without templates, unions and recursive descent.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

NAME = re.compile(r"\.((?:[A-Za-z0-9_\-/$]|\\.)+)")
INDEX = re.compile(r"\[(-?[0-9]+)\]")
SLICE = re.compile(r"\[(-?[0-9]*):(-?[0-9]*)\]")
KEY = re.compile(r"""\['((?:[^'\\]|\\.)*)'\]|\["((?:[^"\\]|\\.)*)"\]""")
FILTER = re.compile(
    r"""\[\?\(\s*@((?:\.(?:[A-Za-z0-9_\-/]|\\.)+)+)\s*(?:(==|!=|<=|>=|<|>)\s*("[^"]*"|'[^']*'|-?[0-9.]+|true|false))?\s*\)\]"""
)
COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


class PathError(ValueError):
    """A path that is none, or uses what is not supported. Says where."""


@dataclass(frozen=True)
class Step:
    """One step: a key, an index, every element, a slice, or the elements that a condition selects."""

    key: str | None = None
    index: int | None = None
    every: bool = False
    part: slice | None = None
    condition: Condition | None = None


@dataclass(frozen=True)
class Condition:
    """`@.path == value`; no operator: the path is there."""

    path: tuple[str, ...]
    compare: str
    value: Any


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


@lru_cache(maxsize=4096)
def parse(text: str) -> tuple[Step, ...]:
    """The steps of a path, with or without braces around it. Raises PathError."""
    rest = text.strip()
    if rest.startswith("{") and rest.endswith("}"):
        rest = rest[1:-1]
    rest = rest.removeprefix("$")
    if not rest.startswith((".", "[")):
        raise PathError(f"invalid JSONPath {text!r}: it must begin with a dot")
    steps: list[Step] = []
    while rest:
        found, step = _step(rest)
        if not found:
            raise PathError(f"invalid or unsupported JSONPath {text!r}, at {rest!r}")
        if step is not None:
            steps.append(step)
        rest = rest[found:]
    return tuple(steps)


def _step(rest: str) -> tuple[int, Step | None]:
    if rest == ".":
        return 1, None
    if rest.startswith(("[*]", ".*")):
        return (3 if rest[0] == "[" else 2), Step(every=True)
    if match := NAME.match(rest):
        return match.end(), Step(key=_unescaped(match[1]))
    if match := INDEX.match(rest):
        return match.end(), Step(index=int(match[1]))
    if match := SLICE.match(rest):
        return match.end(), Step(part=slice(*(int(one) if one else None for one in match.groups())))
    if match := KEY.match(rest):
        return match.end(), Step(key=_unescaped(match[1] if match[1] is not None else match[2]))
    if match := FILTER.match(rest):
        path = tuple(_unescaped(one) for one in re.split(r"(?<!\\)\.", match[1])[1:])
        literal = match[3] or ""
        value = literal[1:-1] if literal[:1] in ("'", '"') else json.loads(literal or "null")
        return match.end(), Step(condition=Condition(path, match[2] or "", value))
    return 0, None


def keys_of(steps: tuple[Step, ...]) -> tuple[str, ...] | None:
    """The keys of a path that has nothing else; None if it has."""
    keys = tuple(one.key for one in steps if one.key is not None)
    return keys if len(keys) == len(steps) else None


def find(steps: tuple[Step, ...], value: Any) -> Iterator[Any]:
    """Everything at a path; nothing where it leads nowhere."""
    if not steps:
        yield value
        return
    first, rest = steps[0], steps[1:]
    for one in _taken(first, value):
        yield from find(rest, one)


def _taken(step: Step, value: Any) -> Iterator[Any]:
    if step.key is not None:
        if isinstance(value, Mapping) and step.key in value:
            yield value[step.key]
    elif step.every:
        yield from value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    elif isinstance(value, list):
        if step.index is not None:
            if -len(value) <= step.index < len(value):
                yield value[step.index]
        elif step.part is not None:
            yield from value[step.part]
        elif step.condition is not None:
            yield from (one for one in value if _meets(step.condition, one))


def _meets(condition: Condition, value: Any) -> bool:
    for key in condition.path:
        if not isinstance(value, Mapping) or key not in value:
            return False
        value = value[key]
    if not condition.compare:
        return True
    if isinstance(value, bool) is not isinstance(condition.value, bool):
        return condition.compare == "!="
    try:
        return bool(COMPARE[condition.compare](value, condition.value))
    except TypeError:
        return False


def first(steps: tuple[Step, ...], value: Any) -> Any:
    """The first thing at a path, None if there is none."""
    return next(find(steps, value), None)
