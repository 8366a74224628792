"""The objects that a changing command is about: named, chosen by labels, or described by files."""

from __future__ import annotations

from typing import Any, NamedTuple

from kctl import manifests, references
from kctl.discovery import ApiResource
from kctl.errors import UsageError
from kctl.flags import Flags, Values
from kctl.session import Session
from kctl.urls import quote


class Found(NamedTuple):
    """One object's place."""

    resource: ApiResource
    namespace: str
    name: str

    def path(self, subresource: str = "") -> str:
        """Its URL path."""
        return self.resource.path(quote(self.namespace), quote(self.name), subresource)


def declare(flags: Flags) -> None:
    """Declare -l, --all, -f and -R."""
    flags.text("selector", "all objects with these labels", short="l")
    flags.text("field-selector", "all objects with these fields")
    flags.switch("all", "all objects of the kind in the namespace")
    flags.texts("filename", "files that name the objects", short="f")
    flags.switch("recursive", "folders with all that is below them", short="R")


def targets(session: Session, values: Values) -> list[Found]:
    """The objects. Raises UsageError when the words name none."""
    if values.filename:
        if values.words:
            raise UsageError(
                "when paths, URLs, or stdin is provided as input, you may not specify resource arguments as well"
            )
        found = []
        for one in manifests.load(values.filename, recursive=values.recursive):
            resource = session.discovery.of_kind(one.value["apiVersion"], one.value["kind"])
            if not one.name:
                raise UsageError(f"{one.source}: resource name may not be empty")
            found.append(Found(resource, (one.namespace or session.namespace) if resource.namespaced else "", one.name))
        return found
    if not values.words:
        raise UsageError(references.NOTHING_NAMED)
    chosen = references.chosen(session, values)
    return [Found(kind, namespace, name) for kind, name, namespace in chosen]


def read(session: Session, found: Found) -> dict[str, Any]:
    """The live object. Raises ApiError."""
    value: dict[str, Any] = session.get(found.path())
    return value
