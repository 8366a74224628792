"""What a controller may look at: objects by key, by namespace and by owner, and the time. Reading only.

A reconcile function is pure over a World; a running component has one over informers (`Caches`), a test has one over
plain lists.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol, TypeVar, cast

from sampan.api.base import Object
from sampan.client import Client
from sampan.clock import Clock
from sampan.informer import Informer
from sampan.objects import controller_of, meta
from sampan.resource import Resource

M = TypeVar("M", bound=Object)
Index = Callable[[Any], Iterable[str]]

NAMESPACE, CONTROLLER, ORPHAN = "namespace", "controller", "orphan"


def _namespace(obj: Object) -> Iterable[str]:
    return (meta(obj).namespace or "",)


def _controller(obj: Object) -> Iterable[str]:
    owner = controller_of(obj)
    return (owner.uid,) if owner is not None else ()


def _orphan(obj: Object) -> Iterable[str]:
    m = meta(obj)
    return (m.namespace or "",) if controller_of(obj) is None and m.deletion_timestamp is None else ()


INDEXES: Mapping[str, Index] = {NAMESPACE: _namespace, CONTROLLER: _controller, ORPHAN: _orphan}
"""The indexes that every resource has: by namespace, by the controller's UID, and by namespace what has none."""


class World(Protocol):
    """A consistent enough view of the cluster, at one moment."""

    @property
    def now(self) -> datetime:
        """The calendar time."""

    def get(self, resource: Resource[M], namespace: str, name: str) -> M | None:
        """One object."""

    def all(self, resource: Resource[M]) -> list[M]:
        """All objects of a resource."""

    def by(self, resource: Resource[M], index: str, value: str) -> list[M]:
        """The objects under a value of an index."""


class Caches:
    """A World over informers, one a resource, shared by all controllers of the process."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        indexes: Mapping[Resource[Any], Mapping[str, Index]],
        field_selectors: Mapping[Resource[Any], str] | None = None,
    ) -> None:
        self._clock = clock
        self._narrowed = dict(field_selectors or {})
        self._informers: dict[Resource[Any], Informer[Any]] = {
            resource: Informer(
                client,
                resource,
                indexes={**INDEXES, **extra},
                field_selector=self._narrowed.get(resource, ""),
                clock=clock,
            )
            for resource, extra in indexes.items()
        }

    @property
    def now(self) -> datetime:
        """The clock's time."""
        return self._clock.now()

    def informer(self, resource: Resource[M]) -> Informer[M]:
        """The informer of a resource. Raises KeyError for one that no controller declared."""
        return cast(Informer[M], self._informers[resource])

    def watches(self, resource: Resource[Any]) -> bool:
        """Whether there is an informer of the resource."""
        return resource in self._informers

    def complete(self) -> list[Informer[Any]]:
        """The informers that follow all objects of their resource."""
        return [one for resource, one in self._informers.items() if resource not in self._narrowed]

    def get(self, resource: Resource[M], namespace: str, name: str) -> M | None:
        """One object, as last seen."""
        return self.informer(resource).get(namespace, name)

    def all(self, resource: Resource[M]) -> list[M]:
        """All objects, as last seen."""
        return self.informer(resource).items()

    def by(self, resource: Resource[M], index: str, value: str) -> list[M]:
        """The objects under a value of an index, as last seen."""
        return self.informer(resource).by_index(index, value)

    async def run(self) -> None:
        """Run all informers until cancelled."""
        async with asyncio.TaskGroup() as group:
            for informer in self._informers.values():
                group.create_task(informer.run(), name=f"informer {informer.resource.group_resource}")

    async def synced(self, *, but: Iterable[Resource[Any]] = ()) -> None:
        """Wait until every informer has its first list, those of some resources excepted."""
        excepted = set(but)
        for resource, informer in self._informers.items():
            if resource not in excepted:
                await informer.synced()
