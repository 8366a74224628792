"""Priority classes: a name for a number."""

from __future__ import annotations

from collections.abc import Iterator

from apiserver.kind import AGE, NAME, Column, Context, Kind, Strategy
from apiserver.kinds.cells import number, text
from sampan.api.scheduling_v1 import PriorityClass
from sampan.errors import FieldError
from sampan.kinds import PRIORITY_CLASSES

HIGHEST = 1_000_000_000
"""The highest value of a class that is not the system's."""
SYSTEM_CLASSES = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
SYSTEM_PREFIX = "system-"


def begin(one: PriorityClass, context: Context) -> None:
    """A value that is left out is 0."""
    one.value = one.value or 0


def change(new: PriorityClass, old: PriorityClass, context: Context) -> None:
    """Likewise."""
    new.value = new.value or 0


def validate(one: PriorityClass) -> Iterator[FieldError]:
    """The system's names and values are its own."""
    name = one.metadata.name or ""
    if name.startswith(SYSTEM_PREFIX):
        if SYSTEM_CLASSES.get(name) != one.value:
            yield FieldError.forbidden(
                "metadata.name",
                "priority class names with 'system-' prefix are reserved for system use only. error: "
                f"{name} is not a known system priority class",
            )
    elif (one.value or 0) > HIGHEST:
        yield FieldError.forbidden("value", f"maximum allowed value of a user defined priority is {HIGHEST}")


def validate_update(new: PriorityClass, old: PriorityClass) -> Iterator[FieldError]:
    """Pods have taken the value over: it stays."""
    if new.value != old.value:
        yield FieldError.forbidden("value", "may not be changed in an update.")
    if new.preemption_policy != old.preemption_policy:
        yield FieldError.invalid("preemptionPolicy", new.preemption_policy, "field is immutable")


PRIORITY_CLASS = Kind(
    PRIORITY_CLASSES,
    columns=(
        NAME,
        Column("Value", number("value"), type="integer", description="The higher, the more important."),
        Column(
            "Global-Default",
            lambda o: bool(o.get("globalDefault")),
            type="boolean",
            description="Whether it is for pods that name no class.",
        ),
        AGE,
        Column("PreemptionPolicy", text("preemptionPolicy"), description="Whether others make place."),
    ),
    strategy=Strategy[PriorityClass](
        prepare_create=begin,
        prepare_update=change,
        validate=validate,
        validate_update=validate_update,
        create_on_update=True,
    ),
)
