"""Joining, seen from the API: real bootstrap tokens, real requests, real certificates, and each refusal's sentence."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from sampan.certs import Pair
from sampan.signing_requests import CLIENT_SIGNER, SERVING_SIGNER, SigningRequest, node_request, signing_request
from servers import ROOT, Servers

REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
SECRETS = "/api/v1/namespaces/kube-system/secrets"
CLIENT_USAGES = ["digital signature", "client auth"]
SERVING_USAGES = ["digital signature", "server auth"]
numbers = count(1)
MERGE = "application/merge-patch+json"


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


def stamp(seconds: float) -> str:
    """A time from now, as a token's expiration has it."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


async def new_token(admin: Caller, **keys: str) -> str:
    """A bootstrap token that lasts an hour, unless told otherwise."""
    identity, secret = f"abc{next(numbers):03d}", "0123456789abcdef"
    data = {
        "token-id": identity,
        "token-secret": secret,
        "expiration": stamp(3600),
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


async def test_a_stranger_sees_where_the_cluster_is_and_a_token_vouches_for_it(servers: Servers, admin: Caller) -> None:
    token = await new_token(admin, usage_bootstrap_signing="true")
    connector = aiohttp.TCPConnector(ssl=servers.tls())
    async with aiohttp.ClientSession(connector=connector) as session:
        stranger = Caller(servers, session)
        path = "/api/v1/namespaces/kube-public/configmaps/cluster-info"
        signed = f"jws-kubeconfig-{token[:6]}"
        data = await info(stranger, path, lambda data: signed in data)
        header, empty, given = data[signed].split(".")
        payload = base64.urlsafe_b64encode(data["kubeconfig"].encode()).rstrip(b"=").decode()
        made = hmac.digest(token[7:].encode(), f"{header}.{payload}".encode(), "sha256")
        assert (empty, given) == ("", base64.urlsafe_b64encode(made).rstrip(b"=").decode())
        assert json.loads(base64.urlsafe_b64decode(header + "==")) == {"alg": "HS256", "kid": token[:6]}
        for other in (f"{path}s", "/api/v1/namespaces/kube-public/configmaps", "/api/v1/namespaces/default/secrets"):
            assert (await stranger.ask("GET", other))[0] == 401
        assert (await stranger.ask("DELETE", path))[0] == 401
        assert (await admin.ask("DELETE", f"{SECRETS}/bootstrap-token-{token[:6]}"))[0] == 200
        await info(stranger, path, lambda data: signed not in data)


async def info(stranger: Caller, path: str, wanted: Callable[[dict[str, str]], bool]) -> dict[str, str]:
    """A ConfigMap's data, once it is as wanted."""
    async with asyncio.timeout(20):
        while True:
            status, found = await stranger.ask("GET", path)
            if status == 200 and wanted(found["data"]):
                return dict(found["data"])
            await asyncio.sleep(0.05)


async def test_a_review_knows_bootstrap_tokens(servers: Servers, admin: Caller) -> None:
    path = "/apis/authentication.k8s.io/v1/tokenreviews"
    token = await new_token(admin, node_name="mine", auth_extra_groups="system:bootstrappers:lab")
    async with caller(servers, token=token) as machine:
        assert await answers(machine, REQUESTS, 200)
    _, review = await admin.ask("POST", path, {"spec": {"token": token}})
    user = review["status"]["user"]
    assert user["username"] == f"system:bootstrap:{token[:6]}"
    assert user["groups"] == ["system:bootstrappers", "system:bootstrappers:lab", "system:authenticated"]
    assert user["extra"] == {"authentication.sampan.dev/node-name": ["mine"]}
    _, review = await admin.ask("POST", path, {"spec": {"token": "abcdef.0000000000000000"}})
    assert not review["status"].get("authenticated")


async def refusal(machine: Caller, made: SigningRequest, **options: Any) -> tuple[str, str]:
    """Reason and sentence of a denial."""
    denied = await machine.until(await machine.request(made, **options), "Denied", "certificate")
    assert "certificate" not in denied, "it was signed"
    return denied["reason"], denied["message"]


async def test_a_taken_name_is_refused(servers: Servers, admin: Caller) -> None:
    await joined(servers, admin, "taken")
    async with caller(servers, token=await new_token(admin)) as machine:
        reason, says = await refusal(machine, node_request("taken"))
    assert reason == "NodeNameTaken"
    assert says.startswith("the cluster has a node taken already; choose another --node-name, or if that node is gone")


async def test_a_node_that_is_not_heard_of_is_itself_again_by_a_token_of_its_own(
    servers: Servers, admin: Caller
) -> None:
    await joined(servers, admin, "silent")
    condition = {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}
    path = "/api/v1/nodes/silent/status"
    await admin.ask("PATCH", path, {"status": {"conditions": [condition]}}, "application/merge-patch+json")
    await admin.ask("DELETE", "/apis/certificates.k8s.io/v1/certificatesigningrequests")  # it got its name long ago
    async with caller(servers, token=await new_token(admin)) as machine:
        reason, says = await refusal(machine, node_request("silent"))
        assert reason == "NodeNameTaken"
        assert "make a token for it alone: kctl token create --node silent;" in says
    async with caller(servers, token=await new_token(admin, node_name="silent")) as machine:
        await machine.certificate(await machine.request(node_request("silent")))


async def test_of_two_machines_that_want_one_name_the_first_gets_it(servers: Servers, admin: Caller) -> None:
    async with caller(servers, token=await new_token(admin)) as machine:
        first = node_request("contested")
        await machine.certificate(await machine.request(first))
        reason, says = await refusal(machine, node_request("contested"))
        assert reason == "NodeNameTaken"
        assert "another machine was given the name contested and has not come up yet" in says
        await machine.certificate(await machine.request(first))  # the first one itself may ask again


async def test_the_name_of_a_deleted_node_is_free_at_once(servers: Servers, admin: Caller) -> None:
    await joined(servers, admin, "leaver")
    assert (await admin.ask("DELETE", "/api/v1/nodes/leaver"))[0] == 200
    await gone(admin, "leaver")
    await joined(servers, admin, "leaver")


async def gone(admin: Caller, node: str) -> None:
    """Wait until the requests of a node are deleted."""
    async with asyncio.timeout(20):
        while True:
            _, found = await admin.ask("GET", REQUESTS)
            if not any(f"system:node:{node}" in subject_of(one["spec"]["request"]) for one in found["items"]):
                return
            await asyncio.sleep(0.1)


def subject_of(request: str) -> str:
    return x509.load_pem_x509_csr(base64.b64decode(request)).subject.rfc4514_string()


async def test_a_bound_token_joins_as_its_node_only(servers: Servers, admin: Caller) -> None:
    async with caller(servers, token=await new_token(admin, node_name="mine")) as machine:
        reason, says = await refusal(machine, node_request("yours"))
        assert reason == "TokenBoundToAnotherNode"
        assert "is for node mine only and cannot be used to join as yours; join with --node-name mine" in says
        await machine.certificate(await machine.request(node_request("mine")))


@pytest.mark.parametrize(
    ("made", "options", "reason", "says"),
    [
        (signing_request("kubernetes-admin", ("system:masters",)), {}, "NotANodeIdentity", "which is no node"),
        (signing_request("system:node:x", ("system:nodes", "system:masters")), {}, "NotANodeIdentity", "no node"),
        (signing_request("system:node:", ("system:nodes",)), {}, "NotANodeIdentity", "no node"),
        (signing_request("system:node:A b", ("system:nodes",)), {}, "NotANodeIdentity", "no node"),
        (signing_request("system:node:x", ()), {}, "NotANodeIdentity", "no node"),
        (node_request("x", ("other.example",)), {}, "NotANodeIdentity", "has no alternative names"),
        (node_request("x"), {"usages": ["client auth"]}, "UsagesNotAllowed", "'digital signature' is missing"),
        (
            node_request("x"),
            {"usages": [*CLIENT_USAGES, "server auth"]},
            "UsagesNotAllowed",
            "the usage 'server auth' is not for this signer",
        ),
        (
            node_request("x", ("x",)),
            {"signer": SERVING_SIGNER, "usages": SERVING_USAGES},
            "NotANodeIdentity",
            "only a node itself may ask for its serving certificate",
        ),
        (
            signing_request("bob"),
            {"signer": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"]},
            "SignerNotAllowed",
            "a bootstrap token may only ask kubernetes.io/kube-apiserver-client-kubelet",
        ),
    ],
)
async def test_a_token_gets_nothing_but_a_nodes_identity(
    servers: Servers, admin: Caller, made: SigningRequest, options: dict[str, Any], reason: str, says: str
) -> None:
    async with caller(servers, token=await new_token(admin)) as machine:
        found, sentence = await refusal(machine, made, **options)
    assert found == reason
    assert says in sentence


async def test_a_nodes_certificate_renews_itself_and_nobody_else(servers: Servers, admin: Caller) -> None:
    pair = await joined(servers, admin, "renewer")
    await joined(servers, admin, "victim")
    async with caller(servers, pair=pair) as node:
        await node.certificate(await node.request(node_request("renewer")))
        for name in ("victim", "nobody-yet"):
            reason, says = await refusal(node, node_request(name))
            assert reason == "AnotherNodesIdentity"
            assert f"node renewer asks for a certificate of node {name}" in says
        status, answer = await node.ask("GET", SECRETS)
        assert status == 403, answer
        name = await node.request(node_request("victim"))
        decision = {"type": "Approved", "status": "True"}
        status, answer = await node.ask(
            "PATCH",
            f"{REQUESTS}/{name}/approval",
            {"status": {"conditions": [decision]}},
            "application/merge-patch+json",
        )
        assert status == 403, answer


async def test_a_node_serves_as_itself_only(servers: Servers, admin: Caller) -> None:
    pair = await joined(servers, admin, "server")
    options: dict[str, Any] = {"signer": SERVING_SIGNER, "usages": SERVING_USAGES}
    async with caller(servers, pair=pair) as node:
        name = await node.request(node_request("server", ("server", "10.1.2.3")), **options)
        addresses = [{"type": "InternalIP", "address": "10.1.2.3"}, {"type": "Hostname", "address": "server"}]
        status, answer = await node.ask(
            "PATCH", "/api/v1/nodes/server/status", {"status": {"addresses": addresses}}, MERGE
        )
        assert status == 200, answer
        certificate = await node.certificate(name)  # decided once the Node has addresses
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert [str(one.value) for one in names] == ["server", "10.1.2.3"]
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert list(usage) == [x509.ExtendedKeyUsageOID.SERVER_AUTH]
        for hosts, what in (((("10.9.9.9",)), "10.9.9.9"), (("kubernetes.default",), "kubernetes.default")):
            reason, says = await refusal(node, node_request("server", hosts), **options)
            assert reason == "NotTheNodesAddress"
            assert f"node server may not serve as {what}" in says
        assert (await refusal(node, node_request("renewer", ("server",)), **options))[0] == "AnotherNodesIdentity"
        assert (await refusal(node, node_request("server"), **options))[0] == "AddressMissing"


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"expiration": stamp(-60)}, f"expired at {stamp(-60)[:13]}"),
        ({"expiration": "tomorrow"}, "has an expiration that is no time: 'tomorrow'"),
        ({"usage_bootstrap_authentication": ""}, "may not be used to authenticate"),
        ({"auth_extra_groups": "system:masters"}, "has the group 'system:masters'"),
        ({"token_secret": "fedcba9876543210"}, "Unauthorized"),
        ({"token_id": "zzzzzz"}, "Unauthorized"),
    ],
)
async def test_a_token_that_is_no_good_is_refused(
    servers: Servers, admin: Caller, keys: dict[str, str], says: str
) -> None:
    identity = f"bad{next(numbers):03d}"
    data = {
        "token-id": identity,
        "token-secret": "0123456789abcdef",
        "usage-bootstrap-authentication": "true",
    } | {key.replace("_", "-"): value for key, value in keys.items()}
    body = {
        "metadata": {"name": f"bootstrap-token-{identity}"},
        "type": "bootstrap.kubernetes.io/token",
        "stringData": data,
    }
    assert (await admin.ask("POST", SECRETS, body))[0] == 201
    async with caller(servers, token=f"{identity}.0123456789abcdef") as machine:
        status, answer = await machine.ask("GET", "/api/v1/namespaces/kube-system/configmaps/sampan-config")
    assert status == 401
    assert answer["reason"] == "Unauthorized"
    assert says in answer["message"]
    await admin.ask("DELETE", f"{SECRETS}/bootstrap-token-{identity}")


async def test_a_revoked_token_is_refused(servers: Servers, admin: Caller) -> None:
    token = await new_token(admin)
    async with caller(servers, token=token) as machine:
        assert (await machine.ask("GET", REQUESTS))[0] == 200
        assert (await admin.ask("DELETE", f"{SECRETS}/bootstrap-token-{token[:6]}"))[0] == 200
        assert await answers(machine, REQUESTS, 401) == "Unauthorized"


async def answers(machine: Caller, path: str, wanted: int) -> str:
    """Wait until a path answers with a status; the answer's message."""
    async with asyncio.timeout(10):
        while True:
            status, answer = await machine.ask("GET", path)
            if status == wanted:
                return str(answer.get("message"))
            await asyncio.sleep(0.05)


async def test_a_token_is_deleted_an_hour_after_it_expired(servers: Servers, admin: Caller) -> None:
    token = await new_token(admin, expiration=stamp(-3598))
    assert await answers(admin, f"{SECRETS}/bootstrap-token-{token[:6]}", 404)


async def test_what_an_administrator_approved_is_signed_if_it_fits_the_signer(servers: Servers, admin: Caller) -> None:
    made = signing_request("carol", ("developers",))
    options: dict[str, Any] = {"signer": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"]}
    name = await admin.request(made, **options)
    wrong = await admin.request(signing_request("carol"), CLIENT_SIGNER, CLIENT_USAGES)
    for one in (name, wrong):
        servers.kubectl("certificate", "approve", one)
    certificate = await admin.certificate(name)
    pair = Pair(certificate.public_bytes(serialization.Encoding.PEM), made.key)
    async with caller(servers, pair=pair) as carol:
        _, review = await carol.ask("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
        assert review["status"]["userInfo"]["groups"] == ["developers", "system:authenticated"]
    failed = await admin.until(wrong, "Failed")
    assert (failed["reason"], failed["message"].split(":")[0]) == ("SignerValidationFailure", "the subject is no node")


async def test_nobody_becomes_an_administrator_by_a_request(servers: Servers, admin: Caller) -> None:
    made = signing_request("mallory", ("system:masters",))
    body = {
        "metadata": {"name": "mallory"},
        "spec": {
            "request": base64.b64encode(made.request).decode(),
            "signerName": "kubernetes.io/kube-apiserver-client",
            "usages": ["client auth"],
        },
    }
    status, answer = await admin.ask("POST", REQUESTS, body)
    assert status == 403
    assert (
        "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed"
        in (answer["message"])
    )
