"""placeholder"""

from __future__ import annotations

import ipaddress

from nodeagent.network.config import Mode, NetworkConfig
from nodeagent.network.namespaces import write_sysctl
from nodeagent.network.pod import gateway_of, mac_of
from nodeagent.network.rtnetlink import (
    Address,
    Route,
    RouteSocket,
    add_bridge,
    put_address,
    put_route,
    set_link,
)
from nodeagent.network.services.plan import NodeFacts


def service_facts(config: NetworkConfig, other_nodes: tuple[str, ...]) -> NodeFacts:
    """What the service rules of this node depend on. `other_nodes` are the other nodes' addresses."""
    foreign = config.reserved_addresses + (other_nodes if config.mode is Mode.VXLAN else ())
    return NodeFacts(
        node_name=config.node_name,
        node_addresses=(config.node_address,),
        cluster_cidr=config.cluster_cidr,
        service_cidr=config.service_cidr,
        device=config.device,
        service_device=config.service_device,
        dns_address=config.dns_address,
        foreign_addresses=tuple(sorted(set(foreign) - {config.node_address})),
        egress_nat=config.egress_nat,
    )


def service_device(config: NetworkConfig, pod_cidr: str) -> None:
    """Make the device that has the DNS address and the route of the service range.

    Connection set-up needs a route before translation can happen, and a node may have no default route. Packets
    that were not translated would vanish on the device (a bridge without ports: not every kernel has `dummy`);
    the rules refuse them before. Programs of the node get the bridge's address as their source, to which every
    node knows the way.
    """
    name = config.service_device
    with RouteSocket() as kernel:
        link = kernel.link(name)
        if link is None:
            kernel.perform(add_bridge(name, mac=mac_of(config.dns_address)))
            link = kernel.link(name)
        assert link is not None
        network = str(ipaddress.IPv4Network(config.service_cidr))
        kernel.perform(
            set_link(link.index, up=True),
            put_address(Address(link.index, config.dns_address, 32)),
            put_route(Route(network, link.index, source=gateway_of(pod_cidr))),
        )
    write_sysctl("net/ipv4/ip_forward", "1")
