"""What a controller can decide to do, as values. A reconcile function yields them; the loop performs them in order.

Always: an action that fails raises, which ends the turn; the key comes again after a back-off and is looked at
afresh. So an action must be right to repeat.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sampan.api.base import JSON, Object
from sampan.client import Client, PatchKind, Propagation
from sampan.errors import ApiError, SampanError
from sampan.events import EventRecorder
from sampan.objects import Key, key_of, meta, owned_by, uid_of, version_of
from sampan.resource import Resource

M = TypeVar("M", bound=Object)


class Stale(SampanError):
    """What the decision was based on is no longer so; look again."""


@dataclass
class Turn:
    """One turn of one key: the means to act, and the memory of what was written in it."""

    client: Client
    recorder: EventRecorder
    written: dict[Resource[Any], int] = field(default_factory=dict)
    deleted: list[tuple[Resource[Any], Key, str]] = field(default_factory=list)
    latest: dict[str, Object] = field(default_factory=dict)
    again_after: float | None = None

    def wrote(self, resource: Resource[Any], obj: Object) -> None:
        """Remember a write, so that the next turn waits until it shows in the cache."""
        self.written[resource] = max(self.written.get(resource, 0), version_of(obj))
        self.latest[uid_of(obj)] = obj

    def again(self, seconds: float) -> None:
        """Look again in some time; the earliest wish counts."""
        self.again_after = seconds if self.again_after is None else min(self.again_after, seconds)


class Action(ABC):
    """Something to do."""

    @abstractmethod
    async def perform(self, turn: Turn) -> None:
        """Do it. Raises ApiError and Unreachable."""


@dataclass(frozen=True)
class Create(Action, Generic[M]):
    """Create an object, then do what `then` says of it.

    `exists` decides from the object that has the name already; without it that is an error.
    """

    resource: Resource[M]
    obj: M
    then: Callable[[M], Iterable[Action]] | None = None
    exists: Callable[[M], Iterable[Action]] | None = None

    async def perform(self, turn: Turn) -> None:
        follow_up = self.then
        try:
            made = await turn.client.create(self.resource, self.obj)
            turn.wrote(self.resource, made)
        except ApiError as error:
            if not error.is_already_exists or self.exists is None:
                raise
            made = await turn.client.get(self.resource, meta(self.obj).name or "", meta(self.obj).namespace or "")
            follow_up = self.exists
        for action in follow_up(made) if follow_up is not None else ():
            await action.perform(turn)


@dataclass(frozen=True)
class Delete(Action):
    """Delete exactly this object (never a namesake). One that is gone already is fine."""

    resource: Resource[Any]
    obj: Object
    propagation: Propagation | None = None
    grace_period_seconds: int | None = None
    then: Sequence[Action] = ()

    async def perform(self, turn: Turn) -> None:
        m = meta(self.obj)
        try:
            await turn.client.delete(
                self.resource,
                m.name or "",
                m.namespace or "",
                propagation=self.propagation,
                grace_period_seconds=self.grace_period_seconds,
                uid=m.uid,
            )
        except ApiError as error:
            if not error.is_not_found and not error.is_conflict:  # a conflict: the name is another object's by now
                raise
        turn.deleted.append((self.resource, key_of(self.obj), m.uid or ""))
        for action in self.then:
            await action.perform(turn)


@dataclass(frozen=True)
class Patch(Action):
    """Change exactly this object by a merge patch (or another kind). One that is gone is fine if `or_gone`."""

    resource: Resource[Any]
    obj: Object
    patch: JSON
    kind: PatchKind = PatchKind.MERGE
    subresource: str = ""
    or_gone: bool = False

    async def perform(self, turn: Turn) -> None:
        m = meta(self.obj)
        patch = self.patch
        if isinstance(patch, dict):
            patch = {**patch, "metadata": {**patch.get("metadata", {}), "uid": m.uid}}
        try:
            new = await turn.client.patch(
                self.resource,
                m.name or "",
                patch,
                namespace=m.namespace or "",
                kind=self.kind,
                subresource=self.subresource,
            )
        except ApiError as error:
            if self.or_gone and (error.is_not_found or error.is_conflict):
                return
            raise
        turn.wrote(self.resource, new)


@dataclass(frozen=True)
class Update(Action, Generic[M]):
    """Replace an object, if it has not changed since (a conflict is Stale).

    A status goes onto what an earlier action of the same turn wrote, as the server answered it: what others changed
    in the meantime is in that answer, and must not be undone.
    """

    resource: Resource[M]
    obj: M
    subresource: str = ""

    async def perform(self, turn: Turn) -> None:
        obj = self.obj
        written = turn.latest.get(uid_of(obj))
        if isinstance(written, type(obj)) and self.subresource == "status":
            obj = written.model_copy(update={"status": getattr(obj, "status", None)})
        try:
            new = await turn.client.update(self.resource, obj, subresource=self.subresource)
        except ApiError as error:
            if error.is_conflict or error.is_not_found:
                raise Stale(error.message) from error
            raise
        turn.wrote(self.resource, new)


@dataclass(frozen=True)
class SetStatus(Action, Generic[M]):
    """Make an object's status this; nothing is written when it is so already."""

    resource: Resource[M]
    obj: M
    status: Object

    async def perform(self, turn: Turn) -> None:
        if getattr(self.obj, "status", None) == self.status:
            return
        changed = self.obj.model_copy(update={"status": self.status})
        await Update(self.resource, changed, subresource="status").perform(turn)


@dataclass(frozen=True)
class Event(Action):
    """Tell people something about an object."""

    resource: Resource[Any]
    obj: Object
    type: str
    reason: str
    message: str

    async def perform(self, turn: Turn) -> None:
        turn.recorder.record(self.obj, self.type, self.reason, self.message, of=self.resource)


@dataclass(frozen=True)
class RequeueAfter(Action):
    """Look at the same key again in some seconds even if nothing changes."""

    seconds: float

    async def perform(self, turn: Turn) -> None:
        turn.again(self.seconds)


@dataclass(frozen=True)
class Adopt(Action):
    """Become the controller of an orphan, unless a live look shows that the owner is gone or going."""

    owner_resource: Resource[Any]
    owner: Object
    resource: Resource[Any]
    obj: Object

    async def perform(self, turn: Turn) -> None:
        m = meta(self.owner)
        live = await turn.client.get(self.owner_resource, m.name or "", m.namespace or "")
        if uid_of(live) != m.uid or meta(live).deletion_timestamp is not None:
            raise Stale(f"{self.owner_resource.kind} {key_of(self.owner)} is being deleted, so it adopts nothing")
        reference = owned_by(self.owner, self.owner_resource).to_json()
        kept = [one.to_json() for one in meta(self.obj).owner_references if one.uid != m.uid]
        guard = {"ownerReferences": [*kept, reference], "resourceVersion": meta(self.obj).resource_version}
        try:
            await Patch(self.resource, self.obj, {"metadata": guard}).perform(turn)
        except ApiError as error:
            if error.is_not_found:
                return
            if error.is_conflict:
                raise Stale(error.message) from error
            raise


@dataclass(frozen=True)
class Release(Action):
    """Stop being the controller of an object."""

    owner: Object
    resource: Resource[Any]
    obj: Object

    async def perform(self, turn: Turn) -> None:
        uid = uid_of(self.owner)
        kept = [one.to_json() for one in meta(self.obj).owner_references if one.uid != uid]
        patch = {"metadata": {"ownerReferences": kept or None, "resourceVersion": meta(self.obj).resource_version}}
        try:
            await Patch(self.resource, self.obj, patch, or_gone=True).perform(turn)
        except ApiError as error:
            if error.code != 422:  # a deleted object, or one whose last owner this was while it is being deleted
                raise


@dataclass(frozen=True)
class Steps(Action):
    """Several actions, one after the other, as one."""

    actions: Sequence[Action]

    async def perform(self, turn: Turn) -> None:
        for action in self.actions:
            await action.perform(turn)


@dataclass(frozen=True)
class Batch(Action):
    """Many like actions at once, slowly at first: 1, 2, 4 ... so that what can't succeed fails cheaply.

    `failed` says what else to do, given the first error, how many succeeded and how many were never tried.
    """

    actions: Sequence[Action]
    failed: Callable[[Exception, int, int], Iterable[Action]] | None = None

    async def perform(self, turn: Turn) -> None:
        done, size, rest = 0, 1, list(self.actions)
        while rest:
            wave, rest = rest[:size], rest[size:]
            results = await asyncio.gather(*(one.perform(turn) for one in wave), return_exceptions=True)
            errors = [one for one in results if isinstance(one, BaseException)]
            done += len(wave) - len(errors)
            for error in errors:
                if not isinstance(error, Exception):
                    raise error
            if errors:
                first = errors[0]
                assert isinstance(first, Exception)
                for action in self.failed(first, done, len(rest)) if self.failed is not None else ():
                    await action.perform(turn)
                raise first
            size *= 2
