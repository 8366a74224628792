"""The device that carries the service range: the DNS address, and a route for addresses that nobody has.

A connection needs a route before its destination can be translated, and a node may have no default route. Packets
that are not translated would vanish on the device; the rules (plan.py) refuse them before. It is a bridge without
ports, since not every kernel has `dummy`.
"""

from __future__ import annotations

import ipaddress

from nodeagent.network.config import NetworkConfig
from nodeagent.network.errors import NetworkError
from nodeagent.network.namespaces import write_sysctl
from nodeagent.network.pod import gateway_of, mac_of
from sampan.netlink.messages import Step
from sampan.netlink.route import (
    Address,
    Route,
    RouteSocket,
    add_bridge,
    delete_address,
    delete_link,
    delete_route,
    put_address,
    put_route,
    set_link,
)


def reconcile_device(kernel: RouteSocket, config: NetworkConfig, pod_cidr: str) -> int:
    """Make the device as it should be; returns how many steps that took. Raises NetworkError, OSError.

    `pod_cidr` is this node's pod range, "" if it has none yet: once it has, programs of the node reach Services
    from the bridge's address, to which every node knows the way.
    """
    name, mac = config.service_device, mac_of(config.dns_address)
    steps: list[Step] = []
    link = kernel.link(name)
    made = 0
    if link is None:
        kernel.perform(add_bridge(name, mac=mac))
        made = 1
        link = kernel.link(name)
        if link is None:
            raise NetworkError(where=f"device {name}", what="vanished while it was being made")
    if not link.up:
        steps.append(set_link(link.index, up=True))
    address = Address(link.index, config.dns_address, 32)
    addresses = {held for held in kernel.addresses() if held.index == link.index}
    steps += [delete_address(held) for held in sorted(addresses - {address})]
    if address not in addresses:
        steps.append(put_address(address))
    source = gateway_of(pod_cidr) if pod_cidr else ""
    route = Route(str(ipaddress.IPv4Network(config.service_cidr)), link.index, source=source)
    routes = {held for held in kernel.routes() if held.index == link.index}
    steps += [delete_route(held) for held in sorted(routes - {route}) if held.destination != route.destination]
    if route not in routes:
        steps.append(put_route(route))
    if steps:
        kernel.perform(*steps)
    write_sysctl("net/ipv4/ip_forward", "1")
    return made + len(steps)


def remove_device(kernel: RouteSocket, config: NetworkConfig) -> None:
    """Take the device away, if it is there; its address and route go with it."""
    kernel.perform(delete_link(config.service_device))
