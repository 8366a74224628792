"""Links, addresses, routes and neighbours by rtnetlink: messages are values, one socket sends and asks.

Sources: rtnetlink(7), linux/if_link.h, linux/rtnetlink.h, linux/neighbour.h.
Elsewhere: framing and errors (messages.py).
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from sampan.netlink.messages import NESTED, NetlinkSocket, Step, attribute, attributes

NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE = 0x100, 0x200, 0x400
RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = 16, 17, 18, 19
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH = 28, 29, 30
AF_BRIDGE = 7
IFF_UP = 0x1
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_MASTER, IFLA_PROTINFO, IFLA_LINKINFO = 1, 3, 4, 10, 12, 18
IFLA_NET_NS_FD = 28
IFLA_INFO_KIND, IFLA_INFO_DATA = 1, 2
IFLA_BRPORT_MODE = 4
IFLA_BR_FORWARD_DELAY = 1
IFLA_VXLAN_ID, IFLA_VXLAN_LINK, IFLA_VXLAN_LOCAL, IFLA_VXLAN_LEARNING, IFLA_VXLAN_PORT = 1, 2, 4, 7, 15
VETH_INFO_PEER = 1
IFA_ADDRESS, IFA_LOCAL = 1, 2
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PREFSRC, RTA_TABLE = 1, 4, 5, 7, 15
RT_TABLE_MAIN, RT_SCOPE_UNIVERSE, RT_SCOPE_LINK, RTN_UNICAST, RTNH_F_ONLINK = 254, 0, 253, 1, 4
RTPROT_STATIC = 4
RTPROT_SAMPAN = 83  # ours in `ip route`, so that we never remove a route that someone else made
NDA_DST, NDA_LLADDR = 1, 2
NUD_PERMANENT, NTF_SELF = 0x80, 0x02


@dataclass(frozen=True, slots=True)
class Link:
    """A network device as the kernel has it. `mtu` is bytes; `vxlan` is (id, local address, port, learning)."""

    index: int
    name: str
    up: bool
    mtu: int
    mac: str
    kind: str
    master: int = 0
    vxlan: tuple[int, str, int, bool] | None = None


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """An IPv4 address on a device."""

    index: int
    address: str
    prefix: int


@dataclass(frozen=True, slots=True, order=True)
class Route:
    """An IPv4 route of the main table, through device `index`. No gateway: the destination is on the link."""

    destination: str
    index: int
    gateway: str = ""
    source: str = ""
    onlink: bool = False


@dataclass(frozen=True, slots=True, order=True)
class Neighbour:
    """A permanent neighbour entry: `address` on device `index` has `mac`."""

    index: int
    address: str
    mac: str


@dataclass(frozen=True, slots=True, order=True)
class Forwarding:
    """An entry of a VXLAN device's forwarding database: frames for `mac` go to the node `remote`."""

    index: int
    mac: str
    remote: str


def _u32(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=I", value))


def _text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def _mac(value: str) -> bytes:
    return bytes.fromhex(value.replace(":", ""))


def _ip(value: str) -> bytes:
    return ipaddress.IPv4Address(value).packed


def _link_header(index: int = 0, *, up: bool = False, family: int = 0) -> bytes:
    return struct.pack("=BxHiII", family, 0, index, IFF_UP if up else 0, IFF_UP if up else 0)


def _new_link(name: str, kind: str, data: bytes, *, up: bool, mtu: int = 0, mac: str = "", master: int = 0) -> Step:
    payload = _link_header(up=up) + _text(IFLA_IFNAME, name)
    if mtu:
        payload += _u32(IFLA_MTU, mtu)
    if mac:
        payload += attribute(IFLA_ADDRESS, _mac(mac))
    if master:
        payload += _u32(IFLA_MASTER, master)
    info = attribute(IFLA_INFO_KIND, kind.encode()) + attribute(IFLA_INFO_DATA | NESTED, data)
    payload += attribute(IFLA_LINKINFO | NESTED, info)
    return Step(f"add {kind} device {name}", RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, payload)


def add_veth(name: str, peer: str, netns: int, *, mtu: int, peer_mac: str, master: int = 0) -> Step:
    """A veth pair: `name` here, up, a port of bridge `master`; `peer`, down, in the namespace of fd `netns`."""
    far = _link_header() + _text(IFLA_IFNAME, peer) + _u32(IFLA_MTU, mtu)
    far += attribute(IFLA_ADDRESS, _mac(peer_mac)) + _u32(IFLA_NET_NS_FD, netns)
    return _new_link(name, "veth", attribute(VETH_INFO_PEER | NESTED, far), up=True, mtu=mtu, master=master)


def add_bridge(name: str, *, mac: str, mtu: int = 0) -> Step:
    """A bridge with a fixed MAC whose ports forward at once (no spanning tree delay)."""
    return _new_link(name, "bridge", _u32(IFLA_BR_FORWARD_DELAY, 0), up=True, mtu=mtu, mac=mac)


def add_vxlan(name: str, *, vni: int, link: int, local: str, port: int, mac: str, mtu: int) -> Step:
    """A VXLAN device that neither learns nor floods."""
    data = _u32(IFLA_VXLAN_ID, vni) + _u32(IFLA_VXLAN_LINK, link) + attribute(IFLA_VXLAN_LOCAL, _ip(local))
    data += attribute(IFLA_VXLAN_LEARNING, b"\0") + attribute(IFLA_VXLAN_PORT, struct.pack(">H", port))
    return _new_link(name, "vxlan", data, up=True, mtu=mtu, mac=mac)


def set_link(index: int, *, up: bool = False, mtu: int = 0, mac: str = "", master: int = 0) -> Step:
    """Change a device; what is left out stays as it is."""
    payload = _link_header(index, up=up)
    if mtu:
        payload += _u32(IFLA_MTU, mtu)
    if mac:
        payload += attribute(IFLA_ADDRESS, _mac(mac))
    if master:
        payload += _u32(IFLA_MASTER, master)
    return Step(f"set device {index}", RTM_NEWLINK, 0, payload)


def set_hairpin(index: int) -> Step:
    """Let a bridge port send a frame back to where it came from."""
    mode = attribute(IFLA_PROTINFO | NESTED, attribute(IFLA_BRPORT_MODE, b"\1"))
    return Step(f"set hairpin of port {index}", RTM_SETLINK, 0, _link_header(index, family=AF_BRIDGE) + mode)


def set_down(index: int) -> Step:
    """Take a device down."""
    return Step(f"take device {index} down", RTM_NEWLINK, 0, struct.pack("=BxHiII", 0, 0, index, 0, IFF_UP))


def delete_link(name: str) -> Step:
    """Delete the device `name`, if there is one."""
    payload = _link_header() + _text(IFLA_IFNAME, name)
    return Step(f"delete device {name}", RTM_DELLINK, 0, payload, (errno.ENODEV,))


def _address(address: Address) -> bytes:
    # No broadcast address: it would be one more local address that pods could not have.
    head = struct.pack("=BBBBI", socket.AF_INET, address.prefix, 0, 0, address.index)
    return head + attribute(IFA_LOCAL, _ip(address.address)) + attribute(IFA_ADDRESS, _ip(address.address))


def put_address(address: Address) -> Step:
    """Add an address, or keep it."""
    what = f"add address {address.address}/{address.prefix} to device {address.index}"
    return Step(what, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, _address(address))


def delete_address(address: Address) -> Step:
    """Delete an address, if it is there."""
    what = f"delete address {address.address} from device {address.index}"
    return Step(what, RTM_DELADDR, 0, _address(address), (errno.EADDRNOTAVAIL, errno.ENODEV))


def _route(route: Route, protocol: int = RTPROT_SAMPAN) -> bytes:
    network = ipaddress.IPv4Network(route.destination)
    scope = RT_SCOPE_UNIVERSE if route.gateway else RT_SCOPE_LINK
    flags = RTNH_F_ONLINK if route.onlink else 0
    head = struct.pack(
        "=BBBBBBBBI",
        socket.AF_INET, network.prefixlen, 0, 0, RT_TABLE_MAIN, protocol, scope, RTN_UNICAST, flags,
    )  # fmt: skip
    if network.prefixlen:
        head += attribute(RTA_DST, network.network_address.packed)
    head += _u32(RTA_OIF, route.index)
    if route.gateway:
        head += attribute(RTA_GATEWAY, _ip(route.gateway))
    if route.source:
        head += attribute(RTA_PREFSRC, _ip(route.source))
    return head


def put_route(route: Route, protocol: int = RTPROT_SAMPAN) -> Step:
    """Add a route in place of any other to the same destination. `protocol` says whose it is."""
    what = f"add route to {route.destination} by device {route.index} {route.gateway}"
    return Step(what, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, _route(route, protocol))


def delete_route(route: Route) -> Step:
    """Delete a route, if it is there."""
    return Step(f"delete route to {route.destination}", RTM_DELROUTE, 0, _route(route), (errno.ESRCH, errno.ENODEV))


def _neighbour(entry: Neighbour) -> bytes:
    head = struct.pack("=BxxxiHBB", socket.AF_INET, entry.index, NUD_PERMANENT, 0, 0)
    return head + attribute(NDA_DST, _ip(entry.address)) + attribute(NDA_LLADDR, _mac(entry.mac))


def put_neighbour(entry: Neighbour) -> Step:
    """Add or change a permanent neighbour."""
    return Step(f"add neighbour {entry.address}", RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, _neighbour(entry))


def delete_neighbour(entry: Neighbour) -> Step:
    """Delete a neighbour, if it is there."""
    return Step(f"delete neighbour {entry.address}", RTM_DELNEIGH, 0, _neighbour(entry), (errno.ENOENT,))


def _forwarding(entry: Forwarding) -> bytes:
    head = struct.pack("=BxxxiHBB", AF_BRIDGE, entry.index, NUD_PERMANENT, NTF_SELF, 0)
    return head + attribute(NDA_LLADDR, _mac(entry.mac)) + attribute(NDA_DST, _ip(entry.remote))


def put_forwarding(entry: Forwarding) -> Step:
    """Add or change a forwarding entry."""
    what = f"add forwarding of {entry.mac} to {entry.remote}"
    return Step(what, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, _forwarding(entry))


def delete_forwarding(entry: Forwarding) -> Step:
    """Delete a forwarding entry, if it is there."""
    return Step(f"delete forwarding of {entry.mac}", RTM_DELNEIGH, 0, _forwarding(entry), (errno.ENOENT,))


class RouteSocket(NetlinkSocket):
    """An rtnetlink socket."""

    def __init__(self) -> None:
        super().__init__(socket.NETLINK_ROUTE)

    def links(self) -> list[Link]:
        """Every device."""
        return [_parse_link(body) for body in self.dump(RTM_GETLINK, _link_header())]

    def link(self, name: str) -> Link | None:
        """The device `name`, None if there is none."""
        answer = self.ask(RTM_GETLINK, _link_header() + _text(IFLA_IFNAME, name), f"look up device {name}")
        return _parse_link(answer) if answer else None

    def addresses(self) -> list[Address]:
        """Every IPv4 address."""
        found = []
        for body in self.dump(RTM_GETADDR, struct.pack("=BBBBI", socket.AF_INET, 0, 0, 0, 0)):
            _, prefix, _, _, index = struct.unpack_from("=BBBBI", body)
            values = dict(attributes(body[8:]))
            local = values.get(IFA_LOCAL) or values.get(IFA_ADDRESS)
            if local and len(local) == 4:
                found.append(Address(index, socket.inet_ntoa(local), prefix))
        return found

    def routes(self, *, ours: bool = True) -> list[Route]:
        """IPv4 routes of the main table with one hop: those that put_route made, or all."""
        found = []
        for body in self.dump(RTM_GETROUTE, struct.pack("=BBBBBBBBI", socket.AF_INET, *[0] * 8)):
            _, length, _, _, table, protocol, _, kind, flags = struct.unpack_from("=BBBBBBBBI", body)
            if table != RT_TABLE_MAIN or kind != RTN_UNICAST or (ours and protocol != RTPROT_SAMPAN):
                continue
            values = dict(attributes(body[12:]))
            if RTA_OIF not in values:
                continue
            gateway, source = values.get(RTA_GATEWAY), values.get(RTA_PREFSRC)
            found.append(
                Route(
                    destination=f"{socket.inet_ntoa(values.get(RTA_DST, bytes(4)))}/{length}",
                    index=struct.unpack("=I", values[RTA_OIF])[0],
                    gateway=socket.inet_ntoa(gateway) if gateway else "",
                    source=socket.inet_ntoa(source) if source else "",
                    onlink=bool(flags & RTNH_F_ONLINK),
                )
            )
        return found

    def neighbours(self, index: int) -> list[Neighbour]:
        """Permanent IPv4 neighbours on a device."""
        return [
            Neighbour(index, socket.inet_ntoa(values[NDA_DST]), values[NDA_LLADDR].hex(":"))
            for values in self._neighbour_entries(socket.AF_INET, index)
        ]

    def forwardings(self, index: int) -> list[Forwarding]:
        """A VXLAN device's forwarding entries."""
        return [
            Forwarding(index, values[NDA_LLADDR].hex(":"), socket.inet_ntoa(values[NDA_DST]))
            for values in self._neighbour_entries(AF_BRIDGE, index)
        ]

    def _neighbour_entries(self, family: int, index: int) -> Iterator[dict[int, bytes]]:
        for body in self.dump(RTM_GETNEIGH, struct.pack("=BxxxiHBB", family, 0, 0, 0, 0)):
            held_family, held, state, _, _ = struct.unpack_from("=BxxxiHBB", body)
            values = dict(attributes(body[12:]))
            known = NDA_LLADDR in values and len(values.get(NDA_DST, b"")) == 4
            if held == index and held_family == family and state & NUD_PERMANENT and known:
                yield values


def _parse_link(body: bytes) -> Link:
    _, _, index, flags, _ = struct.unpack_from("=BxHiII", body)
    values = dict(attributes(body[16:]))
    info = dict(attributes(values.get(IFLA_LINKINFO, b"")))
    kind = info.get(IFLA_INFO_KIND, b"").rstrip(b"\0").decode()
    vxlan = None
    if kind == "vxlan":
        data = dict(attributes(info.get(IFLA_INFO_DATA, b"")))
        vxlan = (
            struct.unpack("=I", data[IFLA_VXLAN_ID])[0],
            socket.inet_ntoa(data.get(IFLA_VXLAN_LOCAL, bytes(4))),
            struct.unpack(">H", data[IFLA_VXLAN_PORT])[0],
            data[IFLA_VXLAN_LEARNING] != b"\0",
        )
    return Link(
        index=index,
        name=values[IFLA_IFNAME].rstrip(b"\0").decode(),
        up=bool(flags & IFF_UP),
        mtu=struct.unpack("=I", values[IFLA_MTU])[0],
        mac=values.get(IFLA_ADDRESS, b"").hex(":"),
        kind=kind,
        master=struct.unpack("=I", values[IFLA_MASTER])[0] if IFLA_MASTER in values else 0,
        vxlan=vxlan,
    )
