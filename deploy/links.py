"""The link that joins the nodes: a bridge in the cluster's own network namespace, a veth pair for every node.

The namespace has no other interface, so nothing in it can reach the machine's uplink.
"""

from __future__ import annotations

import fcntl
import os
import struct
import zlib

from sampan.errors import ClusterError
from sampan.netlink.route import (
    Address,
    Link,
    RouteSocket,
    add_bridge,
    add_veth,
    delete_link,
    put_address,
    set_down,
    set_link,
)

BRIDGE = "nodes"
TUNSETIFF = 0x400454CA  # linux/if_tun.h
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
NODE_INTERFACE = "eth0"
MTU = 1500


def port(node: str) -> str:
    """The name of a node's port on the bridge: at most 15 bytes, and distinct for names that begin alike."""
    return f"p{zlib.crc32(node.encode()):08x}"


def make_bridge(address: str, prefix_length: int) -> None:
    """Bring up loopback and the bridge in the caller's namespace. Repeatable."""
    with RouteSocket() as sock:
        sock.perform(set_link(_link(sock, "lo").index, up=True))
        if sock.link(BRIDGE) is None:
            sock.perform(add_bridge(BRIDGE, mac=mac(BRIDGE)))
        bridge = _link(sock, BRIDGE)
        sock.perform(put_address(Address(bridge.index, address, prefix_length)), set_link(bridge.index, up=True))


def plug(node: str, pid: int) -> None:
    """Give the namespace of process `pid` an eth0 that ends in the bridge."""
    name = port(node)
    namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        with RouteSocket() as sock:
            if sock.link(name) is not None:
                sock.perform(delete_link(name))
            bridge = _link(sock, BRIDGE).index
            sock.perform(add_veth(name, NODE_INTERFACE, namespace, mtu=MTU, peer_mac=mac(node), master=bridge))
    finally:
        os.close(namespace)


def open_tap(node: str) -> int:
    """The descriptor of a node's port on the bridge, for a virtual machine. The port goes with its last descriptor."""
    name = port(node)
    with RouteSocket() as sock:
        if sock.link(name) is not None:
            sock.perform(delete_link(name))
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    try:
        request = struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR)
        fcntl.ioctl(tap, TUNSETIFF, request)
        with RouteSocket() as sock:
            index, bridge = _link(sock, name).index, _link(sock, BRIDGE).index
            sock.perform(set_link(index, up=True, master=bridge))
    except BaseException:
        os.close(tap)
        raise
    return tap


def set_plugged(node: str, plugged: bool) -> None:
    """Pull a node's cable, or put it back. Raises ClusterError when the node has none."""
    with RouteSocket() as sock:
        found = sock.link(port(node))
        if found is None:
            raise ClusterError(where=f"node {node}", what="it has no port on the bridge", remedy="start the node first")
        sock.perform(set_link(found.index, up=True) if plugged else set_down(found.index))


def configure_node(address: str, prefix_length: int) -> None:
    """In the node's namespace: loopback and its address.

    There is no default route: whatever is outside is unreachable at once instead of after a time-out.
    """
    with RouteSocket() as sock:
        index = _link(sock, NODE_INTERFACE).index
        sock.perform(
            set_link(_link(sock, "lo").index, up=True),
            set_link(index, up=True),
            put_address(Address(index, address, prefix_length)),
        )


def _link(sock: RouteSocket, name: str) -> Link:
    found = sock.link(name)
    if found is None:
        raise ClusterError(where=f"network device {name}", what="it is not there")
    return found


def mac(name: str) -> str:
    """A locally administered address that stays the same for a name."""
    digest = zlib.crc32(name.encode()).to_bytes(4, "big")
    return ":".join(f"{byte:02x}" for byte in b"\x0a\x53" + digest)
