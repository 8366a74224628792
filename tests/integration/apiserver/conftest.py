"""Real etcd, a real API server process, real clients."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from tests.servers import Servers

numbers = count(1)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """One etcd and API server for all tests that leave them as they are."""
    with Servers(tmp_path_factory.mktemp("shared")) as made:
        yield made


@pytest.fixture
def own_servers(tmp_path: Path) -> Iterator[Servers]:
    """An etcd and API server for one test, to be broken."""
    with Servers(tmp_path) as made:
        yield made


class Api:
    """Raw HTTP as a user, for tests of the wire."""

    def __init__(self, servers: Servers, session: aiohttp.ClientSession) -> None:
        self.servers, self.session = servers, session

    async def ask(self, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, Any, Any]:
        """(status, decoded JSON or text, headers)."""
        data = body if isinstance(body, bytes | None) else orjson.dumps(body)
        headers = {"Content-Type": "application/json"} | options.pop("headers", {})
        async with self.session.request(
            method, self.servers.url + path, data=data, headers=headers, **options
        ) as response:
            raw = await response.read()
            value = orjson.loads(raw) if raw and "json" in response.content_type else raw.decode()
            return response.status, value, response.headers

    async def new_namespace(self) -> str:
        """A namespace of the test's own."""
        name = f"test-{next(numbers)}"
        status, value, _ = await self.ask("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        assert status == 201, value
        return name


@pytest.fixture
async def api(servers: Servers) -> AsyncIterator[Api]:
    """The administrator's raw HTTP."""
    connector = aiohttp.TCPConnector(ssl=servers.tls("kubernetes-admin"))
    async with aiohttp.ClientSession(connector=connector) as session:
        yield Api(servers, session)


@pytest.fixture
async def maps(api: Api) -> str:
    """The path of the config maps of a new namespace."""
    return f"/api/v1/namespaces/{await api.new_namespace()}/configmaps"
