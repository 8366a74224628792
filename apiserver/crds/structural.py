"""Structural schemas: what a custom resource's schema does to a value before it is checked.

Pruning drops what the schema does not name, defaulting fills in what is missing; both change plain JSON in place.
Source: "Specifying a structural schema", "Field pruning" and "Defaulting and nullable" of the CRD documentation.
Elsewhere: what values are refused (validation.py), which schemas are structural (schema_rules.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from apiserver import decode
from sampan.api.meta_v1 import ObjectMeta

Json = dict[str, Any]
ROOT_FIELDS = ("apiVersion", "kind", "metadata")


@dataclass(frozen=True, eq=False)
class Structural:
    """One node of a schema. `raw` is the JSON it was made of, which holds the rules on values."""

    raw: Mapping[str, Any]
    type: str = ""
    properties: Mapping[str, Structural] = field(default_factory=dict)
    additional: Structural | None = None
    any_key: bool = False
    """additionalProperties is true."""
    items: Structural | None = None
    default: bytes | None = None
    """As JSON text, so that every use gets a copy of its own."""
    nullable: bool = False
    preserve: bool = False
    embedded: bool = False
    defaults_inside: bool = False
    """Whether it, or anything below, has a default."""


def of_json(raw: Mapping[str, Any]) -> Structural:
    """The structure of a schema (openAPIV3Schema as plain JSON)."""
    properties = {name: of_json(one) for name, one in raw.get("properties", {}).items()}
    extra, items = raw.get("additionalProperties"), raw.get("items")
    additional = of_json(extra) if isinstance(extra, Mapping) else None
    inner = of_json(items) if isinstance(items, Mapping) else None
    below = [*properties.values(), *(one for one in (additional, inner) if one is not None)]
    return Structural(
        raw,
        str(raw.get("type", "")),
        properties,
        additional,
        extra is True,
        inner,
        orjson.dumps(raw["default"]) if "default" in raw else None,
        bool(raw.get("nullable")),
        bool(raw.get("x-kubernetes-preserve-unknown-fields")),
        bool(raw.get("x-kubernetes-embedded-resource")),
        "default" in raw or any(one.defaults_inside for one in below),
    )


def prune(
    value: Any, schema: Structural, unknown: Callable[[str], None], path: str = "", *, root: bool = False
) -> bool:
    """Drop, in place, fields that the schema does not name; tell their paths. True when something was dropped.

    At the root, and in embedded resources, apiVersion, kind and metadata are always known.
    """
    changed = False
    if isinstance(value, dict):
        embedded = root or schema.embedded
        for key in list(value):
            at = f"{path}.{key}" if path else key
            if embedded and key in ROOT_FIELDS:
                if key == "metadata" and isinstance(value[key], dict):
                    changed |= _prune_metadata(value[key], unknown, at)
                continue
            inner = schema.properties.get(key)
            if inner is None:
                inner = schema.additional
                if inner is None:
                    if not (schema.preserve or schema.any_key):
                        del value[key]
                        unknown(at)
                        changed = True
                    continue
            changed |= prune(value[key], inner, unknown, at)
    elif isinstance(value, list) and schema.items is not None:
        for index, one in enumerate(value):
            changed |= prune(one, schema.items, unknown, f"{path}[{index}]")
    return changed


def _prune_metadata(value: Json, unknown: Callable[[str], None], path: str) -> bool:
    known = decode.shape(ObjectMeta).fields
    strange = [key for key in value if key not in known]
    for key in strange:
        del value[key]
        unknown(f"{path}.{key}")
    return bool(strange)


def _drops_null(inner: Any, schema: Structural) -> bool:
    return inner is None and not schema.nullable and schema.default is None


def fill(value: Any, schema: Structural) -> bool:
    """Fill in defaults, in place; a null that may not be is an absent value. True when something changed."""
    changed = False
    if isinstance(value, dict):
        for key, inner in schema.properties.items():
            if key in value:
                if value[key] is not None or inner.nullable:
                    continue
                if inner.default is None:
                    del value[key]
                    changed = True
                    continue
            elif inner.default is None:
                continue
            value[key] = orjson.loads(inner.default or b"null")
            changed = True
        if schema.additional is not None:
            strange = [key for key, one in value.items() if key not in schema.properties and one is None]
            for key in strange:
                if schema.additional.default is not None and not schema.additional.nullable:
                    value[key] = orjson.loads(schema.additional.default)
                    changed = True
                elif _drops_null(None, schema.additional):
                    del value[key]
                    changed = True
        for key, one in value.items():
            child = schema.properties.get(key) or schema.additional
            if child is not None and one.__class__ in (dict, list):
                changed |= fill(one, child)
    elif isinstance(value, list) and schema.items is not None:
        for index, one in enumerate(value):
            if one is None and schema.items.default is not None and not schema.items.nullable:
                value[index] = one = orjson.loads(schema.items.default)
                changed = True
            if one.__class__ in (dict, list):
                changed |= fill(one, schema.items)
    return changed
