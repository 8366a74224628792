"""A client of a cluster's API that asks it directly: no process a request."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from clusters import LocalCluster

PATIENCE = 120.0


class Api:
    """async with Api(cluster) as api: ..."""

    def __init__(self, cluster: LocalCluster) -> None:
        pki = cluster.places.pki
        self.context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        self.context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        self.url = cluster.kubectl("config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}")

    @property
    def address(self) -> tuple[str, int]:
        """Where the API server listens."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or 443

    async def __aenter__(self) -> Api:
        connector = aiohttp.TCPConnector(ssl=self.context, limit=16)
        self._session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=60))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def ask(self, method: str, path: str, body: object = None, kind: str = "application/json") -> dict[str, Any]:
        """One request. Raises AssertionError for an answer that is no success."""
        async with self._session.request(
            method, self.url + path, json=body, headers={"Content-Type": kind} if body is not None else {}
        ) as response:
            answer: dict[str, Any] = await response.json()
            assert response.status < 300, f"{method} {path}: {answer}"
            return answer

    async def until(self, path: str, enough: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Get something until it is as wanted. Raises AssertionError with how it was."""
        deadline = time.monotonic() + PATIENCE
        while True:
            there = await self.ask("GET", path)
            if enough(there):
                return there
            assert time.monotonic() < deadline, f"{path} stays {str(there)[:2000]}"
            await asyncio.sleep(0.25)
