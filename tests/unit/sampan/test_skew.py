"""Clients of another version: an older client reads what a newer server sends, and the other way round."""

from __future__ import annotations

import asyncio
import re
import tomllib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sampan import kinds
from sampan.api.base import Object
from sampan.api.build import build
from sampan.client import Client
from sampan.informer import Informer
from sampan.kubeconfig import Target
from sampan.resource import Resource
from sampan.version import GIT_VERSION, VERSION

ROOT = Path(__file__).resolve().parents[3]
RESOURCES = [one for one in vars(kinds).values() if isinstance(one, Resource)]
LATER = {"fieldOfALaterVersion": {"nested": [1, "two", None]}}


def parts(annotation: Any) -> Iterator[Any]:
    """An annotation and all that is in it."""
    yield annotation
    for inner in get_args(annotation):
        yield from parts(inner)


def models(model: type[Object], seen: set[type[Object]]) -> set[type[Object]]:
    """A model and all models in it."""
    if model not in seen:
        seen.add(model)
        for info in model.model_fields.values():
            for part in parts(info.annotation):
                if isinstance(part, type) and issubclass(part, Object):
                    models(part, seen)
    return seen


def every_model() -> list[type[Object]]:
    found: set[type[Object]] = set()
    for resource in RESOURCES:
        build(resource.model)
        models(resource.model, found)
    return sorted(found, key=lambda one: f"{one.__module__}.{one.__qualname__}")


def test_no_model_refuses_a_field_that_it_does_not_know() -> None:
    assert len(every_model()) > 100
    for model in every_model():
        assert model.from_json(LATER) == model.from_json({}), model


def test_no_model_has_a_closed_list_of_values() -> None:
    """A later version may have a value more; what it means is the business of whoever looks at it."""
    closed = [
        f"{model.__qualname__}.{name}"
        for model in every_model()
        for name, info in model.model_fields.items()
        for part in parts(info.annotation)
        if get_origin(part) is Literal or (isinstance(part, type) and issubclass(part, Enum))
    ]
    assert not closed


def aged(value: Any) -> Any:
    """A value as a later version might write it: with a field more in every object."""
    if isinstance(value, dict):
        return {key: aged(inner) for key, inner in value.items()} | LATER
    if isinstance(value, list):
        return [aged(inner) for inner in value]
    return value


POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "a", "namespace": "ns", "uid": "1", "resourceVersion": "7"},
    "spec": {
        "nodeName": "n1",
        "restartPolicy": "WhenTheMoonIsFull",
        "containers": [
            {"name": "web", "image": "web", "imagePullPolicy": "Sometimes", "ports": [{"protocol": "QUIC"}]}
        ],
        "tolerations": [{"operator": "Resembles", "effect": "Discourage"}],
        "volumes": [{"name": "later", "holographic": {"size": "1Gi"}}],
    },
    "status": {"phase": "Dreaming", "qosClass": "Gold", "conditions": [{"type": "Levitating", "status": "Perhaps"}]},
}


@asynccontextmanager
async def a_later_server() -> AsyncIterator[Client]:
    async def answer(request: web.Request) -> web.StreamResponse:
        if "watch" in request.query:
            response = web.StreamResponse()
            await response.prepare(request)
            later = POD | {"metadata": POD["metadata"] | {"name": "b", "uid": "2", "resourceVersion": "8"}}  # type: ignore[operator]  # a dict
            await response.write(web.json_response({"type": "ADDED", "object": aged(later)}).body + b"\n")  # type: ignore[operator]  # bytes
            await asyncio.sleep(30)
            return response
        listed = {"kind": "PodList", "metadata": {"resourceVersion": "7"}, "items": [POD]}
        return web.json_response(aged(listed))

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server, Client(Target(str(server.make_url("")).rstrip("/"))) as client:
        yield client


async def test_a_later_servers_objects_are_followed() -> None:
    async with a_later_server() as client:
        informer = Informer(client, kinds.PODS)
        running = asyncio.create_task(informer.run())
        try:
            await informer.until(lambda: len(informer.items()) == 2, within=5)
        finally:
            running.cancel()
        read = informer.get("ns", "a")
        assert read is not None
        assert read.spec.restart_policy == "WhenTheMoonIsFull"
        assert read.status.phase == "Dreaming"


def test_the_version_is_said_once() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert declared == VERSION
    assert re.fullmatch(r"v1\.\d+\.\d+\+sampan\.\d+\.\d+\.\d+", GIT_VERSION)


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda one: one.plural)
def test_what_is_not_there_reads_as_its_default(resource: Resource[Any]) -> None:
    """An earlier server leaves out what it does not know."""
    assert resource.model.from_json({"metadata": {"name": "a"}}).metadata.name == "a"
