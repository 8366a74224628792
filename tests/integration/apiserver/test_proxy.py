"""pods/proxy, services/proxy and nodes/proxy pass HTTP on to a node's agent."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from tests.servers import Servers

MERGE = {"Content-Type": "application/merge-patch+json"}


@pytest.fixture
async def agent(servers: Servers) -> AsyncIterator[int]:
    """A node agent's API on loopback that answers with what it was asked."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        if "refused" in request.path:
            return web.Response(status=503, headers={"Sampan-Refused": "connection refused"})
        if "page" in request.path:
            return web.Response(text='<a href="/next">n</a>', content_type="text/html")
        if "moved" in request.path:
            return web.Response(status=302, headers={"Location": "/there?x"})
        if "stream" in request.path:
            response = web.StreamResponse()
            await response.prepare(request)
            for _ in range(64):
                await response.write(b"x" * 65536)
            return response
        body = await request.read()
        said = {
            "method": request.method,
            "path": request.raw_path,
            "body": body.decode(),
            "headers": {name.lower(): value for name, value in request.headers.items()},
        }
        return web.json_response(said, status=418)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(servers.directory / "server.pem", servers.directory / "server.key")
    context.load_verify_locations(servers.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    server = await asyncio.get_running_loop().create_server(web.Server(answer), "127.0.0.1", 0, ssl=context)
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.fixture
async def place(api: Any, agent: int) -> tuple[str, str]:
    """(namespace path, node) with a pod `p` behind a service `s`, on a node with that agent."""
    namespace = await api.new_namespace()
    node, base = f"node-{namespace}", f"/api/v1/namespaces/{namespace}"
    await api.ask("POST", "/api/v1/nodes", {"metadata": {"name": node}})
    addresses = [{"type": "InternalIP", "address": "127.0.0.1"}]
    status = {"addresses": addresses, "daemonEndpoints": {"kubeletEndpoint": {"Port": agent}}}
    await api.ask("PATCH", f"/api/v1/nodes/{node}/status", {"status": status}, headers=MERGE)
    await api.ask("POST", f"{base}/serviceaccounts", {"metadata": {"name": "default"}})
    container = {"name": "c", "image": "i", "ports": [{"containerPort": 8080}]}
    spec = {"nodeName": node, "containers": [container]}
    await api.ask("POST", f"{base}/pods", {"metadata": {"name": "p"}, "spec": spec})
    await api.ask("PATCH", f"{base}/pods/p/status", {"status": {"podIP": "10.9.9.9"}}, headers=MERGE)
    await api.ask("POST", f"{base}/services", {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})
    endpoint = {"addresses": ["10.9.9.9"], "nodeName": node, "targetRef": {"kind": "Pod", "name": "p"}}
    sliced = {
        "metadata": {"name": "s-1", "labels": {"kubernetes.io/service-name": "s"}},
        "addressType": "IPv4",
        "ports": [{"name": "", "port": 9090}],
        "endpoints": [endpoint],
    }
    code, body, _ = await api.ask("POST", f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices", sliced)
    assert code == 201, body
    return base, node


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_every_method_reaches_the_pod(api: Any, place: tuple[str, str], method: str) -> None:
    base, _ = place
    body = b"hello" if method in ("POST", "PUT", "PATCH") else None
    sent = {"X-Mine": "1", "Authorization": "Bearer", "Content-Type": "text/x"}
    del sent["Authorization"]
    status, said, _ = await api.ask(method, f"{base}/pods/p/proxy/a%2Fb//c/?q=1&q=2", body, headers=sent)
    assert (status, said["method"], said["body"]) == (418, method, (body or b"").decode())
    namespace = base.rpartition("/")[2]
    assert said["path"] == f"/podProxy/{namespace}/p/http/8080/a%2Fb//c/?q=1&q=2"
    assert (said["headers"]["x-mine"], said["headers"]["content-type"]) == ("1", "text/x")
    assert "accept-encoding" not in said["headers"]


async def test_a_service_means_its_endpoint_and_a_node_its_agent(api: Any, place: tuple[str, str]) -> None:
    base, node = place
    namespace = base.rpartition("/")[2]
    for name in ("s", "s:80", "http:s:80"):
        _, said, _ = await api.ask("GET", f"{base}/services/{name}/proxy/x")
        assert said["path"] == f"/podProxy/{namespace}/p/http/9090/x"
    _, said, _ = await api.ask("GET", f"/api/v1/nodes/{node}/proxy/stats/summary?a=b")
    assert said["path"] == "/stats/summary?a=b"


async def test_pages_and_redirects_lead_through_the_proxy(api: Any, place: tuple[str, str]) -> None:
    base, _ = place
    _, page, _ = await api.ask("GET", f"{base}/pods/p/proxy/page")
    assert page == f'<a href="{base}/pods/p/proxy/next">n</a>'
    status, _, headers = await api.ask("GET", f"{base}/pods/p/proxy/moved", allow_redirects=False)
    assert (status, headers["Location"]) == (302, f"{base}/pods/p/proxy/there?x")
    status, _, headers = await api.ask("GET", f"{base}/pods/p/proxy?a=b", allow_redirects=False)
    assert (status, headers["Location"]) == (301, f"{base}/pods/p/proxy/?a=b")


async def test_long_answers_stream(api: Any, place: tuple[str, str]) -> None:
    base, _ = place
    async with api.session.get(f"{api.servers.url}{base}/pods/p/proxy/stream") as answer:
        assert len(await answer.read()) == 64 * 65536


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("pods/none/proxy/", 404),
        ("services/none/proxy/", 404),
        ("services/s:81/proxy/", 503),
        ("pods/p:web/proxy/", 400),
        ("pods/a:b:c:d/proxy/", 400),
        ("pods/p/proxy/refused", 503),
        ("configmaps/p/proxy/", 404),
    ],
)
async def test_what_is_not_there_is_said(api: Any, place: tuple[str, str], path: str, code: int) -> None:
    status, body, _ = await api.ask("GET", f"{place[0]}/{path}")
    assert (status, body["kind"], body["code"]) == (code, "Status", code)


async def test_a_node_may_not_use_the_proxy(api: Any, place: tuple[str, str]) -> None:
    base, node = place
    headers = {"Impersonate-User": f"system:node:{node}", "Impersonate-Group": "system:nodes"}
    for path in (f"{base}/pods/p/proxy/", f"{base}/services/s/proxy/", f"/api/v1/nodes/{node}/proxy/pods"):
        assert (await api.ask("GET", path, headers=headers))[0] == 403


async def test_the_root_is_redirected_to_for_those_who_only_look(api: Any, place: tuple[str, str]) -> None:
    root = f"{place[0]}/pods/p/proxy"
    for method, expected in (("GET", 301), ("HEAD", 301), ("POST", 418), ("PUT", 418), ("DELETE", 418)):
        status, said, headers = await api.ask(method, f"{root}?method={method}", allow_redirects=False)
        assert status == expected
        if expected == 301:
            assert headers["Location"] == f"{root}/?method={method}"
        else:
            assert said["path"].endswith(f"/8080/?method={method}")
    status, said, headers = await api.ask("HEAD", f"{root}/some/path", headers={"Content-Type": "text/plain"})
    assert (status, said) == (418, "")
