"""Which API servers live, and that the `kubernetes` Service leads to all of them.

Each server keeps a key in etcd under a lease of its own and renews it, which makes no revision. The key of a server
that is gone ends with its lease; the others see that in their watch and write the Service's endpoints anew.
Always: the endpoints are never empty, so a cluster whose last server stops finds its way when it starts again.
Source: what kube-apiserver does with `--endpoint-reconciler-type=lease`; the endpoints look the same.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import orjson

from apiserver.core import Core
from apiserver.kind import Json
from apiserver.storage import PREFIX, Stale
from sampan import kinds
from sampan.errors import ApiError
from sampan.logs import fields
from sampan.resource import Resource

log = logging.getLogger(__name__)

SHELF = "sampan.servers/addresses"
SERVICE = "kubernetes"
LEASE_SECONDS = 15
RENEW_SECONDS = 5.0
RETRY_SECONDS = 1.0


@dataclass(frozen=True, order=True)
class Address:
    """Where one server is reached."""

    host: str
    port: int


class Presence:
    """This server's key in etcd. Own `run` as a task; `leave` ends it in order."""

    def __init__(self, core: Core, address: Address) -> None:
        self._core = core
        self.address = address
        self.announced = asyncio.Event()
        """Set once the key is there and this server's cache shows it."""
        self._lease = 0

    async def run(self) -> None:
        """Keep the key there until cancelled."""
        while True:
            try:
                await self._announce()
                alive = True
                while alive:
                    await asyncio.sleep(RENEW_SECONDS)
                    alive = await self._core.storage.keep_alive(self._lease)
                log.warning("this server's lease has ended, taking another", extra=fields(lease=self._lease))
            except (ApiError, Stale, TimeoutError) as error:
                log.warning("this server can't be announced", extra=fields(error=error))
                await asyncio.sleep(RETRY_SECONDS)

    async def _announce(self) -> None:
        storage = self._core.storage
        key = PREFIX + f"{SHELF}/{self.address.host}:{self.address.port}".encode()
        found = await storage.get(key)  # an earlier run's key, whose lease may end at any moment, is taken over
        self._lease = await storage.grant(LEASE_SECONDS)
        value = orjson.dumps({"host": self.address.host, "port": self.address.port})
        revision = await storage.put(key, value, found.revision if found else 0, self._lease)
        await self._core.cache.reach(revision)
        self.announced.set()

    async def leave(self) -> None:
        """Be gone for the others at once. Only a courtesy: the lease ends by itself."""
        if not self._lease:
            return
        try:
            async with asyncio.timeout(1.0):
                await self._core.storage.revoke(self._lease)
        except (ApiError, TimeoutError) as error:
            log.info("the lease ends by itself", extra=fields(error=error))


def living(core: Core) -> list[Address]:
    """The servers whose keys the cache has now, in order."""
    items = core.cache.shelf(SHELF).items.values()
    return sorted(Address(str(item.value["host"]), int(item.value["port"])) for item in items)


def endpoints(servers: Collection[Address]) -> list[tuple[Resource[Any], Json]]:
    """Where the Service leads. Pure.

    A slice has one set of ports, so of servers with different ports it lists those with the first one's; the older
    Endpoints have a subset for each port.
    """
    metadata = {"name": SERVICE, "namespace": "default", "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}}
    ports = sorted({one.port for one in servers}, key=lambda port: min(one for one in servers if one.port == port))
    hosts = {port: sorted({one.host for one in servers if one.port == port}) for port in ports}
    old = {
        "metadata": metadata,
        "subsets": [{"addresses": [{"ip": host} for host in hosts[port]], "ports": [_port(port)]} for port in ports],
    }
    new = {
        "metadata": metadata | {"labels": {"kubernetes.io/service-name": SERVICE}},
        "addressType": "IPv6" if ":" in hosts[ports[0]][0] else "IPv4",
        "endpoints": [{"addresses": [host], "conditions": {"ready": True}} for host in hosts[ports[0]]],
        "ports": [_port(ports[0])],
    }
    return [(kinds.ENDPOINTS, old), (kinds.ENDPOINT_SLICES, new)]


def _port(number: int) -> Json:
    return {"name": "https", "port": number, "protocol": "TCP"}
