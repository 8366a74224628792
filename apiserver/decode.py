"""Bodies: bytes of JSON or YAML become plain values, checked against a model's fields, and typed objects.

What Go's decoder does with them is kept: nulls count as absent, unknown and doubled fields are reported or not as
fieldValidation asks, a value of a wrong type is an error that names the field.
Elsewhere: the rules that values must keep (sampan.api.rules, kinds/), custom resources' schemas (crds/).
"""

from __future__ import annotations

import json
import math
import re
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import orjson
import yaml
from pydantic import BaseModel, ValidationError

from sampan.api.base import Object
from sampan.errors import ApiError, Reason

M = TypeVar("M", bound=Object)
Json = dict[str, Any]
MOST_NODES = 500_000


class Shape:
    """Which fields a JSON value may have, from a model. Leaves are None."""

    __slots__ = ("_fields", "_model", "name")

    def __init__(self, model: type[BaseModel]) -> None:
        self._model = model
        self.name = model.__name__
        self._fields: dict[str, tuple[str, Any]] | None = None

    @property
    def fields(self) -> dict[str, tuple[str, Any]]:
        """Wire name -> ("leaf", type) | ("object", Shape) | ("list" or "map", the same of its items) | ("any", None)"""
        if self._fields is None:
            hints = typing.get_type_hints(self._model, include_extras=False)
            self._fields = {
                info.alias or name: _shape_of(hints[name]) for name, info in self._model.model_fields.items()
            }
        return self._fields


_shapes: dict[type[BaseModel], Shape] = {}


def shape(model: type[BaseModel]) -> Shape:
    """The shape of a model, made once."""
    found = _shapes.get(model)
    if found is None:
        found = _shapes[model] = Shape(model)
    return found


def _shape_of(hint: Any) -> tuple[str, Any]:
    origin = get_origin(hint)
    if origin is Annotated:
        return _shape_of(get_args(hint)[0])
    if origin in (Union, types.UnionType):
        options = [one for one in get_args(hint) if one is not type(None)]
        return _shape_of(options[0]) if len(options) == 1 else ("leaf", None)
    if origin is list:
        return ("list", _shape_of(get_args(hint)[0]))
    if origin is dict:
        return ("map", _shape_of(get_args(hint)[1]))
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return ("object", shape(hint))
    if hint is Any or hint is object:
        return ("any", None)
    return ("leaf", hint)


class Walk:
    """One pass over a decoded value: drops nulls, notes unknown fields, counts keys."""

    def __init__(self) -> None:
        self.unknown: list[str] = []
        self.keys = 0

    def object(self, value: Json, known: dict[str, tuple[str, Any]], path: str) -> None:
        self.keys += len(value)
        drop: list[str] | None = None
        for key, inner in value.items():
            found = known.get(key)
            if found is None:
                self.unknown.append(f"{path}.{key}" if path else key)
            elif inner is None:
                drop = [*(drop or ()), key]
            else:
                kind = inner.__class__
                if kind is dict or kind is list:
                    self.inside(inner, found, f"{path}.{key}" if path else key)
        if drop:
            for key in drop:
                del value[key]

    def inside(self, value: Any, found: tuple[str, Any], path: str) -> None:
        what, of = found
        kind = value.__class__
        if what == "object":
            if kind is dict:
                self.object(value, of.fields, path)
        elif what == "list":
            if kind is list:
                self.items(value, of, path)
        elif what == "map":
            if kind is dict:
                self.map(value, of, path)
        elif what == "any":
            self.free(value)

    def items(self, value: list[Any], of: tuple[str, Any], path: str) -> None:
        for index, inner in enumerate(value):
            if inner is None:
                value[index] = _zero(of)
            elif inner.__class__ is dict or inner.__class__ is list:
                self.inside(inner, of, f"{path}[{index}]")

    def map(self, value: Json, of: tuple[str, Any], path: str) -> None:
        self.keys += len(value)
        for key, inner in value.items():
            if inner is None:
                value[key] = _zero(of)
            elif inner.__class__ is dict or inner.__class__ is list:
                self.inside(inner, of, f"{path}.{key}")

    def free(self, value: Any) -> None:
        if value.__class__ is dict:
            self.keys += len(value)
            for inner in value.values():
                self.free(inner)
        elif value.__class__ is list:
            for inner in value:
                self.free(inner)


def _zero(of: tuple[str, Any]) -> Any:
    what, hint = of
    if what == "object" or what == "map":
        return {}
    if what == "list":
        return []
    return {str: "", int: 0, bool: False}.get(hint)


_KEY = re.compile(rb'"[ \t\r\n]*:')


class _Doubled(dict[str, Any]):
    doubled: tuple[str, ...] = ()


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = _Doubled(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        twice: list[str] = []
        for key, _ in pairs:
            if key in seen and key not in twice:
                twice.append(key)
            seen.add(key)
        made.doubled = tuple(twice)
    return made


def doubled(data: bytes) -> list[str]:
    """Paths of the fields that stand twice in a JSON text."""

    def look(value: Any, path: str) -> Iterator[str]:
        if isinstance(value, _Doubled):
            yield from (f"{path}.{key}" if path else key for key in value.doubled)
            for key, inner in value.items():
                yield from look(inner, f"{path}.{key}" if path else key)
        elif isinstance(value, list):
            for index, inner in enumerate(value):
                yield from look(inner, f"{path}[{index}]")

    return list(look(json.loads(data, object_pairs_hook=_pairs), ""))


class _Yaml(yaml.CSafeLoader):
    """YAML 1.1 as Go's yaml reads it: timestamps stay text, `y` and `n` are booleans, a doubled key is noted."""

    doubled: list[str]

    def get_single_data_of_first(self) -> Any:
        """The first document, None if there is none."""
        has_data: Callable[[], bool] = self.check_data
        get_data: Callable[[], Any] = self.get_data
        return get_data() if has_data() else None


_Yaml.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
    for first, found in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}
_Yaml.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:y|Y|n|N)$"), list("yYnN"))


def _mapping(loader: _Yaml, node: yaml.MappingNode) -> dict[str, Any]:
    loader.flatten_mapping(node)
    made: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if isinstance(key, bool):
            key = str(key).lower()
        elif not isinstance(key, str):
            key = str(key)
        if key in made:
            loader.doubled.append(f'line {key_node.start_mark.line + 1}: key "{key}" already set in map')
        made[key] = loader.construct_object(value_node, deep=True)
    return made


def _boolean(loader: _Yaml, node: yaml.ScalarNode) -> bool:
    return str(node.value).lower() in ("y", "yes", "true", "on")


_Yaml.add_constructor("tag:yaml.org,2002:map", _mapping)
_Yaml.add_constructor("tag:yaml.org,2002:bool", _boolean)


def from_yaml(data: bytes) -> tuple[Any, list[str]]:
    """The first document of a YAML text, and complaints about doubled keys. Raises ApiError 400."""
    loader = _Yaml(data)
    loader.doubled = []
    try:
        value = _as_json(loader.get_single_data_of_first(), [MOST_NODES])
    except RecursionError as error:
        raise bad("error converting YAML to JSON: yaml: the document is nested too deeply, or in itself") from error
    except (yaml.YAMLError, ValueError, TypeError, OverflowError, ArithmeticError) as error:
        raise bad(f"error converting YAML to JSON: yaml: {' '.join(str(error).split())[:1000]}") from error
    finally:
        loader.dispose()
    complaints = ["yaml: unmarshal errors:\n  " + "\n  ".join(loader.doubled)] if loader.doubled else []
    return value, complaints


def _as_json(value: Any, left: list[int]) -> Any:
    """The value as JSON can hold it, made in place. Raises ValueError for what JSON cannot say, or too much of it."""
    left[0] -= 1
    if left[0] < 0:
        raise ValueError(f"document has more than {MOST_NODES} nodes (aliases count)")
    if isinstance(value, dict):
        for key, inner in value.items():
            value[key] = _as_json(inner, left)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            value[index] = _as_json(inner, left)
    elif isinstance(value, bytes):
        return value.decode()
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"json: unsupported value: {value}")
    elif isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else float(value)
    elif not (value is None or isinstance(value, str)):
        raise ValueError(f"json: unsupported type: {type(value).__name__}")
    return value


def bad(message: str) -> ApiError:
    """400 BadRequest."""
    return ApiError(400, Reason.BAD_REQUEST, message)


def loads(data: bytes, media_type: str = "application/json") -> tuple[Any, bytes | None, list[str]]:
    """A body as a plain value; the JSON text if it was one; complaints found while reading. Raises ApiError 400."""
    if media_type in ("application/yaml", "application/apply-patch+yaml"):
        value, complaints = from_yaml(data)
        return value, None, complaints
    try:
        return orjson.loads(data), data, []
    except orjson.JSONDecodeError as error:
        raise bad(f"invalid JSON: {error}") from error


def clean(value: Json, model: type[BaseModel], data: bytes | None) -> list[str]:
    """Drop nulls in place. Returns complaints: unknown fields, and doubled ones if `data` is the JSON text."""
    walk = Walk()
    try:
        walk.object(value, shape(model).fields, "")
    except RecursionError as error:
        raise bad("the object is nested too deeply") from error
    complaints = [f'unknown field "{path}"' for path in walk.unknown]
    if data is not None and len(_KEY.findall(data)) != walk.keys:
        complaints = [f'duplicate field "{path}"' for path in doubled(data)] + complaints
    return complaints


def strict_error(complaints: Sequence[str]) -> str:
    """What is said of complaints when fieldValidation is Strict."""
    return "strict decoding error: " + ", ".join(complaints)


def typed(value: Json, model: type[M]) -> M:
    """Parse into the model. Raises ApiError 400 worded as Go's decoder does."""
    try:
        return model.from_json(value)
    except ValidationError as error:
        raise bad(type_error(error, model)) from error


_KINDS = {dict: "object", list: "array", str: "string", bool: "bool", int: "number", float: "number"}
_GO = {
    "string_type": "string",
    "int_type": "int32",
    "bool_type": "bool",
    "float_type": "float64",
    "list_type": "[]interface {}",
    "dict_type": "map[string]string",
    "less_than_equal": "int32",
    "greater_than_equal": "int32",
}


def type_error(error: ValidationError, model: type[BaseModel]) -> str:
    """The first error of pydantic's, in the words of Go's encoding/json."""
    first = error.errors(include_url=False)[0]
    struct, path = _place(first["loc"], model)
    value = first["input"]
    kind = str(first["type"])
    if kind.startswith("datetime"):
        return f'parsing time {json.dumps(value)} as "2006-01-02T15:04:05Z07:00": cannot parse it'
    shown = _KINDS.get(type(value), type(value).__name__)
    if kind in ("less_than_equal", "greater_than_equal") or (kind == "int_type" and isinstance(value, float)):
        shown = f"number {value}"
    context = first.get("ctx", {})
    wanted = _GO.get(kind) or str(context.get("class_name") or "value")
    return f"json: cannot unmarshal {shown} into Go struct field {struct}.{path} of type {wanted}"


def _place(loc: tuple[int | str, ...], model: type[BaseModel]) -> tuple[str, str]:
    """The innermost struct's name and the dotted path, list indices and union branches left out."""
    here: tuple[str, Any] = ("object", shape(model))
    struct = model.__name__
    parts: list[str] = []
    for part in loc:
        what, of = here
        if what == "object":
            found = of.fields.get(part)
            if found is None:
                break
            struct = of.name
            parts.append(str(part))
            here = found
        elif what in ("list", "map"):
            here = of
            if what == "map":
                parts.append(str(part))
        else:
            break
    return struct, ".".join(parts)
