"""Pure: who manages which fields of an object: metadata.managedFields as values, and how writes change them.

Always: an object that was never applied has no managers and costs nothing; a manager that owns nothing is forgotten.
Source: "Server-Side Apply" of the documentation (field management, conflicts, migration from client-side apply).
Elsewhere: paths (fieldsets.py, values.py), merging (merge.py), the verb (verb.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import orjson

from apiserver.apply.fieldsets import EMPTY, FieldSet, decode_root, of_paths, shown
from apiserver.apply.merge import merge, prune
from apiserver.apply.types import Type
from apiserver.apply.values import MOST_ERRORS, changes, check, paths_of
from sampan.errors import FieldError

Json = dict[str, Any]
APPLY, UPDATE = "Apply", "Update"
KUBECTL = "kubectl"
BEFORE_FIRST_APPLY = "before-first-apply"
ANCIENT = "ancient-changes"
MOST_UPDATERS = 10
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
MOST_ANNOTATION = 256 * 1024
LONGEST_NAME = 128
NEVER = datetime.min.replace(tzinfo=UTC)
SERVERS = of_paths(
    ("f:apiVersion",),
    ("f:kind",),
    *(
        ("f:metadata", f"f:{name}")
        for name in (
            "name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation",
            "managedFields", "resourceVersion",
        )
    ),
)  # fmt: skip
"""What nobody manages."""
METADATA = of_paths(("f:metadata",))


@dataclass(frozen=True)
class Manager:
    """Who: a manager's entry is found again by this. An applier is one in all versions, an updater one for each."""

    name: str
    operation: str = UPDATE
    api_version: str = ""
    subresource: str = ""

    def __str__(self) -> str:
        """As conflicts name it."""
        made = f'"{self.name}"' + (f' with subresource "{self.subresource}"' if self.subresource else "")
        return f"{made} using {self.api_version}" if self.operation == UPDATE else made


@dataclass(frozen=True)
class Owned:
    """What one manager owns, since when, and in which version its fields are named."""

    fields: FieldSet
    api_version: str
    time: datetime | None = None


Managers = Mapping[Manager, Owned]


class Conflicts(Exception):
    """An applied configuration would change what others manage."""

    def __init__(self, found: Sequence[tuple[Manager, tuple[str, ...]]]) -> None:
        super().__init__(found)
        self.found = tuple(found)

    @property
    def message(self) -> str:
        """The text of the Status."""
        if len(self.found) == 1:
            manager, path = self.found[0]
            return f"Apply failed with 1 conflict: conflict with {manager}: {shown(path)}"
        named: dict[str, list[str]] = {}
        for manager, path in self.found:
            named.setdefault(str(manager), []).append(f"- {shown(path)}")
        lines = [line for name in sorted(named) for line in (f"conflicts with {name}:", *named[name])]
        return f"Apply failed with {len(self.found)} conflicts: " + "\n".join(lines)

    @property
    def causes(self) -> list[Json]:
        """details.causes of the Status."""
        return [
            {"reason": "FieldManagerConflict", "message": f"conflict with {manager}", "field": shown(path)}
            for manager, path in self.found
        ]


def read(entries: Sequence[Mapping[str, Any]]) -> dict[Manager, Owned]:
    """Understand metadata.managedFields; the entries are valid (`errors`)."""
    made: dict[Manager, Owned] = {}
    for entry in entries:
        manager, owned = _read(entry)
        before = made.get(manager)
        made[manager] = replace(owned, fields=owned.fields.union(before.fields)) if before else owned
    return made


def _read(entry: Mapping[str, Any]) -> tuple[Manager, Owned]:
    operation, version = entry.get("operation") or UPDATE, entry.get("apiVersion") or ""
    manager = Manager(
        entry.get("manager") or "", operation, version if operation == UPDATE else "", entry.get("subresource") or ""
    )
    time = entry.get("time")
    return manager, Owned(
        decode_root(entry.get("fieldsV1") or {}), version, datetime.fromisoformat(time) if time else None
    )


def errors(entries: Sequence[Mapping[str, Any]]) -> Iterator[FieldError]:
    """What is wrong with metadata.managedFields that a client has written."""
    for index, entry in enumerate(entries):
        path = f"metadata.managedFields[{index}]"
        operation, kind = entry.get("operation"), entry.get("fieldsType")
        if operation not in (APPLY, UPDATE):
            yield FieldError.invalid(f"{path}.operation", operation or "", "must be `Apply` or `Update`")
        if kind and kind != "FieldsV1":
            yield FieldError.invalid(f"{path}.fieldsType", kind, "must be `FieldsV1`")
        yield from name_errors(entry.get("manager") or "", f"{path}.manager")
        if len(entry.get("subresource") or "") > 256:
            yield FieldError.too_long(f"{path}.subresource", 256)
        try:
            decode_root(entry.get("fieldsV1") or {})
        except ValueError as error:
            yield FieldError.invalid(f"{path}.fieldsV1", "", str(error))


def name_errors(name: str, path: str) -> Iterator[FieldError]:
    """What is wrong with a manager's name."""
    if len(name.encode(errors="replace")) > LONGEST_NAME:
        yield FieldError.too_long(path, LONGEST_NAME)
    elif not name.isprintable():
        yield FieldError.invalid(path, name, "should only contain printable characters")


def write(managers: Managers) -> list[Json]:
    """The entries of metadata.managedFields: appliers first, then by time and name."""
    made = []
    for manager, owned in sorted(managers.items(), key=_order):
        entry = {
            "manager": manager.name,
            "operation": manager.operation,
            "apiVersion": owned.api_version,
            "time": owned.time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if owned.time else "",
            "fieldsType": "FieldsV1",
            "fieldsV1": owned.fields.encode(),
            "subresource": manager.subresource,
        }
        made.append({name: value for name, value in entry.items() if value != ""})
    return made


def _order(one: tuple[Manager, Owned]) -> tuple[str, datetime, str, str, str]:
    manager, owned = one
    return manager.operation, owned.time or NEVER, manager.name, owned.api_version, manager.subresource


def managed_fields(value: Mapping[str, Any]) -> list[Json]:
    """An object's entries; none if it was never applied."""
    found = (value.get("metadata") or {}).get("managedFields")
    return list(found) if isinstance(found, list) else []


def bare(value: Json) -> Json:
    """An object without its entries."""
    metadata = value.get("metadata")
    if not isinstance(metadata, dict) or "managedFields" not in metadata:
        return value
    return value | {"metadata": {name: one for name, one in metadata.items() if name != "managedFields"}}


def settled(old: Json | None, new: Json, of: Type, managers: Managers, manager: Manager, now: datetime) -> Managers:
    """The managers after a write that was no apply: what it set is its own, what is gone nobody's."""
    found = changes(old if old is not None else {}, new, of)
    taken = _managed(found.taken)
    gone = taken.union(found.removed)
    made = {}
    for one, owned in managers.items():
        fields = owned.fields.difference(found.removed if one == manager else gone)
        if fields:
            made[one] = replace(owned, fields=fields)
    if taken:
        mine = made[manager].fields.union(taken) if manager in made else taken
        made[manager] = Owned(mine, manager.api_version, now)
    return _capped(made)


def _managed(fields: FieldSet) -> FieldSet:
    return FieldSet(False, fields.without(SERVERS).difference(METADATA).children)


def _capped(managers: dict[Manager, Owned]) -> Managers:
    """Join the oldest updaters of each version to one when they become many."""
    updaters = sorted((one for one in managers.items() if one[0].operation == UPDATE), key=_order)
    for manager, owned in updaters[: max(0, len(updaters) - MOST_UPDATERS)]:
        ancient = Manager(ANCIENT, UPDATE, manager.api_version, manager.subresource)
        if manager == ancient:
            continue
        del managers[manager]
        before = managers.get(ancient)
        fields = owned.fields.union(before.fields) if before else owned.fields
        managers[ancient] = Owned(fields, owned.api_version, owned.time)
    return managers


@dataclass(frozen=True)
class Configuration:
    """An applied configuration, checked, and how it is applied."""

    value: Json
    type: Type
    manager: Manager
    api_version: str
    force: bool = False

    @property
    def fields(self) -> FieldSet:
        """What its manager will own."""
        return _managed(paths_of(self.value, self.type))


@dataclass(frozen=True)
class Outcome:
    """What an apply leads to."""

    value: Json
    managers: Managers


def malformed(value: Json, of: Type) -> str:
    """What is wrong with a configuration, as one text; empty if nothing is."""
    found = list(islice(check(value, of), MOST_ERRORS))
    return found[0] if len(found) == 1 else "errors:\n" + "\n".join(f"  {one}" for one in found) if found else ""


def apply(live: Json | None, configuration: Configuration, now: datetime) -> Outcome:
    """Apply a configuration to a live object (None: there is none), whose entries say who manages it.

    What existed before the first apply belongs to `before-first-apply`. Raises Conflicts.
    """
    managers: Managers = read(managed_fields(live)) if live is not None else {}
    old = bare(live) if live is not None else {}
    if live is not None and not managers:
        first = Manager(BEFORE_FIRST_APPLY, UPDATE, configuration.api_version)
        managers = settled(None, old, configuration.type, {}, first, now)
    annotation = _last_applied(old) if configuration.manager.name == KUBECTL else None
    try:
        outcome = _apply(old, configuration, managers)
    except Conflicts as conflicts:
        if annotation is None:
            raise
        # kubectl's own client-side configuration cannot conflict with its server-side one
        allowed = _annotated(annotation, configuration.type)
        left = [one for one in conflicts.found if not _holds(allowed, one[1])]
        if left:
            raise Conflicts(left) from None
        outcome = _apply(old, replace(configuration, force=True), managers)
    return outcome if annotation is None else replace(outcome, value=_annotate(outcome.value, configuration.value))


def _apply(old: Json, configuration: Configuration, managers: Managers) -> Outcome:
    of, manager = configuration.type, configuration.manager
    fields = configuration.fields
    last = managers.get(manager)
    merged: Json = merge(old, configuration.value, of)
    if last is not None:
        kept = paths_of(configuration.value, of).union(METADATA)  # with what nobody manages, such as the name
        for one, owned in managers.items():
            if one != manager:
                kept = kept.union(owned.fields)
        merged = prune(merged, last.fields, kept, of)
    found = changes(old, merged, of)
    taken = _managed(found.taken)
    made: dict[Manager, Owned] = {}
    conflicts: list[tuple[Manager, tuple[str, ...]]] = []
    for one, owned in managers.items():
        if one == manager:
            continue
        hit = owned.fields.intersection(taken)
        conflicts += [(one, path) for path in hit.paths()]
        left = owned.fields.difference(hit).difference(found.removed)
        if left:
            made[one] = replace(owned, fields=left)
    if conflicts and not configuration.force:
        raise Conflicts(sorted(conflicts, key=lambda one: (str(one[0]), one[1])))
    if fields:
        same = last is not None and last.fields == fields and last.api_version == configuration.api_version
        made[manager] = Owned(fields, configuration.api_version, last.time if last is not None and same else None)
    return Outcome(merged, made)


def _holds(fields: FieldSet, path: tuple[str, ...]) -> bool:
    for step in path:
        fields = fields.below(step)
    return bool(fields)


def _last_applied(value: Json) -> str | None:
    annotations = (value.get("metadata") or {}).get("annotations") or {}
    found = annotations.get(LAST_APPLIED)
    return found if isinstance(found, str) else None


def _annotated(text: str, of: Type) -> FieldSet:
    """The paths of a last-applied annotation; none if it cannot be read."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return EMPTY
    return paths_of(value, of) if isinstance(value, dict) else EMPTY


def _annotate(value: Json, applied: Json) -> Json:
    """The value with the configuration in its annotation, so that client-side apply goes on from here."""
    metadata = dict(applied.get("metadata") or {})
    annotations = {name: one for name, one in (metadata.get("annotations") or {}).items() if name != LAST_APPLIED}
    text = orjson.dumps(applied | {"metadata": metadata | {"annotations": annotations}}).decode() + "\n"
    there = dict(value["metadata"].get("annotations") or {})
    if len(text) > MOST_ANNOTATION:
        there.pop(LAST_APPLIED, None)
    else:
        there[LAST_APPLIED] = text
    return value | {"metadata": value["metadata"] | {"annotations": there}}
