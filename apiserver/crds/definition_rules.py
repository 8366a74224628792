"""The rules for CustomResourceDefinitions, worded as upstream words them.

Elsewhere: what makes a schema structural (schema_rules.py), whether names are free (naming.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from apiserver.crds import jsonpath
from apiserver.crds.naming import is_true
from apiserver.crds.schema_rules import check_schema
from sampan import names
from sampan.api.apiextensions_v1 import (
    CustomResourceDefinition,
    CustomResourceDefinitionNames,
    CustomResourceDefinitionVersion,
)
from sampan.errors import FieldError

SEE = "https://github.com/kubernetes/enhancements/pull/1111"
APPROVED = "api-approved.kubernetes.io"
COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
COLUMN_FORMATS = ("int32", "int64", "float", "double", "byte", "date", "date-time", "password")
MOST_SELECTABLE = 8
SCOPES = ("Cluster", "Namespaced")
STRATEGIES = ("None", "Webhook")


def check(definition: CustomResourceDefinition) -> Iterator[FieldError]:
    """All broken rules of a definition."""
    spec, name = definition.spec, definition.metadata.name or ""
    if spec.names.plural and spec.group and name != f"{spec.names.plural}.{spec.group}":
        yield FieldError.invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group')
    yield from _group(definition)
    if spec.scope and spec.scope not in SCOPES:
        yield FieldError.not_supported("spec.scope", spec.scope, SCOPES)
    yield from _versions(spec.versions)
    if spec.preserve_unknown_fields:
        yield FieldError.invalid(
            "spec.preserveUnknownFields",
            True,
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead",
        )
    yield from _names(spec.names, "spec.names")
    if spec.conversion is not None:
        strategy = spec.conversion.strategy
        if strategy == "Webhook":
            why = "conversion by webhook is not supported by this server yet: use None, or one version"
            yield FieldError.forbidden("spec.conversion.strategy", why)
        elif strategy and strategy not in STRATEGIES:
            yield FieldError.not_supported("spec.conversion.strategy", strategy, STRATEGIES)
        elif spec.conversion.webhook is not None:
            yield FieldError.forbidden(
                "spec.conversion.webhook", "should not be set when strategy is not set to Webhook"
            )


def _group(definition: CustomResourceDefinition) -> Iterator[FieldError]:
    group = definition.spec.group
    if not group:
        return
    complaints = names.dns_subdomain(group)
    if complaints:
        yield from (FieldError.invalid("spec.group", group, text) for text in complaints)
    elif "." not in group:
        yield FieldError.invalid("spec.group", group, "should be a domain with at least one dot")
    if re.search(r"(^|\.)(k8s|kubernetes)\.io$", group):
        at, approval = f"metadata.annotations[{APPROVED}]", definition.metadata.annotations.get(APPROVED, "")
        must = f'protected groups must have approval annotation "{APPROVED}"'
        if not approval:
            yield FieldError.required(at, f"{must}, see {SEE}")
        elif not approval.startswith(("http://", "https://", "unapproved")):
            why = f'{must} with either a URL or a reason starting with "unapproved", see {SEE}'
            yield FieldError.invalid(at, approval, why)


def _versions(versions: list[CustomResourceDefinitionVersion]) -> Iterator[FieldError]:
    if not versions:
        return
    told = [one.to_json() for one in versions]
    if sum(one.storage for one in versions) != 1:
        yield FieldError.invalid("spec.versions", told, "must have exactly one version marked as storage version")
    if len({one.name for one in versions}) != len(versions):
        yield FieldError.invalid("spec.versions", told, "must contain unique version names")
    for index, one in enumerate(versions):
        yield from _version(one, f"spec.versions[{index}]")


def _version(version: CustomResourceDefinitionVersion, path: str) -> Iterator[FieldError]:
    if version.name:
        yield from (FieldError.invalid(f"{path}.name", version.name, t) for t in names.dns_1035_label(version.name))
    if version.deprecation_warning is not None and not version.deprecated:
        why = "can only be set for deprecated versions"
        yield FieldError.invalid(f"{path}.deprecationWarning", version.deprecation_warning, why)
    schema = version.schema_.open_apiv3_schema if version.schema_ is not None else None
    if schema is None:
        yield FieldError.required(f"{path}.schema.openAPIV3Schema", "schemas are required")
    else:
        yield from check_schema(schema.to_json(), f"{path}.schema.openAPIV3Schema")
    yield from _subresources(version, f"{path}.subresources")
    yield from _columns(version, f"{path}.additionalPrinterColumns")
    yield from _selectable(version, f"{path}.selectableFields")


def _subresources(version: CustomResourceDefinitionVersion, path: str) -> Iterator[FieldError]:
    scale = version.subresources.scale if version.subresources is not None else None
    if scale is None:
        return
    places = (
        ("specReplicasPath", scale.spec_replicas_path, (".spec.",), "should be a json path under .spec"),
        ("statusReplicasPath", scale.status_replicas_path, (".status.",), "should be a json path under .status"),
        (
            "labelSelectorPath",
            scale.label_selector_path or "",
            (".spec.", ".status."),
            "should be a json path under either .spec or .status",
        ),
    )
    for name, value, roots, why in places:
        if not value:
            continue
        try:
            keys = jsonpath.keys_of(jsonpath.parse(value))
        except jsonpath.PathError:
            keys = None
        if keys is None:
            yield FieldError.invalid(
                f"{path}.scale.{name}", value, "should be a simple json path without array notation"
            )
        elif not value.startswith(roots):
            yield FieldError.invalid(f"{path}.scale.{name}", value, why)


def _columns(version: CustomResourceDefinitionVersion, path: str) -> Iterator[FieldError]:
    for index, column in enumerate(version.additional_printer_columns):
        at = f"{path}[{index}]"
        if column.type and column.type not in COLUMN_TYPES:
            yield FieldError.invalid(f"{at}.type", column.type, f"must be one of {','.join(COLUMN_TYPES)}")
        if column.format and column.format not in COLUMN_FORMATS:
            yield FieldError.invalid(f"{at}.format", column.format, f"must be one of {','.join(COLUMN_FORMATS)}")
        if column.json_path:
            yield from _path(column.json_path, f"{at}.jsonPath")


def _path(text: str, path: str) -> Iterator[FieldError]:
    try:
        jsonpath.parse(text)
    except jsonpath.PathError as error:
        yield FieldError.invalid(path, text, str(error))


def _selectable(version: CustomResourceDefinitionVersion, path: str) -> Iterator[FieldError]:
    if len(version.selectable_fields) > MOST_SELECTABLE:
        yield FieldError.too_many(path, len(version.selectable_fields), MOST_SELECTABLE)
    seen: set[str] = set()
    schema = version.schema_.open_apiv3_schema if version.schema_ is not None else None
    for index, one in enumerate(version.selectable_fields):
        at = f"{path}[{index}].jsonPath"
        if not one.json_path:
            continue
        if one.json_path in seen:
            yield FieldError.duplicate(at, one.json_path)
        seen.add(one.json_path)
        try:
            keys = jsonpath.keys_of(jsonpath.parse(one.json_path))
        except jsonpath.PathError:
            keys = None
        if keys is None or not one.json_path.startswith("."):
            yield FieldError.invalid(at, one.json_path, "is an invalid path: must be a simple path of field names")
        elif keys[0] == "metadata":
            yield FieldError.invalid(at, one.json_path, "must not point to fields in metadata")
        elif schema is not None:
            yield from _selectable_type(schema.to_json(), keys, one.json_path, at)


def _selectable_type(schema: dict[str, Any], keys: tuple[str, ...], text: str, path: str) -> Iterator[FieldError]:
    for key in keys:
        schema = schema.get("properties", {}).get(key)
        if not isinstance(schema, dict):
            yield FieldError.invalid(path, text, f"is an invalid path: does not refer to a valid field: {key}")
            return
    if schema.get("type") not in ("string", "boolean", "integer"):
        yield FieldError.invalid(path, text, "must point to a field of type string, boolean or integer")


def _names(given: CustomResourceDefinitionNames, path: str) -> Iterator[FieldError]:
    for name, value in (("plural", given.plural), ("singular", given.singular or "")):
        if value:
            yield from (FieldError.invalid(f"{path}.{name}", value, text) for text in names.dns_1035_label(value))
    for name, value in (("kind", given.kind), ("listKind", given.list_kind or "")):
        if value:
            for text in names.dns_1035_label(value.lower()):
                why = f"may have mixed case, but should otherwise match: {text}"
                yield FieldError.invalid(f"{path}.{name}", value, why)
    for index, value in enumerate(given.short_names):
        at = f"{path}.shortNames[{index}]"
        yield from (FieldError.invalid(at, value, text) for text in names.dns_1035_label(value))
    for index, value in enumerate(given.categories):
        at = f"{path}.categories[{index}]"
        yield from (FieldError.invalid(at, value, text) for text in names.dns_1035_label(value))
    if given.kind and given.kind == given.list_kind:
        yield FieldError.invalid(f"{path}.listKind", given.list_kind, "kind and listKind may not be the same")


def check_update(new: CustomResourceDefinition, old: CustomResourceDefinition) -> Iterator[FieldError]:
    """What may not change. The group and the plural cannot: they are the object's name."""
    if is_true(old.status.conditions, "Established"):
        for path, now, before in (
            ("spec.scope", new.spec.scope, old.spec.scope),
            ("spec.names.kind", new.spec.names.kind, old.spec.names.kind),
        ):
            if now != before:
                yield FieldError.invalid(path, now, "field is immutable")
    for path, now, before in (
        ("spec.group", new.spec.group, old.spec.group),
        ("spec.names.plural", new.spec.names.plural, old.spec.names.plural),
    ):
        if now != before:
            yield FieldError.invalid(path, now, "field is immutable")
    yield from check_stored(new, old)


def check_stored(new: CustomResourceDefinition, old: CustomResourceDefinition) -> Iterator[FieldError]:
    """Versions in which objects may still be stored stay."""
    served = {one.name for one in new.spec.versions}
    for index, version in enumerate(new.status.stored_versions):
        if version not in served:
            why = (
                f"missing from spec.versions; {version} was previously a storage version, and must remain in "
                f"spec.versions until a storage migration ensures no data remains persisted in {version} and removes "
                f"{version} from status.storedVersions"
            )
            yield FieldError.invalid(f"status.storedVersions[{index}]", version, why)
    storage = next((one.name for one in new.spec.versions if one.storage), "")
    if storage and storage not in new.status.stored_versions:
        yield FieldError.invalid(
            "status.storedVersions", new.status.stored_versions, f"must have the storage version {storage}"
        )
