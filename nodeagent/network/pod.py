"""Pods on the node's bridge: a veth pair, an address and a default route for each.

    pod netns:  eth0 10.244.1.5/32, default via 10.244.1.1 (on link)
                  |
    node netns: veth -- bridge 10.244.1.1/24 -- routed to everything else

A pod has its address as a /32: even a neighbour on the same bridge is reached through the node's routing. So
every packet of a Service's connection passes the node's connection tracking both ways, with or without
br_netfilter. Where br_netfilter is on, the kernel may shorten the way on the bridge itself, back out of the port
that a packet came from when a pod calls itself; that needs the ports' hairpin mode.

Always: an address and its MAC belong together, so a reused address never meets a stale neighbour entry;
`add` and `remove` can be repeated after a crash at any step.
Elsewhere: addresses (ipam.py), other nodes (overlay.py). Calls block for some milliseconds: from asyncio use a
thread.
"""

from __future__ import annotations

import errno
import hashlib
import ipaddress
import os
from collections.abc import Collection
from dataclasses import dataclass, replace

from nodeagent.network.config import VXLAN_OVERHEAD_BYTES, Mode, PodNetworkConfig
from nodeagent.network.errors import NetworkError
from nodeagent.network.ipam import LeaseFile
from nodeagent.network.namespaces import inside, write_sysctl
from sampan.netlink.route import (
    Address,
    Link,
    Route,
    RouteSocket,
    add_bridge,
    add_veth,
    delete_address,
    delete_link,
    put_address,
    put_route,
    set_hairpin,
    set_link,
)

INTERFACE = "eth0"
LOOPBACK_INDEX = 1  # the kernel gives a new network namespace's lo index 1


@dataclass(frozen=True, slots=True)
class PodAddress:
    """Where a pod is on the network. `ips[0]` is its primary address; `mtu` is bytes."""

    ips: tuple[str, ...]
    gateway: str
    mac: str
    interface: str = INTERFACE
    mtu: int = 0


def mac_of(address: str) -> str:
    """The MAC of an IPv4 address: locally administered, unicast, its last four bytes the address's."""
    return "02:58:" + ":".join(f"{byte:02x}" for byte in ipaddress.IPv4Address(address).packed)


def host_device_of(sandbox_id: str) -> str:
    """The name of the node's end of a pod's veth pair, at most 15 bytes (IFNAMSIZ)."""
    return "pod" + hashlib.sha256(sandbox_id.encode()).hexdigest()[:12]


def gateway_of(pod_cidr: str) -> str:
    """The bridge's address: the first of the range. Raises NetworkError for a range with no room for pods."""
    try:
        network = ipaddress.IPv4Network(pod_cidr)
    except ValueError as error:
        raise NetworkError(
            where="the node's pod range", what=str(error), remedy="see spec.podCIDR of the Node"
        ) from error
    if network.prefixlen > 29:
        raise NetworkError(where=f"pod range {pod_cidr}", what="is too small", remedy="use a /29 or larger")
    return str(network.network_address + 1)


class PodNetwork:
    """Attaches sandboxes to the network of the namespace that the caller is in."""

    def __init__(self, config: PodNetworkConfig) -> None:
        self._config = config
        self._leases = LeaseFile(config.state_dir)

    def add(self, sandbox_id: str, netns_path: str | os.PathLike[str], *, pod_cidr: str, pod: str = "") -> PodAddress:
        """Attach the namespace at `netns_path`, or make sure that it is. The same sandbox keeps its address, and a
        new sandbox of the same `pod` (its UID) gets the address that the pod had, unless others needed it.

        Raises NetworkError (AddressesExhausted when the range is full). After a failure nothing is left.
        """
        gateway = gateway_of(pod_cidr)
        where = f"pod sandbox {sandbox_id}"
        fd = self._open(sandbox_id, netns_path)
        try:
            address = self._leases.take(sandbox_id, pod_cidr, pod)
            try:
                mtu = self._attach(sandbox_id, fd, address, gateway, pod_cidr)
            except Exception as error:
                self.remove(sandbox_id)
                if isinstance(error, NetworkError):
                    raise
                raise NetworkError(where=where, what=f"can't be attached to {self._config.bridge}: {error}") from error
        finally:
            os.close(fd)
        return PodAddress(ips=(address,), gateway=gateway, mac=mac_of(address), mtu=mtu)

    def remove(self, sandbox_id: str) -> None:
        """Detach a sandbox and free its address. Repeating it, or an unknown sandbox, is no error."""
        with RouteSocket() as kernel:
            kernel.perform(delete_link(host_device_of(sandbox_id)))
        self._leases.release(sandbox_id)

    def allocations(self) -> dict[str, str]:
        """The address of every sandbox that has one."""
        return self._leases.owners()

    def check(self, sandbox_id: str, netns_path: str | os.PathLike[str]) -> None:
        """Nothing if the sandbox is still attached as `add` left it. Raises NetworkError if not."""
        where = f"pod sandbox {sandbox_id}"
        address = self.allocations().get(sandbox_id)
        if address is None:
            raise NetworkError(where=where, what="has no address")
        device = host_device_of(sandbox_id)
        with RouteSocket() as kernel:
            if (link := kernel.link(device)) is None or not link.up:
                raise NetworkError(where=where, what=f"its device {device} is gone or down")
        fd = self._open(sandbox_id, netns_path)
        try:
            with inside(fd, where), RouteSocket() as kernel:
                addresses = {held.address for held in kernel.addresses()}
                destinations = {route.destination for route in kernel.routes(ours=False)}
        finally:
            os.close(fd)
        if address not in addresses:
            raise NetworkError(where=where, what=f"{INTERFACE} no longer has the address {address}")
        if "0.0.0.0/0" not in destinations:
            raise NetworkError(where=where, what="has no default route any more")

    def retain(self, live: Collection[str]) -> list[str]:
        """Remove every sandbox that is not in `live` (left by a crash); returns the removed."""
        stale = sorted(set(self.allocations()) - set(live))
        for sandbox_id in stale:
            self.remove(sandbox_id)
        return stale

    def prepare(self, pod_cidr: str) -> int:
        """Make the bridge, if it is not as it should be, and let the node forward. Returns pods' MTU in bytes."""
        with RouteSocket() as kernel:
            return self._bridge(kernel, gateway_of(pod_cidr), pod_cidr).mtu

    def remove_all(self) -> None:
        """Detach every pod and remove the bridge."""
        self.retain(())
        with RouteSocket() as kernel:
            kernel.perform(delete_link(self._config.bridge))

    def _open(self, sandbox_id: str, netns_path: str | os.PathLike[str]) -> int:
        try:
            return os.open(netns_path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise NetworkError(
                where=f"pod sandbox {sandbox_id}",
                what=f"its network namespace can't be opened: {error}",
                remedy="stop the sandbox and start it anew",
            ) from error

    def _bridge(self, kernel: RouteSocket, gateway: str, pod_cidr: str) -> Link:
        """The bridge, with the gateway's address and MAC and nothing else."""
        name = self._config.bridge
        mac = mac_of(gateway)
        link = kernel.link(name)
        if link is None:
            mtu = self._config.mtu or self._uplink_mtu(kernel)
            added = add_bridge(name, mac=mac, mtu=mtu)
            kernel.perform(replace(added, forgive=(errno.EEXIST,)))  # another process may be making it as well
            link = kernel.link(name)
            if link is None:
                raise NetworkError(where=f"bridge {name}", what="vanished while it was being made")
        wanted = Address(link.index, gateway, ipaddress.IPv4Network(pod_cidr).prefixlen)
        held = {address for address in kernel.addresses() if address.index == link.index}
        if held == {wanted} and link.up and link.mac == mac:
            return link
        kernel.perform(
            set_link(link.index, up=True, mac=mac),
            *(delete_address(address) for address in sorted(held - {wanted})),
            put_address(wanted),
        )
        write_sysctl("net/ipv4/ip_forward", "1")
        return link

    def _uplink_mtu(self, kernel: RouteSocket) -> int:
        uplink = kernel.link(self._config.device)
        if uplink is None:
            raise NetworkError(
                where=f"uplink {self._config.device}",
                what="there is no such network device",
                remedy="set the node's device to the one that carries its address",
            )
        return uplink.mtu - (VXLAN_OVERHEAD_BYTES if self._config.mode is Mode.VXLAN else 0)

    def _attach(self, sandbox_id: str, fd: int, address: str, gateway: str, pod_cidr: str) -> int:
        """Bring the veth pair, its addresses and routes about; returns the MTU in bytes."""
        name = host_device_of(sandbox_id)
        where = f"the network namespace of pod sandbox {sandbox_id}"
        with inside(fd, where):
            pod = RouteSocket()
        with pod, RouteSocket() as node:
            bridge = self._bridge(node, gateway, pod_cidr)
            near, far = node.link(name), pod.link(INTERFACE)
            if far is not None and near is None:
                raise NetworkError(
                    where=where,
                    what=f"has an {INTERFACE} that is not ours",
                    remedy="give every sandbox a network namespace of its own",
                )
            if far is None:
                # `near` without `far` is half a pair left by a crash, its other end elsewhere.
                stale = (delete_link(name),) if near else ()
                pair = add_veth(name, INTERFACE, fd, mtu=bridge.mtu, peer_mac=mac_of(address), master=bridge.index)
                node.perform(*stale, pair)
                near, far = node.link(name), pod.link(INTERFACE)
            if near is None or far is None:
                raise NetworkError(where=where, what="lost its veth pair while it was being attached")
            node.perform(set_link(near.index, up=True, master=bridge.index), set_hairpin(near.index))
            pod.perform(
                set_link(LOOPBACK_INDEX, up=True),
                set_link(far.index, up=True),
                put_address(Address(far.index, address, 32)),
                put_route(Route("0.0.0.0/0", far.index, gateway, onlink=True)),
            )
        return bridge.mtu
