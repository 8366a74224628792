"""What a verb works with: the request as it was understood, who asks, which kind, and how to answer.

Elsewhere: the request line (http/request.py), what the verbs do with it (verbs.py).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

from aiohttp import web

from apiserver import tables
from apiserver.core import Core
from apiserver.decode import bad, loads
from apiserver.http.request import Asked
from apiserver.http.response import respond
from apiserver.kind import AnyKind, Context, Json, Subresource, User
from apiserver.matching import view
from apiserver.negotiate import JSON, PLAIN, PROTOBUF, Form, encode, media_type, negotiate
from apiserver.protobuf import bodies as protobuf_bodies
from apiserver.registry import storage_name, storage_path
from apiserver.ring import Item
from apiserver.statuses import no_such_path, not_found
from apiserver.writes import Body
from sampan.errors import ApiError, FieldError, InvalidError

BODY = "body"
"""Where a request carries its body once it is read."""
VALIDATIONS = ("Ignore", "Warn", "Strict")
LONGEST_MANAGER = 128
OPTIONS = {
    "create": "CreateOptions",
    "update": "UpdateOptions",
    "patch": "PatchOptions",
    "delete": "DeleteOptions",
    "deletecollection": "DeleteOptions",
}


class Authorizer(Protocol):
    """Whether they may."""

    async def __call__(self, user: User, asked: Asked) -> None:
        """Raises ApiError 403."""

    def stranger(self, asked: Asked) -> User | None:
        """Somebody without credentials, as a user, for what even such a one may ask; None for all else."""


class Request:
    """What a verb works with."""

    def __init__(
        self, core: Core, kind: AnyKind, asked: Asked, user: User, http: web.BaseRequest, authorize: Authorizer
    ) -> None:
        self.core, self.kind, self.asked, self.user, self.http = core, kind, asked, user, http
        self._authorize = authorize
        self.warnings: list[str] = []
        accept = http.headers.get("Accept", "")
        self.form: Form = PLAIN if accept in ("", "*/*", JSON) else negotiate(accept, kind.stored)
        self.pretty = asked.query.get("pretty", "") in ("true", "1")

    @property
    def include(self) -> str:
        """How much of an object comes along with a table's row."""
        return self.asked.query.get("includeObject", "Metadata")

    def context(self) -> Context:
        """What strategies are told."""
        asked = self.asked
        dry_run = asked.query.get("dryRun", "")
        if dry_run not in ("", "All"):
            raise self.wrong_option(FieldError.not_supported("dryRun", [dry_run], ("All",)))
        manager = asked.query.get("fieldManager", "")
        if len(manager) > LONGEST_MANAGER:
            raise self.wrong_option(FieldError.too_long("fieldManager", LONGEST_MANAGER))
        if not manager.isprintable():
            raise self.wrong_option(
                FieldError.invalid("fieldManager", manager, "should only contain printable characters")
            )
        return self.core.context(
            self.user,
            asked.namespace,
            dry_run=bool(dry_run),
            warn=self.warnings.append,
            manager=manager,
            agent=self.http.headers.get("User-Agent", ""),
        )

    async def read(self) -> bytes:
        """The body."""
        body: bytes = self.http.get(BODY, b"")
        return body

    async def value(self) -> tuple[Any, bytes | None, list[str]]:
        """The decoded body, None when it is empty. Raises ApiError 400, 413, 415."""
        media = media_type(self.http.headers.get("Content-Type", ""))
        data = await self.read()
        if media == PROTOBUF and data:
            return protobuf_bodies.loads(data), None, []
        return loads(data, media) if data.strip() else (None, None, [])

    async def body(self) -> Body:
        """The body of a write. Raises ApiError."""
        value, text, complaints = await self.value()
        if not isinstance(value, dict):
            raise bad("the body of the request is no object" if value is not None else "the request has no body")
        return Body(value, text, tuple(complaints), self.validation())

    def validation(self) -> str:
        """fieldValidation. Raises ApiError 422."""
        asked = self.asked.query.get("fieldValidation", "") or "Warn"
        if asked not in VALIDATIONS:
            raise self.wrong_option(FieldError.not_supported("fieldValidation", asked, VALIDATIONS))
        return asked

    def wrong_option(self, error: FieldError) -> ApiError:
        """422 for a query parameter of a write."""
        return InvalidError(OPTIONS.get(self.asked.verb, "GetOptions"), "meta.k8s.io", "", [error])

    async def item(self, item: Item, code: int = 200) -> web.StreamResponse:
        """An object in the asked form."""
        seen = view(self.kind, item)
        if self.form.plain and not self.pretty:
            return respond(seen.bytes, code, JSON, self.warnings)
        return await self.plain(tables.one(self.kind, seen.value, self.form, self.include, self.core.clock.now()), code)

    async def plain(self, value: Any, code: int = 200) -> web.StreamResponse:
        """A value in the asked media type."""
        return respond(encode(value, self.form.media, self.pretty) + b"\n", code, self.form.media, self.warnings)

    def subresource(self) -> Subresource | None:
        """The named subresource that is asked. Raises ApiError 404 if there is none of the name."""
        name, kind = self.asked.subresource, self.kind
        if not name or (name == "status" and kind.status) or (name == "scale" and kind.scale):
            return None
        found = next((one for one in kind.subresources if one.name == name), None)
        if found is None:
            raise no_such_path()
        return found

    async def may_create(self) -> None:
        """Raises ApiError 403 if the user may not create what the request names."""
        await self._authorize(self.user, replace(self.asked, verb="create"))

    def current_value(self) -> Json:
        """The object's value as the kind serves it. Raises ApiError 404."""
        return view(self.kind, self.current()).value

    def current(self) -> Item:
        """The object as the cache has it. Raises ApiError 404."""
        kind, asked = self.kind, self.asked
        path = storage_path(kind.storage, asked.namespace, asked.name)
        item = self.core.cache.shelf(storage_name(kind.storage)).items.get(path)
        if item is None:
            raise not_found(kind.resource, asked.name)
        return item
