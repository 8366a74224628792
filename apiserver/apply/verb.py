"""PATCH with application/apply-patch+yaml: server-side apply as a write like every other.

Always: the merged object passes the model, admission and strategy (apiserver.writes); an apply that changes nothing
writes nothing; a missing object is created by the same call.
Elsewhere: what an apply leads to, in pure functions (managers.py).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson

from apiserver import decode, writes
from apiserver.apply import types
from apiserver.apply.managers import APPLY, Configuration, Conflicts, Manager, apply, malformed, write
from apiserver.core import Core
from apiserver.decode import bad
from apiserver.kind import AnyKind, Context, Json
from apiserver.patching import APPLY_PATCH
from apiserver.statuses import conflict
from apiserver.writes import Body, Written
from sampan.errors import ApiError, Reason

CREATE_ATTEMPTS = 4


def read(data: bytes, validation: str, warn: Callable[[str], None]) -> Json:
    """The configuration in a body of YAML or JSON. Raises ApiError 400."""
    try:
        value, text, complaints = decode.loads(data)
    except ApiError:
        value, text, complaints = decode.loads(data, APPLY_PATCH)
    if not isinstance(value, dict):
        raise bad("error decoding YAML: the applied configuration is no object")
    try:
        orjson.dumps(value)
    except TypeError as error:
        raise bad(f"error decoding YAML: {error}") from error
    if validation != "Ignore":
        if text is not None:
            complaints = [f'duplicate field "{path}"' for path in decode.doubled(text)]
        if complaints and validation == "Strict":
            raise bad(f"error strict decoding YAML: {', '.join(complaints)}")
        for complaint in complaints:
            warn(complaint)
    return value


def configuration(
    kind: AnyKind, namespace: str, name: str, subresource: str, value: Json, manager: str
) -> Configuration:
    """A body as the configuration of one object, without what the subresource does not write. Raises ApiError 400."""
    resource = kind.resource
    version = value.get("apiVersion") or ""
    if version != resource.api_version:
        raise bad(
            f"Incorrect version specified in apply patch. Specified patch version: {version}, "
            f"expected: {resource.api_version}"
        )
    if value.get("kind") != resource.kind:
        raise bad(
            f"Incorrect kind specified in apply patch. Specified patch kind: {value.get('kind') or ''}, "
            f"expected: {resource.kind}"
        )
    metadata = value.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise bad("metadata of the applied configuration is no object")
    if metadata.get("managedFields"):
        raise bad("metadata.managedFields must be nil")
    metadata = {key: one for key, one in metadata.items() if key not in ("managedFields", "generateName")}
    metadata.setdefault("name", name)
    value = value | {"metadata": metadata}
    if subresource == "status":
        kept = {"name", "namespace", "uid", "resourceVersion"}
        if kind.parse is None:  # of custom objects, this subresource writes the status alone
            kept |= {"labels", "annotations"}
        inner = {key: one for key, one in metadata.items() if key in kept}
        value = {key: one for key, one in value.items() if key in ("apiVersion", "kind", "status")}
        value["metadata"] = inner
    elif kind.status:
        value.pop("status", None)
    of = types.of_kind(kind)
    if wrong := malformed(value, of):
        place = f"{namespace}/{name}; {resource.api_version}, Kind={resource.kind}"
        raise bad(f"failed to create typed patch object ({place}): {wrong}")
    return Configuration(value, of, Manager(manager, APPLY, subresource=subresource), resource.api_version)


def merged(live: Json | None, wanted: Configuration, now: datetime) -> Json:
    """The object to write, a private copy, with its managers. Raises ApiError 409."""
    try:
        outcome = apply(live, wanted, now)
    except Conflicts as conflicts:
        raise ApiError(409, Reason.CONFLICT, conflicts.message, details={"causes": conflicts.causes}) from None
    made: Json = orjson.loads(orjson.dumps(outcome.value))
    made["metadata"]["managedFields"] = write(outcome.managers)
    return made


async def write_applied(
    core: Core,
    kind: AnyKind,
    namespace: str,
    name: str,
    wanted: Configuration,
    context: Context,
    may_create: Callable[[], Awaitable[None]],
) -> Written:
    """Carry out an apply. `may_create` raises ApiError 403 for somebody who may only patch. Raises ApiError."""
    subresource = wanted.manager.subresource
    body = Body({}, applies=wanted.manager)

    async def change() -> Written:
        return await writes.update(
            core,
            kind,
            namespace,
            name,
            lambda old: merged(old, wanted, context.now),
            context,
            subresource=subresource,
            body=body,
            retries=writes.PATCH_ATTEMPTS,
        )

    for _ in range(CREATE_ATTEMPTS):
        try:
            return await change()
        except ApiError as error:
            if subresource or "create" not in kind.verbs or not _is_about(error, kind, name):
                raise
        await may_create()
        if uid := wanted.value["metadata"].get("uid"):
            why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
            raise conflict(kind.resource, name, why)
        if wanted.value["metadata"]["name"] != name:
            given = wanted.value["metadata"]["name"]
            raise bad(f"the name of the object ({given}) does not match the name on the URL ({name})")
        try:
            value = merged(None, wanted, context.now)
            return await writes.create(core, kind, namespace, replace(body, value=value), context)
        except ApiError as error:
            if not error.is_already_exists:
                raise
    return await change()


def _is_about(error: ApiError, kind: AnyKind, name: str) -> bool:
    details: Mapping[str, Any] = error.details
    return error.is_not_found and details.get("kind") == kind.resource.plural and details.get("name") == name
