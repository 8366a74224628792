"""The link that joins the nodes: a bridge in the cluster's own network namespace, a veth pair for every node.

The namespace has no other interface, so nothing in it can reach the machine's uplink.
"""

from __future__ import annotations

import zlib

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

BRIDGE = "nodes"
NODE_INTERFACE = "eth0"
ENODEV = 19


def port(node: str) -> str:
    """The name of a node's port on the bridge: at most 15 bytes, and distinct for names that begin alike."""
    return f"p{zlib.crc32(node.encode()):08x}"


def make_bridge(address: str, prefix_length: int) -> None:
    """Bring up loopback and the bridge in the caller's namespace. Repeatable."""
    with IPRoute() as ip:
        ip.link("set", index=ip.link_lookup(ifname="lo")[0], state="up")
        if ip.link_lookup(ifname=BRIDGE):
            return
        ip.link("add", ifname=BRIDGE, kind="bridge")
        index = ip.link_lookup(ifname=BRIDGE)[0]
        ip.addr("add", index=index, address=address, prefixlen=prefix_length)
        ip.link("set", index=index, state="up")


def plug(node: str, pid: int) -> None:
    """Give the namespace of process `pid` an eth0 that ends in the bridge."""
    name = port(node)
    with IPRoute() as ip:
        for stale in ip.link_lookup(ifname=name):
            ip.link("del", index=stale)
        ip.link("add", ifname=name, kind="veth", peer={"ifname": NODE_INTERFACE, "net_ns_pid": pid})
        bridge = ip.link_lookup(ifname=BRIDGE)[0]
        ip.link("set", index=ip.link_lookup(ifname=name)[0], master=bridge, state="up")


def set_plugged(node: str, plugged: bool) -> None:
    """Pull a node's cable, or put it back. Raises NetlinkError when the node has none."""
    with IPRoute() as ip:
        found = ip.link_lookup(ifname=port(node))
        if not found:
            raise NetlinkError(ENODEV, f"node {node} has no port on the bridge: is it stopped?")
        ip.link("set", index=found[0], state="up" if plugged else "down")


def configure_node(address: str, prefix_length: int, gateway: str) -> None:
    """In the node's namespace: loopback, its address, and the way to everything else."""
    with IPRoute() as ip:
        ip.link("set", index=ip.link_lookup(ifname="lo")[0], state="up")
        index = ip.link_lookup(ifname=NODE_INTERFACE)[0]
        ip.addr("add", index=index, address=address, prefixlen=prefix_length)
        ip.link("set", index=index, state="up")
        ip.route("add", dst="default", gateway=gateway)
