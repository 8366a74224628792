"""What a machine is told in order to join, and what it does not accept."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.machine.join import JoinRequest
from deploy.machine.join_command import parser, readiness, request_of
from deploy.machine.request import labels_of, taint_of
from deploy.machine.trust import Address, address_of, checked_hash
from sampan.errors import ClusterError

TOKEN = "abcdef.0123456789abcdef"
HASH = "sha256:" + "ab" * 32
GIVEN = {"server": "https://127.0.0.1:6443", "token": TOKEN, "caHash": HASH}


def test_a_file_and_flags_come_to_the_same(tmp_path: Path) -> None:
    (tmp_path / "join.json").write_text(
        json.dumps(GIVEN | {"nodeName": "a", "nodeLabels": {"disk": "fast"}, "registerWithTaints": "k=v:NoSchedule"})
    )
    (tmp_path / "token").write_text(TOKEN + "\n")
    flags = ["https://127.0.0.1:6443", "--token-file", str(tmp_path / "token"), "--ca-hash", HASH]
    more = ["--node-name", "b", "--node-labels", "disk=fast", "--register-with-taints", "k=v:NoSchedule"]
    from_file = request_of(parser().parse_args(["--config", str(tmp_path / "join.json"), "--node-name", "b"]))
    assert from_file == request_of(parser().parse_args([*flags, *more]))
    assert from_file == JoinRequest(
        "https://127.0.0.1:6443", TOKEN, HASH, "b", labels={"disk": "fast"}, taints=("k=v:NoSchedule",)
    )


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"token": ""}, "join configuration: token is missing"),
        ({"token": "ABCDEF.0123456789abcdef"}, "bootstrap token: is not six characters"),
        ({"caHash": "sha256:12"}, "CA hash 'sha256:12': is not sha256: and 64 hexadecimal digits"),
        ({"server": "http://127.0.0.1"}, "server address 'http://127.0.0.1': is no https://HOST:PORT"),
        ({"server": "https://127.0.0.1:99999"}, "server address"),
        ({"server": "https://user@127.0.0.1"}, "is no https://HOST:PORT"),
        ({"server": "https://127.0.0.1/path"}, "is no https://HOST:PORT"),
        ({"nodeName": "../../etc"}, "node name '../../etc': is no DNS name"),
        ({"nodeName": "a" * 300}, "is no DNS name"),
        ({"nodeLabels": "disk"}, "node label 'disk': is no KEY=VALUE"),
        ({"registerWithTaints": "k=v"}, "taint 'k=v': is no KEY[=VALUE]:EFFECT"),
        ({"registerWithTaints": "k=v:Sometimes"}, "taint 'k=v:Sometimes'"),
        ({"tokne": TOKEN}, "join configuration: unknown field 'tokne'"),
        ({"nodeName": 7}, "nodeName"),
        ({"egress": "yes"}, "join configuration, egress: must be true or false, not 'yes'"),
        ({"nodeLabels": ["a"]}, "nodeLabels"),
        ({"nodeIp": "not-an-address"}, "node address 'not-an-address': is no IPv4 address"),
        ({"nodeLabels": "node-role.kubernetes.io/master="}, "a node may not give itself labels of this domain"),
        ({"nodeLabels": "a b=c"}, "node label a b=c: name part must consist of"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(change: dict[str, object], what: str) -> None:
    with pytest.raises(ClusterError) as refused:
        JoinRequest.from_json(GIVEN | change).checked()
    assert what in str(refused.value)


def test_addresses_have_a_default_port_and_may_be_ipv6() -> None:
    assert address_of("https://cluster.example") == Address("cluster.example", 6443)
    assert address_of("cluster.example:8443").url == "https://cluster.example:8443"
    assert address_of("https://[2001:db8::1]:6443").url == "https://[2001:db8::1]:6443"


@given(st.text())
def test_no_text_makes_an_address_or_a_hash_fail_otherwise_than_with_a_sentence(text: str) -> None:
    for reads in (address_of, checked_hash, taint_of, labels_of):
        with suppress(ClusterError):
            reads(text)


def test_labels_and_taints() -> None:
    assert labels_of("a=b,c=") == {"a": "b", "c": ""}
    assert taint_of("key:NoExecute") == {"key": "key", "value": "", "effect": "NoExecute"}
    assert taint_of("a.b/c=d:NoSchedule") == {"key": "a.b/c", "value": "d", "effect": "NoSchedule"}


def test_a_node_says_why_it_is_not_ready() -> None:
    assert readiness(None) == (False, "it has not registered")
    assert readiness({}) == (False, "it has not reported yet")
    bad = {"status": {"conditions": [{"type": "Ready", "status": "False", "message": "no network"}]}}
    assert readiness(bad) == (False, "no network")
    assert readiness({"status": {"conditions": [{"type": "Ready", "status": "True", "message": "ok"}]}})[0]
