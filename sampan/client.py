"""The async client of the Kubernetes API: one keep-alive session, typed by Resource.

Elsewhere: the session and what is tried again (transport.py), who we are (kubeconfig.py), a cache that follows a
watch (informer.py).
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from copy import copy
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, Generic, Literal, Self, TypeVar

import aiohttp
import orjson
from pydantic import TypeAdapter, ValidationError

from sampan import kubeconfig
from sampan.api.base import JSON, Object
from sampan.api.build import build
from sampan.api.meta_v1 import ListMeta
from sampan.clock import Clock
from sampan.errors import ApiError
from sampan.logs import fields
from sampan.objects import PartialObjectMetadata, meta
from sampan.resource import Resource
from sampan.servers import Servers
from sampan.transport import REFUSED_SECONDS, WATCH_SLACK_SECONDS, Transport
from sampan.transport import Unreachable as Unreachable

log = logging.getLogger(__name__)

M = TypeVar("M", bound=Object)


class PatchKind(StrEnum):
    """The content type of a patch."""

    MERGE = "application/merge-patch+json"
    JSON = "application/json-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    APPLY = "application/apply-patch+yaml"


class Propagation(StrEnum):
    """What becomes of dependents when their owner is deleted."""

    BACKGROUND = "Background"
    FOREGROUND = "Foreground"
    ORPHAN = "Orphan"


@dataclass(frozen=True)
class ListOf(Generic[M]):
    """A list as of one resource version."""

    items: list[M]
    resource_version: str
    continue_: str = ""
    remaining_item_count: int | None = None


@dataclass(frozen=True)
class WatchEvent(Generic[M]):
    """One change. A BOOKMARK's object has only a resourceVersion."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    object: M


class _Page(Object, Generic[M]):
    metadata: ListMeta = ListMeta()
    items: list[M] | None = None


class _Line(Object, Generic[M]):
    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    object: M


@lru_cache(maxsize=1024)
def _page_reader(model: type[Any]) -> TypeAdapter[Any]:
    build(model)
    return TypeAdapter(_Page[model])  # type: ignore[valid-type]  # made for a model known at run time


@lru_cache(maxsize=1024)
def _line_reader(model: type[Any]) -> TypeAdapter[Any]:
    build(model)
    return TypeAdapter(_Line[model])  # type: ignore[valid-type]  # made for a model known at run time


def warm(*resources: Resource[Any]) -> None:
    """Build the parsers of these resources, which takes milliseconds each, before they are needed: before a fork."""
    for resource in resources:
        model: type[Object] = resource.model
        _page_reader(model).validate_json(b'{"items":[]}')
        _line_reader(model).rebuild()


class Client:
    """Calls a cluster's API servers as one user. Use it as an async context manager; share it freely among tasks."""

    def __init__(
        self,
        target: kubeconfig.Target,
        *,
        user_agent: str = "sampan",
        clock: Clock | None = None,
        refused_seconds: float = REFUSED_SECONDS,
    ) -> None:
        self.target = target
        self._transport = Transport(
            target, user_agent=user_agent, clock=clock or Clock(), refused_seconds=refused_seconds
        )
        self._fence: Callable[[], None] | None = None

    @classmethod
    def from_kubeconfig(
        cls,
        path: str | None = None,
        *,
        context: str = "",
        user_agent: str = "sampan",
        clock: Clock | None = None,
        refused_seconds: float = REFUSED_SECONDS,
    ) -> Self:
        """A client of the kubeconfig's context. Raises KubeconfigError."""
        target = kubeconfig.load(path, context=context)
        return cls(target, user_agent=user_agent, clock=clock, refused_seconds=refused_seconds)

    def fenced(self, fence: Callable[[], None]) -> Self:
        """The same client (and session), asking `fence` before every write; what it raises stops the write."""
        other = copy(self)
        other._fence = fence
        return other

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._transport.__aexit__()

    @property
    def servers(self) -> Servers:
        """The cluster's API servers, and which of them is called."""
        return self._transport.servers

    # -- verbs ---------------------------------------------------------------------------------------------------

    async def get(
        self, resource: Resource[M], name: str, namespace: str = "", *, resource_version: str | None = None
    ) -> M:
        """Read one object. Raises ApiError (404 when there is none)."""
        query = {} if resource_version is None else {"resourceVersion": resource_version}
        path = resource.path(namespace, name)
        return resource.model.from_bytes(await self.request("GET", path, query=query, accept=_accept(resource)))

    async def list(
        self,
        resource: Resource[M],
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 0,
        continue_: str = "",
        resource_version: str | None = None,
    ) -> ListOf[M]:
        """Read a collection, all namespaces when `namespace` is empty.

        `resource_version` "0" takes what the server has in memory; None is consistent. Raises ApiError.
        """
        query = _selectors(label_selector, field_selector)
        if limit:
            query["limit"] = str(limit)
        if continue_:
            query["continue"] = continue_
        if resource_version is not None:
            query["resourceVersion"] = resource_version
        body = await self.request("GET", resource.path(namespace), query=query, accept=_accept(resource, listed=True))
        page = _page(resource, body)
        return ListOf(
            page.items or [],
            page.metadata.resource_version or "",
            page.metadata.continue_ or "",
            page.metadata.remaining_item_count,
        )

    async def watch(
        self,
        resource: Resource[M],
        namespace: str = "",
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
        timeout_seconds: int = 300,
        bookmarks: bool = True,
    ) -> AsyncIterator[WatchEvent[M]]:
        """Follow a collection from a version; ends when the server ends it (after `timeout_seconds` at the latest).

        Raises ApiError, `is_gone` when the version is no longer kept; Unreachable when the connection breaks.
        """
        query = _selectors(label_selector, field_selector) | {
            "watch": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(timeout_seconds),
        }
        if bookmarks:
            query["allowWatchBookmarks"] = "true"
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=self._transport.connect_seconds, sock_read=timeout_seconds + WATCH_SLACK_SECONDS
        )
        async with self._transport.response(
            "GET", resource.path(namespace), query, _accept(resource), timeout
        ) as response:
            async for line in self._transport.lines(response):
                event = _event(resource, line)
                if event is not None:
                    yield event

    async def create(
        self,
        resource: Resource[M],
        obj: M | Mapping[str, Any],
        *,
        namespace: str = "",
        subresource: str = "",
        name: str = "",
    ) -> M:
        """Create an object, or post to a subresource of the object `name`. Raises ApiError."""
        body = obj.to_json() if isinstance(obj, Object) else dict(obj)
        namespace = namespace or str((body.get("metadata") or {}).get("namespace") or "")
        if subresource and not name:
            name = str((body.get("metadata") or {}).get("name") or "")
        path = resource.path(namespace, name if subresource else "", subresource)
        answer = await self.request("POST", path, body=orjson.dumps(body), accept=_accept(resource))
        return _object_or_own(resource, answer, obj)

    async def update(self, resource: Resource[M], obj: M, *, subresource: str = "") -> M:
        """Replace an object; with its resourceVersion set, only if it has not changed. Raises ApiError (409)."""
        m = meta(obj)
        path = resource.path(m.namespace or "", m.name or "", subresource)
        return resource.model.from_bytes(await self.request("PUT", path, body=obj.to_bytes(), accept=_accept(resource)))

    async def patch(
        self,
        resource: Resource[M],
        name: str,
        patch: JSON,
        *,
        namespace: str = "",
        kind: PatchKind = PatchKind.MERGE,
        subresource: str = "",
        field_manager: str = "",
        force: bool = False,
    ) -> M:
        """Change an object. Raises ApiError."""
        query = {"fieldManager": field_manager} if field_manager else {}
        if force:
            query["force"] = "true"
        answer = await self.request(
            "PATCH",
            resource.path(namespace, name, subresource),
            query=query,
            body=orjson.dumps(patch),
            content_type=kind.value,
            accept=_accept(resource),
        )
        return resource.model.from_bytes(answer)

    async def delete(
        self,
        resource: Resource[M],
        name: str,
        namespace: str = "",
        *,
        propagation: Propagation | None = None,
        grace_period_seconds: int | None = None,
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> dict[str, Any]:
        """Delete an object, returning the server's answer: the object if something still holds it, else a Status.

        Raises ApiError (404; 409 when it is not the object of that `uid` or `resource_version`).
        """
        answer = await self.request(
            "DELETE",
            resource.path(namespace, name),
            body=_delete_options(propagation, grace_period_seconds, uid, resource_version),
        )
        value = orjson.loads(answer)
        return value if isinstance(value, dict) else {}

    async def delete_collection(
        self,
        resource: Resource[M],
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        propagation: Propagation | None = None,
        grace_period_seconds: int | None = None,
    ) -> None:
        """Delete all objects of a collection that match. Raises ApiError."""
        await self.request(
            "DELETE",
            resource.path(namespace),
            query=_selectors(label_selector, field_selector),
            body=_delete_options(propagation, grace_period_seconds, None, None),
        )

    async def get_json(self, path: str, *, accept: str = "application/json") -> Any:
        """Read any path as JSON: discovery, version. Raises ApiError."""
        return orjson.loads(await self.request("GET", path, accept=accept))

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> bytes:
        """Any call, with the transport's rule of retries. Raises ApiError or Unreachable."""
        return await self._transport.request(
            method, path, query=query, body=body, content_type=content_type, accept=accept, fence=self._fence
        )


def _accept(resource: Resource[Any], *, listed: bool = False) -> str:
    if resource.model is PartialObjectMetadata:
        return PartialObjectMetadata.LIST_ACCEPT if listed else PartialObjectMetadata.ACCEPT
    return "application/json"


def _selectors(label_selector: str, field_selector: str) -> dict[str, str]:
    query = {"labelSelector": label_selector, "fieldSelector": field_selector}
    return {key: value for key, value in query.items() if value}


def _delete_options(
    propagation: Propagation | None, grace_period_seconds: int | None, uid: str | None, resource_version: str | None
) -> bytes:
    options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
    if propagation is not None:
        options["propagationPolicy"] = propagation.value
    if grace_period_seconds is not None:
        options["gracePeriodSeconds"] = grace_period_seconds
    preconditions = {"uid": uid, "resourceVersion": resource_version}
    if uid is not None or resource_version is not None:
        options["preconditions"] = {key: value for key, value in preconditions.items() if value is not None}
    return orjson.dumps(options)


def _object_or_own(resource: Resource[M], answer: bytes, sent: M | Mapping[str, Any]) -> M:
    """The created object; what was sent when the server answers a Status, as it does for a Binding."""
    head = orjson.loads(answer)
    if isinstance(head, dict) and head.get("kind") == "Status":
        return sent if isinstance(sent, resource.model) else resource.model.from_json(dict(sent))
    return resource.model.from_bytes(answer)


def _page(resource: Resource[M], body: bytes) -> Any:
    """The list in an answer. One unreadable object must not hide all the others: it is left out, and logged."""
    try:
        return _page_reader(resource.model).validate_json(body)
    except ValidationError:
        try:
            value = orjson.loads(body)
        except ValueError as error:
            raise Unreachable(f"{resource.group_resource}: the list can't be read: {error}") from error
    if not isinstance(value, dict):
        raise Unreachable(f"{resource.group_resource}: the list can't be read: no object")
    readable: list[Any] = []
    for item in value.get("items") or ():
        try:
            readable.append(resource.model.from_bytes(orjson.dumps(item)))
        except ValidationError as error:
            _skip(resource, item, error)
    return _Page(metadata=ListMeta.from_bytes(orjson.dumps(value.get("metadata") or {})), items=readable)


def _event(resource: Resource[M], line: bytes) -> WatchEvent[M] | None:
    """The event in a line, None when its object can't be read. Raises ApiError for an error that the server sends."""
    try:
        read = _line_reader(resource.model).validate_json(line)
    except ValidationError as error:
        try:
            value = orjson.loads(line)
        except ValueError:
            raise Unreachable(f"{resource.group_resource}: an unreadable watch event: {error}") from error
        if isinstance(value, dict) and value.get("type") == "ERROR":
            status = value.get("object")
            raise ApiError.from_status(status if isinstance(status, dict) else {}) from None
        _skip(resource, value.get("object") if isinstance(value, dict) else None, error)
        return None
    return WatchEvent(read.type, read.object)


def _skip(resource: Resource[Any], item: object, error: ValidationError) -> None:
    found = item.get("metadata") if isinstance(item, dict) else None
    where = f"{found.get('namespace', '')}/{found.get('name', '')}" if isinstance(found, dict) else "?"
    first = error.errors(include_url=False, include_input=False)[0]
    what = f"{'.'.join(str(one) for one in first['loc'])}: {first['msg']}"
    log.error("an object can't be read", extra=fields(resource=resource.group_resource, object=where, error=what))
