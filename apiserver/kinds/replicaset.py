"""Replica sets."""

from __future__ import annotations

from collections.abc import Iterator

from apiserver.kind import AGE, NAME, Column, Context, Kind, Scale, Strategy
from apiserver.kinds.cells import container_columns, look, number, selector_column
from apiserver.kinds.pod_defaults import default_spec
from apiserver.kinds.templates import check_lasting, check_matches, check_same_selector, check_selector
from sampan.api.apps_v1 import ReplicaSet
from sampan.api.defaults import fill
from sampan.errors import FieldError
from sampan.kinds import REPLICA_SETS


def begin(one: ReplicaSet, context: Context) -> None:
    """A new one."""
    fill(one)
    default_spec(one.spec.template.spec)


def change(new: ReplicaSet, old: ReplicaSet, context: Context) -> None:
    """A changed one."""
    begin(new, context)


def validate(one: ReplicaSet) -> Iterator[FieldError]:
    """Selector and template."""
    yield from check_selector(one.spec.selector, "deployment")
    yield from check_matches(one.spec.selector, one.spec.template)
    yield from check_lasting(one.spec.template, "ReplicaSet")


def validate_update(new: ReplicaSet, old: ReplicaSet) -> Iterator[FieldError]:
    """The selector stays."""
    yield from check_same_selector(new.spec.selector, old.spec.selector)


REPLICA_SET = Kind(
    REPLICA_SETS,
    columns=(
        NAME,
        Column("Desired", number("spec", "replicas"), type="integer", description="How many pods it wants."),
        Column("Current", number("status", "replicas"), type="integer", description="How many it has."),
        Column("Ready", number("status", "readyReplicas"), type="integer", description="How many are ready."),
        AGE,
        *container_columns("spec", "template", "spec"),
        selector_column(),
    ),
    strategy=Strategy[ReplicaSet](
        prepare_create=begin,
        prepare_update=change,
        validate=validate,
        validate_update=validate_update,
        selectable={"status.replicas": lambda o: str(look(o, "status", "replicas") or 0)},
        tracks_generation=True,
    ),
    status=True,
    scale=Scale(),
)
