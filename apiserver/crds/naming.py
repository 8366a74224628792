"""What a CustomResourceDefinition is called, and whether the names are free: its status, as pure functions.

Sources: "Extend the Kubernetes API with CustomResourceDefinitions"; conditions and reasons are upstream's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sampan.api.apiextensions_v1 import (
    CustomResourceDefinition,
    CustomResourceDefinitionCondition,
    CustomResourceDefinitionNames,
    CustomResourceDefinitionStatus,
)

Json = Mapping[str, Any]
Condition = CustomResourceDefinitionCondition


def default_names(names: CustomResourceDefinitionNames) -> None:
    """singular and listKind follow from kind."""
    if not names.singular:
        names.singular = names.kind.lower()
    if not names.list_kind and names.kind:
        names.list_kind = f"{names.kind}List"


def taken_names(group: str, itself: str, definitions: Iterable[Json], built_in: Json) -> tuple[set[str], set[str]]:
    """(resource names, kinds) that a group's other definitions were granted, and those that are built in."""
    resources, kinds = set(built_in.get("resources", ())), set(built_in.get("kinds", ()))
    for one in definitions:
        if one["spec"]["group"] != group or one["metadata"]["name"] == itself:
            continue
        names = one.get("status", {}).get("acceptedNames", {})
        resources.update(name for name in (names.get("plural"), names.get("singular")) if name)
        resources.update(names.get("shortNames", ()))
        kinds.update(name for name in (names.get("kind"), names.get("listKind")) if name)
    return resources, kinds


def accepted(
    asked: CustomResourceDefinitionNames, before: CustomResourceDefinitionNames, resources: set[str], kinds: set[str]
) -> tuple[CustomResourceDefinitionNames, str, str]:
    """(names that may be used, reason and message of the first that may not; empty when all may)."""
    made = CustomResourceDefinitionNames(categories=asked.categories)
    made.plural, made.singular = before.plural, before.singular
    made.kind, made.list_kind, made.short_names = before.kind, before.list_kind, before.short_names
    trouble: list[tuple[str, str]] = []

    def free(name: str | None, taken: set[str], reason: str) -> bool:
        if name and name in taken:
            trouble.append((reason, f'"{name}" is already in use'))
            return False
        return True

    if free(asked.plural, resources, "PluralConflict"):
        made.plural = asked.plural
    if free(asked.singular, resources, "SingularConflict"):
        made.singular = asked.singular
    if all(free(one, resources, "ShortNamesConflict") for one in asked.short_names):
        made.short_names = asked.short_names
    if free(asked.kind, kinds, "KindConflict"):
        made.kind = asked.kind
    if free(asked.list_kind, kinds, "ListKindConflict"):
        made.list_kind = asked.list_kind
    reason, message = trouble[0] if trouble else ("", "")
    return made, reason, message


def with_condition(
    conditions: list[Condition], type: str, status: str, reason: str, message: str, now: datetime
) -> list[Condition]:
    """The conditions with one of them set; its time changes only when its status does."""
    old = next((one for one in conditions if one.type == type), None)
    since = old.last_transition_time if old is not None and old.status == status else now.replace(microsecond=0)
    new = Condition(type=type, status=status, reason=reason, message=message, last_transition_time=since)
    return [new if one is old else one for one in conditions] if old is not None else [*conditions, new]


def is_true(conditions: Iterable[Condition], type: str) -> bool:
    """Whether a condition is True."""
    return any(one.type == type and one.status == "True" for one in conditions)


def status_of(
    definition: CustomResourceDefinition, definitions: Iterable[Json], built_in: Json, now: datetime
) -> CustomResourceDefinitionStatus:
    """The status that a definition ought to have. Once established it stays so."""
    status, spec = definition.status, definition.spec
    resources, kinds = taken_names(spec.group, definition.metadata.name or "", definitions, built_in)
    before = status.accepted_names or CustomResourceDefinitionNames()
    names, reason, message = accepted(spec.names, before, resources, kinds)
    conditions = status.conditions
    if reason:
        conditions = with_condition(conditions, "NamesAccepted", "False", reason, message, now)
    else:
        conditions = with_condition(conditions, "NamesAccepted", "True", "NoConflicts", "no conflicts found", now)
    if not is_true(conditions, "Established"):
        if reason:
            text = "not all names are accepted"
            conditions = with_condition(conditions, "Established", "False", "NotAccepted", text, now)
        else:
            text = "the initial names have been accepted"
            conditions = with_condition(conditions, "Established", "True", "InitialNamesAccepted", text, now)
    versions = list(status.stored_versions)
    versions += [one.name for one in spec.versions if one.storage and one.name not in versions]
    return CustomResourceDefinitionStatus(
        accepted_names=names,
        conditions=conditions,
        stored_versions=versions,
        observed_generation=status.observed_generation,
    )
