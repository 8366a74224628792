"""CustomResourceDefinitions: their status is decided as they are written, so they are served at once.

Elsewhere: serving what they define, and emptying them when they are deleted (apiserver/crds/serving.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from apiserver.crds import definition_rules, naming, schema_rules
from apiserver.decode import clean
from apiserver.kind import Column, Context, Json, Kind, Strategy
from sampan.api.apiextensions_v1 import CustomResourceConversion, CustomResourceDefinition, JSONSchemaProps
from sampan.errors import FieldError
from sampan.kinds import CUSTOM_RESOURCE_DEFINITIONS

MOST_LEVELS = 80
FINALIZER = "customresourcecleanup.apiextensions.k8s.io"
NO_CEL = (
    "x-kubernetes-validations are kept but not evaluated by this server yet: objects that break them are not refused"
)


def begin(definition: CustomResourceDefinition, context: Context) -> None:
    """Names are granted if they are free; deleting it deletes its objects first."""
    _default(definition, context)
    if FINALIZER not in definition.metadata.finalizers:
        definition.metadata.finalizers = [*definition.metadata.finalizers, FINALIZER]
    decide(definition, context)


def change(new: CustomResourceDefinition, old: CustomResourceDefinition, context: Context) -> None:
    """Names may be asked for anew; a new storage version is noted."""
    _default(new, context)
    if new.spec != old.spec:
        new.status = new.status.model_copy(deep=True)
        decide(new, context)


def decide(definition: CustomResourceDefinition, context: Context) -> None:
    """Write the status that follows from all definitions there are."""
    others = context.server.peek_all(CUSTOM_RESOURCE_DEFINITIONS)
    built_in = built_in_names(definition.spec.group)
    definition.status = naming.status_of(definition, others, built_in, context.now)


def built_in_names(group: str) -> Json:
    """Names in a group that no definition can have."""
    from apiserver.kinds import ALL

    found = [one.resource for one in ALL if one.resource.group == group]
    resources = [name for one in found for name in (one.plural, one.singular, *one.short_names)]
    return {"resources": resources, "kinds": [name for one in found for name in (one.kind, one.list_kind)]}


def end(definition: CustomResourceDefinition, context: Context) -> None:
    """Nothing new may be created of it."""
    definition.status.conditions = naming.with_condition(
        definition.status.conditions,
        "Terminating",
        "True",
        "InstanceDeletionPending",
        "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
        context.now,
    )


def _default(definition: CustomResourceDefinition, context: Context) -> None:
    spec = definition.spec
    naming.default_names(spec.names)
    if spec.conversion is None:
        spec.conversion = CustomResourceConversion(strategy="None")
    if not spec.preserve_unknown_fields:
        spec.preserve_unknown_fields = None
    for index, version in enumerate(spec.versions):
        for column in version.additional_printer_columns:
            column.priority = column.priority or None
        schema = version.schema_.open_apiv3_schema if version.schema_ is not None else None
        if schema is None or is_too_deep(schema):
            continue
        at = f"spec.versions[{index}].schema.openAPIV3Schema"
        _tidy(schema, at, context)
        plain = schema.to_json()
        for form in dict.fromkeys(schema_rules.unknown_formats(plain)):
            context.warn(f'unrecognized format "{form}"')
        if schema_rules.has_rules(plain):
            context.warn(f"{at}: {NO_CEL}")


def _tidy(schema: JSONSchemaProps, path: str, context: Context) -> None:
    """Where a schema or something else may stand, the model knows only JSON: tell what no schema has."""
    for name, value in (("items", schema.items), ("additionalProperties", schema.additional_properties)):
        if isinstance(value, dict):
            at = f"{path}.{name}"
            for complaint in clean(value, JSONSchemaProps, None):
                context.warn(complaint.replace('"', f'"{at}.', 1))
            try:
                inner = JSONSchemaProps.from_json(value)
            except ValidationError:
                continue  # the rules tell
            _tidy(inner, at, context)
            setattr(schema, "items" if name == "items" else "additional_properties", inner.to_json())
    for name, one in schema.properties.items():
        _tidy(one, f"{path}.properties[{name}]", context)
    for junctor, found in (("allOf", schema.all_of), ("anyOf", schema.any_of), ("oneOf", schema.one_of)):
        for index, one in enumerate(found):
            _tidy(one, f"{path}.{junctor}[{index}]", context)
    if schema.not_ is not None:
        _tidy(schema.not_, f"{path}.not", context)


def is_too_deep(schema: JSONSchemaProps) -> bool:
    """Whether a schema has more levels than anything can be done with."""
    level: list[Any] = [schema]
    for _ in range(MOST_LEVELS):
        below: list[Any] = []
        for one in level:
            if isinstance(one, JSONSchemaProps):
                below += [one.items, one.additional_properties, one.not_, *one.properties.values()]
                below += [*one.all_of, *one.any_of, *one.one_of]
            elif isinstance(one, dict):
                below += one.values()
            elif isinstance(one, list):
                below += one
        level = [one for one in below if isinstance(one, JSONSchemaProps | dict | list)]
        if not level:
            return False
    return True


def malformed(definition: CustomResourceDefinition) -> Iterator[FieldError]:
    """Schemas below items and additionalProperties that are none."""
    for index, version in enumerate(definition.spec.versions):
        schema = version.schema_.open_apiv3_schema if version.schema_ is not None else None
        at = f"spec.versions[{index}].schema.openAPIV3Schema"
        if schema is not None and is_too_deep(schema):
            yield FieldError.invalid(at, "object", f"must not have more than {MOST_LEVELS} levels")
        elif schema is not None:
            yield from _malformed(schema, at)


def _malformed(schema: JSONSchemaProps, path: str) -> Iterator[FieldError]:
    below = [(f"{path}.properties[{name}]", one) for name, one in schema.properties.items()]
    for junctor, found in (("allOf", schema.all_of), ("anyOf", schema.any_of), ("oneOf", schema.one_of)):
        below += [(f"{path}.{junctor}[{index}]", one) for index, one in enumerate(found)]
    if schema.not_ is not None:
        below.append((f"{path}.not", schema.not_))
    for name, value in (("items", schema.items), ("additionalProperties", schema.additional_properties)):
        if isinstance(value, dict):
            try:
                below.append((f"{path}.{name}", JSONSchemaProps.from_json(value)))
            except ValidationError as error:
                first = error.errors(include_url=False)[0]
                place = ".".join(str(part) for part in first["loc"])
                yield FieldError.invalid(f"{path}.{name}.{place}", first["input"], str(first["msg"]))
    for at, one in below:
        yield from _malformed(one, at)


def validate(definition: CustomResourceDefinition) -> Iterator[FieldError]:
    """All rules; those on structure only if the schemas can be read."""
    broken = list(malformed(definition))
    yield from broken
    if not broken:
        yield from definition_rules.check(definition)


def _created(value: Any) -> Any:
    return value["metadata"].get("creationTimestamp", "")


CUSTOM_RESOURCE_DEFINITION = Kind(
    CUSTOM_RESOURCE_DEFINITIONS,
    columns=(
        Column("Name", lambda o: o["metadata"].get("name", ""), format="name", description="Name of the object."),
        Column("Created At", _created, type="date", description="When it was created."),
    ),
    strategy=Strategy[CustomResourceDefinition](
        prepare_create=begin,
        prepare_update=change,
        prepare_delete=end,
        validate=validate,
        validate_update=definition_rules.check_update,
        validate_status=definition_rules.check_stored,
        tracks_generation=True,
    ),
    status=True,
)
