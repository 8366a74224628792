"""Which schemas are structural, worded as upstream words it.

Source: "Specifying a structural schema" of the CRD documentation: a type everywhere, nothing but rules on values inside
allOf, anyOf, oneOf and not, and every field that those name is specified outside of them too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from apiserver.crds import patterns, validation
from apiserver.crds.formats import KNOWN
from apiserver.crds.structural import fill, of_json, prune
from sampan.errors import FieldError

Schema = Mapping[str, Any]
TYPES = ("array", "boolean", "integer", "number", "object", "string")
NEVER = ("$ref", "$schema", "id", "additionalItems", "definitions", "dependencies", "patternProperties", "externalDocs")
SAID_DIFFERENTLY = {"$schema": "schema", "externalDocs": "externalDocs"}
MARKS = {
    "x-kubernetes-preserve-unknown-fields": "must be false to be structural",
    "x-kubernetes-embedded-resource": "must be false to be structural",
    "x-kubernetes-int-or-string": "must be false to be structural",
    "nullable": "must be false to be structural",
    "x-kubernetes-list-type": "must be undefined to be structural",
    "x-kubernetes-list-map-keys": "must be empty to be structural",
    "x-kubernetes-map-type": "must be undefined to be structural",
    "additionalProperties": "must be undefined to be structural",
    "default": "must be undefined to be structural",
    "type": "must be empty to be structural",
    "title": "must be empty to be structural",
    "description": "must be empty to be structural",
}
INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]
JUNCTORS = ("allOf", "anyOf", "oneOf")


def check_schema(schema: Schema, path: str) -> Iterator[FieldError]:
    """Everything that keeps a version's schema from being structural, or makes no sense."""
    yield from _node(schema, path, "root")
    yield from _root_metadata(schema, path)
    if schema.get("nullable"):
        yield FieldError.forbidden(f"{path}.nullable", "nullable cannot be true at the root")


def unknown_formats(schema: Schema) -> Iterator[str]:
    """Formats that are not checked, which upstream warns of."""
    form = schema.get("format")
    if form and form not in KNOWN:
        yield str(form)
    for _, inner in _below(schema):
        yield from unknown_formats(inner)


def has_rules(schema: Schema) -> bool:
    """Whether anything in a schema has x-kubernetes-validations."""
    return bool(schema.get("x-kubernetes-validations")) or any(has_rules(inner) for _, inner in _below(schema))


def _below(schema: Schema) -> Iterator[tuple[str, Schema]]:
    for name, inner in schema.get("properties", {}).items():
        yield f"properties[{name}]", inner
    for name in ("items", "additionalProperties", "not"):
        if isinstance(schema.get(name), Mapping):
            yield name, schema[name]
    for name in JUNCTORS:
        for index, inner in enumerate(schema.get(name, ())):
            yield f"{name}[{index}]", inner


def _node(schema: Schema, path: str, level: str) -> Iterator[FieldError]:
    yield from _forbidden(schema, path)
    yield from _type(schema, path, level)
    yield from _list(schema, path)
    yield from _values(schema, path)
    if "default" in schema:
        yield from _default(schema, path)
    for name, inner in schema.get("properties", {}).items():
        yield from _node(inner, f"{path}.properties[{name}]", "field")
    extra, items = schema.get("additionalProperties"), schema.get("items")
    if isinstance(extra, Mapping):
        yield from _node(extra, f"{path}.additionalProperties", "field")
    if isinstance(items, Mapping):
        yield from _node(items, f"{path}.items", "item")
    for place, inner in _below(schema):
        if place.partition("[")[0] in (*JUNCTORS, "not") and not _is_int_or_string(schema, place):
            yield from _inside_junctor(inner, schema, f"{path}.{place}")


def _is_int_or_string(schema: Schema, place: str) -> bool:
    """anyOf: [integer, string] may stand beside x-kubernetes-int-or-string, by itself or first in allOf."""
    if not schema.get("x-kubernetes-int-or-string"):
        return False
    if place.startswith("anyOf"):
        return bool(schema["anyOf"] == INT_OR_STRING)
    return place == "allOf[0]" and bool(schema["allOf"][0].get("anyOf") == INT_OR_STRING)


def _forbidden(schema: Schema, path: str) -> Iterator[FieldError]:
    for name in NEVER:
        if schema.get(name) not in (None, "", {}, []):
            if name in ("externalDocs",):
                continue
            yield FieldError.forbidden(f"{path}.{name}", f"{name} is not supported")
    if schema.get("uniqueItems"):
        why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        yield FieldError.forbidden(f"{path}.uniqueItems", why)
    extra = schema.get("additionalProperties")
    if extra is False:
        yield FieldError.forbidden(f"{path}.additionalProperties", "additionalProperties cannot be set to false")
    elif extra is not None:
        if not isinstance(extra, Mapping | bool):
            yield FieldError.invalid(f"{path}.additionalProperties", extra, "must be a schema or a boolean")
        if schema.get("properties"):
            why = "additionalProperties and properties are mutual exclusive"
            yield FieldError.forbidden(f"{path}.additionalProperties", why)
    items = schema.get("items")
    if isinstance(items, list):
        yield FieldError.forbidden(f"{path}.items", "items must be a schema object and not an array")
    elif items is not None and not isinstance(items, Mapping):
        yield FieldError.invalid(f"{path}.items", items, "must be a schema object")


def _type(schema: Schema, path: str, level: str) -> Iterator[FieldError]:
    kind = schema.get("type", "")
    at = f"{path}.type"
    either = schema.get("x-kubernetes-int-or-string")
    preserve = schema.get("x-kubernetes-preserve-unknown-fields")
    if preserve is False:
        yield FieldError.invalid(f"{path}.x-kubernetes-preserve-unknown-fields", False, "must be true or undefined")
    if kind and kind not in TYPES:
        yield FieldError.not_supported(at, kind, TYPES)
    if level == "root" and kind and kind != "object":
        yield FieldError.invalid(at, kind, "must be object at the root")
    if either and kind:
        yield FieldError.invalid(at, kind, "must be empty if x-kubernetes-int-or-string is true")
    if schema.get("x-kubernetes-embedded-resource"):
        if kind != "object":
            why = "must be object if x-kubernetes-embedded-resource is true"
            yield FieldError.invalid(at, kind, why) if kind else FieldError.required(at, why)
        if not preserve and not schema.get("properties"):
            why = (
                "must not be empty if x-kubernetes-embedded-resource is true without "
                "x-kubernetes-preserve-unknown-fields"
            )
            yield FieldError.required(f"{path}.properties", why)
    elif not kind and not either and not preserve:
        what = {
            "root": "must not be empty at the root",
            "item": "must not be empty for specified array items",
            "field": "must not be empty for specified object fields",
        }[level]
        yield FieldError.required(at, what)
    elif not kind and level == "root" and not either:
        yield FieldError.required(at, "must not be empty at the root")
    if kind == "array" and schema.get("items") is None:
        yield FieldError.required(f"{path}.items", "must be specified")


def _list(schema: Schema, path: str) -> Iterator[FieldError]:
    kind, keys = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys") or []
    items = schema.get("items")
    if (how := schema.get("x-kubernetes-map-type")) is not None:
        if how not in ("granular", "atomic"):
            yield FieldError.not_supported(f"{path}.x-kubernetes-map-type", how, ("atomic", "granular"))
        if schema.get("type") != "object":
            yield FieldError.invalid(
                f"{path}.type", schema.get("type", ""), "must be object if x-kubernetes-map-type is specified"
            )
    if kind is not None:
        if kind not in ("atomic", "set", "map"):
            yield FieldError.not_supported(f"{path}.x-kubernetes-list-type", kind, ("atomic", "map", "set"))
        if schema.get("type") != "array":
            why = "must be array if x-kubernetes-list-type is specified"
            yield FieldError.invalid(f"{path}.type", schema.get("type", ""), why)
    if keys and kind != "map":
        why = "must be map if x-kubernetes-list-map-keys is non-empty"
        at = f"{path}.x-kubernetes-list-type"
        yield FieldError.required(at, why) if kind is None else FieldError.invalid(at, kind, why)
    if not isinstance(items, Mapping):
        return
    if kind == "set" and items.get("nullable"):
        yield FieldError.forbidden(f"{path}.items.nullable", "cannot be nullable when x-kubernetes-list-type is set")
    if kind == "map":
        yield from _map_keys(items, keys, path)


def _map_keys(items: Schema, keys: list[str], path: str) -> Iterator[FieldError]:
    at = f"{path}.x-kubernetes-list-map-keys"
    if not keys:
        yield FieldError.required(at, "must not be empty if x-kubernetes-list-type is map")
    if items.get("type") != "object":
        yield FieldError.invalid(
            f"{path}.items.type",
            items.get("type", ""),
            'must be object if parent array\'s x-kubernetes-list-type is "map"',
        )
    if items.get("nullable"):
        yield FieldError.forbidden(f"{path}.items.nullable", "cannot be nullable when x-kubernetes-list-type is map")
    properties = items.get("properties", {})
    for index, key in enumerate(keys):
        if key in keys[:index]:
            yield FieldError.duplicate(f"{at}[{index}]", key)
            continue
        inner = properties.get(key)
        where = f"{path}.items.properties[{key}]"
        if inner is None:
            yield FieldError.invalid(f"{at}[{index}]", key, "entries must all be names of item properties")
            continue
        if inner.get("type") in ("array", "object"):
            yield FieldError.invalid(
                f"{where}.type",
                inner["type"],
                'must be a scalar type if parent array\'s x-kubernetes-list-type is "map"',
            )
        if inner.get("nullable"):
            yield FieldError.forbidden(
                f"{where}.nullable", "this property is in x-kubernetes-list-map-keys, so it cannot be nullable"
            )
        if key not in items.get("required", ()) and "default" not in inner:
            why = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
            yield FieldError.required(f"{where}.default", why)


def _values(schema: Schema, path: str) -> Iterator[FieldError]:
    """Rules on values that cannot be meant."""
    if pattern := schema.get("pattern"):
        try:
            patterns.compiled(pattern)
        except patterns.PatternError as error:
            yield FieldError.invalid(
                f"{path}.pattern", pattern, f"must be a valid regular expression, but isn't: {error}"
            )
    if schema.get("multipleOf") is not None and schema["multipleOf"] <= 0:
        yield FieldError.invalid(f"{path}.multipleOf", schema["multipleOf"], "must be greater than 0")
    for place, inner in _below(schema):
        if place.partition("[")[0] in (*JUNCTORS, "not"):
            yield from _values(inner, f"{path}.{place}")


def _default(schema: Schema, path: str) -> Iterator[FieldError]:
    """A default must be what it would be after pruning and defaulting, and pass its own schema."""
    value = schema["default"]
    structure = of_json(schema)
    copy = orjson.loads(orjson.dumps(value))
    if prune(copy, structure, lambda _: None):
        yield FieldError.invalid(f"{path}.default", value, "must not have unknown fields")
        return
    fill(copy, structure)
    yield from validation.check(copy, schema, f"{path}.default")


def _inside_junctor(schema: Schema, outside: Schema, path: str) -> Iterator[FieldError]:
    """Inside allOf, anyOf, oneOf and not: rules on values, for fields that the structure outside has."""
    for name, why in MARKS.items():
        if schema.get(name) not in (None, "", [], False):
            yield FieldError.forbidden(f"{path}.{name}", why)
    yield from _forbidden({k: v for k, v in schema.items() if k != "additionalProperties"}, path)
    for name, inner in schema.get("properties", {}).items():
        at = f"{path}.properties[{name}]"
        known = outside.get("properties", {}).get(name)
        if known is None:
            yield FieldError.required(_outer(path) + f".properties[{name}]", f"because it is defined in {at}")
        else:
            yield from _inside_junctor(inner, known, at)
    items = schema.get("items")
    if isinstance(items, Mapping):
        known = outside.get("items")
        if not isinstance(known, Mapping):
            yield FieldError.required(_outer(path) + ".items", f"because it is defined in {path}.items")
        else:
            yield from _inside_junctor(items, known, f"{path}.items")
    for place, inner in _below(schema):
        if place.partition("[")[0] in (*JUNCTORS, "not"):
            yield from _inside_junctor(inner, outside, f"{path}.{place}")


def _outer(path: str) -> str:
    """The structure's own path of a place inside junctors."""
    return re.sub(r"\.(?:(?:allOf|anyOf|oneOf)\[[0-9]+\]|not)(?=\.|$)", "", path)


def _root_metadata(schema: Schema, path: str) -> Iterator[FieldError]:
    metadata = schema.get("properties", {}).get("metadata")
    if not isinstance(metadata, Mapping):
        return
    at = f"{path}.properties[metadata]"
    allowed = {"type", "properties", "description", "title", "required"}
    if set(metadata) - allowed or set(metadata.get("properties", {})) - {"name", "generateName"}:
        yield FieldError.forbidden(
            at, "must not specify anything other than name and generateName, but metadata is implicitly specified"
        )
