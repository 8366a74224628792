"""Which kinds are served now. Built-in ones are added at start; custom ones come and go."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Any

from apiserver.kind import AnyKind, Subresource
from sampan.resource import Resource


def storage_name(resource: Resource[Any]) -> str:
    """`core/pods`, `apps/deployments`: the resource's part of an etcd key."""
    return f"{resource.group or 'core'}/{resource.plural}"


def storage_path(resource: Resource[Any], namespace: str, name: str) -> str:
    """`namespace/name`, or `name` for what lives in no namespace."""
    return f"{namespace}/{name}" if resource.namespaced else name


def storage_key(resource: Resource[Any], namespace: str, name: str) -> bytes:
    """The etcd key of an object."""
    return f"/registry/{storage_name(resource)}/{storage_path(resource, namespace, name)}".encode()


class Registry:
    """Kinds by group, version and plural."""

    def __init__(self, kinds: Iterable[AnyKind] = ()) -> None:
        self._kinds: dict[tuple[str, str, str], AnyKind] = {}
        self._listeners: list[Callable[[], None]] = []
        self.generation = 0
        """Grows with every change: what was computed from the registry is stale when it differs."""
        self.before_unknown: Callable[[], Awaitable[None]] | None = None
        """What to wait for before a client is told that a kind is not served: it may have been defined just now."""
        for kind in kinds:
            self.add(kind)

    def add(self, kind: AnyKind) -> None:
        """Serve a kind, or another state of it."""
        resource = kind.resource
        self._kinds[resource.group, resource.version, resource.plural] = kind
        self._changed()

    def remove(self, resource: Resource[Any]) -> None:
        """Stop serving a kind; its objects stay in etcd. Unknown ones are ignored."""
        if self._kinds.pop((resource.group, resource.version, resource.plural), None):
            self._changed()

    def extend(self, resource: Resource[Any], *subresources: Subresource) -> None:
        """Give a kind more subresources, or replace those of the same names. Nothing happens if it is not served."""
        kind = self.find(resource.group, resource.version, resource.plural)
        if kind is not None:
            names = {one.name for one in subresources}
            kept = tuple(one for one in kind.subresources if one.name not in names)
            self.add(replace(kind, subresources=kept + subresources))

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` after every change."""
        self._listeners.append(listener)

    def _changed(self) -> None:
        self.generation += 1
        for listener in self._listeners:
            listener()

    def find(self, group: str, version: str, plural: str) -> AnyKind | None:
        """The kind at a URL."""
        return self._kinds.get((group, version, plural))

    def of(self, resource: Resource[Any]) -> AnyKind:
        """The kind of a resource. Raises KeyError."""
        return self._kinds[resource.group, resource.version, resource.plural]

    def of_kind(self, api_version: str, kind: str) -> AnyKind | None:
        """The kind that an object says it is of."""
        return next(
            (k for k in self._kinds.values() if k.resource.kind == kind and k.resource.api_version == api_version), None
        )

    def all(self) -> tuple[AnyKind, ...]:
        """Every kind, in the order of registration."""
        return tuple(self._kinds.values())

    def groups(self) -> dict[str, list[str]]:
        """Group -> versions, the preferred one first; the core group is `""`."""
        found: dict[str, list[str]] = {}
        for group, version, _ in self._kinds:
            versions = found.setdefault(group, [])
            if version not in versions:
                versions.append(version)
        return {group: sorted(versions, key=priority, reverse=True) for group, versions in found.items()}


def priority(version: str) -> tuple[int, int, int]:
    """The order of versions (CRD versioning, "Version priority"): v2, v1, v1beta2, v1beta1, v1alpha1, others."""
    import re

    match = re.fullmatch(r"v([0-9]+)(?:(alpha|beta)([0-9]+))?", version)
    if not match:
        return (-1, 0, 0)
    level = {"alpha": 0, "beta": 1, None: 2}[match[2]]
    return (level, int(match[1]), int(match[3] or 0))
