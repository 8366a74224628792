"""A request's way through the rooms: HTTP and negotiation, authentication, authorization, then the verb.

Elsewhere: what a verb does (lists.py, watches.py, writes.py, deletion.py), paths that are no resource (pages.py).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol

from aiohttp import web

from apiserver import lists, metrics, tables, writes
from apiserver.apply import verb as applying
from apiserver.core import Core
from apiserver.decode import bad, clean, loads, typed
from apiserver.deletion import delete, read_options
from apiserver.http.bodies import Bodies, too_many
from apiserver.http.connection import Connection
from apiserver.http.request import Asked, truth, understand
from apiserver.http.response import compressed, of_error, respond
from apiserver.kind import Answer, AnyKind, Attempt, Call, Context, Json, Subresource, User
from apiserver.matching import Match, view
from apiserver.negotiate import JSON, PLAIN, PROTOBUF, Form, encode, media_type, negotiate, unsupported
from apiserver.patching import APPLY_PATCH, media_type_of, proposal
from apiserver.protobuf import bodies as protobuf_bodies
from apiserver.registry import storage_key, storage_name, storage_path
from apiserver.ring import Item
from apiserver.scale import SCALE, applied_scale, read_scale, scale_change, to_scale
from apiserver.statuses import no_such_path, not_allowed, not_found
from apiserver.watches import watch
from apiserver.writes import Body, Written
from sampan.errors import ApiError, FieldError, InvalidError, Reason
from sampan.logs import fields

log = logging.getLogger(__name__)

BODY = "body"
"""Where a request carries its body once it is read."""
REQUEST_SECONDS = 60.0
MOST_READING = 400
MOST_WRITING = 200
READING = ("get", "list")
VALIDATIONS = ("Ignore", "Warn", "Strict")
LONGEST_MANAGER = 128
OPTIONS = {
    "create": "CreateOptions",
    "update": "UpdateOptions",
    "patch": "PatchOptions",
    "delete": "DeleteOptions",
    "deletecollection": "DeleteOptions",
}


class Authenticator(Protocol):
    """Who asks."""

    async def __call__(self, request: web.BaseRequest) -> User | None:
        """None for nobody in particular. Raises ApiError 401 for credentials that are no good."""


class Authorizer(Protocol):
    """Whether they may."""

    async def __call__(self, user: User, asked: Asked) -> None:
        """Raises ApiError 403."""

    def stranger(self, asked: Asked) -> User | None:
        """Somebody without credentials, as a user, for what even such a one may ask; None for all else."""


class Pages(Protocol):
    """The paths that are no resource."""

    async def __call__(self, request: web.BaseRequest, asked: Asked, user: User | None) -> web.StreamResponse:
        """Raises ApiError 404."""

    def is_public(self, path: str) -> bool:
        """Whether anybody may ask it."""


class App:
    """The whole server, as one function of a request."""

    def __init__(self, core: Core, authenticate: Authenticator, authorize: Authorizer, pages: Pages) -> None:
        self.core = core
        self._authenticate, self._authorize, self._pages = authenticate, authorize, pages
        self._bodies = Bodies()
        self._in_flight = {"readOnly": 0, "mutating": 0}
        self._verbs: dict[str, Callable[[Request], Awaitable[web.StreamResponse]]] = {
            "get": _get,
            "list": _list,
            "watch": _watch,
            "create": _create,
            "update": _update,
            "patch": _patch,
            "delete": _delete,
            "deletecollection": _delete_collection,
        }

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request."""
        started = time.perf_counter()
        connection = request.protocol
        if isinstance(connection, Connection):
            connection.asked()
        asked = understand(request.method, request.raw_path)
        try:
            response = await self._answer(request, asked)
        except ApiError as error:
            response = of_error(error)
        except ConnectionResetError as error:  # nobody is left to answer, and nothing is wrong with us
            log.debug("a client went away", extra=fields(path=asked.path, error=error))
            response = of_error(bad("the client went away"))
        except TimeoutError:
            response = of_error(
                ApiError(504, Reason.TIMEOUT, "Timeout: request did not complete within the allotted timeout")
            )
        except Exception as error:  # the server's edge: a bug in one request must not end the connection silently
            log.exception("a request failed", extra=fields(verb=request.method, path=asked.path))
            response = of_error(
                ApiError(500, Reason.INTERNAL_ERROR, f"Internal error occurred: {type(error).__name__}: {error}")
            )
        metrics.answered(asked.verb, asked.plural, response.status, time.perf_counter() - started)
        return response

    async def _answer(self, request: web.BaseRequest, asked: Asked) -> web.StreamResponse:
        public = not asked.plural and self._pages.is_public(asked.path)
        user = await self._authenticate(request)
        if user is None and not public:
            user = self._authorize.stranger(asked)
        if user is None and not public:
            raise ApiError(401, Reason.UNAUTHORIZED, "Unauthorized")
        if user is not None and any(name[:12].lower() == "impersonate-" for name in request.headers):
            user = impersonated(user, request)
        if user is not None and not public:
            await self._authorize(user, asked)
        if asked.long_running:
            return await self._dispatch(request, asked, user)
        group = "readOnly" if request.method == "GET" else "mutating"
        if group == "mutating":
            if request.content.is_eof():  # it has arrived: nobody to wait for, and a timer costs as much as the reading
                request[BODY] = await self._bodies.read(request)
            else:
                async with asyncio.timeout(REQUEST_SECONDS):
                    request[BODY] = await self._bodies.read(request)
        if self._in_flight[group] >= (MOST_READING if group == "readOnly" else MOST_WRITING):
            raise too_many()
        self._in_flight[group] += 1
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                return await self._dispatch(request, asked, user)
        finally:
            self._in_flight[group] -= 1

    async def _dispatch(self, request: web.BaseRequest, asked: Asked, user: User | None) -> web.StreamResponse:
        if not asked.plural or user is None:
            return await self._pages(request, asked, user)
        registry = self.core.registry
        kind = registry.find(asked.group, asked.version, asked.plural)
        if kind is None and "." in asked.group and registry.before_unknown is not None:
            await registry.before_unknown()
            kind = registry.find(asked.group, asked.version, asked.plural)
        if kind is None:
            return await self._pages(request, asked, user)
        plain = asked.subresource != "proxy"
        if (plain and request.method in ("HEAD", "OPTIONS")) or asked.verb not in self._verbs:
            raise not_allowed(request.method)
        if kind.resource.namespaced and not asked.namespace and (asked.name or asked.verb == "create"):
            raise no_such_path() if kind.stored else not_allowed(request.method)
        if not kind.resource.namespaced and asked.namespace:
            raise no_such_path()
        return await self._verbs[asked.verb](Request(self.core, kind, asked, user, request, self._authorize))


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


def impersonated(user: User, request: web.BaseRequest) -> User:
    """The user that an administrator wants to be taken for ("User impersonation"). Raises ApiError 403."""
    headers = request.headers
    name = headers.get("Impersonate-User", "")
    if not name:
        raise bad("groups, a uid or extra values are to be impersonated without impersonating a user")
    if "system:masters" not in user.groups:
        raise ApiError(
            403,
            Reason.FORBIDDEN,
            f'users "{name}" is forbidden: User "{user.name}" cannot impersonate resource "users" in API group "" at '
            "the cluster scope",
            details={"name": name, "kind": "users"},
        )
    prefix = "impersonate-extra-"
    extra: dict[str, tuple[str, ...]] = {}
    for key, value in headers.items():
        if key.lower().startswith(prefix):
            extra[key.lower().removeprefix(prefix)] = (*extra.get(key.lower().removeprefix(prefix), ()), value)
    groups = tuple(headers.getall("Impersonate-Group", []))
    if name.startswith("system:serviceaccount:") and not groups:
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{name.split(':')[2]}")
    return User(
        name, headers.get("Impersonate-Uid", ""), tuple(dict.fromkeys((*groups, "system:authenticated"))), extra
    )


async def _call(request: Request, found: Subresource | None) -> web.StreamResponse:
    """Hand a request to a named subresource, or to a kind that is not stored."""
    kind, asked = request.kind, request.asked
    verbs = found.verbs if found else kind.verbs
    if asked.verb not in verbs:
        raise not_allowed(request.http.method)
    context = request.context()
    value: Any = None
    body: Any = None
    if not (found and found.connect) and request.http.method != "GET":
        if asked.verb == "patch":  # a patch is JSON, whichever patch its content type says it is
            value, text, complaints = loads(await request.read())
        else:
            value, text, complaints = await request.value()
        model = found.model if found else kind.resource.model
        if value is not None and model is not None and asked.verb != "patch":
            if not isinstance(value, dict):
                raise bad("the body of the request is no object")
            complaints += clean(value, model, text)
            if complaints and request.validation() == "Strict":
                raise bad(f"strict decoding error: {', '.join(complaints)}")
            request.warnings.extend(complaints)
            body = typed(value, model)
    call = Call(
        request.core,
        kind,
        asked.verb,
        asked.namespace,
        asked.name,
        asked.subresource,
        asked.rest,
        asked.query,
        request.user,
        value,
        context,
        request.http,
    )
    if found is not None and (found.connect or asked.verb == "create"):
        operation = "CONNECT" if found.connect else "CREATE"
        attempt = Attempt(operation, kind, found.name, asked.namespace, asked.name, body, None, context)
        await writes.admit(request.core, attempt, "mutate")
        await writes.admit(request.core, attempt, "validate")
    action = found.handler if found else kind.create or kind.look
    assert action is not None
    answer = await action(call)
    if isinstance(answer, Answer):
        return await request.plain(answer.value, answer.code)
    return answer


async def _get(request: Request) -> web.StreamResponse:
    found = request.subresource()
    if found is not None:
        return await _call(request, found)
    kind, asked, core = request.kind, request.asked, request.core
    if kind.look is not None:
        return await _call(request, None)
    if not kind.stored or "get" not in kind.verbs:
        raise not_allowed("GET")
    await lists.not_older(core.cache, asked.query.get("resourceVersion", ""))
    item = request.current()
    if asked.subresource == "scale" and kind.scale is not None:
        return await request.plain(to_scale(kind.scale, view(kind, item).value))
    return await request.item(item)


async def _list(request: Request) -> web.StreamResponse:
    kind, asked, core = request.kind, request.asked, request.core
    if kind.look is not None:
        return await _call(request, None)
    if not kind.stored or "list" not in kind.verbs:
        raise not_allowed("GET")
    query = asked.query
    match = Match(kind, asked.namespace, query.get("labelSelector", ""), query.get("fieldSelector", ""))
    plain = request.form.plain and not request.pretty
    chunk = await lists.find(core.cache, kind, match, lists.Options.read(query), plain=plain)
    if plain:
        data = lists.body(kind, chunk)
    else:
        made = tables.many(
            kind, lists.values(kind, chunk), chunk.metadata, request.form, request.include, core.clock.now()
        )
        data = encode(made, request.form.media, request.pretty)
    data, smaller = await compressed(data, request.http.headers.get("Accept-Encoding", ""))
    response = respond(data, 200, request.form.media)
    if smaller:
        response.headers["Content-Encoding"] = "gzip"
        response.headers["Vary"] = "Accept-Encoding"
    return response


async def _watch(request: Request) -> web.StreamResponse:
    kind, asked = request.kind, request.asked
    if not kind.stored or "watch" not in kind.verbs or asked.subresource:
        raise not_allowed("GET")
    query = asked.query
    fields = query.get("fieldSelector", "")
    if asked.name:
        fields = f"metadata.name={asked.name}" + (f",{fields}" if fields else "")
    match = Match(kind, asked.namespace, query.get("labelSelector", ""), fields)
    return await watch(request.core, kind, asked, match, request.form, request.http)


async def _create(request: Request) -> web.StreamResponse:
    kind, asked = request.kind, request.asked
    if asked.name:
        found = request.subresource()
        if found is None:
            raise not_allowed("POST")
        return await _call(request, found)
    if not kind.stored:
        return await _call(request, None)
    if "create" not in kind.verbs:
        raise not_allowed("POST")
    context = request.context()
    written = await writes.create(request.core, kind, asked.namespace, await request.body(), context)
    return await request.item(written.item, 201)


async def _update(request: Request) -> web.StreamResponse:
    found = request.subresource() if request.asked.name else None
    if found is not None:
        return await _call(request, found)
    kind, asked, core = request.kind, request.asked, request.core
    if not asked.name or not kind.stored or "update" not in kind.verbs:
        raise not_allowed("PUT")
    context = request.context()
    body = await request.body()
    if asked.subresource == "scale":
        scale = read_scale(body)
        return await _scaled(request, lambda _: scale)
    if not isinstance(body.value.get("metadata"), dict) or not body.value["metadata"].get("name"):
        raise bad("name must be provided")
    value = body.value
    writes.parse(kind, body, context.warn)
    body = replace(body, text=None, validation="Ignore", complaints=())
    try:
        written = await writes.update(
            core, kind, asked.namespace, asked.name, lambda _: value, context, subresource=asked.subresource, body=body
        )
    except ApiError as error:
        if not (error.is_not_found and kind.strategy.create_on_update and not asked.subresource):
            raise
        value["metadata"].pop("resourceVersion", None)
        written = await writes.create(core, kind, asked.namespace, body, context)
    return await request.item(written.item, 201 if written.created else 200)


async def _scaled(request: Request, propose: Callable[[Json], Json]) -> web.StreamResponse:
    """Write through the scale subresource; `propose` makes a Scale from a Scale."""
    kind, asked = request.kind, request.asked
    where = kind.scale
    assert where is not None
    written = await writes.update(
        request.core,
        kind,
        asked.namespace,
        asked.name,
        lambda old: scale_change(where, old, propose(to_scale(where, old))),
        request.context(),
        retries=writes.PATCH_ATTEMPTS,
        subresource="scale",
    )
    return await request.plain(to_scale(where, view(kind, written.item).value))


async def _patch(request: Request) -> web.StreamResponse:
    found = request.subresource() if request.asked.name else None
    if found is not None:
        return await _call(request, found)
    kind, asked, core = request.kind, request.asked, request.core
    if not asked.name or not kind.stored or "patch" not in kind.verbs:
        raise not_allowed("PATCH")
    context = request.context()
    header = request.http.headers.get("Content-Type", "")
    if media_type_of(header) == APPLY_PATCH:
        return await _apply(request, context)
    if "force" in asked.query:
        raise request.wrong_option(FieldError.forbidden("force", "may not be specified for non-apply patch"))
    model = SCALE if asked.subresource == "scale" else kind.resource.model
    custom = kind.parse is not None and asked.subresource != "scale"
    data = await request.read()
    propose = proposal(header, data, model, custom=custom, validation=request.validation(), warn=context.warn)
    if asked.subresource == "scale":
        return await _scaled(request, propose)
    written: Written = await writes.update(
        core,
        kind,
        asked.namespace,
        asked.name,
        propose,
        context,
        subresource=asked.subresource,
        body=Body({}, validation=request.validation(), patch=data.decode(errors="replace")),
        retries=writes.PATCH_ATTEMPTS,
    )
    return await request.item(written.item)


async def _apply(request: Request, context: Context) -> web.StreamResponse:
    """Server-side apply."""
    kind, asked = request.kind, request.asked
    validation = request.validation()
    if not context.manager:
        raise request.wrong_option(FieldError.required("fieldManager", "is required for apply patch"))
    value = applying.read(await request.read(), validation, context.warn)
    where = kind.scale if asked.subresource == "scale" else None
    if where is not None:
        value = applied_scale(where, request.current_value(), value, kind.resource)
    wanted = applying.configuration(kind, asked.namespace, asked.name, asked.subresource, value, context.manager)
    wanted = replace(wanted, force=truth(asked.query.get("force", "")))
    written = await applying.write_applied(
        request.core, kind, asked.namespace, asked.name, wanted, context, request.may_create
    )
    if where is not None:
        return await request.plain(to_scale(where, view(kind, written.item).value))
    return await request.item(written.item, 201 if written.created else 200)


async def _delete(request: Request) -> web.StreamResponse:
    found = request.subresource()
    if found is not None:
        return await _call(request, found)
    kind, asked = request.kind, request.asked
    if asked.subresource or not kind.stored or "delete" not in kind.verbs:
        raise not_allowed("DELETE")
    options, context = await _delete_options(request)
    answer = await delete(request.core, kind, asked.namespace, asked.name, options, context)
    return await request.item(answer) if isinstance(answer, Item) else await request.plain(answer)


async def _delete_options(request: Request) -> tuple[Any, Context]:
    value, _, _ = await request.value()
    if value is not None and not isinstance(value, dict):
        raise bad("the body of the request is no object")
    options = read_options(value, request.asked.query)
    context = request.context()
    return options, replace(context, dry_run=context.dry_run or "All" in options.dry_run)


async def _delete_collection(request: Request) -> web.StreamResponse:
    kind, asked, core = request.kind, request.asked, request.core
    if not kind.stored or "deletecollection" not in kind.verbs:
        raise not_allowed("DELETE")
    options, context = await _delete_options(request)
    query: Mapping[str, str] = asked.query
    match = Match(kind, asked.namespace, query.get("labelSelector", ""), query.get("fieldSelector", ""))
    chunk = await lists.find(core.cache, kind, match, lists.Options.read(query))
    gate = asyncio.Semaphore(16)

    async def one(item: Item) -> None:
        namespace, _, name = item.path.rpartition("/")
        async with gate:
            try:
                await delete(core, kind, namespace, name, options.model_copy(deep=True), context)
            except ApiError as error:
                if not error.is_not_found:
                    raise

    try:
        async with asyncio.TaskGroup() as group:
            for item in chunk.items:
                group.create_task(one(item))
    except* ApiError as refused:
        raise next(_leaves(refused)) from refused
    made = tables.many(kind, lists.values(kind, chunk), chunk.metadata, PLAIN, "", core.clock.now())
    return await request.plain(made)


def _leaves(group: BaseExceptionGroup[ApiError]) -> Iterator[ApiError]:
    for one in group.exceptions:
        if isinstance(one, BaseExceptionGroup):
            yield from _leaves(one)
        else:
            yield one


__all__ = ["App", "storage_key", "unsupported"]
