"""Kills, restarts, two servers over one etcd, clients that misbehave."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.servers import ROOT, Servers

MAPS = "/api/v1/namespaces/default/configmaps"


@asynccontextmanager
async def client(servers: Servers) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(ssl=servers.tls("kubernetes-admin"))
    async with aiohttp.ClientSession(connector=connector) as session:
        yield session


async def create(session: aiohttp.ClientSession, url: str, name: str) -> int:
    async with session.post(url + MAPS, json={"metadata": {"name": name}}) as response:
        await response.read()
        return response.status


async def names(session: aiohttp.ClientSession, url: str) -> set[str]:
    async with session.get(url + MAPS) as response:
        body = await response.json()
        assert response.status == 200, body
        return {one["metadata"]["name"] for one in body["items"]}


async def test_acknowledged_writes_survive_kills_of_everything(own_servers: Servers) -> None:
    servers = own_servers
    async with client(servers) as session:
        for n in range(20):
            assert await create(session, servers.url, f"a{n}") == 201
    servers.server.kill()
    servers.etcd.kill()
    servers.etcd.start()
    servers.start_server().wait(servers.tls())
    async with client(servers) as session:
        assert {f"a{n}" for n in range(20)} <= await names(session, servers.url)


async def test_two_servers_are_one(own_servers: Servers) -> None:
    servers = own_servers
    first = servers.url
    servers.start_server().wait(servers.tls())
    second = servers.url
    async with client(servers) as session:
        for n in range(20):
            here, there = (first, second) if n % 2 else (second, first)
            assert await create(session, here, f"a{n}") == 201
            assert f"a{n}" in await names(session, there)
            assert await create(session, there, f"a{n}") == 409


async def test_etcd_may_be_away_for_a_while(own_servers: Servers) -> None:
    servers = own_servers
    async with client(servers) as session:
        assert await create(session, servers.url, "a") == 201
        servers.etcd.kill()
        pending = asyncio.create_task(create(session, servers.url, "b"))
        async with session.get(f"{servers.url}{MAPS}?resourceVersion=0") as response:
            assert response.status == 200
        servers.etcd.start()
        assert await pending == 201
        assert {"a", "b"} <= await names(session, servers.url)


async def test_sigterm_ends_watches_and_the_process(own_servers: Servers) -> None:
    servers = own_servers
    async with client(servers) as session:
        assert await create(session, servers.url, "a") == 201
        async with asyncio.timeout(20), session.get(f"{servers.url}{MAPS}?watch=1") as watch:
            assert b'"ADDED"' in await watch.content.readline()
            status = asyncio.create_task(asyncio.to_thread(servers.server.stop))
            await watch.content.read()
            assert await status == 0


async def test_a_silent_and_a_half_open_client_do_not_disturb_others(servers: Servers, api: Any) -> None:
    context = ssl.create_default_context(cafile=str(servers.ca))
    opened = [
        await asyncio.open_connection("127.0.0.1", servers.server.port, ssl=context, server_hostname="localhost")
        for _ in range(20)
    ]
    for _, writer in opened[:10]:
        writer.write(b"POST /api/v1/namespaces HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n")
    raw = [await asyncio.open_connection("127.0.0.1", servers.server.port) for _ in range(20)]
    assert (await api.ask("GET", "/api/v1/namespaces"))[0] == 200
    for _, writer in (*opened, *raw):
        writer.transport.abort()


async def test_an_inherited_listening_socket_is_served(own_servers: Servers) -> None:
    servers = own_servers
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        port = listener.getsockname()[1]
        settings = json.loads((servers.directory / f"apiserver-{servers.server.port}.json").read_text())
        config = servers.directory / "inherited.json"
        config.write_text(json.dumps(settings | {"listen": [], "listen_fds": [listener.fileno()]}))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "apiserver.main", "--config", str(config), pass_fds=[listener.fileno()], cwd=ROOT
        )
    try:
        url = f"https://127.0.0.1:{port}/version"
        async with asyncio.timeout(20), client(servers) as session, session.get(url) as response:
            assert response.status == 200
    finally:
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 6) == 0


async def test_garbage_is_400_and_ends_the_connection(servers: Servers) -> None:
    context = ssl.create_default_context(cafile=str(servers.ca))
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", servers.server.port, ssl=context, server_hostname="localhost"
    )
    writer.write(b"\x16\x03\x01 garbage\r\n\r\n")
    async with asyncio.timeout(10):
        assert (await reader.read()).startswith(b"HTTP/1.") is True
    writer.close()


async def test_what_exists_from_the_start_comes_back_when_it_is_deleted(own_servers: Servers) -> None:
    path = own_servers.url + "/api/v1/namespaces/default/services"
    async with client(own_servers) as session:
        async with session.get(path) as response:
            listed = await response.json()
        (old,) = listed["items"]
        revision = listed["metadata"]["resourceVersion"]
        async with session.delete(f"{path}/kubernetes") as response:
            assert response.status == 200
        query = {"watch": "1", "resourceVersion": revision, "timeoutSeconds": "20"}
        async with session.get(path, params=query) as response:
            events = [json.loads(await response.content.readline()) for _ in range(2)]
        assert [event["type"] for event in events] == ["DELETED", "ADDED"]
        assert events[1]["object"]["spec"] == old["spec"]
