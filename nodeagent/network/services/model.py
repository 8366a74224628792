"""Services and their endpoints as the node's network needs them: small frozen values, made from API objects once.

Both packet rules (plan.py) and DNS (dns/zone.py) are planned from these.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from sampan.api.core_v1 import Service as ServiceObject
from sampan.api.discovery_v1 import EndpointSlice

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
DEFAULT_AFFINITY_SECONDS = 10800  # ClientIPConfig.timeoutSeconds of the API
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z")


class Protocol(Enum):
    """Transport protocols a Service may have; the value is nftables' and DNS SRV's name for it."""

    TCP = "tcp"
    UDP = "udp"
    SCTP = "sctp"


class ServiceKey(NamedTuple):
    """Which Service."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """One address and port behind a Service. `port` is 0 for a headless Service without ports.

    `node` is the node it runs on ("" if unknown), `hostname` its own DNS name below the Service's.
    """

    address: str
    port: int
    port_name: str = ""
    protocol: str = "tcp"
    node: str = ""
    ready: bool = True
    serving: bool = True
    terminating: bool = False
    hostname: str = ""


@dataclass(frozen=True, slots=True)
class ServicePort:
    """A port of a Service; `node_port` 0 for none."""

    port: int
    protocol: Protocol = Protocol.TCP
    name: str = ""
    node_port: int = 0


@dataclass(frozen=True, slots=True)
class Service:
    """What a Service says. `affinity_seconds` 0: every connection is balanced anew.

    `cluster_ips` is empty for a headless Service and for an ExternalName, which has `external_name`.
    """

    namespace: str
    name: str
    cluster_ips: tuple[str, ...] = ()
    external_ips: tuple[str, ...] = ()
    ports: tuple[ServicePort, ...] = ()
    affinity_seconds: int = 0
    internal_local: bool = False
    external_local: bool = False
    publish_not_ready: bool = False
    external_name: str = ""

    @property
    def key(self) -> ServiceKey:
        """Which Service this is."""
        return ServiceKey(self.namespace, self.name)


Endpoints = Mapping[ServiceKey, Sequence[Endpoint]]


def is_ipv4(text: str) -> bool:
    """Whether `text` is an IPv4 address in its usual form."""
    try:
        return str(ipaddress.IPv4Address(text)) == text
    except ValueError:
        return False


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def service_of(value: ServiceObject) -> Service:
    """The Service of an API object. Addresses or names that no API server lets through are left out."""
    spec = value.spec
    name = value.metadata.name or ""
    namespace = value.metadata.namespace or ""
    external = spec.type == "ExternalName"
    cluster_ips = tuple(spec.cluster_ips) or ((spec.cluster_ip,) if spec.cluster_ip else ())
    balancer = value.status.load_balancer
    ingress = [entry.ip for entry in balancer.ingress if entry.ip] if balancer else []
    affinity = 0
    if spec.session_affinity == "ClientIP":
        config = spec.session_affinity_config
        client = config.client_ip if config else None
        affinity = (client.timeout_seconds if client else None) or DEFAULT_AFFINITY_SECONDS
    return Service(
        namespace=namespace,
        name=name,
        cluster_ips=() if external else tuple(ip for ip in cluster_ips if _is_address(ip)),
        external_ips=tuple(dict.fromkeys(ip for ip in (*spec.external_ips, *ingress) if _is_address(ip))),
        ports=tuple(
            ServicePort(
                port=port.port,
                protocol=Protocol[port.protocol or "TCP"],
                name=port.name or "",
                node_port=port.node_port or 0,
            )
            for port in spec.ports
            if (port.protocol or "TCP") in Protocol.__members__
        ),
        affinity_seconds=affinity,
        internal_local=spec.internal_traffic_policy == "Local",
        external_local=spec.external_traffic_policy == "Local",
        publish_not_ready=bool(spec.publish_not_ready_addresses),
        external_name=(spec.external_name or "") if external else "",
    )


def endpoints_of(slices: Iterable[EndpointSlice]) -> dict[ServiceKey, tuple[Endpoint, ...]]:
    """Every Service's endpoints, in order and each once, whichever slices they are in.

    A missing `ready` counts as true, a missing `serving` as `ready` (EndpointConditions of discovery.k8s.io/v1).
    """
    found: dict[ServiceKey, dict[Endpoint, None]] = {}
    for one in slices:
        service = one.metadata.labels.get(SERVICE_NAME_LABEL, "")
        if not service or one.address_type == "FQDN":
            continue
        into = found.setdefault(ServiceKey(one.metadata.namespace or "", service), {})
        ports = [(p.port or 0, p.name or "", (p.protocol or "TCP").lower()) for p in one.ports] or [(0, "", "tcp")]
        for endpoint in one.endpoints:
            conditions = endpoint.conditions
            ready = conditions is None or conditions.ready is not False
            serving = ready if conditions is None or conditions.serving is None else conditions.serving
            hostname = endpoint.hostname or ""
            for address in endpoint.addresses:
                if not _is_address(address):
                    continue
                for port, port_name, protocol in ports:
                    made = Endpoint(
                        address=address,
                        port=port,
                        port_name=port_name,
                        protocol=protocol,
                        node=endpoint.node_name or "",
                        ready=ready,
                        serving=serving,
                        terminating=conditions is not None and bool(conditions.terminating),
                        hostname=hostname if LABEL.match(hostname) else "",
                    )
                    into[made] = None
    return {key: tuple(sorted(values)) for key, values in found.items()}
