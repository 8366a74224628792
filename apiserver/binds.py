"""Many bindings in one request: what Sampan's scheduler asks when many pods wait. No other client needs it.

POST /sampan/bindings with {"items": [Binding, ...]}, each with the namespace, name and uid of its pod; the answer has a
Status for each, in their order. A binding is what it is through pods/NAME/binding: the same checks, and one
compare-and-swap each, no two in one transaction, so that every pod has a revision of its own. What is saved is the way
to the server and through its rooms.
Elsewhere: what a binding does to a pod (kinds/pod_calls.py).
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import orjson
from aiohttp import web
from pydantic import ValidationError

from apiserver.core import Core
from apiserver.decode import bad
from apiserver.http.request import Asked
from apiserver.http.response import respond
from apiserver.kind import Json, User, no_action
from apiserver.kinds.pod_calls import bound, refuse
from apiserver.pages import Page
from apiserver.registry import storage_key, storage_name, storage_path
from apiserver.request import BODY
from apiserver.statuses import not_allowed
from apiserver.storage import Stale
from apiserver.writes import encoded
from sampan.api.base import Object, wire_name
from sampan.api.core_v1 import Binding, PodCondition, PodSpec, PodStatus
from sampan.api.meta_v1 import ObjectMeta
from sampan.errors import ApiError, Reason
from sampan.kinds import PODS
from sampan.logs import fields

log = logging.getLogger(__name__)

PATH = "/sampan/bindings"
MOST = 512
SUCCESS: Json = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def page(core: Core) -> Page:
    """The page at PATH."""

    async def bindings(request: web.BaseRequest, asked: Asked, user: User | None) -> web.StreamResponse:
        if request.method != "POST":
            raise not_allowed(request.method)
        wanted = read(request.get(BODY, b""))
        if user is None:
            raise ApiError(401, Reason.UNAUTHORIZED, "Unauthorized")
        binds = Binds(core, user)
        answers = await asyncio.gather(*(binds.one(each) for each in wanted))
        return respond(orjson.dumps({"items": answers}), 200)

    return bindings


def read(body: bytes) -> list[Binding]:
    """The bindings of a body. Raises ApiError 400."""
    try:
        value: Any = orjson.loads(body)
        items = value["items"] if isinstance(value, dict) else None
        if not isinstance(items, list) or len(items) > MOST:
            raise bad(f"the body is no object with at most {MOST} items")
        return [Binding.from_json(one) for one in items]
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise bad(f"the bindings can't be read: {error}") from error


class Binds:
    """Carries out the bindings of one request."""

    def __init__(self, core: Core, user: User) -> None:
        self._core, self._user = core, user
        self.context = core.context(user)
        self._kind = core.registry.of(PODS)
        self._shelf = core.cache.shelf(storage_name(self._kind.storage))
        strategy = self._kind.strategy
        self._plain = strategy.before_update is no_action and strategy.after_update is no_action

    async def one(self, binding: Binding) -> Json:
        """Bind one pod. The Status that says how it went."""
        meta, core = binding.metadata, self._core
        name, namespace = meta.name or "", meta.namespace or ""
        try:
            refuse(binding, name)
            if not await self._quickly(binding, namespace, name):
                await core.modify(
                    PODS,
                    namespace,
                    name,
                    lambda pod: bound(pod, binding, self.context),
                    subresource="binding",
                    user=self._user,
                )
        except ApiError as error:
            return error.to_status()
        except TimeoutError:
            return ApiError(504, Reason.TIMEOUT, "Timeout: the binding was not stored in time").to_status()
        except Exception as error:  # the edge of one binding: a bug in it must not hide how the others went
            log.exception("a binding failed", extra=fields(pod=f"{namespace}/{name}"))
            return ApiError(500, Reason.INTERNAL_ERROR, f"Internal error occurred: {error}").to_status()
        core.traces.bound(meta.uid or "", self.context.now, core.clock.now())
        return SUCCESS

    async def _quickly(self, binding: Binding, namespace: str, name: str) -> bool:
        """Bind a pod that is as the cache has it and has nothing special; False leaves it to the usual way.

        The value was stored by this server and one field of it changes, so neither the model nor the rules are asked.
        """
        item = self._shelf.items.get(storage_path(self._kind.storage, namespace, name))
        if item is None or not self._plain:
            return False
        old = item.value
        meta = old["metadata"]
        if "managedFields" in meta or self._core.admission_actions(PODS, "UPDATE", "binding", "mutate"):
            return False
        pod = old | {"metadata": dict(meta), "spec": dict(old["spec"]), "status": dict(old.get("status", {}))}
        try:
            data = encoded(self._kind, _as_stored(bound(pod, binding, self.context)))
        except ApiError:
            return False  # a refusal that follows from the cache is asked again of etcd
        key = storage_key(self._kind.storage, namespace, name)
        try:
            await self._core.storage.put(key, data, item.revision)
        except Stale:
            return False
        return True


def _wire_names(model: type[Object]) -> tuple[str, ...]:
    return tuple(one.alias or wire_name(name) for name, one in model.model_fields.items())


META, SPEC = _wire_names(ObjectMeta), _wire_names(PodSpec)
STATUS, CONDITION = _wire_names(PodStatus), _wire_names(PodCondition)


def _as_stored(pod: Json) -> Json:
    """The same pod with its keys in the order in which a typed one has them.

    A later write that changes nothing is known by its bytes, and would else look like a change.
    """
    for part, names in (("metadata", META), ("spec", SPEC), ("status", STATUS)):
        pod[part] = _ordered(pod[part], names)
    pod["status"]["conditions"] = [_ordered(one, CONDITION) for one in pod["status"]["conditions"]]
    return pod


def _ordered(value: Json, names: tuple[str, ...]) -> Json:
    return {name: value[name] for name in names if name in value}
