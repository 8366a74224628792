"""OpenAPI schemas out of the pydantic models: names as upstream publishes them, docs and merge rules from the fields.

Source: OpenAPI 3.0, and the `x-kubernetes-` extensions that clients read (kubectl's explain and apply, the
official clients' generators).
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from apiserver.openapi.atomic import ATOMIC
from sampan.api import base
from sampan.api.base import KubeObject, Object
from sampan.resource import Resource

Schema = dict[str, Any]
META = "io.k8s.apimachinery.pkg.apis.meta.v1"
NAMED_SCALARS: Mapping[int, tuple[str, Schema]] = {
    id(base.Time): (f"{META}.Time", {"type": "string", "format": "date-time"}),
    id(base.MicroTime): (f"{META}.MicroTime", {"type": "string", "format": "date-time"}),
    id(base.Quantity): (
        "io.k8s.apimachinery.pkg.api.resource.Quantity",
        {"oneOf": [{"type": "string"}, {"type": "number"}]},
    ),
}
"""Types that have a schema of their own; the alias objects themselves are the keys."""
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
SCALARS: Mapping[Any, Schema] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer", "format": "int64"},
    float: {"type": "number", "format": "double"},
}


def component(model: type[Object]) -> str:
    """`io.k8s.api.core.v1.Pod`: the name of a model's schema."""
    package = model.__module__.split(".")[2]
    group, _, version = package.rpartition("_")
    if group == "meta":
        return f"{META}.{model.__name__}"
    if group == "apiextensions":
        return f"io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.{version}.{model.__name__}"
    return f"io.k8s.api.{group}.{version}.{model.__name__}"


def reachable(model: type[Object]) -> Iterator[tuple[str, Schema]]:
    """The schemas of a model and of all that it refers to."""
    todo, seen = [model], {model}
    while todo:
        current = todo.pop()
        schema, models, scalars = _described(current)
        yield component(current), schema
        yield from scalars.items()
        for other in models:
            if other not in seen:
                seen.add(other)
                todo.append(other)


@cache
def _described(model: type[Object]) -> tuple[Schema, frozenset[type[Object]], dict[str, Schema]]:
    """(schema, models it refers to, named scalars it refers to)."""
    hints = get_type_hints(model, include_extras=True)
    models: set[type[Object]] = set()
    scalars: dict[str, Schema] = {}
    properties: dict[str, Schema] = {}
    required = []
    for name, info in model.model_fields.items():
        wire = info.alias or name
        schema = _type(hints[name], models, scalars)
        extra = dict(info.json_schema_extra) if isinstance(info.json_schema_extra, dict) else {}
        if extra.pop("required", False):
            required.append(wire)
        if "$ref" in schema and (extra or info.description):
            schema = {"allOf": [schema]}
        properties[wire] = {**({"description": info.description} if info.description else {}), **schema, **extra}
        if wire not in (*required, *_IDENTITY) and isinstance(info.default, str | int | bool):
            properties[wire]["default"] = info.default
    result: Schema = {"type": "object"}
    if text := inspect.getdoc(model):
        result["description"] = text
    result["properties"] = properties
    if required:
        result["required"] = required
    if component(model) in ATOMIC:
        result["x-kubernetes-map-type"] = "atomic"
    if issubclass(model, KubeObject) and "KIND" in vars(model):
        group, _, version = model.API_VERSION.rpartition("/")
        result["x-kubernetes-group-version-kind"] = [{"group": group, "version": version, "kind": model.KIND}]
    return result, frozenset(models), scalars


_IDENTITY = ("apiVersion", "kind")


def _type(hint: Any, models: set[type[Object]], scalars: dict[str, Schema]) -> Schema:
    if named := NAMED_SCALARS.get(id(hint)):
        scalars[named[0]] = named[1]
        return {"$ref": f"#/components/schemas/{named[0]}"}
    if hint == base.Base64:
        return {"type": "string", "format": "byte"}
    for mark in getattr(hint, "__metadata__", ()):
        if isinstance(mark, base.Named):
            scalars[mark.name] = {"x-kubernetes-preserve-unknown-fields": True}
            return {"$ref": f"#/components/schemas/{mark.name}"}
    if hint is base.Int32 or hint == base.Int32:
        return {"type": "integer", "format": "int32"}
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        kinds = [one for one in arguments if one is not type(None)]
        if set(kinds) == {int, str}:
            scalars[INT_OR_STRING] = {"type": "string", "format": "int-or-string", "x-kubernetes-int-or-string": True}
            return {"$ref": f"#/components/schemas/{INT_OR_STRING}"}
        return _type(kinds[0], models, scalars) if len(kinds) == 1 else {}
    if hasattr(hint, "__metadata__"):
        return _type(arguments[0], models, scalars)
    if origin is list:
        return {"type": "array", "items": _type(arguments[0], models, scalars)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _type(arguments[1], models, scalars)}
    if isinstance(hint, type) and issubclass(hint, Object):
        models.add(hint)
        return {"$ref": f"#/components/schemas/{component(hint)}"}
    return dict(SCALARS.get(hint, {"x-kubernetes-preserve-unknown-fields": True}))


def kind_component(resource: Resource[Any], schema: Mapping[str, Any] | None) -> str:
    """The schema's name of a served kind; a custom one's is its reversed group, version and kind."""
    if schema is None:
        return component(resource.model)
    return ".".join([*reversed(resource.group.split(".")), resource.version, resource.kind])


def list_schema(resource: Resource[Any], item: str) -> Schema:
    """The schema of a kind's list."""
    return {
        "type": "object",
        "description": f"{resource.list_kind} is a list of {resource.kind} objects.",
        "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string", "description": "The version of this representation."},
            "kind": {"type": "string", "description": f"Always {resource.list_kind}."},
            "metadata": {"$ref": f"#/components/schemas/{META}.ListMeta"},
            "items": {"type": "array", "items": {"$ref": f"#/components/schemas/{item}"}},
        },
        "x-kubernetes-group-version-kind": [
            {"group": resource.group, "version": resource.version, "kind": resource.list_kind}
        ],
    }
