"""Service rules as a value: an interpreter walks them as a packet would, and must arrive where the rules of
Kubernetes say, put down here in the obvious form.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeagent.network.services.conntrack import Flow, is_stale, stale_targets
from nodeagent.network.services.model import Endpoint, Protocol, Service, ServiceKey, ServicePort
from nodeagent.network.services.plan import HostPort, NodeFacts, Plan, plan, usable
from nodeagent.network.services.ruleset import (
    AddChain,
    AddElements,
    AddTable,
    Chain,
    DeleteChain,
    DeleteElements,
    DeleteTable,
    Ruleset,
    SetRules,
    Table,
    commands,
    difference,
    resync,
)
from nodeagent.network.services.ruleset import (
    replace as replacement,
)

LIGHT = settings(max_examples=60, deadline=None)

FACTS = NodeFacts(
    node_name="n1",
    node_addresses=("172.30.0.11",),
    cluster_cidr="10.244.0.0/16",
    service_cidr="10.96.0.0/16",
    device="eth0",
    service_device="sampan-svc",
    dns_address="10.96.0.10",
)
POD, NODE, OUTSIDER = "10.244.1.77", "172.30.0.11", "203.0.113.9"

ports = st.lists(
    st.builds(
        ServicePort,
        port=st.sampled_from([53, 80]),
        protocol=st.sampled_from(Protocol),
        name=st.sampled_from(["", "a"]),
        node_port=st.sampled_from([0, 30001, 30002]),
    ),
    max_size=2,
    unique_by=lambda port: (port.port, port.protocol),
).map(tuple)
services = st.lists(
    st.builds(
        Service,
        namespace=st.just("shop"),
        name=st.sampled_from(["web", "db", "api"]),
        cluster_ips=st.sampled_from([(), ("10.96.0.7",), ("10.96.0.8",), ("10.96.0.9", "fd00::9")]),
        external_ips=st.sampled_from([(), ("198.51.100.1",), ("198.51.100.2",)]),
        ports=ports,
        affinity_seconds=st.sampled_from([0, 10]),
        internal_local=st.booleans(),
        external_local=st.booleans(),
    ),
    max_size=3,
    unique_by=lambda service: service.name,
)
endpoint = st.builds(
    Endpoint,
    address=st.integers(2, 6).map(lambda last: f"10.244.1.{last}"),
    port=st.sampled_from([8080, 8081]),
    port_name=st.sampled_from(["", "a"]),
    protocol=st.sampled_from(["tcp", "udp", "sctp"]),
    node=st.sampled_from(["n1", "n2"]),
    ready=st.booleans(),
    serving=st.booleans(),
    terminating=st.booleans(),
)
endpoints = st.dictionaries(
    st.sampled_from([ServiceKey("shop", name) for name in ("web", "db", "api")]),
    st.lists(endpoint, max_size=6, unique_by=lambda one: (one.address, one.port, one.port_name, one.protocol)),
)


class Walk:
    """Where a new connection can get to, over all random draws."""

    def __init__(self, rules: Ruleset, source: str, target: str, protocol: str, port: int) -> None:
        self.rules = rules
        self.packet: dict[str, Any] = {"saddr": source, "daddr": target, "proto": protocol, "port": port}
        self.ends: set[str] = set()
        self.masqueraded = False
        if not self._chain("nat-prerouting"):
            for hook in ("filter-input", "filter-forward"):
                if self._chain(hook):
                    break

    def _chain(self, name: str) -> bool:
        return any(self._rule(rule) for rule in self.rules.chains[name].rules)

    def _verdict(self, verdict: str) -> bool:
        """Follow one; whether it was final."""
        if verdict.startswith(("goto ", "jump ")):
            return self._chain(verdict.split()[1])
        self.ends.add(verdict)
        return True

    def _in(self, set_name: str, key: str) -> str | None:
        return (self.rules.tables[set_name].elements or {}).get(key)

    def _rule(self, rule: str) -> bool:
        packet = self.packet
        pair = f"{packet['proto']} . {packet['port']}"
        rule = rule.removeprefix("ct state new ")
        if rule == "ip daddr . meta l4proto . th dport vmap @services":
            return self._map("services", f"{packet['daddr']} . {pair}")
        if rule == "ip daddr . meta l4proto . th dport vmap @refused":
            return self._map("refused", f"{packet['daddr']} . {pair}")
        if found := re.fullmatch(r"ip daddr @node-addresses meta l4proto . th dport vmap @([\w-]+)", rule):
            return self._in("node-addresses", packet["daddr"]) is not None and self._map(found[1], pair)
        if found := re.fullmatch(r'oifname "sampan-svc" ip daddr (\S+) goto refuse', rule):
            if ipaddress.ip_address(packet["daddr"]) in ipaddress.ip_network(found[1]):
                return self._verdict("goto refuse")
            return False
        if found := re.fullmatch(r"ip saddr (\S+) (goto .*)", rule):
            inside = ipaddress.ip_address(packet["saddr"]) in ipaddress.ip_network(found[1])
            return inside and self._verdict(found[2])
        if found := re.fullmatch(r"fib saddr type local (goto .*)", rule):
            return packet["saddr"] in FACTS.node_addresses and self._verdict(found[1])
        if found := re.fullmatch(r"ct mark set ct mark or 0x4000 (goto .*)", rule):
            self.masqueraded = True
            return self._verdict(found[1])
        if rule == "meta l4proto tcp reject with tcp reset":
            return packet["proto"] == "tcp" and self._verdict("reject")
        if rule == "reject with icmp port-unreachable":
            return self._verdict("reject")
        if found := re.fullmatch(
            r"(?:update @\S+ \{ ip saddr : \S+ \} meta mark set 0 )?meta l4proto (\w+) dnat ip to (.*)", rule
        ):
            assert found[1] == packet["proto"], "a chain for another protocol was reached"
            many = re.fullmatch(r"numgen random mod (\d+) map \{ (.*) \}", found[2])
            targets = (
                [pair.partition(" : ")[2].replace(" . ", ":") for pair in many[2].split(", ")] if many else [found[2]]
            )
            assert many is None or len(targets) == int(many[1])
            self.ends.update(targets)
            return True
        if rule.startswith("meta mark set ip saddr map @"):
            return False  # a client that is new
        if rule.startswith("delete @"):
            return False
        if found := re.fullmatch(r"numgen random mod (\d+) vmap \{ (.*) \}", rule):
            drawn = [entry.partition(" : ")[2] for entry in found[2].split(", ")]
            assert len(drawn) == int(found[1])
            ends = [self._verdict(verdict) for verdict in drawn]  # all of them, not up to the first
            return all(ends)
        if rule.startswith(("goto ", "jump ")) or rule == "drop":
            return self._verdict(rule)
        raise AssertionError(f"what is {rule!r}?")

    def _map(self, name: str, key: str) -> bool:
        verdict = self._in(name, key)
        return verdict is not None and self._verdict(verdict)


def obvious(
    services: list[Service], all_endpoints: Any, source: str, target: str, protocol: str, port: int
) -> set[str]:
    """The rules in words: find the Service, then its endpoints."""
    for service in sorted(services, key=lambda one: one.key):
        cluster = [ip for ip in service.cluster_ips if ":" not in ip]
        for own in service.ports:
            if own.protocol.value != protocol or not cluster:
                continue
            by_cluster = target in cluster and port == own.port
            by_external = target in service.external_ips and port == own.port
            by_node = target in FACTS.node_addresses and own.node_port == port
            if not (by_cluster or by_external or by_node):
                continue
            mine = [
                one
                for one in all_endpoints.get(service.key, ())
                if one.port_name == own.name and one.protocol == protocol
            ]
            everywhere = usable(mine)
            here = usable([one for one in mine if one.node == FACTS.node_name])
            inner = ipaddress.ip_address(source) in ipaddress.ip_network(FACTS.cluster_cidr) or source == NODE
            local = service.internal_local if by_cluster else service.external_local and not inner
            chosen = here if local else everywhere
            if not everywhere:
                return {"reject"}
            return {f"{one.address}:{one.port}" for one in chosen} or {"drop"}
    if ipaddress.ip_address(target) in ipaddress.ip_network(FACTS.service_cidr):
        return {"reject"}
    return set()


@LIGHT
@given(
    services,
    endpoints,
    st.sampled_from([POD, NODE, OUTSIDER]),
    st.sampled_from(["10.96.0.7", "10.96.0.8", "10.96.0.9", "10.96.0.99", "198.51.100.1", NODE, "192.0.2.1"]),
    st.sampled_from(["tcp", "udp", "sctp"]),
    st.sampled_from([53, 80, 30001, 30002]),
)
def test_every_connection_gets_where_it_should(
    services: Any, endpoints: Any, source: Any, target: Any, protocol: Any, port: Any
) -> None:
    claims = [
        claim
        for service in services
        for own in service.ports
        for claim in (
            *((ip, own.protocol, own.port) for ip in (*service.cluster_ips, *service.external_ips)),
            *([(NODE, own.protocol, own.node_port)] if own.node_port else []),
        )
    ]
    if len(set(claims)) < len(claims):
        return  # two that claim one address: only that nothing breaks is promised, below
    walk = Walk(plan(FACTS, services, endpoints).ruleset, source, target, protocol, port)
    assert walk.ends == obvious(services, endpoints, source, target, protocol, port)


@LIGHT
@given(services, endpoints)
def test_only_connections_from_outside_of_the_cluster_get_the_nodes_address(services: Any, endpoints: Any) -> None:
    rules = plan(FACTS, services, endpoints).ruleset
    for service in services:
        for own in service.ports:
            for address in service.cluster_ips:
                assert not Walk(rules, POD, address, own.protocol.value, own.port).masqueraded
            if own.node_port and service.external_local:
                assert (
                    not Walk(rules, OUTSIDER, NODE, own.protocol.value, own.node_port).masqueraded or len(services) > 1
                )


class Kernel:
    """A table that takes changes as the kernel would, and refuses what it would refuse."""

    def __init__(self) -> None:
        self.chains: dict[str, tuple[str, ...]] = {}
        self.hooks: dict[str, str] = {}
        self.tables: dict[str, Table] = {}

    def _verdicts(self) -> str:
        rules = " ".join(rule for chain in self.chains.values() for rule in chain)
        return rules + " " + " ".join(v for t in self.tables.values() for v in (t.elements or {}).values())

    def apply(self, change: Any) -> None:
        match change:
            case AddTable(name, table):
                assert name not in self.tables
                self.tables[name] = replace(table, elements=None if table.elements is None else {})
            case AddChain(name, hook):
                assert name not in self.chains
                self.chains[name], self.hooks[name] = (), hook
            case SetRules(chain, rules):
                assert chain in self.chains
                for rule in rules:
                    assert all(name in self.chains for name in re.findall(r"(?:goto|jump) ([\w.-]+)", rule)), rule
                    assert all(name in self.tables for name in re.findall(r"@([\w.-]+)", rule)), rule
                self.chains[chain] = rules
            case AddElements(name, elements):
                held = dict(self.tables[name].elements or {})
                for key, value in elements:
                    assert key not in held
                    assert not value.startswith("goto") or value.split()[1] in self.chains
                    held[key] = value
                self.tables[name] = replace(self.tables[name], elements=held)
            case DeleteElements(name, elements):
                held = dict(self.tables[name].elements or {})
                for key, value in elements:
                    assert held.pop(key) == value
                self.tables[name] = replace(self.tables[name], elements=held)
            case DeleteChain(name):
                assert self.chains.pop(name) == ()
                del self.hooks[name]
                assert not re.search(rf"(goto|jump) {re.escape(name)}(?![\w.-])", self._verdicts())
            case DeleteTable(name, kind):
                assert self.tables.pop(name).kind == kind
                assert not re.search(rf"@{re.escape(name)}(?![\w.-])", self._verdicts())

    def ruleset(self) -> Ruleset:
        return Ruleset({n: Chain(r, self.hooks[n]) for n, r in self.chains.items()}, dict(self.tables))


@LIGHT
@given(st.lists(st.tuples(services, endpoints), min_size=1, max_size=3))
def test_differences_lead_from_any_plan_to_any_other(steps: Any) -> None:
    kernel, held = Kernel(), Ruleset()
    for some_services, some_endpoints in steps:
        wanted = plan(FACTS, some_services, some_endpoints).ruleset
        for change in difference(held, wanted):
            kernel.apply(change)
        assert kernel.ruleset() == wanted
        assert difference(wanted, wanted) == []
        held = wanted


def web(**more: object) -> Service:
    port = ServicePort(80, node_port=30080)
    return replace(Service("shop", "web", ("10.96.0.7",), ports=(port,)), **more)  # type: ignore[arg-type]


def behind(*addresses: str, **more: object) -> dict[ServiceKey, list[Endpoint]]:
    made = [Endpoint(address, 8080, node="n1") for address in addresses]
    return {ServiceKey("shop", "web"): [replace(one, **more) for one in made]}  # type: ignore[arg-type]


def test_an_endpoint_more_changes_one_chain_and_nothing_else() -> None:
    others = [Service("shop", f"s{n}", (f"10.96.1.{n}",), ports=(ServicePort(80),)) for n in range(200)]
    before = plan(FACTS, [web(), *others], behind("10.244.1.2")).ruleset
    after = plan(FACTS, [web(), *others], behind("10.244.1.2", "10.244.1.3")).ruleset
    changes = difference(before, after)
    assert [type(change) for change in changes] == [SetRules, AddElements]
    assert changes[1] == AddElements("hairpins", (("10.244.1.3 . 10.244.1.3", ""),))


def test_base_chains_do_not_grow_with_services() -> None:
    few = plan(FACTS, [web()], behind("10.244.1.2")).ruleset
    many = plan(FACTS, [replace(web(), name=f"s{n}") for n in range(50)], {}).ruleset
    for name, chain in few.chains.items():
        if chain.hook or name == "balance":
            assert many.chains[name] == chain


def test_headless_external_and_ill_named_services_have_no_rules() -> None:
    nothing = plan(FACTS, [], {}).ruleset
    for service in (
        web(cluster_ips=()),
        web(cluster_ips=("fd00::1",)),
        web(cluster_ips=("10.96.0.10",)),  # DNS is served by the node itself
        web(name="web; delete table ip sampan"),
        web(namespace="../x"),
        web(ports=()),
    ):
        made = plan(FACTS, [service], {}).ruleset
        assert made.chains == nothing.chains
        assert made.tables["services"] == nothing.tables["services"]


def test_host_ports_go_before_node_ports_and_to_one_pod() -> None:
    port = HostPort(30080, Protocol.TCP, "10.244.1.9", 80)
    rules = plan(FACTS, [web()], behind("10.244.1.2"), [port, replace(port, pod_ip="10.244.1.8")]).ruleset
    assert Walk(rules, OUTSIDER, NODE, "tcp", 30080).ends == {"10.244.1.9:80"}
    elsewhere = replace(port, host_ip="127.0.0.1")
    assert plan(FACTS, [], {}, [elsewhere]).ruleset.chains == plan(FACTS, [], {}).ruleset.chains


@pytest.mark.parametrize("egress_nat", [False, True])
def test_egress_is_translated_only_when_asked_for(egress_nat: bool) -> None:
    rules = plan(replace(FACTS, egress_nat=egress_nat), [], {}).ruleset.chains["nat-postrouting"].rules
    assert any("oifname" in rule for rule in rules) == egress_nat


def test_what_passes_a_served_address_untranslated_is_dropped_so_that_tcp_sends_it_again() -> None:
    """A packet that is looked up while its Service's rule is replaced is not refused."""
    tables = plan(FACTS, [web()], behind("10.244.1.2")).ruleset.tables
    for served, refused in (("services", "refused"), ("node-ports", "refused-ports")):
        elements = tables[served].elements or {}
        assert elements
        assert {(tables[refused].elements or {})[key] for key in elements} == {"drop"}


def test_the_text_is_what_nft_reads() -> None:
    old = plan(FACTS, [web()], behind("10.244.1.2")).ruleset
    new = plan(FACTS, [web(affinity_seconds=10)], {}).ruleset
    text = commands("t", difference(old, new))
    assert "flush chain ip t service.shop.web.80.tcp\n" in text
    assert "delete chain ip t service.shop.web.80.tcp\n" in text
    assert "delete element ip t services { 10.96.0.7 . tcp . 80 }\n" in text
    assert "add element ip t refused { 10.96.0.7 . tcp . 80 : goto refuse }\n" in text
    assert replacement("t", old).startswith("add table ip t\ndelete table ip t\nadd table ip t\n")


def test_a_resync_keeps_the_clients_of_session_affinity() -> None:
    rules = plan(FACTS, [web(affinity_seconds=10)], behind("10.244.1.2")).ruleset
    kinds = {name: table.kind for name, table in rules.tables.items()} | {"old": "map"}
    text = resync("t", rules, [*rules.chains, "stale"], kinds)
    assert "client.shop.web.80.tcp.10" not in text.replace("@client.shop.web.80.tcp.10", "")
    assert "flush map ip t services\n" in text
    assert text.endswith("delete chain ip t stale\ndelete map ip t old\n")


def udp(**more: object) -> Plan:
    service = Service("shop", "dns", ("10.96.0.9",), ports=(ServicePort(53, Protocol.UDP, node_port=30053),))
    one = replace(Endpoint("10.244.1.2", 53, protocol="udp"), **more)  # type: ignore[arg-type]
    return plan(FACTS, [service], {service.key: [one]})


def test_udp_flows_are_forgotten_when_their_endpoint_no_longer_serves() -> None:
    flow = Flow(("10.96.0.9", 53), ("10.244.1.2", 53), b"")
    by_node = Flow((NODE, 30053), ("10.244.1.2", 53), b"")
    other = Flow(("10.96.0.9", 54), ("10.244.1.2", 53), b"")
    assert stale_targets(udp().udp, udp(ready=False, terminating=True).udp) == {}
    for after in (udp(ready=False, serving=False).udp, {}, udp(address="10.244.1.3").udp):
        targets = stale_targets(udp().udp, after)
        assert is_stale(flow, targets, (NODE,))
        assert is_stale(by_node, targets, (NODE,))
        assert not is_stale(other, targets, (NODE,))
