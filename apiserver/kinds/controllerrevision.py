"""Controller revisions: the templates that a daemon set has had, for history and undo. Their data never changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from apiserver.kind import AGE, NAME, Column, Kind, Strategy
from apiserver.kinds.cells import look
from sampan.api.apps_v1 import ControllerRevision
from sampan.errors import FieldError
from sampan.kinds import CONTROLLER_REVISIONS


def validate(one: ControllerRevision) -> Iterator[FieldError]:
    """Numbers count from 0, and there is something to go back to."""
    if one.data is None:
        yield FieldError.required("data", "data is mandatory")
    if one.revision is not None and one.revision < 0:
        yield FieldError.invalid("revision", one.revision, "must be greater than or equal to 0")


def validate_update(new: ControllerRevision, old: ControllerRevision) -> Iterator[FieldError]:
    """Only the number may change."""
    if new.data != old.data:
        yield FieldError.invalid("data", new.data, "field is immutable")


def _controller(one: Mapping[str, Any]) -> str:
    owners = [owner for owner in look(one, "metadata", "ownerReferences") or () if owner.get("controller")]
    if not owners:
        return "<none>"
    group = owners[0]["apiVersion"].partition("/")[0] if "/" in owners[0]["apiVersion"] else ""
    kind = owners[0]["kind"].lower()
    return f"{kind}.{group}/{owners[0]['name']}" if group else f"{kind}/{owners[0]['name']}"


CONTROLLER_REVISION = Kind(
    CONTROLLER_REVISIONS,
    columns=(
        NAME,
        Column("Controller", _controller, description="Whose template it is."),
        Column("Revision", lambda one: look(one, "revision") or 0, type="integer", description="Its number."),
        AGE,
    ),
    strategy=Strategy[ControllerRevision](validate=validate, validate_update=validate_update),
)
