"""Pure: what server-side apply has to know of a type: which maps and lists merge, and by which keys.

From the models (list_type, list_map_keys, map_type of their fields) or from a custom resource's schema
(`x-kubernetes-list-type` and its like); of what nobody has declared, lists are atomic and maps merge.
Source: "Merge strategy" in the documentation of server-side apply.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin, get_type_hints

from apiserver.kind import AnyKind
from apiserver.openapi.atomic import ATOMIC
from apiserver.openapi.schemas import component
from sampan.api.base import Object
from sampan.api.meta_v1 import ObjectMeta


class Field(NamedTuple):
    """A declared field of an object."""

    type: Type
    default: Any = None
    """What an absent one counts as, when it is a key of a list."""


class Type:
    """How a value merges. The same type says it for an object and for a list; the value decides which it is."""

    __slots__ = ("_fields", "_made", "atomic", "items", "keys", "list_type", "omitted", "text", "values")

    def __init__(
        self,
        *,
        fields: Callable[[], Mapping[str, Field]] | None = None,
        values: Type | None = None,
        items: Type | None = None,
        atomic: bool = False,
        list_type: str = "atomic",
        keys: tuple[str, ...] = (),
        text: bool = False,
        omitted: bool = False,
    ) -> None:
        self._made: Mapping[str, Field] | None = None if fields else {}
        self._fields = fields
        self.values = values
        """The type of members that are not declared by name; None if there may be none."""
        self.items = items or self
        self.atomic = atomic
        self.list_type = list_type
        """atomic, set or map."""
        self.keys = keys
        self.omitted = omitted
        """An empty one is the same as none: lists and maps of models."""
        self.text = text
        """A number counts as its text, as quantities may be given as numbers."""

    @property
    def fields(self) -> Mapping[str, Field]:
        """The declared members, made when they are first asked for, as types may contain themselves."""
        if self._made is None:
            assert self._fields is not None
            self._made = self._fields()
        return self._made

    def child(self, name: str) -> Type | None:
        """The type of a member; None if it is not declared."""
        found = self.fields.get(name)
        return found.type if found is not None else self.values


UNTYPED = Type()
UNTYPED.values = UNTYPED
TEXT = Type(values=UNTYPED, items=UNTYPED, text=True)


def of_kind(kind: AnyKind) -> Type:
    """The type of a kind's objects, as it is served."""
    return of_schema(kind.schema) if kind.schema is not None else of_model(kind.resource.model)


def of_model(model: Any, atomic: bool | None = None) -> Type:
    """The type of a model; `atomic` overrules what holds for the model in general."""
    return _of_model(model, atomic)


@cache
def _of_model(model: type[Object], atomic: bool | None) -> Type:
    return Type(fields=lambda: _fields_of(model), atomic=component(model) in ATOMIC if atomic is None else atomic)


def _fields_of(model: type[Object]) -> dict[str, Field]:
    if not model.__pydantic_fields_complete__:
        model.model_rebuild()
    hints = get_type_hints(model, include_extras=False)
    made: dict[str, Field] = {}
    for name, info in model.model_fields.items():
        extra = info.json_schema_extra
        default = info.default if isinstance(info.default, str | int) and info.default != "" else None
        made[info.alias or name] = Field(_of_hint(hints[name], extra if isinstance(extra, dict) else {}), default)
    return made


def _of_hint(hint: Any, marks: Mapping[str, Any]) -> Type:
    origin = get_origin(hint)
    if origin is Annotated:
        return _of_hint(get_args(hint)[0], marks)
    if origin in (Union, types.UnionType):
        known = [one for one in get_args(hint) if one is not type(None)]
        return _of_hint(known[0], marks) if len(known) == 1 else UNTYPED
    map_type = marks.get("x-kubernetes-map-type")
    if origin is list:
        return _list(_of_hint(get_args(hint)[0], {}), marks, omitted=True)
    if origin is dict:
        return Type(values=_of_hint(get_args(hint)[1], {}), atomic=map_type == "atomic", omitted=True)
    if isinstance(hint, type) and issubclass(hint, Object):
        return of_model(hint, None if map_type is None else map_type == "atomic")
    return TEXT if hint is str else UNTYPED


def _list(items: Type, marks: Mapping[str, Any], *, omitted: bool = False) -> Type:
    return Type(
        omitted=omitted,
        items=items,
        list_type=marks.get("x-kubernetes-list-type") or "atomic",
        keys=tuple(marks.get("x-kubernetes-list-map-keys") or ()),
    )


def of_schema(raw: Mapping[str, Any]) -> Type:
    """The type of an OpenAPI v3 schema of a custom resource (a structural one)."""
    if any(
        isinstance(one, Mapping) and str(one.get("$ref", "")).endswith(".ObjectMeta") for one in raw.get("allOf", ())
    ):
        return of_model(ObjectMeta)
    items, extra = raw.get("items"), raw.get("additionalProperties")
    if isinstance(items, Mapping):
        return _list(of_schema(items), raw)
    embedded = bool(raw.get("x-kubernetes-embedded-resource"))
    if raw.get("type") not in ("object", None) or raw.get("x-kubernetes-int-or-string"):
        return UNTYPED
    is_open = extra is True or bool(raw.get("x-kubernetes-preserve-unknown-fields"))
    values = of_schema(extra) if isinstance(extra, Mapping) else UNTYPED if is_open else None

    def fields() -> dict[str, Field]:
        declared = {name: Field(of_schema(one), one.get("default")) for name, one in raw.get("properties", {}).items()}
        return {**declared, **EMBEDDED} if embedded else declared

    return Type(fields=fields, values=values, atomic=raw.get("x-kubernetes-map-type") == "atomic")


EMBEDDED: Mapping[str, Field] = {
    "apiVersion": Field(UNTYPED),
    "kind": Field(UNTYPED),
    "metadata": Field(of_model(ObjectMeta)),
}
"""What every object has, embedded ones too."""
