"""The cluster's names, by the Kubernetes DNS specification 1.1.0."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeagent.network.dns.answer import answer
from nodeagent.network.dns.message import (
    AAAA,
    ANY,
    AXFR,
    BADVERS,
    CNAME,
    NOERROR,
    NOTIMP,
    NXDOMAIN,
    PTR,
    REFUSED,
    SOA,
    SRV,
    TXT,
    A,
    Address,
    Edns,
    Message,
    Question,
    Raw,
    ServiceTarget,
    Target,
    decode,
    encode,
    name_of,
    text_of,
)
from nodeagent.network.dns.zone import Zone, zone_of
from nodeagent.network.services.model import Endpoint, Protocol, Service, ServiceKey, ServicePort

LIGHT = settings(max_examples=60, deadline=None)

SERVICES = [
    Service(
        "shop",
        "web",
        cluster_ips=("10.96.7.7",),
        ports=(ServicePort(80, name="http"), ServicePort(53, Protocol.UDP, "dns"), ServicePort(81)),
    ),
    Service("shop", "dual", cluster_ips=("10.96.7.8", "fd00::8")),
    Service("shop", "db", ports=(ServicePort(5432, name="sql"),)),
    Service("shop", "early", publish_not_ready=True),
    Service("shop", "nobody", ports=(ServicePort(1, name="x"),)),
    Service("shop", "mail", external_name="mx.example.com"),
    Service("shop", "alias", external_name="web.shop.svc.cluster.local"),
    Service("shop", "ring", external_name="ring.shop.svc.cluster.local"),
]
ENDPOINTS = {
    ServiceKey("shop", "db"): [
        Endpoint("10.244.1.5", 5432, "sql", hostname="db-0"),
        Endpoint("10.244.2.9", 5432, "sql"),
        Endpoint("10.244.3.3", 5432, "sql", hostname="db-2", ready=False),
    ],
    ServiceKey("shop", "early"): [Endpoint("10.244.1.6", 0, ready=False, serving=False)],
    ServiceKey("shop", "nobody"): [Endpoint("10.244.1.7", 1, "x", ready=False)],
}
ZONE = zone_of(
    "cluster.local",
    "10.96.0.10",
    SERVICES,
    ENDPOINTS,
    cluster_cidr="10.244.0.0/16",
    service_cidr="10.96.0.0/16",
)


def ask(name: str, type: int = A, zone: Zone = ZONE, **more: object) -> Message:
    query = Message(id=1, question=Question(tuple(name.encode().split(b".")), type), recursion_desired=True)
    response = answer(zone, replace(query, **more)).response  # type: ignore[arg-type]  # fields by name
    assert decode(encode(response)) == response
    return response


def values(message: Message) -> list[str]:
    found = []
    for record in message.answers:
        match record.data:
            case Address(text):
                found.append(text)
            case Target(name):
                found.append(text_of(name))
            case ServiceTarget(_, _, port, target):
                found.append(f"{port} {text_of(target)}")
    return sorted(found)


@pytest.mark.parametrize(
    ("name", "type", "expected"),
    [
        ("web.shop.svc.cluster.local", A, ["10.96.7.7"]),
        ("dual.shop.svc.cluster.local", A, ["10.96.7.8"]),
        ("dual.shop.svc.cluster.local", AAAA, ["fd00::8"]),
        ("_http._tcp.web.shop.svc.cluster.local", SRV, ["80 web.shop.svc.cluster.local."]),
        ("_dns._udp.web.shop.svc.cluster.local", SRV, ["53 web.shop.svc.cluster.local."]),
        ("7.7.96.10.in-addr.arpa", PTR, ["web.shop.svc.cluster.local."]),
        ("db.shop.svc.cluster.local", A, ["10.244.1.5", "10.244.2.9"]),
        ("db-0.db.shop.svc.cluster.local", A, ["10.244.1.5"]),
        ("10-244-2-9.db.shop.svc.cluster.local", A, ["10.244.2.9"]),
        (
            "_sql._tcp.db.shop.svc.cluster.local",
            SRV,
            ["5432 10-244-2-9.db.shop.svc.cluster.local.", "5432 db-0.db.shop.svc.cluster.local."],
        ),
        ("5.1.244.10.in-addr.arpa", PTR, ["db-0.db.shop.svc.cluster.local."]),
        ("early.shop.svc.cluster.local", A, ["10.244.1.6"]),
        ("mail.shop.svc.cluster.local", CNAME, ["mx.example.com."]),
        ("mail.shop.svc.cluster.local", A, ["mx.example.com."]),
        ("alias.shop.svc.cluster.local", A, ["10.96.7.7", "web.shop.svc.cluster.local."]),
        ("10-244-9-9.shop.pod.cluster.local", A, ["10.244.9.9"]),
        ("ns.dns.cluster.local", A, ["10.96.0.10"]),
        ("WEB.Shop.svc.CLUSTER.local", A, ["10.96.7.7"]),
    ],
)
def test_names_have_records(name: str, type: int, expected: list[str]) -> None:
    response = ask(name, type)
    assert response.rcode == NOERROR
    assert response.authoritative
    assert values(response) == expected


def test_a_client_gets_its_own_spelling_back() -> None:
    response = ask("WeB.shop.svc.cluster.local")
    assert response.answers[0].name[0] == b"WeB"


def test_srv_answers_bring_their_addresses_along() -> None:
    response = ask("_sql._tcp.db.shop.svc.cluster.local", SRV)
    assert {record.data for record in response.additionals} == {Address("10.244.1.5"), Address("10.244.2.9")}


def test_the_version_of_the_specification_is_told() -> None:
    assert ask("dns-version.cluster.local", TXT).answers[0].data == Raw(b"\x051.1.0")


@pytest.mark.parametrize(
    ("name", "type"),
    [
        ("web.shop.svc.cluster.local", AAAA),
        ("web.shop.svc.cluster.local", SRV),
        ("shop.svc.cluster.local", A),
        ("svc.cluster.local", A),
        ("pod.cluster.local", A),
        ("cluster.local", A),
        ("_tcp.web.shop.svc.cluster.local", SRV),
        ("10-244-9-9.shop.pod.cluster.local", AAAA),
    ],
)
def test_names_without_a_record_of_the_type_are_nodata(name: str, type: int) -> None:
    response = ask(name, type)
    assert (response.rcode, response.answers) == (NOERROR, ())
    assert [record.type for record in response.authorities] == [SOA]


@pytest.mark.parametrize(
    ("name", "type"),
    [
        ("other.shop.svc.cluster.local", A),
        ("web.other.svc.cluster.local", A),
        ("example.com.shop.svc.cluster.local", A),  # a search list at work
        ("example.com.svc.cluster.local", A),
        ("example.com.cluster.local", A),
        ("db-2.db.shop.svc.cluster.local", A),  # not ready
        ("nobody.shop.svc.cluster.local", A),
        ("_nope._tcp.web.shop.svc.cluster.local", SRV),
        ("10-99-9-9.shop.pod.cluster.local", A),  # no pod's address
        ("1-2-3.shop.pod.cluster.local", A),
        ("3.3.244.10.in-addr.arpa", PTR),
        ("ring.ring.shop.svc.cluster.local", A),
    ],
)
def test_unknown_names_are_denied_at_once(name: str, type: int) -> None:
    response = ask(name, type)
    assert (response.rcode, response.answers, response.authoritative) == (NXDOMAIN, (), True)
    assert [record.type for record in response.authorities] == [SOA]
    assert response.authorities[0].ttl <= 5


def test_aliases_in_a_ring_lead_nowhere() -> None:
    assert ask("ring.shop.svc.cluster.local").answers == ()


def test_names_of_others_are_denied_and_the_reason_is_given() -> None:
    for name in ("example.com", "local", "9.9.9.9.in-addr.arpa", "notcluster.local", "localhost"):
        response = ask(name, edns=Edns())
        assert (response.rcode, response.authoritative) == (NXDOMAIN, False)
        assert response.edns is not None
        assert b"dns_upstream" in response.edns.options[0][1]


def test_what_is_no_question_for_us_is_refused() -> None:
    assert ask("cluster.local", AXFR).rcode == REFUSED
    assert ask("cluster.local", opcode=5).rcode == NOTIMP
    assert ask("cluster.local", edns=Edns(version=1)).rcode == BADVERS
    chaos = Message(1, Question(name_of("version.bind"), TXT, 3))
    assert answer(ZONE, chaos).response.rcode == REFUSED


def test_any_gives_all_there_is() -> None:
    assert {record.type for record in ask("dual.shop.svc.cluster.local", ANY).answers} == {A, AAAA}


@LIGHT
@given(st.integers(0, 1000))
def test_turns_spread_clients_over_addresses(turn: int) -> None:
    query = Message(1, Question(name_of("db.shop.svc.cluster.local"), A))
    first = answer(ZONE, query, turn=turn).response.answers
    second = answer(ZONE, query, turn=turn + 1).response.answers
    assert first[0] != second[0]
    assert set(first) == set(second)


label = st.one_of(
    st.sampled_from([b"web", b"db", b"shop", b"svc", b"pod", b"cluster", b"local", b"_tcp", b"_http", b"arpa"]),
    st.binary(min_size=1, max_size=20),
)


@LIGHT
@given(st.lists(label, max_size=8).map(tuple), st.integers(0, 65535))
def test_every_question_has_an_answer_that_can_be_sent(name: tuple[bytes, ...], type: int) -> None:
    outcome = answer(ZONE, Message(7, Question(name, type)))
    response = outcome.response
    assert decode(encode(response)) == response
    assert response.rcode in (NOERROR, NXDOMAIN, REFUSED)
    assert response.rcode != NXDOMAIN or response.answers == ()


def test_a_large_answer_is_cut_to_whole_records() -> None:
    many = [Endpoint(f"10.244.{n // 200}.{n % 200 + 2}", 0) for n in range(400)]
    zone = zone_of(
        "cluster.local",
        "10.96.0.10",
        [Service("shop", "many")],
        {ServiceKey("shop", "many"): many},
        cluster_cidr="10.244.0.0/16",
        service_cidr="10.96.0.0/16",
    )
    query = Message(1, Question(name_of("many.shop.svc.cluster.local"), A), edns=Edns())
    response = answer(zone, query).response
    assert len(decode(encode(response)).answers) == 400
    wire = encode(response, 512)
    cut = decode(wire)
    assert cut.truncated
    assert len(wire) <= 512
    assert 20 < len(cut.answers) < 40
