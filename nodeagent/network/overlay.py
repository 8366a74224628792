"""The way to pods on other nodes: what devices, routes and entries this node should have, and the diff to get there.

    10.244.2.0/24 via 10.244.2.0 dev sampan-vxlan     the other node's range, through its VXLAN device
    10.244.2.0  ->  MAC of node 2                     permanent neighbour: nobody asks by ARP
    MAC of node 2  ->  172.30.0.12                    permanent forwarding entry: nothing is flooded or learned

A node's VXLAN device has the first address of its pod range and a MAC made from that address, so a Node's
spec.podCIDR and InternalIP say everything: nodes need not tell each other more. In direct mode one route by the
node's own address does the same without a device.

Always: `plan` is a pure function; `reconcile` asks the kernel what is there, so it repairs what was lost or
changed by others, and removes only what carries our route protocol number or sits on our device.
Elsewhere: pods on this node (pod.py).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from nodeagent.network.config import VXLAN_OVERHEAD_BYTES, Mode, NetworkConfig
from nodeagent.network.errors import NetworkError
from nodeagent.network.namespaces import write_sysctl
from nodeagent.network.pod import mac_of
from sampan.netlink.messages import Step
from sampan.netlink.route import (
    Address,
    Forwarding,
    Link,
    Neighbour,
    Route,
    RouteSocket,
    add_vxlan,
    delete_address,
    delete_forwarding,
    delete_link,
    delete_neighbour,
    delete_route,
    put_address,
    put_forwarding,
    put_neighbour,
    put_route,
    set_link,
)


@dataclass(frozen=True, slots=True, order=True)
class Peer:
    """A node as the overlay sees it: its name, its address on the node network, the range of its pods."""

    name: str
    address: str
    pod_cidr: str


@dataclass(frozen=True, slots=True)
class Device:
    """The VXLAN device that this node should have."""

    name: str
    vni: int
    port: int
    local: str
    mac: str
    address: str


@dataclass(frozen=True, slots=True)
class Overlay:
    """All that this node's kernel should hold, in terms without device indices.

    `routes` are (destination, gateway); `neighbours` (address, mac); `forwardings` (mac, node address).
    """

    device: Device | None
    routes: frozenset[tuple[str, str]]
    neighbours: frozenset[tuple[str, str]] = frozenset()
    forwardings: frozenset[tuple[str, str]] = frozenset()


def usable_peers(peers: Iterable[Peer], cluster_cidr: str) -> tuple[list[Peer], list[str]]:
    """Peers that can be routed to, by name, and a complaint for each that can't.

    A range or an address that two nodes claim goes to the one whose name comes first, on every node alike.
    """
    cluster = ipaddress.IPv4Network(cluster_cidr)
    good: list[Peer] = []
    complaints: list[str] = []
    taken: dict[ipaddress.IPv4Network, str] = {}
    addresses: dict[str, str] = {}
    for peer in sorted(peers):
        if not peer.pod_cidr or not peer.address:
            continue  # it has just been born
        try:
            network, address = ipaddress.IPv4Network(peer.pod_cidr), str(ipaddress.IPv4Address(peer.address))
        except ValueError as error:
            complaints.append(f"node {peer.name}: {error}")
            continue
        if not network.subnet_of(cluster):
            complaints.append(f"node {peer.name}: pod range {network} is outside of the cluster's {cluster}")
            continue
        other = next((name for held, name in taken.items() if held.overlaps(network)), addresses.get(address))
        if other is not None:
            complaints.append(f"node {peer.name}: {network} at {address} is claimed by node {other} already")
            continue
        taken[network] = addresses[address] = peer.name
        good.append(Peer(peer.name, address, str(network)))
    return good, complaints


def plan(config: NetworkConfig, pod_cidr: str, peers: Sequence[Peer]) -> Overlay:
    """What a node with the range `pod_cidr` should have for `peers` (this node among them or not)."""
    others = [p for p in peers if p.name != config.node_name and p.address != config.node_address]
    if config.mode is Mode.DIRECT:
        return Overlay(device=None, routes=frozenset((peer.pod_cidr, peer.address) for peer in others))
    first = {peer: str(ipaddress.IPv4Network(peer.pod_cidr).network_address) for peer in others}
    own = str(ipaddress.IPv4Network(pod_cidr).network_address)
    return Overlay(
        device=Device(
            name=config.vxlan_device,
            vni=config.vxlan_id,
            port=config.vxlan_port,
            local=config.node_address,
            mac=mac_of(own),
            address=own,
        ),
        routes=frozenset((peer.pod_cidr, first[peer]) for peer in others),
        neighbours=frozenset((first[peer], mac_of(first[peer])) for peer in others),
        forwardings=frozenset((mac_of(first[peer]), peer.address) for peer in others),
    )


T = TypeVar("T", Route, Neighbour, Forwarding, Address)


def difference(wanted: Iterable[T], held: Iterable[T]) -> tuple[list[T], list[T]]:
    """What to add and what to delete, each in order."""
    wanted, held = set(wanted), set(held)
    return sorted(wanted - held), sorted(held - wanted)


def reconcile(kernel: RouteSocket, config: NetworkConfig, overlay: Overlay) -> int:
    """Make the kernel hold `overlay` and return how many steps that took (0: nothing had to change).

    Blocks for a millisecond or so. Raises NetworkError when there is no uplink, OSError when the kernel refuses.
    """
    uplink = kernel.link(config.device)
    if uplink is None:
        raise NetworkError(
            where=f"uplink {config.device}",
            what="there is no such network device",
            remedy="set the node's device to the one that carries its address",
        )
    steps = 0
    index = uplink.index
    if overlay.device is None:
        if kernel.link(config.vxlan_device):
            kernel.perform(delete_link(config.vxlan_device))
            steps += 1
    else:
        made, link = _device(kernel, config, overlay.device, uplink)
        index = link.index
        steps += made
    routes = difference(
        (Route(destination, index, gateway, onlink=True) for destination, gateway in overlay.routes),
        (route for route in kernel.routes() if _is_overlay_route(route, config)),
    )
    changes: list[Step] = []
    if overlay.device is not None:
        address = Address(index, overlay.device.address, 32)
        addresses = difference([address], (held for held in kernel.addresses() if held.index == index))
        neighbours = difference((Neighbour(index, ip, mac) for ip, mac in overlay.neighbours), kernel.neighbours(index))
        forwardings = difference(
            (Forwarding(index, mac, remote) for mac, remote in overlay.forwardings), kernel.forwardings(index)
        )
        # A node whose address changed has one MAC with two destinations: replace, then delete the other.
        kept = {entry.mac for entry in forwardings[0]}
        changes += [delete_address(gone) for gone in addresses[1]]
        changes += [put_address(new) for new in addresses[0]]
        changes += [delete_forwarding(gone) for gone in forwardings[1] if gone.mac not in kept]
        changes += [put_forwarding(new) for new in forwardings[0]]
        known = {entry.address for entry in neighbours[0]}
        changes += [put_neighbour(new) for new in neighbours[0]]
        changes += [delete_neighbour(gone) for gone in neighbours[1] if gone.address not in known]
    replaced = {route.destination for route in routes[0]}
    changes += [put_route(new) for new in routes[0]]
    changes += [delete_route(gone) for gone in routes[1] if gone.destination not in replaced]
    if changes:
        kernel.perform(*changes)
    return steps + len(changes)


def remove_all(kernel: RouteSocket, config: NetworkConfig) -> None:
    """Take away the device and every route of the overlay."""
    routes = [delete_route(route) for route in kernel.routes() if _is_overlay_route(route, config)]
    kernel.perform(*routes, delete_link(config.vxlan_device))


def _is_overlay_route(route: Route, config: NetworkConfig) -> bool:
    cluster = ipaddress.IPv4Network(config.cluster_cidr)
    return bool(route.gateway) and ipaddress.IPv4Network(route.destination).subnet_of(cluster)


def _device(kernel: RouteSocket, config: NetworkConfig, wanted: Device, uplink: Link) -> tuple[int, Link]:
    """The VXLAN device as it should be: made anew if what can't be changed is wrong."""
    mtu = config.mtu or uplink.mtu - VXLAN_OVERHEAD_BYTES
    steps = 0
    link = kernel.link(wanted.name)
    if link is not None and link.vxlan != (wanted.vni, wanted.local, wanted.port, False):
        kernel.perform(delete_link(wanted.name))
        link = None
        steps += 1
    if link is None:
        kernel.perform(
            add_vxlan(
                wanted.name, vni=wanted.vni, link=uplink.index, local=wanted.local,
                port=wanted.port, mac=wanted.mac, mtu=mtu,
            )
        )  # fmt: skip
        steps += 1
        link = kernel.link(wanted.name)
        if link is None:
            raise NetworkError(where=f"device {wanted.name}", what="vanished while it was being made")
        # Node-to-pod packets may come by the link and go by the overlay; a strict filter would drop them.
        write_sysctl(f"net/ipv4/conf/{wanted.name}/rp_filter", "2")
    if link.mac != wanted.mac or link.mtu != mtu or not link.up:
        kernel.perform(set_link(link.index, up=True, mtu=mtu, mac=wanted.mac))
        steps += 1
    return steps, link
