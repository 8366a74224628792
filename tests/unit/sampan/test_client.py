"""The client and the informer against a server that answers exactly what a test tells it to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sampan.client import Client, PatchKind, Propagation, Unreachable
from sampan.errors import ApiError
from sampan.informer import Change, Informer
from sampan.kinds import CONFIG_MAPS, PODS
from sampan.kubeconfig import Target
from sampan.objects import Key, key_of, metadata_only

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def served(answer: Answer) -> AsyncIterator[Client]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server, Client(Target(str(server.make_url("")).rstrip("/"))) as client:
        yield client


def config_map(name: str, version: int, uid: str = "", **data: str) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "ns", "name": name, "uid": uid or name, "resourceVersion": str(version)},
        "data": data,
    }


def listed(version: int, *items: dict[str, Any]) -> web.Response:
    return web.json_response(
        {"kind": "ConfigMapList", "metadata": {"resourceVersion": str(version)}, "items": list(items)}
    )


def refused(code: int, reason: str, **headers: str) -> web.Response:
    status = ApiError(code, reason, f"said {reason}").to_status()
    return web.json_response(status, status=code, headers={k.replace("_", "-"): v for k, v in headers.items()})


async def streamed(request: web.Request, *events: tuple[str, dict[str, Any]], chunk: int = 0) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    text = b"".join(orjson.dumps({"type": kind, "object": value}) + b"\n" for kind, value in events)
    for start in range(0, len(text), chunk or len(text) or 1):
        await response.write(text[start : start + (chunk or len(text))])
    return response


async def test_a_status_becomes_an_api_error() -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return refused(404, "NotFound")

    async with served(answer) as client:
        with pytest.raises(ApiError, match="said NotFound") as caught:
            await client.get(CONFIG_MAPS, "a", "ns")
    assert caught.value.is_not_found


async def test_a_read_is_tried_again_after_the_time_the_server_names() -> None:
    asked: list[float] = []

    async def answer(_: web.Request) -> web.StreamResponse:
        asked.append(asyncio.get_running_loop().time())
        if len(asked) == 1:
            return refused(429, "TooManyRequests", Retry_After="1")
        return web.json_response(config_map("a", 1))

    async with served(answer) as client:
        assert (await client.get(CONFIG_MAPS, "a", "ns")).metadata.name == "a"
    assert asked[1] - asked[0] >= 1


async def test_a_write_that_broke_off_is_not_repeated() -> None:
    asked = 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    async with served(answer) as client:
        with pytest.raises(Unreachable, match=r"POST .*configmaps"):
            await client.create(CONFIG_MAPS, {"metadata": {"namespace": "ns", "name": "a"}})
    assert asked == 1


async def test_requests_say_what_the_api_concepts_ask_for() -> None:
    seen: list[tuple[str, str, str, bytes]] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        seen.append((request.method, str(request.rel_url), request.headers.get("Content-Type", ""), body))
        if request.method == "GET":
            assert "PartialObjectMetadataList" in request.headers["Accept"]
            return listed(5)
        return web.json_response(config_map("a", 1))

    async with served(answer) as client:
        await client.patch(CONFIG_MAPS, "a", {"x": 1}, namespace="ns", kind=PatchKind.STRATEGIC)
        await client.delete(CONFIG_MAPS, "a", "ns", propagation=Propagation.FOREGROUND, uid="u")
        await client.list(metadata_only(PODS), label_selector="a=b,c in (d)", limit=3)
    (patch, delete, listing) = seen
    assert patch[0:3] == ("PATCH", "/api/v1/namespaces/ns/configmaps/a", "application/strategic-merge-patch+json")
    assert orjson.loads(delete[3])["preconditions"] == {"uid": "u"}
    assert orjson.loads(delete[3])["propagationPolicy"] == "Foreground"
    assert listing[1] == "/api/v1/pods?labelSelector=a%3Db%2Cc+in+%28d%29&limit=3"


@pytest.mark.parametrize("chunk", [0, 1, 7])
async def test_a_watch_yields_typed_events_whatever_the_chunks(chunk: int) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        gone = ApiError(410, "Expired", "too old").to_status()
        return await streamed(request, ("ADDED", config_map("a", 2, x="ü")), ("ERROR", gone), chunk=chunk)

    async with served(answer) as client:
        events = client.watch(CONFIG_MAPS, resource_version="1")
        first = await anext(events)
        with pytest.raises(ApiError) as caught:
            await anext(events)
    assert (first.type, first.object.data) == ("ADDED", {"x": "ü"})
    assert caught.value.is_gone


async def test_an_informer_lists_again_after_410_and_tells_the_difference() -> None:
    lists = watches = 0
    hold = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal lists, watches
        if "watch" not in request.query:
            lists += 1
            if lists == 1:
                assert request.query["resourceVersion"] == "0"
                return listed(10, config_map("kept", 3), config_map("gone", 4), config_map("reborn", 5, "u1"))
            assert "resourceVersion" not in request.query
            return listed(30, config_map("kept", 20), config_map("reborn", 21, "u2"), config_map("new", 22))
        watches += 1
        if watches == 1:
            assert request.query["resourceVersion"] == "10"
            gone = ApiError(410, "Expired", "too old").to_status()
            late = config_map("late", 9)
            return await streamed(request, ("ADDED", config_map("b", 12)), ("ADDED", late), ("ERROR", gone))
        assert request.query["resourceVersion"] == "30"
        response = await streamed(request, ("BOOKMARK", {"metadata": {"resourceVersion": "40"}}))
        await hold.wait()
        return response

    told: list[tuple[str, str, str]] = []

    def tell(change: Change[Any]) -> None:
        kind = "add" if change.old is None else "delete" if change.new is None else "update"
        told.append((kind, change.object.metadata.name, change.object.metadata.resource_version))

    async with served(answer) as client:
        informer = Informer(client, CONFIG_MAPS, indexes={"name": lambda c: [c.metadata.name or ""]})
        informer.subscribe(tell)
        running = asyncio.create_task(informer.run())
        try:
            await informer.at_least("40", within=10)
            assert sorted(str(key_of(one)) for one in informer.items()) == ["ns/kept", "ns/new", "ns/reborn"]
            assert informer.get("ns", "gone") is None
            assert [key_of(one) for one in informer.by_index("name", "new")] == [Key("ns", "new")]
            assert informer.by_index("name", "gone") == []
            with pytest.raises(TimeoutError):
                await informer.at_least("41", within=0.01)
        finally:
            hold.set()
            running.cancel()
    assert sorted(told[:3]) == [("add", "gone", "4"), ("add", "kept", "3"), ("add", "reborn", "5")]
    assert told[3] == ("add", "b", "12")
    assert sorted(told[4:]) == [
        ("add", "new", "22"),
        ("add", "reborn", "21"),
        ("delete", "b", "12"),
        ("delete", "gone", "4"),
        ("delete", "reborn", "5"),
        ("update", "kept", "20"),
    ]


async def test_an_unreadable_object_does_not_hide_the_others(caplog: pytest.LogCaptureFixture) -> None:
    broken = config_map("broken", 3) | {"data": {"x": 1}}

    async def answer(request: web.Request) -> web.StreamResponse:
        if "watch" in request.query:
            return await streamed(request, ("ADDED", broken), ("ADDED", config_map("c", 5)))
        return listed(4, config_map("a", 1), broken, config_map("b", 2))

    async with served(answer) as client:
        found = await client.list(CONFIG_MAPS)
        seen = [event.object.metadata.name async for event in client.watch(CONFIG_MAPS, resource_version="4")]
    assert [one.metadata.name for one in found.items] == ["a", "b"]
    assert found.resource_version == "4"
    assert seen == ["c"]
    assert [record.getMessage() for record in caplog.records] == ["an object can't be read"] * 2


async def test_an_informer_outlives_a_server_that_errs() -> None:
    asked = 0
    hold = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        if asked == 1:
            return refused(403, "Forbidden")
        if asked == 2:
            return web.Response(text="not JSON")
        if "watch" in request.query:
            await hold.wait()
            return await streamed(request)
        return listed(7, config_map("a", 3))

    async with served(answer) as client:
        informer = Informer(client, CONFIG_MAPS)
        running = asyncio.create_task(informer.run())
        try:
            async with asyncio.timeout(10):
                await informer.synced()
            assert len(informer.items()) == 1
        finally:
            hold.set()
            running.cancel()


@asynccontextmanager
async def served_by_two(*answers: Answer) -> AsyncIterator[tuple[list[TestServer], Client]]:
    started = []
    for answer in answers:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        started.append(TestServer(app))
        await started[-1].start_server()
    urls = tuple(str(one.make_url("")).rstrip("/") for one in started)
    try:
        async with Client(Target(urls[0], servers=urls)) as client:
            yield started, client
    finally:
        for one in started:
            await one.close()


async def test_another_server_is_called_at_once_when_one_is_gone() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response(config_map(str(request.url.port), 1))

    async with served_by_two(answer, answer) as (servers, client):
        assert (await client.get(CONFIG_MAPS, "a", "ns")).metadata.name == str(servers[0].port)
        await servers[0].close()
        began = asyncio.get_running_loop().time()
        assert (await client.get(CONFIG_MAPS, "a", "ns")).metadata.name == str(servers[1].port)
        assert (await client.create(CONFIG_MAPS, config_map("a", 0))).metadata.name == str(servers[1].port)
        assert asyncio.get_running_loop().time() - began < 1
        assert client.servers.current.endswith(str(servers[1].port))


async def test_a_write_that_may_have_taken_place_is_not_sent_to_another_server() -> None:
    seen = []

    async def dies(request: web.Request) -> web.StreamResponse:
        seen.append("first")
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    async def answer(_: web.Request) -> web.StreamResponse:
        seen.append("second")
        return web.json_response(config_map("a", 1))

    async with served_by_two(dies, answer) as (_, client):
        with pytest.raises(Unreachable):
            await client.create(CONFIG_MAPS, config_map("a", 0))
        assert "second" not in seen
        assert (await client.get(CONFIG_MAPS, "a", "ns")).metadata.name == "a"


async def test_a_read_goes_on_at_a_server_that_has_its_etcd() -> None:
    async def without_etcd(_: web.Request) -> web.StreamResponse:
        return refused(503, "ServiceUnavailable")

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response(config_map("a", 1))

    async with served_by_two(without_etcd, answer) as (_, client):
        assert (await client.get(CONFIG_MAPS, "a", "ns")).metadata.name == "a"


async def test_streams_of_a_server_that_fails_are_begun_anew_at_the_next() -> None:
    silent = asyncio.Event()

    async def first(request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            return listed(1)
        response = await streamed(request, ("ADDED", config_map("before", 2)))
        await silent.wait()  # as a machine without power: nothing comes, and nothing ends
        return response

    async def second(request: web.Request) -> web.StreamResponse:
        assert "watch" in request.query, "the watch goes on where it was, without another list"
        assert request.query["resourceVersion"] == "2"
        return await streamed(request, ("ADDED", config_map("after", 3)))

    async with served_by_two(first, second) as (servers, client):
        informer = Informer(client, CONFIG_MAPS)
        running = asyncio.create_task(informer.run())
        try:
            await informer.until(lambda: informer.get("ns", "before") is not None, within=5)
            client._transport._leave(client.servers.current)
            await informer.until(lambda: informer.get("ns", "after") is not None, within=5)
            assert client.servers.current.endswith(str(servers[1].port))
        finally:
            silent.set()
            running.cancel()
