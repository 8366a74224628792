"""The policy about certificate requests: over all askers, identities and states, nobody gets another's identity."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from controllers.certificates import cleaner, facts
from controllers.certificates.policy import RESERVED, Verdict, decide
from controllers.certificates.sign import Authority
from sampan import certs
from sampan.api.certificates_v1 import CertificateSigningRequest
from sampan.api.core_v1 import Endpoints, Node
from sampan.errors import ClusterError
from sampan.signing_requests import CLIENT_SIGNER, SERVING_SIGNER, signing_request

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
NAMES = ("a", "b")
USAGES = {CLIENT_SIGNER: ["client auth", "digital signature"], SERVING_SIGNER: ["server auth", "digital signature"]}


@cache
def pkcs(user: str, groups: tuple[str, ...], hosts: tuple[str, ...], key: int = 0) -> str:
    return base64.b64encode(signing_request(user, groups, hosts).request).decode()


def request(
    node: str = "a",
    *,
    by: str = "token",
    bound: str = "",
    signer: str = CLIENT_SIGNER,
    hosts: tuple[str, ...] = (),
    user: str = "",
    groups: tuple[str, ...] = ("system:nodes",),
    usages: Sequence[str] = (),
    key: int = 0,
    uid: str = "u",
    **status: Any,
) -> CertificateSigningRequest:
    """A request about node `node`, by a `token`, by the node of a name, or by `nobody` in particular."""
    asker: dict[str, Any] = {"username": f"system:node:{by}", "groups": ["system:nodes", "system:authenticated"]}
    if by == "token":
        asker = {"username": "system:bootstrap:abcdef", "groups": ["system:bootstrappers", "system:authenticated"]}
        if bound:
            asker["extra"] = {"authentication.sampan.dev/node-name": [bound]}
    elif by == "nobody":
        asker = {"username": "bob", "groups": ["system:authenticated"]}
    return CertificateSigningRequest.from_json(
        {
            "metadata": {"name": "x", "uid": uid, "creationTimestamp": "2026-01-01T11:00:00Z"},
            "spec": {
                "request": pkcs(user or f"system:node:{node}", groups, hosts, key),
                "signerName": signer,
                "usages": list(usages) or USAGES.get(signer, []),
                **asker,
            },
            "status": status,
        }
    )


def node(name: str, *addresses: str, ready: str = "True") -> Node:
    listed = [{"type": "InternalIP", "address": one} for one in addresses]
    conditions = [{"type": "Ready", "status": ready}] if ready else []
    return Node.from_json({"metadata": {"name": name}, "status": {"addresses": listed, "conditions": conditions}})


def decided(kind: str, seconds_ago: float) -> dict[str, Any]:
    when = (NOW - timedelta(seconds=seconds_ago)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"conditions": [{"type": kind, "status": "True", "lastUpdateTime": when}]}


def approved(seconds_ago: float) -> dict[str, Any]:
    return decided("Approved", seconds_ago)


@given(
    st.sampled_from(NAMES),
    st.sampled_from(("token", "a", "b", "nobody")),
    st.sampled_from(("", "a", "b")),
    st.sampled_from((CLIENT_SIGNER, SERVING_SIGNER, "kubernetes.io/kube-apiserver-client", "example.com/other")),
    st.sampled_from(((), ("a",), ("10.0.0.1",), ("10.0.0.2",))),
    st.sampled_from((("system:nodes",), (), ("system:masters",), ("system:nodes", "system:masters"))),
    st.sampled_from(("none", "", "True", "False", "Unknown")),
)
def test_nobody_is_given_an_identity_that_is_not_its_own(
    name: str, by: str, bound: str, signer: str, hosts: tuple[str, ...], groups: tuple[str, ...], ready: str
) -> None:
    asked = request(name, by=by, bound=bound, signer=signer, hosts=hosts, groups=groups)
    exists = ready != "none"
    verdict = decide(asked, [node(name, "10.0.0.1", ready=ready)] if exists else [], [], NOW)
    if verdict is None or not verdict.approved:
        return
    assert groups == ("system:nodes",)
    if signer == CLIENT_SIGNER:
        assert not hosts
        free = not exists and bound in ("", name)
        silent = ready == "Unknown" and bound == name
        assert by == name or (by == "token" and (free or silent))
    else:
        assert (signer, by, exists) == (SERVING_SIGNER, name, True)
        assert set(hosts) <= {name, "10.0.0.1"}


def sure(verdict: Verdict | None) -> Verdict:
    assert verdict is not None
    return verdict


def test_what_a_node_and_a_machine_need_is_approved() -> None:
    assert sure(decide(request("a"), [], [], NOW)).approved
    assert sure(decide(request("a", bound="a"), [], [], NOW)).approved
    assert sure(decide(request("a", bound="a"), [node("a", ready="Unknown")], [], NOW)).approved
    assert sure(decide(request("a", by="a"), [node("a")], [], NOW)).approved
    serving = request("a", by="a", signer=SERVING_SIGNER, hosts=("a", "10.0.0.1"))
    assert decide(serving, [node("a")], [], NOW) is None, "it waits for addresses"
    assert sure(decide(serving, [node("a", "10.0.0.1")], [], NOW)).approved
    six = request("a", by="a", signer=SERVING_SIGNER, hosts=("fd00::1",))
    assert sure(decide(six, [node("a", "FD00:0::1")], [], NOW)).approved


def test_a_name_is_promised_to_one_key_for_a_while() -> None:
    first = request("a", uid="u1", **approved(10))
    other = request("a", uid="u2", key=1)
    assert sure(decide(other, [], [first], NOW)).reason == "NodeNameTaken"
    assert sure(decide(request("a", uid="u3"), [], [first], NOW)).approved, "the same key may ask again"
    late = request("a", uid="u1", **approved(RESERVED.total_seconds() + 1))
    assert sure(decide(other, [], [late], NOW)).approved
    denied = request("a", uid="u1", conditions=[{"type": "Denied", "status": "True"}])
    assert sure(decide(other, [], [denied], NOW)).approved


def test_what_others_ask_an_administrator_decides() -> None:
    assert decide(request("a", by="nobody"), [], [], NOW) is None
    assert decide(request("a", signer="example.com/other"), [], [], NOW) is None


def test_a_signed_certificate_begins_in_the_past_and_ends_with_its_authority() -> None:
    pair = certs.Authority.create("test", timedelta(hours=1)).pair
    now = datetime.now(UTC)
    authority = load(pair)
    asked = x509.load_pem_x509_csr(base64.b64decode(pkcs("system:node:a", ("system:nodes",), ("a", "10.0.0.1"))))
    for seconds, lasts in ((60, 60), (86400, 3600)):
        made = x509.load_pem_x509_certificate(authority.sign(asked, ["server auth", "digital signature"], seconds, now))
        assert made.not_valid_before_utc <= now - min(timedelta(minutes=5), timedelta(seconds=lasts / 10))
        assert timedelta(seconds=-2) < made.not_valid_after_utc - now - timedelta(seconds=lasts) <= timedelta(seconds=1)
        made.verify_directly_issued_by(authority.certificate)
    with pytest.raises(ValueError, match="has ended"):
        authority.sign(asked, ["server auth"], 60, now + timedelta(hours=2))


def load(pair: certs.Pair) -> Authority:

    with tempfile.TemporaryDirectory() as directory:
        certificate, key = Path(directory, "ca.crt"), Path(directory, "ca.key")
        pair.write(certificate, key)
        with pytest.raises(ClusterError, match="check `signing` in the controllers' configuration"):
            Authority.load(str(certificate), str(key) + ".none")
        return Authority.load(str(certificate), str(key))


@pytest.mark.parametrize(
    ("status", "goes_after"),
    [
        ({}, timedelta(hours=23)),
        (approved(600), timedelta(hours=23)),
        (decided("Denied", 1800), timedelta(minutes=30)),
        (decided("Failed", 1800), timedelta(minutes=30)),
        (approved(600) | {"certificate": "bm9uZQ=="}, timedelta(minutes=50)),
    ],
)  # fmt: skip
def test_a_request_goes_when_nobody_needs_it_any_more(status: dict[str, Any], goes_after: timedelta) -> None:
    assert cleaner.goes_at(request("a", **status), NOW) - NOW == goes_after


def test_the_servers_of_the_facts_are_those_of_the_kubernetes_service() -> None:
    endpoints = Endpoints.from_json(
        {
            "subsets": [
                {"addresses": [{"ip": "10.0.0.2"}, {"ip": "10.0.0.1"}], "ports": [{"name": "https", "port": 6443}]},
                {"addresses": [{"ip": "fd00::1"}], "ports": [{"port": 7443}]},
            ]
        }
    )
    assert facts.urls(endpoints) == ["https://10.0.0.1:6443", "https://10.0.0.2:6443", "https://[fd00::1]:7443"]
    assert facts.urls(None) == []
