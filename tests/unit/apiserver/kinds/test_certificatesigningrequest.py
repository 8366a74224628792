# ruff: noqa: E501 - the messages stand as they are sent
from __future__ import annotations

import base64
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.kind import Context, User
from apiserver.kinds.certificatesigningrequest import CERTIFICATE_SIGNING_REQUEST as KIND
from apiserver.kinds.certificatesigningrequest import condition, decided, duration
from sampan.api.certificates_v1 import USAGES, CertificateSigningRequest
from sampan.api.rules import check
from sampan.certs import Authority
from sampan.errors import ApiError, InvalidError
from sampan.signing_requests import node_request, signing_request

NOW = datetime(2026, 1, 1, tzinfo=UTC)
USER = User("bob", "u-1", ("team", "system:authenticated"), {"scopes.example": ("a", "b")})
SERVER: Any = SimpleNamespace()
GOOD = node_request("n1").request
AUTHORITY = Authority.create("test")
CERTIFICATE = AUTHORITY.issue("system:node:n1", groups=("system:nodes",)).certificate


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def made(**spec: Any) -> CertificateSigningRequest:
    given = {"request": text(GOOD), "signerName": "example.com/signer", "usages": ["client auth"], **spec}
    request = CertificateSigningRequest.from_json({"metadata": {"name": "x", "uid": "u"}, "spec": given})
    KIND.strategy.prepare_create(request, Context(SERVER, USER, "", NOW))
    return request


def told(**spec: Any) -> list[str]:
    request = made(**spec)
    return [str(error) for error in (*check(request), *KIND.strategy.validate(request))]


def test_who_asks_is_what_authentication_found() -> None:
    spec = made(username="admin", groups=["system:masters"], uid="0", extra={"k": ["v"]}).spec
    assert (spec.username, spec.uid, spec.groups) == ("bob", "u-1", ["team", "system:authenticated"])
    assert spec.extra == {"scopes.example": ["a", "b"]}


def test_a_good_request_has_nothing_wrong() -> None:
    assert told(expirationSeconds=600) == []
    assert told(usages=list(USAGES)) == []


SPOILT = GOOD.replace(b"BEGIN CERTIFICATE REQUEST", b"BEGIN CERTIFICATE").replace(
    b"END CERTIFICATE REQUEST", b"END CERTIFICATE"
)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"request": ""}, ["spec.request: Required value"]),
        ({"request": "%"}, ['spec.request: Invalid value: "%": illegal base64 data']),
        (
            {"request": "bm9uZQ=="},
            ['spec.request: Invalid value: "bm9uZQ==": PEM block type must be CERTIFICATE REQUEST'],
        ),
        ({"usages": []}, ["spec.usages: Required value"]),
        ({"usages": ["client auth", "client auth"]}, ['spec.usages[1]: Duplicate value: "client auth"']),
        ({"signerName": ""}, ["spec.signerName: Required value"]),
        (
            {"signerName": "kubernetes.io/legacy-unknown"},
            [
                'spec.signerName: Invalid value: "kubernetes.io/legacy-unknown": the legacy signerName is not allowed via this API version'
            ],
        ),
        (
            {"signerName": "signer"},
            [
                "spec.signerName: Invalid value: \"signer\": must be a fully qualified domain and path of the form 'example.com/signer-name'"
            ],
        ),
        (
            {"signerName": "a/b/c"},
            [
                "spec.signerName: Invalid value: \"a/b/c\": must be a fully qualified domain and path of the form 'example.com/signer-name'"
            ],
        ),
        (
            {"signerName": "example/x"},
            [
                'spec.signerName: Invalid value: "example": should be a domain with at least two segments separated by dots'
            ],
        ),
        (
            {"expirationSeconds": 599},
            [
                "spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 600 seconds (10 minutes)"
            ],
        ),
    ],
)
def test_a_broken_rule_is_worded_as_upstream_words_it(spec: dict[str, Any], says: list[str]) -> None:
    assert told(**spec) == says


def test_a_usage_that_is_none_is_told_with_all_there_are() -> None:
    (one,) = told(usages=["flying"])
    assert one.startswith(
        'spec.usages[0]: Unsupported value: "flying": supported values: "any", "cert sign", "client auth"'
    )


def test_a_certificate_is_no_request() -> None:
    (one,) = told(request=text(SPOILT))
    assert one.endswith("PEM block type must be CERTIFICATE REQUEST")


def test_somebody_elses_key_does_not_fit_the_signature() -> None:
    der = bytearray(base64.b64decode(b"".join(GOOD.splitlines()[1:-1])))
    der[-1] ^= 1
    body = base64.encodebytes(bytes(der))
    forged = b"-----BEGIN CERTIFICATE REQUEST-----\n" + body + b"-----END CERTIFICATE REQUEST-----\n"
    (one,) = told(request=text(forged))
    assert "the request's signature does not match its key" in one or "cannot be parsed" in one


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reading_of_a_request(data: bytes) -> None:
    for wrapped in (
        data,
        b"-----BEGIN CERTIFICATE REQUEST-----\n" + base64.encodebytes(data) + b"-----END CERTIFICATE REQUEST-----\n",
    ):
        assert [one.split(":")[0] for one in told(request=text(wrapped))] == ["spec.request"]


@given(st.text(max_size=60))
def test_no_text_breaks_the_reading_of_a_signer(name: str) -> None:
    assert all(one.startswith("spec.signerName: ") for one in told(signerName=name))


def stored(*conditions: dict[str, Any], certificate: bytes = b"") -> dict[str, Any]:
    value = made().to_json()
    value["metadata"]["resourceVersion"] = "5"
    value["status"] = {"conditions": list(conditions)} | ({"certificate": text(certificate)} if certificate else {})
    return value


YES = {"type": "Approved", "status": "True", "reason": "Because", "lastUpdateTime": "2020-01-01T00:00:00Z"}
NO = {"type": "Denied", "status": "True"}


def test_a_decision_gets_its_times() -> None:
    after = decided(stored(), {"status": {"conditions": [{"type": "Approved", "status": "True"}]}}, NOW)
    assert after["status"]["conditions"][0]["lastUpdateTime"] == "2026-01-01T00:00:00Z"
    assert after["status"]["conditions"][0]["lastTransitionTime"] == "2026-01-01T00:00:00Z"


def test_only_the_conditions_are_decided() -> None:
    before = stored(certificate=CERTIFICATE)
    after = decided(before, {"spec": {"usages": []}, "status": {"conditions": [YES], "certificate": text(b"x")}}, NOW)
    assert after["spec"] == before["spec"]
    assert after["status"]["certificate"] == text(CERTIFICATE)


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (
            [],
            [YES, NO],
            'status.conditions[1].type: Invalid value: "Denied": Approved and Denied conditions are mutually exclusive',
        ),
        ([YES], [], 'status.conditions: Forbidden: updates may not remove a condition of type "Approved"'),
        ([NO], [], 'status.conditions: Forbidden: updates may not remove a condition of type "Denied"'),
        ([], [YES, YES], 'status.conditions[1].type: Duplicate value: "Approved"'),
        (
            [],
            [{"type": "Approved", "status": "False"}],
            'status.conditions[0].status: Unsupported value: "False": supported values: "True"',
        ),
        ([], [{"type": "Approved"}], "status.conditions[0].status: Required value"),
        ([], [{"status": "True"}], "status.conditions[0].type: Required value"),
    ],
)
def test_a_decision_that_cannot_be(before: list[Any], after: list[Any], says: str) -> None:
    with pytest.raises(InvalidError) as refused:
        decided(stored(*before), {"status": {"conditions": after}}, NOW)
    assert [str(error) for error in refused.value.errors] == [says]


def test_a_decision_about_an_older_state_is_a_conflict() -> None:
    with pytest.raises(ApiError) as refused:
        decided(stored(), {"metadata": {"resourceVersion": "4"}, "status": {"conditions": [YES]}}, NOW)
    assert refused.value.code == 409


def status_told(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    before, after = CertificateSigningRequest.from_json(old), CertificateSigningRequest.from_json(new)
    KIND.strategy.prepare_status(after, before, Context(SERVER, USER, "", NOW))
    return [str(error) for error in KIND.strategy.validate_status(after, before)]


@pytest.mark.parametrize(
    ("certificate", "says"),
    [
        (CERTIFICATE, []),
        (CERTIFICATE + AUTHORITY.pair.certificate, []),
        (b"none", ["must contain at least one CERTIFICATE PEM block"]),
        (AUTHORITY.pair.key, ['only CERTIFICATE PEM blocks are allowed, found "PRIVATE KEY"']),
        (CERTIFICATE.replace(b"-----\n", b"-----\nName: x\n\n", 1), ["no PEM block headers are permitted"]),
    ],
)
def test_a_certificate_is_pem_and_nothing_else(certificate: bytes, says: list[str]) -> None:
    found = status_told(stored(YES), stored(YES, certificate=certificate))
    assert found == [f'status.certificate: Invalid value: "<certificate data>": {one}' for one in says]


def test_a_status_neither_approves_nor_takes_a_certificate_back() -> None:
    assert status_told(stored(), stored(YES)) == [
        'status.conditions: Forbidden: updates may not add a condition of type "Approved"'
    ]
    assert status_told(stored(YES), stored()) == [
        'status.conditions: Forbidden: updates may not remove a condition of type "Approved"'
    ]
    assert status_told(stored(YES, certificate=CERTIFICATE), stored(YES)) == [
        "status.certificate: Forbidden: updates may not modify existing certificate content"
    ]


def test_what_is_asked_never_changes_and_a_warning_says_so() -> None:
    warnings: list[str] = []
    old, new = made(), made(usages=["server auth"])
    KIND.strategy.prepare_update(new, old, Context(SERVER, USER, "", NOW, warn=warnings.append))
    assert new.spec == old.spec
    assert warnings == ["spec: a certificate request never changes once it is created; the spec stays as it was"]


def test_the_condition_column() -> None:
    failed = {"type": "Failed", "status": "True"}
    assert [condition(one) for one in (stored(), stored(YES), stored(NO), stored(YES, certificate=CERTIFICATE))] == [
        "Pending",
        "Approved",
        "Denied",
        "Approved,Issued",
    ]
    assert condition(stored(YES, failed)) == "Approved,Failed"
    assert duration(stored()) == "<none>"
    assert duration({"spec": {"expirationSeconds": 86400}}) == "24h"


def test_another_key_than_ours_can_ask_too() -> None:
    assert told(request=text(signing_request("x").request)) == []
