"""metadata: what the server fills in, and the rules that hold for every kind.

Sources: "Object Names and IDs", "Owners and Dependents", "Finalizers"; the API conventions, "Metadata".
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from apiserver.kind import AnyKind, Json, NameRule
from sampan import names
from sampan.api.meta_v1 import ObjectMeta
from sampan.errors import FieldError

LETTERS = "bcdfghjklmnpqrstvwxz2456789"
"""What generated names end in: no vowels, nothing that looks like another."""
SUFFIX = 5
LONGEST = 63
STANDARD_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")
RULES: Mapping[NameRule, names.Rule] = {
    NameRule.SUBDOMAIN: names.dns_subdomain,
    NameRule.LABEL: names.dns_label,
    NameRule.LABEL_1035: names.dns_1035_label,
    NameRule.PATH_SEGMENT: names.path_segment,
}


def generated(prefix: str) -> str:
    """A name for generateName: the prefix, cut if need be, and five random letters."""
    return prefix[: LONGEST - SUFFIX] + "".join(random.choices(LETTERS, k=SUFFIX))


def begin(meta: ObjectMeta, namespace: str, now: datetime) -> None:
    """Fill in what the server decides for a new object."""
    if not meta.name and meta.generate_name:
        meta.name = generated(meta.generate_name)
    meta.namespace = namespace or None
    meta.uid = str(uuid.uuid4())
    meta.creation_timestamp = now.replace(microsecond=0)
    meta.deletion_timestamp = None
    meta.deletion_grace_period_seconds = None
    meta.generation = None
    meta.resource_version = None
    meta.self_link = None
    meta.managed_fields = []


def carry_over(new: ObjectMeta, old: ObjectMeta) -> None:
    """Keep what no update may change."""
    new.name = old.name
    new.namespace = old.namespace
    new.uid = old.uid
    new.creation_timestamp = old.creation_timestamp
    new.deletion_timestamp = old.deletion_timestamp
    new.deletion_grace_period_seconds = old.deletion_grace_period_seconds
    new.generation = old.generation
    new.generate_name = old.generate_name
    new.resource_version = None
    new.self_link = None
    new.managed_fields = []


def check(kind: AnyKind, meta: ObjectMeta) -> Iterator[FieldError]:
    """The rules for every object."""
    rule = RULES[kind.strategy.names]
    if meta.generate_name:
        for complaint in names.prefix_of(rule)(meta.generate_name):
            yield FieldError.invalid("metadata.generateName", meta.generate_name, complaint)
    if not meta.name:
        yield FieldError.required("metadata.name", "name or generateName is required")
    else:
        for complaint in rule(meta.name):
            yield FieldError.invalid("metadata.name", meta.name, complaint)
    if kind.resource.namespaced and not meta.namespace:
        yield FieldError.required("metadata.namespace")
    if meta.labels:
        yield from names.label_errors(meta.labels, "metadata.labels")
    if meta.annotations:
        yield from names.annotation_errors(meta.annotations, "metadata.annotations")
    for index, finalizer in enumerate(meta.finalizers):
        path = f"metadata.finalizers[{index}]"
        complaints = names.qualified_name(finalizer)
        core = kind.parse is None and kind.resource.group != "apiextensions.k8s.io"
        if not complaints and core and "/" not in finalizer and finalizer not in STANDARD_FINALIZERS:
            complaints = ["name is neither a standard finalizer name nor is it fully qualified"]
        for complaint in complaints:
            yield FieldError.invalid(path, finalizer, complaint)
    if {"orphan", "foregroundDeletion"} <= set(meta.finalizers):
        yield FieldError.invalid(
            "metadata.finalizers",
            list(meta.finalizers),
            "finalizer orphan and foregroundDeletion cannot be both set",
        )
    yield from _check_owners(meta)


def _check_owners(meta: ObjectMeta) -> Iterator[FieldError]:
    controllers = 0
    for index, owner in enumerate(meta.owner_references):
        path = f"metadata.ownerReferences[{index}]"
        for name, value in (("apiVersion", owner.api_version), ("kind", owner.kind), ("name", owner.name)):
            if not value:
                yield FieldError.invalid(f"{path}.{name}", "", "must not be empty")
        if not owner.uid:
            yield FieldError.invalid(f"{path}.uid", "", "must not be empty")
        controllers += bool(owner.controller)
    if controllers > 1:
        yield FieldError.invalid(
            "metadata.ownerReferences",
            [owner.to_json() for owner in meta.owner_references],
            f"Only one reference can have Controller set to true. Found {controllers} references with Controller "
            "set to true",
        )


def check_update(new: ObjectMeta, old: ObjectMeta) -> Iterator[FieldError]:
    """The rules for a change of any object."""
    if old.deletion_timestamp is not None:
        added = [one for one in new.finalizers if one not in old.finalizers]
        if added:
            listed = ", ".join(f'"{one}"' for one in added)
            yield FieldError.forbidden(
                "metadata.finalizers",
                "no new finalizers can be added if the object is being deleted, found new finalizers "
                f"[]string{{{listed}}}",
            )


def ordered(value: Json) -> Json:
    """The form in which objects are stored: kind, apiVersion and metadata come first, so that bytes can be spliced."""
    metadata: dict[str, Any] = value["metadata"]
    metadata.pop("resourceVersion", None)
    rest = {key: inner for key, inner in value.items() if key not in ("kind", "apiVersion", "metadata")}
    return {"kind": value["kind"], "apiVersion": value["apiVersion"], "metadata": metadata, **rest}
