"""The published documents: OpenAPI v3 a group and version, OpenAPI v2 of everything.

Made when first asked for, kept until the registry changes. v3 documents are named by a hash of their content, as
KEP-2896 says, so that clients may keep them for good.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import orjson
from aiohttp import web

from apiserver.http.request import Asked
from apiserver.http.response import respond
from apiserver.kind import AnyKind, User
from apiserver.openapi import protobuf, schemas
from apiserver.openapi.paths import paths_of
from apiserver.openapi.schemas import META, Schema
from apiserver.registry import Registry
from apiserver.statuses import no_such_path
from sampan.api import autoscaling_v1, meta_v1
from sampan.errors import ApiError, Reason

TITLE = "Kubernetes"
VERSION = "v1.37.0"
ALWAYS = (meta_v1.Status, meta_v1.DeleteOptions, meta_v1.ListMeta, meta_v1.ObjectMeta)
REFERENCE = "#/components/schemas/"


class Documents:
    """The documents of one server."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._generation = -1
        self._v3: dict[str, bytes] = {}
        self._v2: bytes | None = None
        self._v2_protobuf: bytes | None = None

    async def page_v3(self, request: web.BaseRequest, asked: Asked, user: User | None) -> web.StreamResponse:
        """/openapi/v3 and what is below it. Raises ApiError 404."""
        self._refresh()
        name = asked.path.removeprefix("/openapi/v3").strip("/")
        if not name:
            return respond(self._index())
        document = self._document(name)
        if document is None:
            raise no_such_path()
        return respond(document)

    async def page_v2(self, request: web.BaseRequest, asked: Asked, user: User | None) -> web.StreamResponse:
        """/openapi/v2, in JSON or in protobuf. Raises ApiError 406."""
        self._refresh()
        accepted = request.headers.get("Accept", "*/*")
        if protobuf.MEDIA in accepted:
            if self._v2_protobuf is None:
                value = whole_v2(self._registry.all())
                self._v2_protobuf = await asyncio.to_thread(protobuf.document, value)
            return respond(self._v2_protobuf, 200, protobuf.ANSWERED)
        if "json" not in accepted and "*/*" not in accepted and "application/*" not in accepted:
            raise ApiError(406, Reason.NOT_ACCEPTABLE, "only the following media types are accepted: application/json")
        if self._v2 is None:
            self._v2 = orjson.dumps(whole_v2(self._registry.all()))
        return respond(self._v2)

    def _refresh(self) -> None:
        if self._generation != self._registry.generation:
            self._generation, self._v2, self._v2_protobuf = self._registry.generation, None, None
            self._v3.clear()

    def _names(self) -> dict[str, list[AnyKind]]:
        """`api/v1` or `apis/apps/v1` -> its kinds."""
        found: dict[str, list[AnyKind]] = {}
        for kind in self._registry.all():
            resource = kind.resource
            name = f"apis/{resource.group}/{resource.version}" if resource.group else f"api/{resource.version}"
            found.setdefault(name, []).append(kind)
        return found

    def _document(self, name: str) -> bytes | None:
        if name not in self._v3:
            kinds = self._names().get(name)
            if kinds is None:
                return None
            self._v3[name] = orjson.dumps(document_v3(kinds))
        return self._v3[name]

    def _index(self) -> bytes:
        paths = {}
        for name in self._names():
            digest = hashlib.sha256(self._document(name) or b"").hexdigest().upper()
            paths[name] = {"serverRelativeURL": f"/openapi/v3/{name}?hash={digest}"}
        return orjson.dumps({"paths": paths})


def document_v3(kinds: list[AnyKind]) -> dict[str, Any]:
    """One document."""
    components, paths = _parts(kinds)
    return {
        "openapi": "3.0.0",
        "info": {"title": TITLE, "version": VERSION},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"BearerToken": {"type": "apiKey", "name": "authorization", "in": "header"}},
        },
    }


def _parts(kinds: list[AnyKind]) -> tuple[dict[str, Schema], dict[str, Any]]:
    components: dict[str, Schema] = {
        f"{META}.Patch": {"type": "object", "description": "A patch in the form its media type says."}
    }
    paths: dict[str, Any] = {}
    for model in ALWAYS:
        components.update(schemas.reachable(model))
    for kind in kinds:
        resource = kind.resource
        name = schemas.kind_component(resource, kind.schema)
        if kind.schema is None:
            components.update(schemas.reachable(resource.model))
        else:
            gvk = {"group": resource.group, "version": resource.version, "kind": resource.kind}
            components[name] = {**kind.schema, "x-kubernetes-group-version-kind": [gvk]}
        components[f"{name}List"] = schemas.list_schema(resource, name)
        if kind.scale is not None:
            components.update(schemas.reachable(autoscaling_v1.Scale))
        for subresource in kind.subresources:
            if subresource.model is not None:
                components.update(schemas.reachable(subresource.model))
        paths.update(paths_of(kind, name, f"{name}List"))
    return dict(sorted(components.items())), paths


def whole_v2(kinds: tuple[AnyKind, ...]) -> dict[str, Any]:
    """Everything as one Swagger 2.0 document."""
    components, paths = _parts(list(kinds))
    return {
        "swagger": "2.0",
        "info": {"title": TITLE, "version": VERSION},
        "paths": {path: _item_v2(item) for path, item in paths.items()},
        "definitions": _rewritten(components),
        "securityDefinitions": {"BearerToken": {"type": "apiKey", "name": "authorization", "in": "header"}},
        "security": [{"BearerToken": []}],
    }


def _item_v2(item: dict[str, Any]) -> dict[str, Any]:
    return {key: _parameters_v2(value) if key == "parameters" else _operation_v2(value) for key, value in item.items()}


def _parameters_v2(parameters: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in one.items() if key != "schema"} | one["schema"] for one in parameters]


def _operation_v2(operation: dict[str, Any]) -> dict[str, Any]:
    result = {key: value for key, value in operation.items() if key not in ("requestBody", "responses", "parameters")}
    parameters = _parameters_v2(operation.get("parameters", []))
    if body := operation.get("requestBody"):
        schema = next(iter(body["content"].values()))["schema"]
        parameters.append({"name": "body", "in": "body", "required": True, "schema": _rewritten(schema)})
        result["consumes"] = list(body["content"])
    if parameters:
        result["parameters"] = parameters
    result["produces"] = ["application/json", "application/yaml"]
    result["responses"] = {
        code: {"description": one["description"]}
        | ({"schema": _rewritten(next(iter(one["content"].values()))["schema"])} if "content" in one else {})
        for code, one in operation["responses"].items()
    }
    return result


def _rewritten(value: Any) -> Any:
    """References to v2's place; what v2 has no word for (oneOf, a reference with company) left out or folded in."""
    if isinstance(value, dict):
        if "allOf" in value and len(value["allOf"]) == 1:
            value = {key: one for key, one in value.items() if key != "allOf"} | value["allOf"][0]
        return {
            key: one.replace(REFERENCE, "#/definitions/") if key == "$ref" and isinstance(one, str) else _rewritten(one)
            for key, one in value.items()
            if key not in ("oneOf", "nullable")
        } | ({"type": "string"} if "oneOf" in value and "type" not in value else {})
    return [_rewritten(one) for one in value] if isinstance(value, list) else value
