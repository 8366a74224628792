"""Create and update: one path for every kind, and for PUT, PATCH, status and other subresources alike.

Always: what is stored passed the model, the rules and admission as one object; the write is a compare-and-swap on the
revision that the decision was made on; a refusal that follows from the cache's state is checked on etcd's first.
Elsewhere: deletion (deletion.py), bodies (decode.py), what a kind adds (kind.py), who may (authz/).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import orjson

from apiserver import decode, metadata
from apiserver.apply import tracking
from apiserver.apply.managers import Manager
from apiserver.kind import AnyKind, Attempt, Context, Json, no_action
from apiserver.matching import value_of
from apiserver.registry import storage_key, storage_name, storage_path
from apiserver.ring import Item
from apiserver.statuses import already_exists, conflict, not_found
from apiserver.storage import Stale
from sampan.errors import ApiError, FieldError, InvalidError, Reason

if TYPE_CHECKING:
    from apiserver.core import Core

log = logging.getLogger(__name__)

NAME_ATTEMPTS = 8
PATCH_ATTEMPTS = 20
CHECKED = ("binding",)
"""Subresources that change one field of a valid object to a value that they have checked themselves."""
UNCOUNTED = ("status", "binding")
"""Subresources that leave the generation as it is: what they write is no change of what somebody wants."""
MOST_ERRORS = 100
"""Broken rules named in one refusal: whoever breaks more has time for a second look, and the server has not."""
Propose = Callable[[Json], Json]


@dataclass(frozen=True)
class Written:
    """What a write led to. `created` for an object that was not there."""

    item: Item
    created: bool = False
    deleted: bool = False


@dataclass(frozen=True)
class Body:
    """A body as it came: the value, the JSON text if it was JSON, what was noticed while reading it."""

    value: Json
    text: bytes | None = None
    complaints: tuple[str, ...] = ()
    validation: str = "Ignore"
    """fieldValidation: Strict, Warn or Ignore."""
    patch: str = ""
    """The patch that leads to the value, if one does: what cannot be decoded then is 422, and this is its cause."""
    applies: Manager | None = None
    """Who applies, if somebody does: the value's managedFields are settled already."""


def check_version(kind: AnyKind, value: Json) -> None:
    """Compare or fill in apiVersion and kind. Raises ApiError 400."""
    resource = kind.resource
    found_version, found_kind = value.get("apiVersion"), value.get("kind")
    if not found_version:
        value["apiVersion"] = resource.api_version
    elif found_version != resource.api_version:
        raise decode.bad(
            f"the API version in the data ({found_version}) does not match the expected API version "
            f"({resource.api_version})"
        )
    if not found_kind:
        value["kind"] = resource.kind
    elif found_kind != resource.kind:
        raise decode.bad(
            f'{found_kind} in version "{resource.version}" cannot be handled as a {resource.kind}: '
            f'no kind "{found_kind}" is registered for the resource {resource.plural}'
        )
    if not isinstance(value.get("metadata", {}), dict):
        value["metadata"] = value["metadata"] or {}


def parse(kind: AnyKind, body: Body, warn: Callable[[str], None]) -> Any:
    """The typed object of a body, with fieldValidation carried out. Raises ApiError 400."""
    resource = kind.resource
    value = body.value
    if not isinstance(value, dict):
        raise decode.bad(f"couldn't get version/kind; json parse error: {resource.kind} is expected to be an object")
    check_version(kind, value)
    try:
        if kind.parse is not None:
            value, complaints = kind.parse(value, body.validation)
            if body.text is not None and body.validation != "Ignore":
                complaints = [f'duplicate field "{path}"' for path in decode.doubled(body.text)] + complaints
        else:
            complaints = decode.clean(value, resource.model, body.text if body.validation != "Ignore" else None)
        complaints = [*body.complaints, *complaints]
        if complaints and body.validation == "Strict":
            raise decode.bad(decode.strict_error(complaints))
        if body.validation == "Warn":
            for complaint in complaints:
                warn(complaint)
        return decode.typed(value, resource.model)
    except ApiError as error:
        if error.code != 400:
            raise
        if body.patch:
            raise InvalidError("", "", "", [FieldError.invalid("patch", body.patch, error.message)]) from error
        raise decode.bad(
            f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: {error.message}'
        ) from error


def rules(obj: Any) -> Iterable[FieldError]:
    """The rules declared on the model's fields."""
    from sampan.api.rules import check

    return check(obj)


def refuse(kind: AnyKind, name: str, errors: Iterable[FieldError]) -> None:
    """Raise InvalidError if there are errors; it names the first MOST_ERRORS."""
    found = list(islice(errors, MOST_ERRORS))
    if found:
        raise InvalidError(kind.resource.kind, kind.resource.group, name, found)


def stored(kind: AnyKind, obj: Any) -> bytes:
    """A typed object as etcd holds it."""
    return encoded(kind, obj.to_json())


def encoded(kind: AnyKind, value: Json) -> bytes:
    """An object's wire form as etcd holds it."""
    if kind.to_stored is not None:
        value = kind.to_stored(value)
    elif kind.stored_as is not None:
        value |= {"apiVersion": kind.stored_as.api_version, "kind": kind.stored_as.kind}
    return orjson.dumps(metadata.ordered(value))


def load(kind: AnyKind, item: Item) -> Any:
    """A private typed instance of a stored object."""
    return kind.resource.model.from_json(value_of(kind, item.value))


async def admit(core: Core, attempt: Attempt, phase: str) -> None:
    """Run the admission plugins that care. Raises ApiError."""
    for action in core.admission_actions(attempt.kind.resource, attempt.operation, attempt.subresource, phase):
        await action(attempt)


async def create(core: Core, kind: AnyKind, namespace: str, body: Body, context: Context) -> Written:
    """Carry out a create. Raises ApiError 400, 403, 409, 422."""
    resource = kind.resource
    obj = parse(kind, body, context.warn)
    meta = obj.metadata
    if meta.namespace and resource.namespaced and meta.namespace != namespace:
        raise decode.bad("the namespace of the provided object does not match the namespace sent on the request")
    if meta.resource_version and meta.resource_version != "0":
        raise ApiError(400, Reason.BAD_REQUEST, "resourceVersion should not be set on objects to be created")
    prefix = meta.generate_name if not meta.name else None
    for left in reversed(range(NAME_ATTEMPTS if prefix else 1)):
        try:
            return await _create(core, kind, namespace, obj, context, body.applies)
        except ApiError as error:
            if not (error.is_already_exists and left):
                raise
            # A fresh instance from the body: copying a model beforehand would cost every create 40 % of its time.
            obj = parse(kind, Body(body.value), context.warn)
    raise AssertionError("the last attempt returns or raises")


async def _create(
    core: Core, kind: AnyKind, namespace: str, obj: Any, context: Context, applies: Manager | None
) -> Written:
    resource, strategy = kind.resource, kind.strategy
    managed = obj.metadata.managed_fields
    metadata.begin(obj.metadata, namespace if resource.namespaced else "", context.now)
    name: str = obj.metadata.name or ""
    if strategy.tracks_generation:
        obj.metadata.generation = 1
    if kind.status and not strategy.keeps_status_on_create:
        drop_status(obj)
    attempt = Attempt("CREATE", kind, "", namespace, name, obj, None, context)
    await admit(core, attempt, "mutate")
    obj = attempt.object
    strategy.prepare_create(obj, context)
    refuse(kind, name, chain(metadata.check(kind, obj.metadata), rules(obj), strategy.validate(obj)))
    await admit(core, attempt, "validate")
    if applies is not None:
        obj.metadata.managed_fields = tracking.stamped(managed, applies, context.now)
    elif managed:
        obj.metadata.managed_fields = tracking.settled(kind, None, obj, managed, "", context)
    key = storage_key(kind.storage, namespace, name)
    path = storage_path(kind.storage, namespace, name)
    if context.dry_run:
        if await core.storage.get(key) is not None:
            raise already_exists(resource, name)
        return Written(Item(path, stored(kind, obj), 0, 1), created=True)
    lease = await core.storage.lease(strategy.ttl_seconds(core)) if strategy.ttl_seconds else 0
    await strategy.before_create(obj, context)
    data = stored(kind, obj)
    admitted = core.clock.now() if strategy.traced else context.now
    try:
        revision = await core.storage.put(key, data, 0, lease)
    except Stale:
        await strategy.after_delete(obj, core)
        raise already_exists(resource, name) from None
    except ApiError as error:
        if error.code == 413:
            await strategy.after_delete(obj, core)
        raise
    if strategy.traced:
        core.traces.created(obj.metadata.uid or "", context.now, admitted, core.clock.now())
    return Written(Item(path, data, revision, 1), created=True)


def drop_status(obj: Any) -> None:
    """Forget the status of a typed object."""
    field = type(obj).model_fields.get("status")
    if field is not None:
        make: Callable[[], Any] | None = field.default_factory
        obj.status = make() if make is not None else field.default
    elif obj.model_extra is not None:
        obj.model_extra.pop("status", None)


def keep_status(new: Any, old: Any) -> None:
    """Give a typed object the status of another."""
    if "status" in type(new).model_fields:
        new.status = old.status
    elif new.model_extra is not None:
        new.model_extra.pop("status", None)
        if old.model_extra and "status" in old.model_extra:
            new.model_extra["status"] = old.model_extra["status"]


def sans_status(value: Json) -> Json:
    """What counts for the generation."""
    return {key: inner for key, inner in value.items() if key not in ("metadata", "status")}


def differs(new: Json, old: Any, old_value: Json) -> bool:
    """Whether a change counts for the generation. The stored value is asked first, which costs no dump of `old`."""
    now = sans_status(new)
    return now != sans_status(old_value) and now != sans_status(old.to_json())


async def update(
    core: Core,
    kind: AnyKind,
    namespace: str,
    name: str,
    propose: Propose,
    context: Context,
    *,
    subresource: str = "",
    body: Body | None = None,
    retries: int = 0,
) -> Written:
    """Carry out an update. `propose` makes the new value from the old one (both in the kind's version).

    `body` says how to validate what `propose` returns. Conflicts are tried again `retries` times, if the proposal did
    not insist on a revision of its own. Raises ApiError 400, 403, 404, 409, 422.
    """
    key = storage_key(kind.storage, namespace, name)
    shelf = core.cache.shelf(storage_name(kind.storage))
    current = shelf.items.get(storage_path(kind.storage, namespace, name))
    certain = False
    while True:
        if current is None and not certain:
            found = await core.storage.get(key)
            current = core.cache.item_of(found) if found else None
            certain = True
        if current is None:
            raise not_found(kind.resource, name)
        try:
            return await _update(core, kind, namespace, name, current, propose, context, subresource, body)
        except Stale as stale:
            if stale.current is None:
                raise not_found(kind.resource, name) from None
            if retries <= 0:
                if certain:
                    raise conflict(kind.resource, name) from None
            elif certain:
                retries -= 1
            current, certain = core.cache.item_of(stale.current), True
        except ApiError:
            if certain:
                raise
            found = await core.storage.get(key)
            certain = True
            if found is not None and found.revision == current.revision:
                raise
            current = core.cache.item_of(found) if found else None


async def _update(
    core: Core,
    kind: AnyKind,
    namespace: str,
    name: str,
    current: Item,
    propose: Propose,
    context: Context,
    subresource: str,
    body: Body | None,
) -> Written:
    strategy = kind.strategy
    old_value = value_of(kind, current.value)
    proposed = propose(old_value)
    new = parse(kind, replace(body or Body({}), value=proposed), context.warn)
    meta, old = new.metadata, load(kind, current)
    applies = body.applies if body is not None else None
    managed = meta.managed_fields
    _check_identity(kind, namespace, name, meta, old.metadata, current.revision)
    if subresource == "status":
        draft = load(kind, current)  # parsing is compiled, and far cheaper than a deep copy
        keep_status(draft, new)
        draft.metadata.labels, draft.metadata.annotations = meta.labels, meta.annotations
        new = draft
        metadata.carry_over(new.metadata, old.metadata)
        strategy.prepare_status(new, old, context)
    else:
        metadata.carry_over(meta, old.metadata)
        if kind.status and not subresource:
            keep_status(new, old)
    attempt = Attempt("UPDATE", kind, subresource, namespace, name, new, old, context)
    await admit(core, attempt, "mutate")
    new = attempt.object
    errors: list[Iterable[FieldError]] = [
        metadata.check(kind, new.metadata),
        metadata.check_update(new.metadata, old.metadata),
    ]
    if subresource == "status":
        errors.append(strategy.validate_status(new, old))
    else:
        if not subresource:
            strategy.prepare_update(new, old, context)
        if subresource not in CHECKED:
            errors += [rules(new), strategy.validate(new)]
        if not subresource:
            errors.append(strategy.validate_update(new, old))
    refuse(kind, name, chain.from_iterable(errors))
    await admit(core, attempt, "validate")
    if applies is not None:
        new.metadata.managed_fields = managed
    elif managed or old.metadata.managed_fields:
        if subresource:
            managed = old.metadata.managed_fields
        if not tracking.is_reset(proposed):
            new.metadata.managed_fields = tracking.settled(kind, old, new, managed, subresource, context)
    value: Json = new.to_json()
    if subresource not in UNCOUNTED and strategy.tracks_generation and differs(value, old, old_value):
        new.metadata.generation = value["metadata"]["generation"] = (old.metadata.generation or 0) + 1
    data = encoded(kind, value)
    if data == current.stored:
        return Written(current)
    if applies is not None:
        new.metadata.managed_fields = tracking.stamped(managed, applies, context.now)
        data = stored(kind, new)
    if context.dry_run:
        return Written(Item(current.path, data, current.revision, current.version))
    key = storage_key(kind.storage, namespace, name)
    if ended(kind, new):
        revision = await core.storage.delete(key, current.revision)
        await strategy.after_delete(new, core)
        return Written(Item(current.path, data, revision, current.version), deleted=True)
    if strategy.before_update is not no_action:
        await strategy.before_update(new, old, context)
        data = stored(kind, new)
    try:
        lease = await core.storage.lease(strategy.ttl_seconds(core)) if strategy.ttl_seconds else 0
        revision = await core.storage.put(key, data, current.revision, lease)
    except Stale:
        await strategy.after_update(old, new, core)
        raise
    await strategy.after_update(new, old, core)
    return Written(Item(current.path, data, revision, current.version + 1))


def ended(kind: AnyKind, obj: Any) -> bool:
    """Whether a deleted object has nothing left to wait for."""
    meta = obj.metadata
    return (
        meta.deletion_timestamp is not None
        and not meta.finalizers
        and not meta.deletion_grace_period_seconds
        and not kind.strategy.held(obj)
    )


def _check_identity(kind: AnyKind, namespace: str, name: str, meta: Any, old: Any, revision: int) -> None:
    if meta.name and meta.name != name:
        raise decode.bad(f"the name of the object ({meta.name}) does not match the name on the URL ({name})")
    if meta.namespace and kind.resource.namespaced and meta.namespace != namespace:
        raise decode.bad("the namespace of the provided object does not match the namespace sent on the request")
    if meta.uid and meta.uid != old.uid:
        raise conflict(
            kind.resource,
            name,
            f"Precondition failed: UID in precondition: {meta.uid}, UID in object meta: {old.uid}",
        )
    version = meta.resource_version or ""
    if version in ("", "0"):
        if not kind.strategy.unconditional_update:
            refuse(
                kind,
                name,
                [FieldError.invalid("metadata.resourceVersion", version or 0, "must be specified for an update")],
            )
    elif version != str(revision):
        if not version.isdecimal():
            refuse(kind, name, [FieldError.invalid("metadata.resourceVersion", version, "must be a number")])
        raise conflict(kind.resource, name)


async def pause(attempt: int) -> None:
    """A short rest between attempts that lost a race."""
    if attempt > 2:
        await asyncio.sleep(0.005 * attempt)
