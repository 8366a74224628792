"""The cluster's names, made of Services and their endpoints (Kubernetes DNS specification 1.1.0).

    web.shop.svc.cluster.local                 A       the cluster address; of a headless Service, its ready endpoints
    _http._tcp.web.shop.svc.cluster.local      SRV     each named port
    db-0.db.shop.svc.cluster.local             A       an endpoint of a headless Service, by hostname or as 10-244-1-5
    mail.shop.svc.cluster.local                CNAME   an ExternalName
    5.1.244.10.in-addr.arpa                    PTR     cluster addresses and headless endpoints
    10-244-1-5.shop.pod.cluster.local          A       any address of the pods' range, not looked up (answer.py)

A headless Service without ready endpoints has no name (specification, 2.4.1).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field

from nodeagent.network.dns.message import (
    AAAA,
    CNAME,
    NS,
    PTR,
    SOA,
    SRV,
    TXT,
    A,
    Address,
    Authority,
    Data,
    Name,
    Raw,
    Record,
    ServiceTarget,
    Target,
    name_of,
)
from nodeagent.network.services.model import LABEL, Endpoint, Endpoints, Service

SPECIFICATION = b"1.1.0"
TTL_SECONDS = 5  # short: a client that caches must not outlive a Service's change for long
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Zone:
    """All names, lower case. `within` are the domains that we speak for; `names` includes those with no record
    of their own but with names below them."""

    domain: Name
    server: str
    pods: Network
    records: dict[Name, tuple[Record, ...]] = field(default_factory=dict)
    names: frozenset[Name] = frozenset()
    reverse: tuple[Name, ...] = ()
    serial: int = 1

    def origin(self, name: Name) -> Name | None:
        """The domain of ours that `name` (lower case) is in, None if it is someone else's."""
        for origin in (self.domain, *self.reverse):
            if name[-len(origin) :] == origin:
                return origin
        return None

    def authority(self, origin: Name) -> Record:
        """The SOA of one of our domains; it also says for how long a negative answer holds."""
        server = (b"ns", b"dns", *self.domain)
        data = Authority(server, (b"hostmaster", *self.domain), self.serial, 7200, 1800, 86400, TTL_SECONDS)
        return Record(origin, SOA, TTL_SECONDS, data)


def reverse_name(address: str) -> Name:
    """Where the PTR of an address is."""
    return name_of(ipaddress.ip_address(address).reverse_pointer)


def reverse_domains(cidr: str) -> tuple[Name, ...]:
    """The in-addr.arpa domains that cover an IPv4 range, at octet boundaries."""
    network = ipaddress.IPv4Network(cidr)
    octets = max(1, -(-network.prefixlen // 8))
    return tuple(
        name_of(".".join(reversed(str(part.network_address).split(".")[:octets])) + ".in-addr.arpa")
        for part in network.subnets(new_prefix=octets * 8)
    )


def zone_of(
    domain: str,
    server: str,
    services: Iterable[Service],
    endpoints: Endpoints,
    *,
    cluster_cidr: str,
    service_cidr: str,
    serial: int = 1,
) -> Zone:
    """The zone `domain`, served at the address `server`."""
    draft = _Draft(name_of(domain))
    apex = draft.domain
    name_server = (b"ns", b"dns", *apex)
    draft.put(apex, NS, Target(name_server))
    draft.put_address(name_server, server)
    draft.put((b"dns-version", *apex), TXT, Raw(bytes([len(SPECIFICATION)]) + SPECIFICATION))
    for below in (b"svc", b"pod"):
        draft.names.add((below, *apex))
    for service in services:
        if LABEL.match(service.namespace) and LABEL.match(service.name):
            draft.service(service, endpoints.get(service.key, ()))
    reverse = dict.fromkeys((*reverse_domains(cluster_cidr), *reverse_domains(service_cidr)))
    draft.names.update(reverse)
    for name in list(draft.records):
        draft.names.update(name[place:] for place in range(len(name)))
    zone = Zone(
        domain=apex,
        server=server,
        pods=ipaddress.ip_network(cluster_cidr),
        records={name: tuple(records) for name, records in draft.records.items()},
        names=frozenset(draft.names),
        reverse=tuple(reverse),
        serial=serial,
    )
    for origin in (apex, *zone.reverse):
        zone.records[origin] = (*zone.records.get(origin, ()), zone.authority(origin))
    return zone


class _Draft:
    """Gathers one zone's records, each once."""

    def __init__(self, domain: Name) -> None:
        self.domain = domain
        self.records: dict[Name, dict[Record, None]] = {}
        self.names: set[Name] = set()

    def put(self, name: Name, type: int, data: Data) -> None:
        self.records.setdefault(name, {})[Record(name, type, TTL_SECONDS, data)] = None

    def put_address(self, name: Name, address: str) -> None:
        self.put(name, AAAA if ":" in address else A, Address(address))

    def service(self, service: Service, endpoints: Iterable[Endpoint]) -> None:
        name: Name = (service.name.encode(), service.namespace.encode(), b"svc", *self.domain)
        if service.external_name:
            try:
                target = name_of(service.external_name)
            except (ValueError, UnicodeError):
                return  # no such name can be asked for either
            self.put(name, CNAME, Target(target))
        elif service.cluster_ips:
            for address in service.cluster_ips:
                self.put_address(name, address)
                self.put(reverse_name(address), PTR, Target(name))
            for port in service.ports:
                self._port(name, port.name, port.protocol.value, port.port, name)
        else:
            for endpoint in endpoints:
                if endpoint.ready or service.publish_not_ready:
                    self._endpoint(name, endpoint)

    def _endpoint(self, service: Name, endpoint: Endpoint) -> None:
        own = endpoint.hostname or endpoint.address.replace(".", "-").replace(":", "-")
        name: Name = (own.encode(), *service)
        self.put_address(service, endpoint.address)
        self.put_address(name, endpoint.address)
        self.put(reverse_name(endpoint.address), PTR, Target(name))
        self._port(service, endpoint.port_name, endpoint.protocol, endpoint.port, name)

    def _port(self, service: Name, port_name: str, protocol: str, port: int, target: Name) -> None:
        if port_name and port and LABEL.match(port_name):
            srv = (b"_" + port_name.encode(), b"_" + protocol.encode(), *service)
            self.put(srv, SRV, ServiceTarget(0, 100, port, target))
