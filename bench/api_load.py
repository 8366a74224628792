"""How many requests a second one API server answers, and what each costs it.

    python -m bench.api_load [--seconds 4]

32 clients over TLS with client certificates, one connection each, against one API server and one etcd: POST pods, GET
a pod, LIST 2,000 pods at resourceVersion=0, and events to 100 watchers. The clients are a process of their own and
speak just enough HTTP to cost little, but share the machine's cores with the server: the CPU column is the steadier
figure. Kubernetes 1.20's figures are of the same machine when nothing else ran on it (docs/benchmarks.md).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any

import uvloop

from bench.processes import cpu_seconds
from tests.servers import Servers

CLIENTS = 32
PODS = 2000
WATCHERS = 100
GOALS = {"POST pods": 1300.0, "GET pod": 6000.0, "LIST 2,000 pods": 100.0, "watch fan-out": 50_000.0}
KUBERNETES = {"POST pods": 1290.0, "GET pod": 4000.0, "LIST 2,000 pods": 21.0, "watch fan-out": 33_000.0}
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"generateName": "load-", "labels": {"app": "load"}},
    "spec": {
        "containers": [
            {
                "name": "main",
                "image": "registry.example/app:1",
                "env": [{"name": "A", "value": "1"}],
                "ports": [{"containerPort": 8080}],
                "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
                "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}},
            }
        ]
    },
}
BODY = json.dumps(POD, separators=(",", ":")).encode()
BASE = "/api/v1/namespaces/default/pods"
ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"
ACCOUNT = b'{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"default"}}'


class Link:
    """One kept connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port: int, context: ssl.SSLContext) -> Link:
        """Connect over TLS. Raises OSError."""
        return cls(*await asyncio.open_connection("127.0.0.1", port, ssl=context, limit=1 << 24))

    async def ask(self, method: str, path: str, body: bytes = b"") -> bytes:
        """The answer's body. Raises RuntimeError for an error's status."""
        head = await self.start(method, path, body)
        length = head.lower().find(b"content-length:") + 15
        if length < 15:
            data = b"".join([one async for one in self._chunks()])
        else:
            data = await self.reader.readexactly(int(head[length : head.index(b"\r", length)]))
        if head[9:10] != b"2":
            raise RuntimeError(f"{method} {path}: {data[:300]!r}")
        return data

    async def _chunks(self) -> AsyncIterator[bytes]:
        """The chunks of a body whose length is not told; Go's server does that with what is longer than 2 kB."""
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            yield (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readexactly(2)

    async def start(self, method: str, path: str, body: bytes = b"") -> bytes:
        """Send, and read the answer's head."""
        kind = "Content-Type: application/json\r\n" if body else ""
        head = f"{method} {path} HTTP/1.1\r\nHost: api\r\n{kind}Content-Length: {len(body)}\r\n\r\n"
        self.writer.write(head.encode() + body)
        return await self.reader.readuntil(b"\r\n\r\n")


async def hammer(links: list[Link], seconds: float, method: str, path: str, body: bytes = b"") -> list[float]:
    """Ask over and over on every connection; each request's seconds."""
    times: list[float] = []
    until = time.perf_counter() + seconds

    async def one(link: Link) -> None:
        while (began := time.perf_counter()) < until:
            await link.ask(method, path, body)
            times.append(time.perf_counter() - began)

    await asyncio.gather(*(one(link) for link in links))
    return times


@dataclass(frozen=True)
class Row:
    """What one measurement gave: requests or events, seconds, the server's CPU seconds, each one's seconds."""

    count: int
    took: float
    cpu: float
    times: list[float]

    @property
    def rate(self) -> float:
        """How many a second."""
        return self.count / self.took

    @property
    def cost(self) -> float:
        """Microseconds of the server's CPU each."""
        return self.cpu / self.count * 1e6


def report(what: str, row: Row) -> None:
    """Print one row."""
    cuts = quantiles(row.times, n=100)
    print(
        f"{what}: {row.rate:,.0f}/s, {row.rate / KUBERNETES[what]:.2f} of Kubernetes 1.20's {KUBERNETES[what]:,.0f}"
        f" (goal {GOALS[what]:,.0f}); p50 {cuts[49] * 1e3:.1f} ms, p99 {cuts[98] * 1e3:.1f} ms;"
        f" {row.cost:,.0f} us of the server's CPU each",
        flush=True,
    )


async def fan_out(
    port: int, context: ssl.SSLContext, writers: list[Link], seconds: float
) -> tuple[int, float, list[float]]:
    """Write to 20 config maps while 100 watchers look: events that arrived, seconds, and each write's delay."""
    version = json.loads(await writers[0].ask("GET", "/api/v1/namespaces/default/configmaps"))["metadata"]
    path = f"/api/v1/namespaces/default/configmaps?watch=1&resourceVersion={version['resourceVersion']}"
    links = [await Link.open(port, context) for _ in range(WATCHERS)]
    for link in links:
        await link.start("GET", path)
    arrived, delays, ended = 0, list[float](), False

    async def watcher(link: Link) -> None:
        nonlocal arrived
        while not ended:
            chunk = await link.reader.read(1 << 20)
            found = chunk.count(b'"type":"')
            arrived += found
            at = chunk.rfind(b'"sent":"') + 8
            end = chunk.find(b'"', at)
            if at >= 8 and end > 0:
                delays.append(time.time() - float(chunk[at:end]))

    watching = [asyncio.ensure_future(watcher(link)) for link in links]
    began = time.perf_counter()

    async def writer(at: int, link: Link) -> None:
        name = f"fan-{began:.0f}-{at}"
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
        await link.ask("POST", "/api/v1/namespaces/default/configmaps", json.dumps(body).encode())
        while time.perf_counter() < began + seconds:
            body["data"] = {"sent": str(time.time()), "text": "x" * 600}  # type: ignore[assignment]  # a JSON value
            await link.ask("PUT", f"/api/v1/namespaces/default/configmaps/{name}", json.dumps(body).encode())

    await asyncio.gather(*(writer(at, link) for at, link in enumerate(writers[:20])))
    took = time.perf_counter() - began
    ended = True
    for task, link in zip(watching, links, strict=True):
        task.cancel()
        link.writer.transport.abort()
    await asyncio.gather(*watching, return_exceptions=True)
    return arrived, took, delays


class Load:
    """The clients of one server. The rows are measured in the order in which they stand here."""

    def __init__(self, port: int, pid: int, context: ssl.SSLContext) -> None:
        self.port, self.pid, self.context = port, pid, context
        self.links: list[Link] = []
        self.name = ""

    async def connect(self) -> None:
        """Open the connections; the namespace's service account is there already. Warms everything up."""
        self.links = [await Link.open(self.port, self.context) for _ in range(CLIENTS)]
        await hammer(self.links, 0.5, "POST", BASE, BODY)
        pods = json.loads(await self.links[0].ask("GET", f"{BASE}?limit=1"))["items"]
        self.name = pods[0]["metadata"]["name"]

    async def row(self, what: str, seconds: float) -> Row:
        """Measure one row, by its name."""
        before, began = cpu_seconds(self.pid), time.perf_counter()
        if what == "watch fan-out":
            count, took, times = await fan_out(self.port, self.context, self.links, seconds)
            return Row(count, took, cpu_seconds(self.pid) - before, times)
        method, path, body = {
            "POST pods": ("POST", BASE, BODY),
            "GET pod": ("GET", f"{BASE}/{self.name}", b""),
            "LIST 2,000 pods": ("GET", f"{BASE}?resourceVersion=0", b""),
        }[what]
        times = await hammer(self.links, seconds, method, path, body)
        return Row(len(times), time.perf_counter() - began, cpu_seconds(self.pid) - before, times)

    async def shelve(self) -> None:
        """Make it 2,000 pods exactly; the one that GET asks for stays."""
        pods = json.loads(await self.links[0].ask("GET", BASE))["items"]
        names = sorted((one["metadata"]["name"] for one in pods), key=lambda name: name != self.name)
        await shelve(self.links, names)


async def measure(servers: Servers, seconds: float) -> None:
    """All rows."""
    servers.kubeconfig_of("load", ("system:masters",))
    load = Load(servers.server.port, servers.server.process.pid, servers.tls("load"))
    link = await Link.open(load.port, load.context)
    await link.ask("POST", ACCOUNTS, ACCOUNT)
    await load.connect()
    for what in GOALS:
        if what == "LIST 2,000 pods":
            await load.shelve()
        report(what, await load.row(what, seconds))


async def shelve(links: list[Link], names: list[str]) -> None:
    """Make it 2,000 pods exactly."""
    left = iter(names[PODS:])

    async def delete(link: Link) -> None:
        for name in left:
            await link.ask("DELETE", f"{BASE}/{name}?gracePeriodSeconds=0")

    missing = iter(range(PODS - len(names)))

    async def create(link: Link) -> None:
        for _ in missing:
            await link.ask("POST", BASE, BODY)

    for work in (delete, create):
        each: Callable[[Link], Any] = work
        await asyncio.gather(*(each(link) for link in links))


def main() -> int:
    """Start the servers, measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0, help="how long each row is measured")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, Servers(Path(name)) as servers:
        uvloop.run(measure(servers, options.seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
