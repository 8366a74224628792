"""Clients that work at random on a few config maps and write down what they did and saw.

Every write carries a token of its own, so that etcd's history tells which write made which version. What a client
does is decided by its seed and by what it saw before.
"""

from __future__ import annotations

import asyncio
import json
import random
import ssl
import time
from collections.abc import Callable
from typing import Any

import aiohttp
from history import Answer, Change, Did, Operation, Watched

PATIENCE = aiohttp.ClientTimeout(total=4)
NAMES = tuple(f"m{n}" for n in range(5))
PLAN = (Did.CREATE, Did.CREATE, Did.UPDATE, Did.UPDATE, Did.UPDATE, Did.PATCH, Did.DELETE, Did.GET, Did.GET)


class Traffic:
    """One run's clients. `urls` says which servers there are now."""

    def __init__(self, urls: Callable[[], list[str]], context: ssl.SSLContext, namespace: str, seed: int) -> None:
        self._urls, self._context, self._seed = urls, context, seed
        self._path = f"/api/v1/namespaces/{namespace}/configmaps"
        self.operations: list[Operation] = []
        self.watches: list[Watched] = []

    def session(self) -> aiohttp.ClientSession:
        """A client's connections; used by that client alone."""
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=self._context), timeout=PATIENCE)

    async def client(self, number: int, enough: int, until: asyncio.Event) -> None:
        """Do one thing after the other; the first whose `enough` things were acknowledged ends it for all."""
        dice = random.Random(f"{self._seed}/{number}")
        known: dict[str, tuple[str, int]] = {}
        count = acknowledged = 0
        async with self.session() as session:
            while not until.is_set():
                count += 1
                operation = await self._one(session, dice, known, f"{number}-{count}")
                self.operations.append(operation)
                acknowledged += operation.answer is Answer.OK
                if acknowledged >= enough:
                    until.set()
                await asyncio.sleep(dice.random() * 0.02)

    async def _one(
        self, session: aiohttp.ClientSession, dice: random.Random, known: dict[str, tuple[str, int]], token: str
    ) -> Operation:
        did, name, url = dice.choice(PLAN), dice.choice(NAMES), dice.choice(self._urls()) + self._path
        uid, version = known.get(name, ("", 0))
        if did in (Did.UPDATE, Did.DELETE) and not version:
            did = Did.GET
        whole = {"metadata": {"name": name}, "data": {"token": token}}
        one = f"{url}/{name}"
        precise = {"uid": uid, "resourceVersion": str(version)}
        method, target, body = {
            Did.CREATE: ("POST", url, whole),
            Did.UPDATE: ("PUT", one, whole | {"metadata": {"name": name, "resourceVersion": str(version)}}),
            Did.PATCH: ("PATCH", one, {"data": {"token": token}}),
            Did.DELETE: ("DELETE", one, {"preconditions": precise}),
            Did.GET: ("GET", one, None),
        }[did]
        kind = "application/merge-patch+json" if did is Did.PATCH else "application/json"
        began = time.monotonic()
        try:
            async with session.request(method, target, json=body, headers={"Content-Type": kind}) as response:
                status, answer = response.status, await response.json()
        except (aiohttp.ClientError, TimeoutError, json.JSONDecodeError):
            known.pop(name, None)
            return Operation(did, name, began, time.monotonic(), Answer.UNKNOWN, token)
        ended = time.monotonic()
        if status in (404, 409):
            known.pop(name, None)
            verdict = Answer.ABSENT if status == 404 else Answer.REFUSED
            return Operation(did, name, began, ended, verdict, token, expected=version)
        if status >= 500 or status == 429:
            return Operation(did, name, began, ended, Answer.UNKNOWN, token)
        assert status in (200, 201), (did, status, answer)
        if did is Did.DELETE:
            known.pop(name, None)
            return Operation(did, name, began, ended, Answer.OK, deleted=version)
        known[name] = answer["metadata"]["uid"], _version(answer)
        return Operation(
            did, name, began, ended, Answer.OK, _token(answer), _version(answer),
            expected=version if did is Did.UPDATE else 0,
        )  # fmt: skip

    async def watcher(self, number: int, until: asyncio.Event) -> None:
        """List, then watch on any server, each time from where the last watch ended; list again when told 410."""
        dice = random.Random(f"{self._seed}/w{number}")
        since = 0
        async with self.session() as session:
            while not until.is_set():
                url = dice.choice(self._urls()) + self._path
                try:
                    since = await (self._watch(session, url, since) if since else self._list(session, url))
                except (aiohttp.ClientError, TimeoutError, json.JSONDecodeError):
                    await asyncio.sleep(0.05)

    async def _list(self, session: aiohttp.ClientSession, url: str) -> int:
        began = time.monotonic()
        async with session.get(url) as response:
            answer = await response.json()
            response.raise_for_status()
        items = {item["metadata"]["name"]: (_token(item), _version(item)) for item in answer["items"]}
        version = _version(answer)
        self.operations.append(
            Operation(Did.LIST, "", began, time.monotonic(), Answer.OK, version=version, items=items)
        )
        return version

    async def _watch(self, session: aiohttp.ClientSession, url: str, since: int) -> int:
        """Watch until it ends; where the next one is to begin, 0 to list first."""
        query = f"?watch=true&allowWatchBookmarks=true&timeoutSeconds=3&resourceVersion={since}"
        events = list[Change]()
        try:
            async with session.get(url + query) as response:
                response.raise_for_status()
                async for line in response.content:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        assert event["object"]["code"] == 410, event
                        return 0
                    events.append(_change(event))
        except (aiohttp.ClientError, TimeoutError, json.JSONDecodeError):
            pass  # the server was killed: go on from the last whole line
        finally:
            self.watches.append(Watched(since, tuple(events)))
        return events[-1].revision if events else since


def _version(value: dict[str, Any]) -> int:
    return int(value["metadata"]["resourceVersion"])


def _token(value: dict[str, Any]) -> str:
    return str(value["data"]["token"])


def _change(event: dict[str, Any]) -> Change:
    if event["type"] == "BOOKMARK":
        return Change(_version(event["object"]), "", "")
    token = "" if event["type"] == "DELETED" else _token(event["object"])
    return Change(_version(event["object"]), event["object"]["metadata"]["name"], token)
