"""The verbs, one implementation of each for every kind: from a request to its answer.

Elsewhere: what they call (lists.py, watches.py, writes.py, patching.py, apply/, deletion.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from aiohttp import web

from apiserver import lists, tables, writes
from apiserver.apply import verb as applying
from apiserver.decode import bad, clean, loads, typed
from apiserver.deletion import delete, read_options
from apiserver.http.request import truth
from apiserver.http.response import compressed, respond
from apiserver.kind import Answer, Attempt, Call, Context, Json, Subresource
from apiserver.matching import Match, view
from apiserver.negotiate import PLAIN, encode
from apiserver.patching import APPLY_PATCH, media_type_of, proposal
from apiserver.request import Request
from apiserver.ring import Item
from apiserver.scale import SCALE, applied_scale, read_scale, scale_change, to_scale
from apiserver.statuses import not_allowed
from apiserver.watches import watch
from apiserver.writes import Body, Written
from sampan.errors import ApiError, FieldError


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


VERBS: Mapping[str, Callable[[Request], Awaitable[web.StreamResponse]]] = {
    "get": _get,
    "list": _list,
    "watch": _watch,
    "create": _create,
    "update": _update,
    "patch": _patch,
    "delete": _delete,
    "deletecollection": _delete_collection,
}
