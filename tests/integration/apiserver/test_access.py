"""Who is let in, and who may do what."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from tests.servers import Servers


@asynccontextmanager
async def user(servers: Servers, name: str = "", groups: tuple[str, ...] = (), token: str = "") -> AsyncIterator[Any]:
    """A session with a certificate of a name, a token, or nothing."""
    if name:
        servers.kubeconfig_of(name, groups)
    context: ssl.SSLContext = servers.tls(name.replace(":", "-"))
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context), headers=headers) as session:

        async def ask(method: str, path: str, body: Any = None) -> tuple[int, Any]:
            async with session.request(method, servers.url + path, json=body) as response:
                value = await (response.json() if "json" in response.content_type else response.text())
                return response.status, value

        yield ask


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/healthz", 200), ("/livez", 200), ("/readyz", 200), ("/version", 200), ("/api", 401), ("/metrics", 401)],
)
async def test_nobody_sees_health_and_version_only(servers: Servers, path: str, expected: int) -> None:
    async with user(servers) as ask:
        assert (await ask("GET", path))[0] == expected


async def test_a_bad_token_is_401(servers: Servers) -> None:
    async with user(servers, token="a.b.c") as ask:
        status, body = await ask("GET", "/api")
        assert (status, body["reason"], body["message"]) == (401, "Unauthorized", "Unauthorized")


async def test_a_refusal_is_worded_as_upstream_words_it(servers: Servers) -> None:
    async with user(servers, "bob") as ask:
        _, body = await ask("GET", "/api/v1/namespaces/default/pods")
        assert body["message"] == (
            'pods is forbidden: User "bob" cannot list resource "pods" in API group "" in the namespace "default"'
        )
        _, body = await ask("GET", "/apis/apps/v1/deployments")
        assert body["message"] == (
            'deployments.apps is forbidden: User "bob" cannot list resource "deployments" in API group "apps" at the '
            "cluster scope"
        )
        assert (await ask("GET", "/apis"))[0] == 200
        assert (await ask("GET", "/metrics"))[0] == 403


async def test_a_service_account_token_lives_as_long_as_its_account(servers: Servers, api: Any) -> None:
    namespace = await api.new_namespace()
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    await api.ask("POST", accounts, {"metadata": {"name": "robot"}})
    status, made, _ = await api.ask("POST", f"{accounts}/robot/token", {"spec": {"expirationSeconds": 600}})
    assert status == 201, made
    token = made["status"]["token"]
    async with user(servers, token=token) as ask:
        _, review = await ask("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
        info = review["status"]["userInfo"]
        assert info["username"] == f"system:serviceaccount:{namespace}:robot"
        assert f"system:serviceaccounts:{namespace}" in info["groups"]
        assert (await ask("GET", f"/api/v1/namespaces/{namespace}/secrets"))[0] == 403
    review_path = "/apis/authentication.k8s.io/v1/tokenreviews"
    _, review, _ = await api.ask("POST", review_path, {"spec": {"token": token}})
    assert review["status"]["authenticated"] is True
    await api.ask("DELETE", f"{accounts}/robot")
    _, review, _ = await api.ask("POST", review_path, {"spec": {"token": token}})
    assert not review["status"].get("authenticated")


async def test_a_node_sees_and_writes_its_own_only(servers: Servers, api: Any) -> None:
    namespace = await api.new_namespace()
    base = f"/api/v1/namespaces/{namespace}"
    await api.ask("POST", f"{base}/serviceaccounts", {"metadata": {"name": "default"}})
    for name in ("used", "unused"):
        await api.ask("POST", f"{base}/secrets", {"metadata": {"name": name}})
    for name, node in (("mine", "n1"), ("theirs", "n2")):
        spec = {
            "nodeName": node,
            "containers": [{"name": "c", "image": "i", "envFrom": [{"secretRef": {"name": "used"}}]}],
        }
        assert (await api.ask("POST", f"{base}/pods", {"metadata": {"name": name}, "spec": spec}))[0] == 201
    async with user(servers, "system:node:n1", ("system:nodes",)) as ask:
        assert (await ask("POST", "/api/v1/nodes", {"metadata": {"name": "n1"}}))[0] in (201, 409)
        assert (await ask("POST", "/api/v1/nodes", {"metadata": {"name": "n2"}}))[0] == 403
        assert (await ask("GET", f"{base}/pods/mine"))[0] == 200
        assert (await ask("GET", f"{base}/pods/theirs"))[0] == 403
        assert (await ask("GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dn1"))[0] == 200
        assert (await ask("GET", "/api/v1/pods"))[0] == 403
        assert (await ask("GET", f"{base}/secrets/used"))[0] == 200
        assert (await ask("GET", f"{base}/secrets/unused"))[0] == 403
        assert (await ask("DELETE", f"{base}/pods/theirs"))[0] == 403
        lease = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        assert (await ask("POST", lease, {"metadata": {"name": "n1"}}))[0] in (201, 409)
        assert (await ask("POST", lease, {"metadata": {"name": "n2"}}))[0] == 403


async def test_access_reviews_agree_with_what_is_let_through(api: Any) -> None:
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    spec = {"user": "system:kube-scheduler", "resourceAttributes": {"verb": "list", "resource": "pods"}}
    _, body, _ = await api.ask("POST", path, {"spec": spec})
    assert body["status"]["allowed"] is True
    spec["resourceAttributes"] = {"verb": "create", "resource": "pods"}
    _, body, _ = await api.ask("POST", path, {"spec": spec})
    assert body["status"]["allowed"] is False
