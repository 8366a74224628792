"""The ConfigMaps and Secrets that this node's pods refer to: each watched while a pod needs it, and no others.

Elsewhere: what refers to them (`referenced`, from a pod's spec), what is made of them (environment.py, volumes/).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from nodeagent.restart import members
from sampan.api import core_v1
from sampan.client import Client
from sampan.clock import Clock
from sampan.informer import Informer
from sampan.kinds import CONFIG_MAPS, SECRETS

SYNC_SECONDS = 30.0


class Reference(NamedTuple):
    """One object: `kind` is "configmaps" or "secrets"."""

    kind: str
    namespace: str
    name: str


def referenced(pod: core_v1.Pod) -> frozenset[Reference]:
    """Every ConfigMap and Secret that a pod's spec names."""
    namespace = pod.metadata.namespace or ""
    return frozenset(Reference(kind, namespace, name) for kind, name in _names(pod) if name)


def _names(pod: core_v1.Pod) -> Iterator[tuple[str, str | None]]:
    for pull in pod.spec.image_pull_secrets:
        yield "secrets", pull.name
    for member in members(pod):
        spec = member.spec
        for whole in spec.env_from:
            if whole.config_map_ref is not None:
                yield "configmaps", whole.config_map_ref.name
            if whole.secret_ref is not None:
                yield "secrets", whole.secret_ref.name
        for one in spec.env:
            if one.value_from is None:
                continue
            if one.value_from.config_map_key_ref is not None:
                yield "configmaps", one.value_from.config_map_key_ref.name
            if one.value_from.secret_key_ref is not None:
                yield "secrets", one.value_from.secret_key_ref.name
    for volume in pod.spec.volumes:
        if volume.config_map is not None:
            yield "configmaps", volume.config_map.name
        if volume.secret is not None:
            yield "secrets", volume.secret.secret_name
        for source in volume.projected.sources if volume.projected is not None else ():
            if source.config_map is not None:
                yield "configmaps", source.config_map.name
            if source.secret is not None:
                yield "secrets", source.secret.name


class _Followed:
    def __init__(self, informer: Informer[Any], task: asyncio.Task[Any]) -> None:
        self.informer = informer
        self.task = task
        self.users: set[str] = set()


class References:
    """Follows what is referenced. `changed(uid)` is called for each pod that uses an object that changed."""

    def __init__(self, client: Client, clock: Clock, tasks: asyncio.TaskGroup, changed: Callable[[str], None]) -> None:
        self._client = client
        self._clock = clock
        self._tasks = tasks
        self._changed = changed
        self._followed: dict[Reference, _Followed] = {}
        self._of_pod: dict[str, frozenset[Reference]] = {}

    async def want(self, uid: str, wanted: Iterable[Reference]) -> None:
        """Follow these for a pod, and no others; returns when their state is known. Raises TimeoutError."""
        wanted = frozenset(wanted)
        for gone in self._of_pod.get(uid, frozenset()) - wanted:
            self._drop(uid, gone)
        self._of_pod[uid] = wanted
        for reference in wanted:
            self._follow(reference).users.add(uid)
        async with asyncio.timeout(SYNC_SECONDS):
            for reference in wanted:
                await self._followed[reference].informer.synced()

    def forget(self, uid: str) -> None:
        """A pod is gone: follow no longer what only it used."""
        for reference in self._of_pod.pop(uid, frozenset()):
            self._drop(uid, reference)

    def config_map(self, namespace: str, name: str) -> core_v1.ConfigMap | None:
        """A followed ConfigMap, None when it does not exist."""
        found = self._get(Reference("configmaps", namespace, name))
        return found if isinstance(found, core_v1.ConfigMap) else None

    def secret(self, namespace: str, name: str) -> core_v1.Secret | None:
        """A followed Secret, None when it does not exist."""
        found = self._get(Reference("secrets", namespace, name))
        return found if isinstance(found, core_v1.Secret) else None

    def _get(self, reference: Reference) -> object | None:
        followed = self._followed.get(reference)
        return followed.informer.get(reference.namespace, reference.name) if followed is not None else None

    def _follow(self, reference: Reference) -> _Followed:
        if (known := self._followed.get(reference)) is not None:
            return known
        informer: Informer[Any] = Informer(
            self._client,
            CONFIG_MAPS if reference.kind == "configmaps" else SECRETS,
            namespace=reference.namespace,
            field_selector=f"metadata.name={reference.name}",
            clock=self._clock,
        )
        task = self._tasks.create_task(informer.run(), name=f"follow {'/'.join(reference)}")
        followed = self._followed[reference] = _Followed(informer, task)
        informer.subscribe(lambda _: self._tell(followed))
        return followed

    def _tell(self, followed: _Followed) -> None:
        for uid in tuple(followed.users):
            self._changed(uid)

    def _drop(self, uid: str, reference: Reference) -> None:
        followed = self._followed.get(reference)
        if followed is None:
            return
        followed.users.discard(uid)
        if not followed.users:
            followed.task.cancel()
            del self._followed[reference]
