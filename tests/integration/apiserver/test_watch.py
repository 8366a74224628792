"""What a watcher sees: every event once and in order, or 410."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
import pytest

MERGE = {"Content-Type": "application/merge-patch+json"}


def config_map(name: str, labels: dict[str, str] | None = None, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels or {}}, "data": data}


class Watch:
    """One open watch."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def next(self, seconds: float = 5) -> dict[str, Any]:
        """The next event. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            line = await self.response.content.readline()
        assert line, "the watch ended"
        event: dict[str, Any] = orjson.loads(line)
        return event

    async def names(self, count: int) -> list[tuple[str, str]]:
        """(type, name) of the next events."""
        events = [await self.next() for _ in range(count)]
        return [(event["type"], event["object"]["metadata"]["name"]) for event in events]

    async def ended(self) -> bool:
        """Whether nothing more comes."""
        async with asyncio.timeout(5):
            return not await self.response.content.readline()


@asynccontextmanager
async def watching(api: Any, path: str, query: str = "", **headers: str) -> AsyncIterator[Watch]:
    async with api.session.get(f"{api.servers.url}{path}?watch=1&{query}", headers=headers) as response:
        assert response.status == 200, await response.text()
        yield Watch(response)


async def test_events_follow_a_list_without_a_gap(api: Any, maps: str) -> None:
    await api.ask("POST", maps, config_map("a"))
    _, listed, _ = await api.ask("GET", maps)
    async with watching(api, maps, f"resourceVersion={listed['metadata']['resourceVersion']}") as watch:
        await api.ask("POST", maps, config_map("b"))
        await api.ask("PATCH", f"{maps}/a", {"data": {"x": "1"}}, headers=MERGE)
        await api.ask("DELETE", f"{maps}/b")
        assert await watch.names(3) == [("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]


async def test_the_past_is_replayed_in_order(api: Any, maps: str) -> None:
    _, first, _ = await api.ask("POST", maps, config_map("a"))
    for n in range(5):
        await api.ask("PATCH", f"{maps}/a", {"data": {"n": str(n)}}, headers=MERGE)
    async with watching(api, maps, f"resourceVersion={first['metadata']['resourceVersion']}") as watch:
        events = [await watch.next() for _ in range(5)]
    assert [event["object"]["data"]["n"] for event in events] == ["0", "1", "2", "3", "4"]
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    assert versions == sorted(set(versions))


@pytest.mark.parametrize("version", ["", "resourceVersion=0"])
async def test_without_a_version_what_is_there_comes_first(api: Any, maps: str, version: str) -> None:
    await api.ask("POST", maps, config_map("a"))
    await api.ask("GET", f"{maps}/a")
    async with watching(api, maps, version) as watch:
        assert await watch.names(1) == [("ADDED", "a")]


async def test_a_streamed_list_ends_in_a_bookmark(api: Any, maps: str) -> None:
    await api.ask("POST", maps, config_map("a"))
    query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    async with watching(api, maps, query) as watch:
        assert await watch.names(1) == [("ADDED", "a")]
        bookmark = await watch.next()
        assert bookmark["type"] == "BOOKMARK"
        assert bookmark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        await api.ask("POST", maps, config_map("b"))
        assert await watch.names(1) == [("ADDED", "b")]


async def test_an_object_that_leaves_the_selection_is_deleted_for_the_watcher(api: Any, maps: str) -> None:
    await api.ask("POST", maps, config_map("a", {"x": "1"}))
    await api.ask("POST", maps, config_map("b", {"x": "2"}))
    async with watching(api, maps, "labelSelector=x%3D1") as watch:
        assert await watch.names(1) == [("ADDED", "a")]
        await api.ask("PATCH", f"{maps}/b", {"metadata": {"labels": {"x": "1"}}}, headers=MERGE)
        await api.ask("PATCH", f"{maps}/a", {"metadata": {"labels": {"x": "2"}}}, headers=MERGE)
        await api.ask("PATCH", f"{maps}/a", {"data": {"unseen": "1"}}, headers=MERGE)
        await api.ask("DELETE", f"{maps}/b")
        assert await watch.names(3) == [("ADDED", "b"), ("DELETED", "a"), ("DELETED", "b")]


async def test_one_object_can_be_watched(api: Any, maps: str) -> None:
    async with watching(api, maps, "fieldSelector=metadata.name%3Db") as watch:
        await api.ask("POST", maps, config_map("a"))
        await api.ask("POST", maps, config_map("b"))
        assert await watch.names(1) == [("ADDED", "b")]


async def test_tables_are_watched_too(api: Any, maps: str) -> None:
    await api.ask("POST", maps, config_map("a"))
    async with watching(api, maps, "", Accept="application/json;as=Table;v=v1;g=meta.k8s.io") as watch:
        event = await watch.next()
        assert event["object"]["kind"] == "Table"
        assert event["object"]["rows"][0]["cells"][0] == "a"


async def test_a_version_from_before_the_oldest_kept_is_one_error_event(api: Any, maps: str) -> None:
    _, first, _ = await api.ask("POST", maps, config_map("a"))
    api.servers.start_server().wait(api.servers.tls())
    await api.ask("POST", maps, config_map("b"))
    version = int(first["metadata"]["resourceVersion"]) - 1
    async with watching(api, maps, f"resourceVersion={version}") as watch:
        event = await watch.next()
        assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")
        assert await watch.ended()


async def test_a_version_of_the_future_is_silent_until_the_timeout(api: Any, maps: str) -> None:
    async with watching(api, maps, "resourceVersion=99999999&timeoutSeconds=1") as watch:
        await api.ask("POST", maps, config_map("a"))
        assert await watch.ended()


async def test_a_watch_ends_at_its_timeout_with_a_bookmark_if_asked(api: Any, maps: str) -> None:
    async with watching(api, maps, "timeoutSeconds=1&allowWatchBookmarks=1") as watch:
        assert (await watch.next())["type"] == "BOOKMARK"
        assert await watch.ended()


async def test_many_watchers_see_the_same_events(api: Any, maps: str) -> None:
    async def see() -> list[str]:
        async with watching(api, maps, "resourceVersion=0") as watch:
            started.release()
            return [(await watch.next(20))["object"]["metadata"]["name"] for _ in range(50)]

    started = asyncio.Semaphore(0)
    watchers = [asyncio.create_task(see()) for _ in range(20)]
    for _ in watchers:
        await started.acquire()
    for n in range(50):
        await api.ask("POST", maps, config_map(f"a{n:02}"))
    expected = [f"a{n:02}" for n in range(50)]
    assert await asyncio.gather(*watchers) == [expected] * 20


async def test_a_watcher_that_does_not_read_gets_410_and_costs_nobody_anything(api: Any, maps: str) -> None:
    async with watching(api, maps, "resourceVersion=0&timeoutSeconds=120") as stuck:
        big = "y" * 100_000
        await api.ask("POST", maps, config_map("a"))
        for start in range(0, 640, 32):
            await asyncio.gather(
                *(
                    api.ask("PATCH", f"{maps}/a", {"data": {"x": f"{n}{big}"}}, headers=MERGE)
                    for n in range(start, start + 32)
                )
            )
        seen = 0
        while True:
            line = await asyncio.wait_for(stuck.response.content.readuntil(b"}\n"), 30)
            event = orjson.loads(line)
            if event["type"] == "ERROR":
                break
            seen += 1
        assert event["object"]["code"] == 410
        assert 0 < seen < 640
