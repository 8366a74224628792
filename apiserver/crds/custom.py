"""A served version of a CustomResourceDefinition as a Kind: the same door as the built-in ones use."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson
from pydantic import ConfigDict, PrivateAttr

from apiserver import decode
from apiserver.crds import jsonpath, validation
from apiserver.crds.structural import Structural, fill, of_json, prune
from apiserver.kind import AGE, NAME, STORED_VERBS, Cell, Column, Context, Json, Kind, Scale, Since, Strategy
from sampan.api.apiextensions_v1 import CustomResourceColumnDefinition, CustomResourceDefinition
from sampan.api.apiextensions_v1 import CustomResourceDefinitionVersion as Version
from sampan.api.base import KubeObject, field
from sampan.api.meta_v1 import ObjectMeta
from sampan.errors import FieldError
from sampan.resource import Resource, Scope

MOST_LEVELS = 200
MOST_SEEN = 4096
ENDING_VERBS = tuple(verb for verb in STORED_VERBS if verb != "create")
META = "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


class CustomObject(KubeObject):
    """An object of a custom kind: its metadata typed, the rest as plain JSON."""

    model_config = ConfigDict(extra="allow")

    api_version: str = field("")
    kind: str = field("")
    metadata: ObjectMeta = field(default_factory=lambda: ObjectMeta())
    _before: Json | None = PrivateAttr(default=None)
    """What is stored, while an update is checked: what has not changed is not held against it."""

    def to_json(self) -> Json:
        """The wire form; nulls and empty values of the custom part stay as they are."""
        head = {"apiVersion": self.api_version, "kind": self.kind, "metadata": self.metadata.to_json()}
        return head | (self.model_extra or {})


@dataclass(frozen=True)
class CustomResource(Resource[CustomObject]):
    """A Resource with the names that its definition was granted."""

    singular_name: str = ""
    list_name: str = ""

    @property
    def singular(self) -> str:
        """The name that kubectl takes for one object."""
        return self.singular_name

    @property
    def list_kind(self) -> str:
        """The kind of its lists."""
        return self.list_name


def is_deep(value: Any) -> bool:
    """Whether a value has more levels than can be written wherever it is wrapped in something."""
    level = [value]
    for _ in range(MOST_LEVELS):
        below: list[Any] = []
        for one in level:
            below += one.values() if isinstance(one, dict) else one
        level = [one for one in below if one.__class__ is dict or one.__class__ is list]
        if not level:
            return False
    return True


def parse(schema: Structural, value: Json, validation: str) -> tuple[Json, list[str]]:
    """Prune and default a body. Returns it and what fieldValidation is told. Raises ApiError 400."""
    if is_deep(value):
        raise decode.bad(f"the object has more than {MOST_LEVELS} levels")
    try:
        orjson.dumps(value)
    except TypeError as error:
        raise decode.bad(f"the object cannot be stored: {error}") from error
    unknown: list[str] = []
    prune(value, schema, unknown.append, root=True)
    metadata = value.setdefault("metadata", {})
    if isinstance(metadata, dict):
        decode.clean(metadata, ObjectMeta, None)
    fill(value, schema)
    return value, [f'unknown field "{path}"' for path in unknown]


class Reading:
    """Stored objects as one version shows them: pruned and defaulted by its schema of today.

    A stored value that needs no change is returned itself, so that its bytes can be shared.
    """

    def __init__(self, schema: Structural, api_version: str) -> None:
        self._schema = schema
        self._api_version = api_version
        self._seen: OrderedDict[int, tuple[Json, Json]] = OrderedDict()

    def __call__(self, stored: Json) -> Json:
        found = self._seen.get(id(stored))
        if found is not None and found[0] is stored:
            return found[1]
        made = self._read(stored)
        self._seen[id(stored)] = (stored, made)
        if len(self._seen) > MOST_SEEN:
            self._seen.popitem(last=False)
        return made

    def _read(self, stored: Json) -> Json:
        copy: Json = orjson.loads(orjson.dumps(stored))
        changed = copy["apiVersion"] != self._api_version
        copy["apiVersion"] = self._api_version
        changed |= prune(copy, self._schema, lambda _: None, root=True)
        changed |= fill(copy, self._schema)
        return copy if changed else stored


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return ""
    return validation.number(value) if isinstance(value, int | float) else orjson.dumps(value).decode()


def cell(kind: str, value: Any) -> Cell:
    """A value as a cell of a column's type; None when it is of another."""
    if value is None:
        return None
    if kind == "string":
        return _text(value)
    if kind == "date":
        return Since(value) if isinstance(value, str) else None
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if kind == "integer" else value


def column(declared: CustomResourceColumnDefinition) -> Column:
    """An additionalPrinterColumn."""
    steps = jsonpath.parse(declared.json_path)

    def value(obj: Mapping[str, Any]) -> Cell:
        return cell(declared.type, jsonpath.first(steps, obj))

    return Column(
        declared.name,
        value,
        declared.type,
        declared.format or "",
        declared.priority or 0,
        declared.description or f"Custom resource definition column (in JSONPath format): {declared.json_path}",
    )


def columns(version: Version) -> tuple[Column, ...]:
    """Name, and what the version declares; the age if it declares nothing."""
    return (
        (NAME, *map(column, version.additional_printer_columns)) if version.additional_printer_columns else (NAME, AGE)
    )


def _selected(steps: tuple[jsonpath.Step, ...], value: Mapping[str, Any]) -> str:
    return _text(jsonpath.first(steps, value))


def selectable(version: Version) -> dict[str, Callable[[Mapping[str, Any]], str]]:
    """Field selectors: `spec.color` -> its value as text."""
    return {
        one.json_path.removeprefix("."): partial(_selected, jsonpath.parse(one.json_path))
        for one in version.selectable_fields
    }


def scale(version: Version) -> Scale | None:
    """Where the scale subresource finds its numbers."""
    declared = version.subresources.scale if version.subresources is not None else None
    if declared is None:
        return None

    def keys(path: str) -> tuple[str, ...]:
        return jsonpath.keys_of(jsonpath.parse(path)) or ()

    selector = keys(declared.label_selector_path) if declared.label_selector_path else ()
    return Scale(
        keys(declared.spec_replicas_path),
        keys(declared.status_replicas_path),
        None if selector else lambda _: "",
        selector,
    )


def strategy(version: Version, raw: Mapping[str, Any], status: bool) -> Strategy[CustomObject]:
    """What is particular about writing the objects of a version."""

    def remember(new: CustomObject, old: CustomObject, context: Context) -> None:
        new._before = old.to_json()
        if not status and (new.model_extra or {}).get("status") != (old.model_extra or {}).get("status"):
            new.metadata.generation = (old.metadata.generation or 0) + 1

    def remember_status(new: CustomObject, old: CustomObject, context: Context) -> None:
        new.metadata.labels, new.metadata.annotations = old.metadata.labels, old.metadata.annotations

    def check(obj: CustomObject) -> Iterator[FieldError]:
        value = obj.to_json()
        if obj._before is not None:
            yield from validation.check(value, raw, "", obj._before)
        else:
            yield from validation.check(value, raw)

    def check_status(new: CustomObject, old: CustomObject) -> Iterator[FieldError]:
        yield from validation.check(new.to_json(), raw, "", old.to_json())

    return Strategy(
        prepare_update=remember,
        prepare_status=remember_status,
        validate=check,
        validate_status=check_status,
        selectable=selectable(version),
        tracks_generation=True,
        unconditional_update=False,
    )


def published(raw: Mapping[str, Any]) -> Json:
    """The schema for OpenAPI: what every object has is told too."""
    properties = {
        **raw.get("properties", {}),
        "apiVersion": {"type": "string", "description": "The group and version of this representation."},
        "kind": {"type": "string", "description": "The kind of the object."},
        "metadata": {"allOf": [{"$ref": META}], "description": "The object's name and what else all objects have."},
    }
    return {**raw, "properties": properties}


def kind_of(definition: CustomResourceDefinition, version: Version) -> Kind[CustomObject]:
    """The Kind of a served version."""
    spec, names = definition.spec, definition.status.accepted_names or definition.spec.names
    resource = CustomResource(
        spec.group,
        version.name,
        names.kind,
        names.plural,
        CustomObject,
        Scope(spec.scope),
        tuple(names.short_names),
        tuple(names.categories),
        names.singular or names.kind.lower(),
        names.list_kind or f"{names.kind}List",
    )
    declared = version.schema_.open_apiv3_schema if version.schema_ is not None else None
    raw = declared.to_json() if declared is not None else {"x-kubernetes-preserve-unknown-fields": True}
    schema = of_json(raw)
    status = version.subresources is not None and version.subresources.status is not None
    storage = next(one.name for one in spec.versions if one.storage)
    stored_version = f"{spec.group}/{storage}"

    def to_stored(value: Json) -> Json:
        return value | {"apiVersion": stored_version}

    return Kind(
        resource,
        columns=columns(version),
        strategy=strategy(version, raw, status),
        status=status,
        scale=scale(version),
        verbs=STORED_VERBS if definition.metadata.deletion_timestamp is None else ENDING_VERBS,
        from_stored=Reading(schema, resource.api_version),
        to_stored=to_stored,
        parse=partial(parse, schema),
        schema=published(raw),
    )
