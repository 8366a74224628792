"""Joining, seen from the API: real bootstrap tokens, real requests, real certificates, and each refusal's sentence."""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from sampan.certs import Pair
from sampan.signing_requests import CLIENT_SIGNER, SigningRequest, node_request
from servers import ROOT, Servers

REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
SECRETS = "/api/v1/namespaces/kube-system/secrets"
CLIENT_USAGES = ["digital signature", "client auth"]
SERVING_USAGES = ["digital signature", "server auth"]
numbers = count(1)
YEAR = 365 * 24 * 3600


class Controllers:
    """The controllers' process, with an authority to sign with."""

    def __init__(self, servers: Servers) -> None:
        servers.authority.pair.write(servers.directory / "ca.crt", servers.directory / "ca.key")
        config = servers.directory / "controllers.json"
        config.write_text(
            json.dumps(
                {
                    "kubeconfig": str(servers.kubeconfig_of("system:kube-controller-manager")),
                    "root_ca_file": str(servers.ca),
                    "signing": {"cert": str(servers.directory / "ca.crt"), "key": str(servers.directory / "ca.key")},
                    "join_facts": {"clusterCIDR": "10.244.0.0/16", "serviceCIDR": "10.96.0.0/16"},
                    "identity": "test",
                }
            )
        )
        self.log = servers.directory / "controllers.log"
        with self.log.open("ab") as log:
            command = ["setpriv", "--pdeathsig", "KILL", "--", sys.executable, "-m", "controllers.main"]
            self.process = subprocess.Popen([*command, "--config", str(config)], cwd=ROOT, stderr=log)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with Servers(tmp_path_factory.mktemp("certificates")) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def controllers(servers: Servers) -> Iterator[Controllers]:
    running = Controllers(servers)
    yield running
    running.process.terminate()
    assert running.process.wait(10) == 0
    assert "a bug in" not in running.log.read_text()


class Caller:
    """Somebody who calls the API."""

    def __init__(self, servers: Servers, session: aiohttp.ClientSession) -> None:
        self._servers, self._session = servers, session

    async def ask(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> tuple[int, Any]:
        async with self._session.request(
            method, self._servers.url + path, data=json.dumps(body) if body is not None else None,
            headers={"Content-Type": kind},
        ) as response:  # fmt: skip
            return response.status, await response.json()

    async def request(
        self,
        made: SigningRequest,
        signer: str = CLIENT_SIGNER,
        usages: list[str] | None = None,
        seconds: int | None = None,
        name: str = "",
    ) -> str:
        """Create a request; its name."""
        spec: dict[str, Any] = {
            "request": base64.b64encode(made.request).decode(),
            "signerName": signer,
            "usages": CLIENT_USAGES if usages is None else usages,
        }
        if seconds is not None:
            spec["expirationSeconds"] = seconds
        name = name or f"csr-{next(numbers)}"
        status, answer = await self.ask("POST", REQUESTS, {"metadata": {"name": name}, "spec": spec})
        assert status == 201, answer
        return name

    async def until(self, name: str, *what: str) -> dict[str, Any]:
        """Watch a request until it has a condition of one of the types, or `certificate`; the condition or status."""
        selector = f"{REQUESTS}?watch=1&timeoutSeconds=20&fieldSelector=metadata.name%3D{name}"
        async with self._session.get(self._servers.url + selector) as response:
            assert response.status == 200, await response.text()
            async for line in response.content:
                status = json.loads(line)["object"].get("status", {})
                if "certificate" in what and status.get("certificate"):
                    return dict(status)
                for one in status.get("conditions", ()):
                    if one["type"] in what:
                        return dict(one)
        raise AssertionError(f"{name} never became {what}: {await self.ask('GET', f'{REQUESTS}/{name}')}")

    async def certificate(self, name: str) -> x509.Certificate:
        """The certificate, once it is there."""
        status = await self.until(name, "certificate")
        return x509.load_pem_x509_certificate(base64.b64decode(status["certificate"]))


@asynccontextmanager
async def caller(servers: Servers, *, token: str = "", pair: Pair | None = None) -> AsyncIterator[Caller]:
    """By a token, by a certificate, or else the administrator."""
    name = "" if token else "kubernetes-admin"
    if pair is not None:
        name = f"pair-{next(numbers)}"
        pair.write(servers.directory / f"{name}.pem", servers.directory / f"{name}.key")
    context: ssl.SSLContext = servers.tls(name)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context), headers=headers) as session:
        yield Caller(servers, session)


@pytest.fixture
async def admin(servers: Servers) -> AsyncIterator[Caller]:
    async with caller(servers) as one:
        yield one


async def new_token(admin: Caller, **keys: str) -> str:
    """A bootstrap token that lasts an hour, unless told otherwise."""
    identity, secret = f"abc{next(numbers):03d}", "0123456789abcdef"
    ends = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    data = {
        "token-id": identity,
        "token-secret": secret,
        "expiration": ends,
        "usage-bootstrap-authentication": "true",
    } | {key.replace("_", "-"): value for key, value in keys.items()}
    body = {
        "metadata": {"name": f"bootstrap-token-{identity}"},
        "type": "bootstrap.kubernetes.io/token",
        "stringData": {key: value for key, value in data.items() if value},
    }
    status, answer = await admin.ask("POST", SECRETS, body)
    assert status == 201, answer
    return f"{identity}.{secret}"


async def joined(servers: Servers, admin: Caller, node: str) -> Pair:
    """A node's client certificate, got by a token; the Node exists afterwards."""
    made = node_request(node)
    async with caller(servers, token=await new_token(admin)) as machine:
        name = await machine.request(made)
        status = await machine.until(name, "certificate", "Denied")
    pair = Pair(base64.b64decode(status["certificate"]), made.key)
    async with caller(servers, pair=pair) as itself:
        status_code, answer = await itself.ask("POST", "/api/v1/nodes", {"metadata": {"name": node}})
        assert status_code == 201, answer
    return pair


async def test_a_machine_with_a_token_becomes_a_node(servers: Servers, admin: Caller) -> None:
    made = node_request("joining")
    token = await new_token(admin)
    async with caller(servers, token=token) as machine:
        name = await machine.request(made, seconds=3600)
        certificate = await machine.certificate(name)
        status, answer = await machine.ask("GET", "/api/v1/namespaces/default/secrets")
        assert status == 403
        assert f'User "system:bootstrap:{token[:6]}" cannot list resource "secrets"' in answer["message"]
    now = datetime.now(UTC)
    assert certificate.not_valid_before_utc < now - timedelta(minutes=4)
    assert now + timedelta(seconds=3500) < certificate.not_valid_after_utc < now + timedelta(seconds=3700)
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    extended = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(extended) == [x509.ExtendedKeyUsageOID.CLIENT_AUTH]
    pair = Pair(certificate.public_bytes(serialization.Encoding.PEM), made.key)
    async with caller(servers, pair=pair) as node:
        status, review = await node.ask("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
        assert review["status"]["userInfo"]["username"] == "system:node:joining"
        assert "system:nodes" in review["status"]["userInfo"]["groups"]
        assert (await node.ask("POST", "/api/v1/nodes", {"metadata": {"name": "joining"}}))[0] == 201
        assert (await node.ask("POST", "/api/v1/nodes", {"metadata": {"name": "other"}}))[0] == 403
    _, request = await admin.ask("GET", f"{REQUESTS}/{name}")
    assert request["spec"]["username"] == f"system:bootstrap:{token[:6]}"
    assert request["spec"]["groups"] == ["system:bootstrappers", "system:authenticated"]


async def test_what_a_machine_must_know_is_there_for_a_token(servers: Servers, admin: Caller) -> None:
    async with caller(servers, token=await new_token(admin)) as machine:
        status, found = await machine.ask("GET", "/api/v1/namespaces/kube-system/configmaps/sampan-config")
        assert status == 200, found
        facts = json.loads(found["data"]["cluster.json"])
        assert facts["servers"] == [servers.url]
        assert facts["clusterCIDR"] == "10.244.0.0/16"
        status, found = await machine.ask("GET", "/api/v1/namespaces/kube-public/configmaps/cluster-info")
        assert status == 200, found
        cluster = json.loads(found["data"]["kubeconfig"])["clusters"][0]["cluster"]
        assert cluster["server"] == servers.url
        assert base64.b64decode(cluster["certificate-authority-data"]) == servers.ca.read_bytes()
        assert (await machine.ask("GET", "/api/v1/namespaces/kube-system/configmaps/other"))[0] == 403
