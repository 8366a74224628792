"""Logs and upgraded connections reach the node that runs the pod."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from sampan.upgrade import Hijacked, Opened, open_upgrade, take_over
from tests.servers import Servers

MERGE = {"Content-Type": "application/merge-patch+json"}


@pytest.fixture
async def kubelet(servers: Servers) -> AsyncIterator[tuple[int, list[str]]]:
    """A node agent's API on loopback that echoes; (port, what it was asked)."""
    asked: list[str] = []

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        peer = dict(part[0] for part in request.transport.get_extra_info("peercert")["subject"])  # type: ignore[union-attr]
        asked.append(f"{request.method} {request.raw_path} {peer['commonName']}")
        if request.path.startswith("/containerLogs"):
            return web.Response(text="one line\n") if "missing" not in request.path else web.Response(status=404)
        pipe = take_over(request, (("Connection", "Upgrade"), ("Upgrade", "SPDY/3.1")))
        while data := await pipe.reader.read(1024):
            pipe.transport.write(data.upper())
        pipe.close()
        return Hijacked()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(servers.directory / "server.pem", servers.directory / "server.key")
    context.load_verify_locations(servers.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    server = await asyncio.get_running_loop().create_server(web.Server(answer), "127.0.0.1", 0, ssl=context)
    yield server.sockets[0].getsockname()[1], asked
    server.close()


@pytest.fixture
async def pod(api: Any, kubelet: tuple[int, list[str]]) -> str:
    """The path of a pod that is bound to a node with that agent."""
    namespace = await api.new_namespace()
    node = f"node-{namespace}"
    await api.ask("POST", "/api/v1/nodes", {"metadata": {"name": node}})
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": kubelet[0]}},
    }
    code, body, _ = await api.ask("PATCH", f"/api/v1/nodes/{node}/status", {"status": status}, headers=MERGE)
    assert code == 200, body
    base = f"/api/v1/namespaces/{namespace}"
    await api.ask("POST", f"{base}/serviceaccounts", {"metadata": {"name": "default"}})
    spec = {"nodeName": node, "containers": [{"name": "c", "image": "i"}]}
    code, body, _ = await api.ask("POST", f"{base}/pods", {"metadata": {"name": "p"}, "spec": spec})
    assert code == 201, body
    return f"{base}/pods/p"


async def test_logs_come_from_the_node(api: Any, pod: str, kubelet: tuple[int, list[str]]) -> None:
    await api.ask("GET", pod)
    status, text, _ = await api.ask("GET", f"{pod}/log?tailLines=5&follow=true")
    assert (status, text) == (200, "one line\n")
    namespace = pod.split("/")[4]
    assert kubelet[1] == [f"GET /containerLogs/{namespace}/p/c?follow=true&tailLines=5 kube-apiserver-kubelet-client"]
    status, body, _ = await api.ask("GET", f"{pod}/log?container=x")
    assert (status, body["message"]) == (400, "container x is not valid for pod p")


@pytest.mark.parametrize("protocol", ["SPDY/3.1", "websocket"])
async def test_exec_is_a_pipe_to_the_node(
    api: Any, servers: Servers, pod: str, kubelet: tuple[int, list[str]], protocol: str
) -> None:
    await api.ask("GET", pod)
    headers = (("Connection", "Upgrade"), ("Upgrade", protocol), ("Sec-WebSocket-Protocol", "v5.channel.k8s.io"))
    opened = await open_upgrade(
        "127.0.0.1",
        servers.server.port,
        f"{pod}/exec?command=ls&command=-l&stdin=true&stdout=true",
        headers,
        method="POST" if protocol == "SPDY/3.1" else "GET",
        tls=servers.tls("kubernetes-admin"),
    )
    assert isinstance(opened, Opened), opened
    opened.pipe.transport.write(b"hello")
    assert await asyncio.wait_for(opened.pipe.reader.readexactly(5), 10) == b"HELLO"
    opened.pipe.close()
    assert "/p/c?input=1&output=1&command=ls&command=-l kube" in kubelet[1][-1]


async def test_exec_says_what_is_wrong(api: Any, pod: str) -> None:
    await api.ask("GET", pod)
    status, body, _ = await api.ask("POST", f"{pod}/exec?stdout=true")
    assert (status, body["message"]) == (400, "you must specify a command for exec")
    status, body, _ = await api.ask("POST", f"{pod}/exec?stdout=true&command=ls")
    assert (status, body["message"]) == (400, "Upgrade request required")
