"""What the server's rooms share: storage, cache, registry, admission, clock; what kinds may do to the rest (Server).

Elsewhere: requests (app.py), the write path (writes.py, deletion.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import orjson

from apiserver.cache import Cache
from apiserver.compaction import Compaction
from apiserver.config import Config
from apiserver.deletion import delete
from apiserver.kind import Admission, AnyKind, Attempt, Context, Json, User
from apiserver.matching import value_of, view
from apiserver.registry import Registry, storage_key, storage_name, storage_path
from apiserver.ring import Item
from apiserver.statuses import not_found
from apiserver.storage import PREFIX, Stale, Storage
from apiserver.traces import Traces
from apiserver.writes import PATCH_ATTEMPTS, Body, create, update
from sampan.api.meta_v1 import DeleteOptions
from sampan.clock import Clock
from sampan.resource import Resource

SELF = User("system:apiserver", groups=("system:masters", "system:authenticated"))
CLAIMS = "sampan.claims"
Action = Callable[[Attempt], Awaitable[None]]


class Core:
    """One API server's state. Implements apiserver.kind.Server."""

    def __init__(
        self, config: Config, registry: Registry, *, clock: Clock | None = None, admission: Iterable[Admission] = ()
    ) -> None:
        self.config = config
        self.registry = registry
        self.admission = tuple(admission)
        self._clock = clock or Clock()
        self.storage = Storage(config.etcd_endpoints, config.etcd)
        self.cache = Cache(self.storage, self._clock)
        self._compaction = Compaction(self.storage, self.cache)
        self.traces = Traces()
        self.stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        self._actions: dict[tuple[str, ...], tuple[Action, ...]] = {}

    def admission_actions(
        self, resource: Resource[Any], operation: str, subresource: str, phase: str
    ) -> tuple[Action, ...]:
        """What the plugins do in a phase (mutate, validate), in order."""
        key = (resource.group, resource.version, resource.plural, operation, subresource, phase)
        found = self._actions.get(key)
        if found is None:
            plugins = [
                one
                for one in self.admission
                if operation in one.operations
                and subresource in one.subresources
                and (not one.resources or resource in one.resources)
            ]
            actions = [one.mutate if phase == "mutate" else one.validate for one in plugins]
            found = self._actions[key] = tuple(action for action in actions if action is not None)
        return found

    @property
    def clock(self) -> Clock:
        """The one source of time."""
        return self._clock

    @property
    def settings(self) -> Config:
        """The configuration."""
        return self.config

    async def start(self) -> None:
        """Follow etcd; returns when the cache is filled."""
        self._tasks = [
            asyncio.create_task(self.cache.run(), name="watch cache"),
            asyncio.create_task(self.cache.run_checks(), name="cache check"),
        ]
        await self.cache.ready.wait()
        await self._compaction.begin()
        self._tasks.append(asyncio.create_task(self._compaction.run(), name="compaction"))

    async def stop(self) -> None:
        """End every watch, then the connection to etcd."""
        self.stopping = True
        self.cache.wake()
        await self._compaction.end()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.storage.close()

    def context(
        self,
        user: User | None = None,
        namespace: str = "",
        *,
        dry_run: bool = False,
        warn: Callable[[str], None] = lambda _: None,
        manager: str = "",
        agent: str = "",
    ) -> Context:
        """What a strategy is told besides the object."""
        return Context(self, user or SELF, namespace, self._clock.now(), dry_run, warn, manager, agent)

    def peek(self, resource: Resource[Any], namespace: str, name: str) -> Json | None:
        """The object as the cache has it now."""
        kind = self.registry.of(resource)
        path = storage_path(kind.storage, namespace, name)
        item = self.cache.shelf(storage_name(kind.storage)).items.get(path)
        return value_of(kind, item.value) if item is not None else None

    def peek_all(self, resource: Resource[Any], namespace: str = "") -> Iterable[Json]:
        """All objects (of a namespace) as the cache has them now."""
        kind = self.registry.of(resource)
        prefix = f"{namespace}/" if namespace else ""
        shelf = self.cache.shelf(storage_name(kind.storage))
        return [value_of(kind, item.value) for item in shelf.select(prefix)]

    async def read(self, resource: Resource[Any], namespace: str, name: str) -> Json:
        """The newest state. Raises ApiError 404."""
        kind = self.registry.of(resource)
        found = await self.storage.get(storage_key(kind.storage, namespace, name))
        if found is None:
            raise not_found(resource, name)
        return value_of(kind, self.cache.item_of(found).value)

    async def create(self, resource: Resource[Any], value: Json, *, user: User | None = None) -> Json:
        """Create through the whole write path."""
        kind = self.registry.of(resource)
        namespace = str(value.get("metadata", {}).get("namespace", "")) if resource.namespaced else ""
        written = await create(
            self, kind, namespace, Body(orjson.loads(orjson.dumps(value))), self.context(user, namespace)
        )
        return self.value(kind, written.item)

    async def modify(
        self,
        resource: Resource[Any],
        namespace: str,
        name: str,
        change: Callable[[Json], Json],
        *,
        subresource: str = "",
        user: User | None = None,
    ) -> Json:
        """Read, change, write, again on a conflict."""
        kind = self.registry.of(resource)

        def propose(old: Json) -> Json:
            return change(orjson.loads(orjson.dumps(old)))

        written = await update(
            self,
            kind,
            namespace,
            name,
            propose,
            self.context(user, namespace),
            subresource=subresource,
            retries=PATCH_ATTEMPTS,
        )
        return self.value(kind, written.item)

    async def delete(
        self, resource: Resource[Any], namespace: str, name: str, options: DeleteOptions, *, user: User | None = None
    ) -> Json:
        """Delete as the verb does."""
        kind = self.registry.of(resource)
        answer = await delete(self, kind, namespace, name, options, self.context(user, namespace))
        return answer.value if isinstance(answer, Item) else answer

    def value(self, kind: AnyKind, item: Item) -> Json:
        """An item as a plain value in the kind's version."""
        return view(kind, item).value

    async def claim(self, pool: str, value: str, owner: str) -> bool:
        """Take a value of a pool for an owner, cluster-wide."""
        key = self._claim_key(pool, value)
        try:
            await self.storage.put(key, orjson.dumps({"owner": owner}), 0)
        except Stale as stale:
            return stale.current is not None and orjson.loads(stale.current.value)["owner"] == owner
        return True

    async def release(self, pool: str, value: str, owner: str) -> None:
        """Give back what the owner claimed."""
        key = self._claim_key(pool, value)
        found = await self.storage.get(key)
        if found is not None and orjson.loads(found.value)["owner"] == owner:
            try:
                await self.storage.delete(key, found.revision)
            except Stale:
                return

    def claims(self, pool: str) -> Mapping[str, str]:
        """Value -> owner as the cache has them now."""
        shelf = self.cache.shelf(f"{CLAIMS}/{pool}")
        return {path: str(item.value["owner"]) for path, item in shelf.items.items()}

    def _claim_key(self, pool: str, value: str) -> bytes:
        return PREFIX + f"{CLAIMS}/{pool}/{value}".encode()
