"""Delete: preconditions, grace periods, finalizers and propagation policies, the same for every kind.

Sources: "Garbage Collection", "Finalizers", "Termination of Pods"; DeleteOptions of the API reference.
Elsewhere: carrying propagation out is the garbage collector's work (controllers/).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from apiserver import decode
from apiserver.kind import AnyKind, Attempt, Context, Json
from apiserver.lists import whole
from apiserver.matching import view
from apiserver.registry import storage_key, storage_name, storage_path
from apiserver.ring import Item
from apiserver.statuses import conflict, not_found, success
from apiserver.storage import Stale
from apiserver.writes import admit, ended, load, stored
from sampan.api.meta_v1 import DeleteOptions, Preconditions
from sampan.errors import ApiError, FieldError, InvalidError

if TYPE_CHECKING:
    from apiserver.core import Core

ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"
POLICIES = ("Orphan", "Background", "Foreground")


def read_options(value: Json | None, query: Mapping[str, str]) -> DeleteOptions:
    """DeleteOptions from the body or the query. Raises ApiError 400 or 422."""
    value = dict(value or {})
    if value.get("kind") not in (None, "", "DeleteOptions"):
        raise decode.bad(f"invalid object type: {value.get('kind')} is not DeleteOptions")
    decode.clean(value, DeleteOptions, None)
    options = decode.typed(value | {"apiVersion": "v1", "kind": "DeleteOptions"}, DeleteOptions)
    if "gracePeriodSeconds" in query and options.grace_period_seconds is None:
        options.grace_period_seconds = whole(query, "gracePeriodSeconds")
    if query.get("propagationPolicy"):
        options.propagation_policy = query["propagationPolicy"]
    if "orphanDependents" in query:
        options.orphan_dependents = query["orphanDependents"] in ("true", "1")
    errors = []
    if options.propagation_policy is not None and options.propagation_policy not in POLICIES:
        errors.append(
            FieldError.not_supported("propagationPolicy", options.propagation_policy, (*POLICIES[::-1], "nil"))
        )
    if options.propagation_policy is not None and options.orphan_dependents is not None:
        errors.append(
            FieldError.invalid(
                "propagationPolicy",
                options.propagation_policy,
                "orphanDependents and deletionPropagation cannot be both set",
            )
        )
    if errors:
        raise InvalidError("DeleteOptions", "meta.k8s.io", "", errors)
    return options


def finalizers_for(options: DeleteOptions, current: list[str]) -> list[str]:
    """The finalizers after a propagation policy was asked for; no policy leaves them as they are."""
    policy = options.propagation_policy
    if policy is None and options.orphan_dependents is not None:
        policy = "Orphan" if options.orphan_dependents else "Background"
    if policy is None:
        return current
    kept = [one for one in current if one not in (ORPHAN, FOREGROUND)]
    return kept + {"Orphan": [ORPHAN], "Foreground": [FOREGROUND], "Background": []}[policy]


def check_preconditions(kind: AnyKind, name: str, wanted: Preconditions | None, meta: Any, revision: int) -> None:
    """Compare uid and resourceVersion. Raises ApiError 409."""
    if wanted is None:
        return
    if wanted.uid is not None and wanted.uid != meta.uid:
        why = f"Precondition failed: UID in precondition: {wanted.uid}, UID in object meta: {meta.uid}"
        raise conflict(kind.resource, name, why)
    if wanted.resource_version is not None and wanted.resource_version != str(revision):
        why = (
            f"Precondition failed: ResourceVersion in precondition: {wanted.resource_version}, "
            f"ResourceVersion in object meta: {revision}"
        )
        raise conflict(kind.resource, name, why)


def plan(kind: AnyKind, obj: Any, options: DeleteOptions, context: Context) -> bool:
    """Mark a private instance as deleted. True: it stays for now; False: it can go at once.

    A grace period may be shortened by a later delete, never prolonged.
    """
    meta, strategy = obj.metadata, kind.strategy
    meta.finalizers = finalizers_for(options, meta.finalizers)
    grace = strategy.grace(obj, options) or 0
    if not grace and not meta.finalizers and not strategy.held(obj):
        return False
    first = meta.deletion_timestamp is None
    left = meta.deletion_grace_period_seconds
    if first or (left is not None and grace < left):
        deleted_at = context.now if first else meta.deletion_timestamp - timedelta(seconds=left or 0)
        meta.deletion_timestamp = (deleted_at + timedelta(seconds=grace)).replace(microsecond=0)
        meta.deletion_grace_period_seconds = grace
    if first:
        if meta.generation:
            meta.generation += 1
        strategy.prepare_delete(obj, context)
    return not ended(kind, obj)


async def delete(
    core: Core, kind: AnyKind, namespace: str, name: str, options: DeleteOptions, context: Context
) -> Json | Item:
    """Carry out a delete. Returns a Status, or the object. Raises ApiError 404, 409 and what admission refuses."""
    key = storage_key(kind.storage, namespace, name)
    shelf = core.cache.shelf(storage_name(kind.storage))
    current = shelf.items.get(storage_path(kind.storage, namespace, name))
    certain = False
    while True:
        if current is None and not certain:
            found = await core.storage.get(key)
            current, certain = core.cache.item_of(found) if found else None, True
        if current is None:
            raise not_found(kind.resource, name)
        try:
            return await _delete(core, kind, namespace, name, key, current, options, context)
        except Stale as stale:
            current, certain = core.cache.item_of(stale.current) if stale.current else None, True
        except ApiError:
            if certain:
                raise
            found = await core.storage.get(key)
            certain = True
            if found is not None and found.revision == current.revision:
                raise
            current = core.cache.item_of(found) if found else None


async def _delete(
    core: Core,
    kind: AnyKind,
    namespace: str,
    name: str,
    key: bytes,
    current: Item,
    options: DeleteOptions,
    context: Context,
) -> Json | Item:
    old = load(kind, current)
    check_preconditions(kind, name, options.preconditions, old.metadata, current.revision)
    attempt = Attempt("DELETE", kind, "", namespace, name, None, old, context)
    await admit(core, attempt, "mutate")
    await admit(core, attempt, "validate")
    obj = load(kind, current)
    obj.metadata.resource_version = None
    if plan(kind, obj, options, context):
        data = stored(kind, obj)
        if data == current.stored or context.dry_run:
            return view(kind, Item(current.path, data, current.revision, current.version))
        revision = await core.storage.put(key, data, current.revision)
        return view(kind, Item(current.path, data, revision, current.version + 1))
    if not context.dry_run:
        await core.storage.delete(key, current.revision)
        await kind.strategy.after_delete(obj, core)
    if kind.strategy.delete_returns_object:
        return view(kind, current)
    return success(kind.resource, name, old.metadata.uid or "")
