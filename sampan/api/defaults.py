"""Defaults where a client wrote the empty value instead of leaving the field out.

The models give an absent field its default. In Go the empty text and a zero of a plain number are absent too, and
clients that build objects with all fields send them; `fill` reads them so.
Elsewhere: defaults that depend on other fields (apiserver/kinds/).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from sampan.api.base import Object
from sampan.api.rules import ZeroIsUnset, model_in


@dataclass(frozen=True)
class Plan:
    """What to look at in one model."""

    defaults: tuple[tuple[str, Any, Any], ...]
    """(attribute, empty value, default)"""
    children: tuple[str, ...]


def defaulted(model: type[Object], above: frozenset[type[Object]] = frozenset()) -> bool:
    """Whether a model, however deep, has a default to fill in."""
    if model in above:
        return False
    found = plan(model)
    if found.defaults:
        return True
    return any(
        child is not None and defaulted(child, above | {model})
        for child in (model_in(model.model_fields[name].annotation) for name in found.children)
    )


@cache
def plan(model: type[Object]) -> Plan:
    """The plan of a model, made once."""
    if not model.__pydantic_fields_complete__:
        model.model_rebuild()
    defaults: list[tuple[str, Any, Any]] = []
    children = []
    for name, info in model.model_fields.items():
        if name in ("api_version", "kind", "metadata", "status"):
            continue
        if isinstance(info.default, str) and info.default:
            defaults.append((name, "", info.default))
        elif any(isinstance(rule, ZeroIsUnset) for rule in info.metadata):
            defaults.append((name, 0, info.default))
        if model_in(info.annotation) is not None:
            children.append(name)
    return Plan(tuple(defaults), tuple(children))


@cache
def deep_plan(model: type[Object]) -> Plan:
    """The plan without children that have nothing to fill in."""
    found = plan(model)
    fields = model.model_fields
    kept = [
        name
        for name in found.children
        if (child := model_in(fields[name].annotation)) is not None and defaulted(child, frozenset({model}))
    ]
    return Plan(found.defaults, tuple(kept))


def fill(obj: Object) -> None:
    """Replace empty values by defaults, everywhere in an object; it is changed."""
    found = deep_plan(type(obj))
    for name, empty, default in found.defaults:
        value = getattr(obj, name)
        if value is None or (value == empty and value is not False):
            setattr(obj, name, default)
    for name in found.children:
        value = getattr(obj, name)
        if value is None:
            continue
        if isinstance(value, list):  # asking a model's metaclass costs more
            for one in value:
                fill(one)
        elif isinstance(value, dict):
            for one in value.values():
                fill(one)
        elif isinstance(value, Object):
            fill(value)
