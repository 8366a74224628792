"""Serving what CustomResourceDefinitions define, on every API server that shares the etcd.

Always: the registry follows from the definitions in the watch cache and from nothing else. A definition that is deleted
takes its objects with it first; every server works on that, and whoever comes late finds nothing left to do.
Elsewhere: a version as a Kind (custom.py), the definitions' own status (naming.py).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from apiserver.crds.custom import ENDING_VERBS, kind_of
from apiserver.crds.naming import is_true, status_of
from apiserver.kind import AnyKind, Json
from apiserver.kinds.customresourcedefinition import FINALIZER, built_in_names
from apiserver.registry import storage_name
from apiserver.storage import PREFIX
from sampan.api.apiextensions_v1 import CustomResourceDefinition
from sampan.api.meta_v1 import DeleteOptions
from sampan.errors import ApiError
from sampan.kinds import CUSTOM_RESOURCE_DEFINITIONS
from sampan.logs import fields

if TYPE_CHECKING:
    from apiserver.core import Core

log = logging.getLogger(__name__)

IDLE_SECONDS = 3600.0
AGAIN_SECONDS = 5.0
DELETES = 16


class CustomKinds:
    """The custom kinds of one server's registry."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._known: dict[str, tuple[int, CustomResourceDefinition, tuple[AnyKind, ...]]] = {}
        self._built_in = {
            (one.resource.group, one.resource.version, one.resource.plural) for one in core.registry.all()
        }
        core.registry.before_unknown = self.catch_up

    async def catch_up(self) -> None:
        """Serve everything that was defined before this call. Raises ApiError 503 or 504."""
        await self._core.cache.fresh()
        self.sync()

    def sync(self) -> None:
        """Make the registry follow the cache as it is now."""
        items = self._core.cache.shelf(storage_name(CUSTOM_RESOURCE_DEFINITIONS)).items
        for name in self._known.keys() - items.keys():
            self._drop(self._known.pop(name)[2])
        for name, item in items.items():
            known = self._known.get(name)
            if known is not None and known[0] == item.revision:
                continue
            try:
                definition = CustomResourceDefinition.from_json(item.value)
                if known is not None and _serves_same(definition, known[1]):
                    self._known[name] = (item.revision, definition, known[2])
                    continue
                if known is not None and _serves_same(definition, known[1], ending=True):
                    kinds = tuple(replace(kind, verbs=ENDING_VERBS) for kind in known[2])
                else:
                    kinds = tuple(self._kinds(definition))
            except (ValidationError, ValueError, KeyError) as error:
                log.error("a stored definition cannot be served", extra=fields(name=name, error=error))
                continue
            for kind in kinds:
                self._core.registry.add(kind)
            if known is not None:
                here = {kind.resource.version for kind in kinds}
                self._drop(tuple(kind for kind in known[2] if kind.resource.version not in here))
            self._known[name] = (item.revision, definition, kinds)
            if known is not None:
                self._end_watches(known[2])

    def _drop(self, kinds: tuple[AnyKind, ...]) -> None:
        for kind in kinds:
            self._core.registry.remove(kind.resource)
        self._end_watches(kinds)

    def _end_watches(self, kinds: tuple[AnyKind, ...]) -> None:
        """Let watchers see that their kind is not served as it was; they end, and their clients begin anew."""
        for name in {storage_name(kind.storage) for kind in kinds}:
            self._core.cache.shelf(name).ring.wake()

    def _kinds(self, definition: CustomResourceDefinition) -> Iterator[AnyKind]:
        spec = definition.spec
        if not is_true(definition.status.conditions, "Established"):
            return
        for version in spec.versions:
            if version.served and (spec.group, version.name, spec.names.plural) not in self._built_in:
                yield kind_of(definition, version)

    async def run(self) -> None:
        """Follow the definitions until cancelled."""
        while True:
            try:
                await self._follow()
            except* Exception as errors:  # the task's edge: a bug must not end it for good
                log.error("custom kinds could not be followed", exc_info=errors)
            await asyncio.sleep(1)

    async def _follow(self) -> None:
        async with asyncio.TaskGroup() as group:
            ending: dict[str, asyncio.Task[None]] = {}
            while True:
                ring = self._core.cache.shelf(storage_name(CUSTOM_RESOURCE_DEFINITIONS)).ring
                position = ring.end
                self.sync()
                ending = {uid: task for uid, task in ending.items() if not task.done()}
                for name, (_, definition, _) in self._known.items():
                    uid = definition.metadata.uid or name
                    if definition.metadata.deletion_timestamp is not None:
                        if FINALIZER in definition.metadata.finalizers and uid not in ending:
                            ending[uid] = group.create_task(self._end(name), name=f"end of {name}")
                    elif not is_true(definition.status.conditions, "NamesAccepted"):
                        await self._ask_again(name, definition)
                if not ring.broken:
                    await ring.wait(position, asyncio.get_running_loop().time() + IDLE_SECONDS)
                else:
                    await asyncio.sleep(0)

    async def _ask_again(self, name: str, definition: CustomResourceDefinition) -> None:
        """Grant names that have become free."""
        core = self._core
        others = core.peek_all(CUSTOM_RESOURCE_DEFINITIONS)
        status = status_of(definition, others, built_in_names(definition.spec.group), core.clock.now()).to_json()
        if status == definition.status.to_json():
            return
        try:
            await core.modify(
                CUSTOM_RESOURCE_DEFINITIONS, "", name, lambda old: old | {"status": status}, subresource="status"
            )
        except ApiError as error:
            log.info("names could not be granted yet", extra=fields(name=name, error=error))

    async def _end(self, name: str) -> None:
        """Delete all objects of a definition, then let it go."""
        while True:
            known = self._known.get(name)
            if known is None or known[1].metadata.deletion_timestamp is None:
                return
            spec = known[1].spec
            resource = f"{spec.group}/{spec.names.plural}"
            shelf = self._core.cache.shelf(resource)
            position = shelf.ring.end
            try:
                if known[2]:
                    await self._empty(known[2][0], list(shelf.items))
                if await self._is_empty(resource):
                    await self._core.modify(CUSTOM_RESOURCE_DEFINITIONS, "", name, without_finalizer)
                    return
            except ApiError as error:
                if error.is_not_found:
                    return
                log.info("a definition's objects are not all deleted yet", extra=fields(name=name, error=error))
            until = asyncio.get_running_loop().time() + AGAIN_SECONDS
            if shelf.ring.broken:
                await asyncio.sleep(1)
            else:
                await shelf.ring.wait(position, until)

    async def _empty(self, kind: AnyKind, paths: list[str]) -> None:
        gate = asyncio.Semaphore(DELETES)

        async def one(path: str) -> None:
            namespace, _, name = path.rpartition("/")
            async with gate:
                try:
                    await self._core.delete(kind.resource, namespace, name, DeleteOptions())
                except ApiError as error:
                    if not (error.is_not_found or error.is_conflict):
                        raise

        found = await asyncio.gather(*(one(path) for path in paths), return_exceptions=True)
        for error in found:
            if isinstance(error, BaseException):
                raise error

    async def _is_empty(self, resource: str) -> bool:
        root = PREFIX + resource.encode() + b"/"
        page = await self._core.storage.page(root, root[:-1] + b"0", limit=1, keys_only=True)
        return not page.entries


def _serves_same(new: CustomResourceDefinition, old: CustomResourceDefinition, *, ending: bool = False) -> bool:
    """Whether nothing has changed that kinds are made of; with `ending`, nothing but that it is being deleted."""

    def about(one: CustomResourceDefinition) -> Any:
        deleted = one.metadata.deletion_timestamp is not None or ending
        return one.spec, one.status.accepted_names, is_true(one.status.conditions, "Established"), deleted

    return bool(about(new) == about(old))


def without_finalizer(value: Json) -> Json:
    """A definition that nothing holds any more."""
    metadata = value["metadata"]
    left = [one for one in metadata.get("finalizers", ()) if one != FINALIZER]
    return value | {"metadata": metadata | {"finalizers": left}}
