"""Services and endpoints to nftables: which packet goes where, as a pure function.

A new connection is looked up once in a map keyed by (address, protocol, port), however many Services there are:

    nat-prerouting, nat-output -> balance: services   10.96.4.7 . tcp . 80 -> goto service.shop.web.80.tcp
                                           node-ports tcp . 30080          -> goto outside.shop.web.80.tcp
    service.shop.web.80.tcp:  dnat to numgen random mod 2 map { 0 : 10.244.1.5 . 8080, 1 : 10.244.2.9 . 8080 }
    outside.shop.web.80.tcp:  mark for masquerade, goto service...
    filter-*: refused         10.96.4.8 . tcp . 80 -> reject (no endpoint) or drop (none on this node, policy Local)
                              10.96.4.7 . tcp . 80 -> drop (it has endpoints, see below)
    nat-postrouting:          masquerade what would not come back this way by itself

Session affinity: client.* maps a client's address to the number of its endpoint for as long as it comes back.
Only a connection's first packet comes here: connection tracking remembers its endpoint, also while that terminates.
A packet that is looked up at the very moment in which its Service's rule is replaced may pass untranslated (the kernel
deactivates the old rule's map for it): it is dropped, not refused, so TCP sends it again and meets the new rule.

Rules followed: KEP-1669 (without ready endpoints, those that are terminating and still serve), KEP-2086 and the
Service documentation (traffic policies). Only IPv4; addresses of the other family are left out.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from nodeagent.network.services.model import (
    LABEL,
    Endpoint,
    Endpoints,
    Protocol,
    Service,
    ServiceKey,
    ServicePort,
    is_ipv4,
)
from nodeagent.network.services.ruleset import Chain, Ruleset, Table

MASQUERADE_MARK = 0x4000  # of the connection; the bit that kube-proxy uses of the packet
TRIPLE = "type ipv4_addr . inet_proto . inet_service : verdict;"
PAIR = "type inet_proto . inet_service : verdict;"
REFUSE, DROP = "goto refuse", "drop"
AFFINITY_CLIENTS = 65536


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What the rules depend on besides Services.

    `node_addresses` are where NodePorts answer. `foreign_addresses` are on the node network and don't know the way
    to pods: pods' packets to them leave with the node's address. `dns_address` is served by the node itself.
    """

    node_name: str
    node_addresses: tuple[str, ...]
    cluster_cidr: str
    service_cidr: str
    device: str
    service_device: str
    bridge: str = "sampan-pods"
    dns_address: str = ""
    foreign_addresses: tuple[str, ...] = ()
    egress_nat: bool = False


@dataclass(frozen=True, slots=True, order=True)
class HostPort:
    """A pod's port on the node's own address (hostPort). `host_ip` "" is the node's address."""

    host_port: int
    protocol: Protocol
    pod_ip: str
    pod_port: int
    host_ip: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """The rules, and for UDP which endpoints each (address or "", port) has; "" is a NodePort."""

    ruleset: Ruleset
    udp: dict[tuple[str, int], frozenset[tuple[str, int]]] = field(default_factory=dict)


def usable(endpoints: Iterable[Endpoint]) -> list[Endpoint]:
    """Who gets new connections: the ready, else the terminating that still serve (KEP-1669)."""
    endpoints = list(endpoints)
    ready = [one for one in endpoints if one.ready]
    return ready or [one for one in endpoints if one.serving and one.terminating]


def endpoints_of_port(port: ServicePort, endpoints: Iterable[Endpoint]) -> list[Endpoint]:
    """A Service port's endpoints: those whose port has its name and protocol; each address and port once."""
    found: dict[tuple[str, int], Endpoint] = {}
    for one in endpoints:
        if one.port_name != port.name or one.protocol != port.protocol.value:
            continue
        if not is_ipv4(one.address) or not 0 < one.port < 65536:
            continue
        held = found.get((one.address, one.port))
        # A pod may be in two slices for a moment; the better report counts.
        if held is None or (one.ready, one.serving) > (held.ready, held.serving):
            found[(one.address, one.port)] = one
    return [found[key] for key in sorted(found)]


def plan(
    facts: NodeFacts, services: Iterable[Service], endpoints: Endpoints, host_ports: Iterable[HostPort] = ()
) -> Plan:
    """The node's whole table. Of two that want one address and port, the first by name has it; hostPorts go first."""
    draft = _Draft(facts)
    hairpins: dict[str, str] = {}
    for one in host_ports:
        draft.add_host_port(one)
        hairpins[f"{one.pod_ip} . {one.pod_ip}"] = ""
    for service in sorted(services, key=lambda one: one.key):
        if not service.ports or not LABEL.match(service.namespace) or not LABEL.match(service.name):
            continue
        behind = endpoints.get(ServiceKey(service.namespace, service.name), ())
        for port in service.ports:
            draft.add(service, port, endpoints_of_port(port, behind))
    for values in endpoints.values():
        hairpins.update((f"{one.address} . {one.address}", "") for one in values if _is_local(one, facts))
    return draft.finish(dict(sorted(hairpins.items())))


def _is_local(one: Endpoint, facts: NodeFacts) -> bool:
    return one.node == facts.node_name and is_ipv4(one.address)


class _Draft:
    """Gathers chains and elements of one plan."""

    def __init__(self, facts: NodeFacts) -> None:
        self._facts = facts
        self._chains: dict[str, Chain] = {}
        self._tables: dict[str, Table] = {}
        self._services: dict[str, str] = {}
        self._node_ports: dict[str, str] = {}
        self._refused: dict[str, str] = {}
        self._refused_ports: dict[str, str] = {}
        self._udp: dict[tuple[str, int], frozenset[tuple[str, int]]] = {}

    def add_host_port(self, one: HostPort) -> None:
        if one.host_ip not in ("", "0.0.0.0", *self._facts.node_addresses) or not is_ipv4(one.pod_ip):
            return
        chain = f"host.{one.host_port}.{one.protocol.value}"
        if chain in self._chains:
            return
        target = Endpoint(one.pod_ip, one.pod_port)
        self._chains[chain] = Chain((_translate(one.protocol, [target]),))
        for address in self._facts.node_addresses:
            self._services[f"{address} . {one.protocol.value} . {one.host_port}"] = f"goto {chain}"

    def add(self, service: Service, port: ServicePort, endpoints: Sequence[Endpoint]) -> None:
        facts = self._facts
        everywhere = usable(endpoints)
        here = usable(one for one in endpoints if one.node == facts.node_name)
        inner = here if service.internal_local else everywhere
        outer = here if service.external_local else everywhere
        base = f"{service.namespace}.{service.name}.{port.port}.{port.protocol.value}"
        protocol = port.protocol.value
        inside = [ip for ip in service.cluster_ips if is_ipv4(ip) and ip != facts.dns_address]
        outside = [ip for ip in service.external_ips if is_ipv4(ip) and ip not in facts.node_addresses]
        on_node = [ip for ip in service.external_ips if ip in facts.node_addresses]
        if not inside:
            return
        if everywhere:
            self._balance(f"service.{base}", base, service, port, everywhere)
        for ip in inside:
            if inner and service.internal_local:
                self._balance(f"local.{base}", base, service, port, here)
                self._services.setdefault(f"{ip} . {protocol} . {port.port}", f"goto local.{base}")
            elif inner:
                self._services.setdefault(f"{ip} . {protocol} . {port.port}", f"goto service.{base}")
            else:
                self._refused.setdefault(f"{ip} . {protocol} . {port.port}", DROP if everywhere else REFUSE)
        reached_from_outside = outside or on_node or port.node_port
        if reached_from_outside and everywhere:
            self._chains[f"outside.{base}"] = Chain(tuple(self._outside(base, service, port, outer)))
        for ip in (*outside, *on_node):
            key = f"{ip} . {protocol} . {port.port}"
            if everywhere:
                self._services.setdefault(key, f"goto outside.{base}")
            else:
                self._refused.setdefault(key, REFUSE)
        if port.node_port:
            key = f"{protocol} . {port.node_port}"
            if everywhere:
                self._node_ports.setdefault(key, f"goto outside.{base}")
            else:
                self._refused_ports.setdefault(key, REFUSE)
        if port.protocol is Protocol.UDP:
            # Serving while terminating: whoever talks to it already may go on.
            targets = frozenset((one.address, one.port) for one in endpoints if one.ready or one.serving)
            for ip in (*inside, *outside, *on_node):
                self._udp[(ip, port.port)] = targets
            if port.node_port:
                self._udp[("", port.node_port)] = targets

    def _outside(self, base: str, service: Service, port: ServicePort, outer: Sequence[Endpoint]) -> Iterable[str]:
        """How connections from outside of the cluster go: by any endpoint with the node's address, or by local
        ones with the client's (externalTrafficPolicy Local; pods and this node itself still reach all)."""
        if not service.external_local:
            yield f"ct mark set ct mark or {MASQUERADE_MARK:#x} goto service.{base}"
            return
        yield f"ip saddr {self._facts.cluster_cidr} goto service.{base}"
        yield f"fib saddr type local goto service.{base}"
        if outer:
            self._balance(f"local.{base}", base, service, port, outer)
            yield f"goto local.{base}"
        else:
            yield DROP  # not refused: a balancer before the nodes shall try another one

    def _balance(
        self, chain: str, base: str, service: Service, port: ServicePort, endpoints: Sequence[Endpoint]
    ) -> None:
        if not service.affinity_seconds:
            self._chains[chain] = Chain((_translate(port.protocol, endpoints),))
            return
        clients = f"client.{base}.{service.affinity_seconds}"
        self._tables[clients] = Table(
            "map",
            f"type ipv4_addr : mark; size {AFFINITY_CLIENTS}; flags dynamic,timeout; "
            f"timeout {service.affinity_seconds}s;",
            None,
        )
        numbers = _numbers(endpoints)
        names = {number: f"endpoint.{base}.{one.address}.{one.port}" for number, one in numbers.items()}
        for number, one in numbers.items():
            self._chains[names[number]] = Chain(
                (f"update @{clients} {{ ip saddr : {number:#x} }} meta mark set 0 " + _translate(port.protocol, [one]),)
            )
        known = ", ".join(f"{number:#x} : goto {name}" for number, name in names.items())
        drawn = ", ".join(f"{place} : goto {name}" for place, name in enumerate(names.values()))
        self._chains[chain] = Chain(
            (
                f"meta mark set ip saddr map @{clients} meta mark vmap {{ {known} }}",
                # The client's endpoint is gone. `update` would only prolong the entry, so take it out first.
                f"delete @{clients} {{ ip saddr : 0x0 }}",
                f"numgen random mod {len(names)} vmap {{ {drawn} }}",
            )
        )

    def finish(self, hairpins: dict[str, str]) -> Plan:
        facts = self._facts
        refuse = f'oifname "{facts.service_device}" ip daddr {facts.service_cidr} {REFUSE}'
        refused = "ct state new ip daddr . meta l4proto . th dport vmap @refused"
        refused_ports = "ct state new ip daddr @node-addresses meta l4proto . th dport vmap @refused-ports"
        chains = {
            "nat-prerouting": Chain(("jump balance",), "type nat hook prerouting priority -100;"),
            "nat-output": Chain(("jump balance",), "type nat hook output priority -100;"),
            "nat-postrouting": Chain(tuple(self._masquerades()), "type nat hook postrouting priority 100;"),
            "filter-input": Chain((refused, refused_ports), "type filter hook input priority 0;"),
            "filter-forward": Chain((refused, refuse), "type filter hook forward priority 0;"),
            "filter-output": Chain((refused, refused_ports, refuse), "type filter hook output priority 0;"),
            "balance": Chain(
                (
                    "ip daddr . meta l4proto . th dport vmap @services",
                    "ip daddr @node-addresses meta l4proto . th dport vmap @node-ports",
                )
            ),
            "refuse": Chain(("meta l4proto tcp reject with tcp reset", "reject with icmp port-unreachable")),
        }
        tables = {
            "services": Table("map", TRIPLE, self._services),
            "node-ports": Table("map", PAIR, self._node_ports),
            "refused": Table("map", TRIPLE, dict.fromkeys(self._services, DROP) | self._refused),
            "refused-ports": Table("map", PAIR, dict.fromkeys(self._node_ports, DROP) | self._refused_ports),
            "node-addresses": Table("set", "type ipv4_addr;", dict.fromkeys(facts.node_addresses, "")),
            "foreign-addresses": Table("set", "type ipv4_addr;", dict.fromkeys(facts.foreign_addresses, "")),
            "hairpins": Table("set", "type ipv4_addr . ipv4_addr;", hairpins),
        }
        return Plan(Ruleset({**chains, **self._chains}, {**tables, **self._tables}), self._udp)

    def _masquerades(self) -> Iterable[str]:
        facts = self._facts
        pods, services = facts.cluster_cidr, facts.service_cidr
        yield f"ct status dnat ct mark and {MASQUERADE_MARK:#x} == {MASQUERADE_MARK:#x} masquerade fully-random"
        # A pod that reached itself would answer itself, past the translation.
        yield "ct status dnat ip saddr . ip daddr @hairpins masquerade fully-random"
        # Endpoints outside of the pods' ranges (the API server) may not know the way back to pods,
        yield f"ct status dnat ip saddr {pods} ip daddr != {pods} masquerade fully-random"
        # and pods not the way back to whoever uses a cluster address from outside.
        yield f"ct status dnat ip saddr != {pods} ct original ip daddr {services} masquerade fully-random"
        yield f"ip saddr {pods} ip daddr @foreign-addresses masquerade fully-random"
        if facts.egress_nat:
            yield f'oifname "{facts.device}" ip saddr {pods} ip daddr != {pods} masquerade fully-random'


def _translate(protocol: Protocol, endpoints: Sequence[Endpoint]) -> str:
    to = f"meta l4proto {protocol.value} dnat ip to"
    if len(endpoints) == 1:
        return f"{to} {endpoints[0].address}:{endpoints[0].port}"
    places = ", ".join(f"{place} : {one.address} . {one.port}" for place, one in enumerate(endpoints))
    return f"{to} numgen random mod {len(endpoints)} map {{ {places} }}"


def _numbers(endpoints: Sequence[Endpoint]) -> dict[int, Endpoint]:
    """A number for each endpoint, the same whoever is beside it, except for the rare collision."""
    found: dict[int, Endpoint] = {}
    for one in endpoints:
        number = zlib.crc32(f"{one.address}:{one.port}".encode()) or 1
        while number in found:
            number = number % 0xFFFFFFFF + 1
        found[number] = one
    return found
