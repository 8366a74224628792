"""Namespaces: one that is deleted stays, Terminating, until its finalizers in spec are gone."""

from __future__ import annotations

from collections.abc import Iterator

from apiserver.kind import (
    AGE,
    NAME,
    STORED_VERBS,
    Answer,
    Call,
    Column,
    Context,
    Json,
    Kind,
    NameRule,
    Strategy,
    Subresource,
)
from apiserver.kinds.cells import text
from apiserver.statuses import conflict
from sampan.api.core_v1 import Namespace
from sampan.errors import FieldError
from sampan.kinds import NAMESPACES

FINALIZER = "kubernetes"
NAME_LABEL = "kubernetes.io/metadata.name"


def labelled(namespace: Namespace) -> None:
    """Every namespace can be selected by its name."""
    namespace.metadata.labels = namespace.metadata.labels | {NAME_LABEL: namespace.metadata.name or ""}


def begin(namespace: Namespace, context: Context) -> None:
    """A new namespace is Active, and its content is deleted before it is."""
    labelled(namespace)
    namespace.status.phase = "Active"
    if FINALIZER not in namespace.spec.finalizers:
        namespace.spec.finalizers = [*namespace.spec.finalizers, FINALIZER]


def change(new: Namespace, old: Namespace, context: Context) -> None:
    """Finalizers in spec change by the finalize subresource only."""
    labelled(new)
    new.spec.finalizers = old.spec.finalizers


def end(namespace: Namespace, context: Context) -> None:
    """Nothing new may be created in it."""
    namespace.status.phase = "Terminating"


def validate_status(new: Namespace, old: Namespace) -> Iterator[FieldError]:
    """The phase follows the deletion."""
    if old.metadata.deletion_timestamp is None:
        if new.status.phase != "Active":
            yield FieldError.invalid(
                "status.Phase", new.status.phase, "may only be 'Active' if `deletionTimestamp` is empty"
            )
    elif new.status.phase != "Terminating":
        yield FieldError.invalid(
            "status.Phase", new.status.phase, "may only be 'Terminating' if `deletionTimestamp` is not empty"
        )


async def finalize(call: Call) -> Answer:
    """PUT namespaces/NAME/finalize: write spec.finalizers; the last one that goes takes the namespace with it."""
    wanted = Namespace.from_json(call.body or {}).spec.finalizers
    version = (call.body or {}).get("metadata", {}).get("resourceVersion")

    def finalized(old: Json) -> Json:
        current = old["metadata"].get("resourceVersion")
        if version not in (None, "", current):
            raise conflict(NAMESPACES, call.name)
        return old | {"spec": old.get("spec", {}) | {"finalizers": wanted}}

    if call.context.dry_run:
        return Answer(finalized(await call.server.read(NAMESPACES, "", call.name)))
    return Answer(
        await call.server.modify(NAMESPACES, "", call.name, finalized, subresource="finalize", user=call.user)
    )


NAMESPACE = Kind(
    NAMESPACES,
    columns=(NAME, Column("Status", text("status", "phase"), description="The status of the namespace."), AGE),
    strategy=Strategy[Namespace](
        prepare_create=begin,
        prepare_update=change,
        prepare_delete=end,
        validate_status=validate_status,
        held=lambda namespace: bool(namespace.spec.finalizers),
        selectable={"status.phase": lambda o: str(text("status", "phase")(o))},
        names=NameRule.LABEL,
        delete_returns_object=True,
    ),
    status=True,
    verbs=tuple(verb for verb in STORED_VERBS if verb != "deletecollection"),
    subresources=(Subresource("finalize", ("update",), finalize, body_kind="Namespace", model=Namespace),),
)
