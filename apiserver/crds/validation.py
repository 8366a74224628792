"""What values a structural schema refuses, worded as upstream's validation words it.

Source: OpenAPI 3.0's schema object, "Validation" of the CRD documentation. `check` is pure; patterns are matched in
linear time (patterns.py). Not evaluated yet: x-kubernetes-validations (a warning tells of them when a CRD has any).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from apiserver.crds import formats, patterns
from sampan.errors import FieldError

Schema = Mapping[str, Any]
NO_VALUE = object()


def type_of(value: Any) -> str:
    """A JSON value's type, in the schema's words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "integer" if value.is_integer() else "number"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"


def types_of(schema: Schema) -> tuple[str, ...]:
    """The types that a value may have; none: any."""
    if schema.get("x-kubernetes-int-or-string"):
        return ("integer", "string")
    return (schema["type"],) if schema.get("type") else ()


def invalid(path: str, value: Any, text: str) -> FieldError:
    """A rule on values is broken."""
    return FieldError.invalid(path, value, f"{path} in body {text}")


def wrong_type(path: str, wanted: str, shown: str) -> FieldError:
    """The type, or the format, is another."""
    text = f'Invalid value: "{shown}": {path} in body must be of type {wanted}: "{shown}"'
    return FieldError(path, "FieldValueTypeInvalid", text)


def number(value: float) -> str:
    """As Go prints a float64 with %v."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return str(value)


def same(one: Any, other: Any) -> bool:
    """Equal as JSON: true is not 1."""
    if isinstance(one, bool) is not isinstance(other, bool):
        return False
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return bool(one == other)


def check(value: Any, schema: Schema, path: str = "", before: Any = NO_VALUE) -> Iterator[FieldError]:
    """All broken rules of a value.

    `before` is what stood there in the stored object: what has not changed is not held against an update
    (KEP-4008, validation ratcheting).
    """
    if before is not NO_VALUE and same(value, before):
        return
    types = types_of(schema)
    if value is None:
        if types and not schema.get("nullable"):
            yield wrong_type(path, ",".join(types), "null")
        return
    found = type_of(value)
    if types and found not in types and not (found == "integer" and "number" in types):
        yield wrong_type(path, ",".join(types), found)
        return
    if "enum" in schema and not any(same(value, one) for one in schema["enum"]):
        yield FieldError.not_supported(
            path, value, [one if isinstance(one, str) else orjson.dumps(one).decode() for one in schema["enum"]]
        )
    if found in ("integer", "number"):
        yield from _number(value, schema, path)
    elif found == "string":
        yield from _string(value, schema, path)
    elif found == "array":
        yield from _array(value, schema, path, before)
    elif found == "object":
        yield from _object(value, schema, path, before)
    yield from _junctors(value, schema, path)


def _number(value: float, schema: Schema, path: str) -> Iterator[FieldError]:
    limits = formats.NUMBERS.get(schema.get("format", ""))
    if limits is not None and not limits[0] <= value <= limits[1]:
        yield invalid(path, value, f"must be of type {schema.get('type', 'number')} with format {schema['format']}")
    if (most := schema.get("maximum")) is not None:
        if schema.get("exclusiveMaximum"):
            if value >= most:
                yield invalid(path, value, f"should be less than {number(most)}")
        elif value > most:
            yield invalid(path, value, f"should be less than or equal to {number(most)}")
    if (least := schema.get("minimum")) is not None:
        if schema.get("exclusiveMinimum"):
            if value <= least:
                yield invalid(path, value, f"should be greater than {number(least)}")
        elif value < least:
            yield invalid(path, value, f"should be greater than or equal to {number(least)}")
    if (factor := schema.get("multipleOf")) and not _is_multiple(value, factor):
        yield invalid(path, value, f"should be a multiple of {number(factor)}")


def _is_multiple(value: float, factor: float) -> bool:
    if isinstance(value, int) and float(factor).is_integer():
        return value % int(factor) == 0
    try:
        return (value / factor).is_integer()
    except OverflowError:
        return False


def _string(value: str, schema: Schema, path: str) -> Iterator[FieldError]:
    if (most := schema.get("maxLength")) is not None and len(value) > most:
        yield FieldError(path, "FieldValueTooLong", f"Too long: may not be more than {most} bytes")
    if (least := schema.get("minLength")) is not None and len(value) < least:
        yield invalid(path, value, f"should be at least {least} chars long")
    pattern = schema.get("pattern")
    if pattern and not patterns.compiled(pattern).found_in(value):
        yield invalid(path, value, f"should match '{pattern}'")
    if (form := schema.get("format")) and not formats.fits(form, value):
        shown = orjson.dumps(value).decode()
        text = f"Invalid value: {shown}: {path} in body must be of type {form}: {shown}"
        yield FieldError(path, "FieldValueTypeInvalid", text)


def _array(value: list[Any], schema: Schema, path: str, before: Any) -> Iterator[FieldError]:
    if (most := schema.get("maxItems")) is not None and len(value) > most:
        yield FieldError.too_many(path, len(value), most)
    if (least := schema.get("minItems")) is not None and len(value) < least:
        yield invalid(path, len(value), f"should have at least {least} items")
    if schema.get("uniqueItems") and len({_key(one) for one in value}) != len(value):
        yield invalid(path, value, "shouldn't contain duplicates")
    items = schema.get("items")
    kind = schema.get("x-kubernetes-list-type")
    keys = schema.get("x-kubernetes-list-map-keys") or ()
    old: dict[bytes, Any] = {}
    if kind == "map" and isinstance(before, list):
        old = {_key(_keys_of(one, keys, items)): one for one in before if isinstance(one, dict)}
    if isinstance(items, Mapping):
        for index, one in enumerate(value):
            was = old.get(_key(_keys_of(one, keys, items)), NO_VALUE) if old and isinstance(one, dict) else NO_VALUE
            yield from check(one, items, f"{path}[{index}]", was)
    if kind == "set":
        yield from _doubled(value, path)
    elif kind == "map":
        yield from _doubled([_keys_of(one, keys, items) for one in value if isinstance(one, dict)], path)


def _keys_of(item: Any, keys: Any, items: Any) -> Any:
    properties = items.get("properties", {}) if isinstance(items, Mapping) else {}
    return {key: item.get(key, properties.get(key, {}).get("default")) for key in keys}


def _key(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _doubled(values: list[Any], path: str) -> Iterator[FieldError]:
    seen: set[bytes] = set()
    told: set[bytes] = set()
    for index, one in enumerate(values):
        key = _key(one)
        if key in seen and key not in told:
            told.add(key)
            yield FieldError.duplicate(f"{path}[{index}]", one)
        seen.add(key)


def _object(value: Mapping[str, Any], schema: Schema, path: str, before: Any) -> Iterator[FieldError]:
    old: Mapping[str, Any] = before if isinstance(before, Mapping) else {}
    if (most := schema.get("maxProperties")) is not None and len(value) > most:
        yield FieldError.too_many(path, len(value), most)
    if (least := schema.get("minProperties")) is not None and len(value) < least:
        yield invalid(path, len(value), f"should have at least {least} properties")
    for name in schema.get("required", ()):
        if name not in value:
            yield FieldError.required(f"{path}.{name}" if path else name)
    properties = schema.get("properties", {})
    extra = schema.get("additionalProperties")
    for key, one in value.items():
        at = f"{path}.{key}" if path else key
        inner = properties.get(key)
        if inner is None and isinstance(extra, Mapping):
            inner = extra
        if inner is not None:
            yield from check(one, inner, at, old.get(key, NO_VALUE))
        elif extra is False and key not in properties:
            yield FieldError.forbidden(at, f"{at} in body is a forbidden property")
    if schema.get("x-kubernetes-embedded-resource"):
        yield from _embedded(value, path)


def _embedded(value: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    for name in ("apiVersion", "kind"):
        if not value.get(name):
            yield FieldError.required(f"{path}.{name}", "must not be empty")
        elif not isinstance(value[name], str):
            yield wrong_type(f"{path}.{name}", "string", type_of(value[name]))
    if "metadata" in value and not isinstance(value["metadata"], Mapping):
        yield wrong_type(f"{path}.metadata", "object", type_of(value["metadata"]))


def _junctors(value: Any, schema: Schema, path: str) -> Iterator[FieldError]:
    for inner in schema.get("allOf", ()):
        broken = list(check(value, inner, path))
        if broken:
            yield from broken
            yield _whole(f'"{path}" must validate all the schemas (allOf)')
            break
    if options := schema.get("anyOf", ()):
        results = [list(check(value, one, path)) for one in options]
        if all(results):
            yield from min(results, key=len)
            yield _whole(f'"{path}" must validate at least one schema (anyOf)')
    if options := schema.get("oneOf", ()):
        results = [list(check(value, one, path)) for one in options]
        fitting = sum(not one for one in results)
        if fitting == 0:
            yield from min(results, key=len)
            yield _whole(f'"{path}" must validate one and only one schema (oneOf). Found none valid')
        elif fitting > 1:
            yield _whole(f'"{path}" must validate one and only one schema (oneOf). Found {fitting} valid alternatives')
    if (unwanted := schema.get("not")) is not None and not any(True for _ in check(value, unwanted, path)):
        yield _whole(f'"{path}" must not validate the schema (not)')


def _whole(text: str) -> FieldError:
    """Upstream tells of these without a field."""
    return FieldError("<nil>", "FieldValueInvalid", f'Invalid value: "": {text}')
