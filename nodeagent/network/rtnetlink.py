"""Links, addresses, routes and neighbours by rtnetlink: messages are values, one socket sends and asks.

Why not pyroute2: attaching a pod takes a dozen steps, which cost 12 ms and an import of 0.3 s there (measured on
the development machine), and about 1 ms here. Only what a node's network needs is spoken.
Sources: rtnetlink(7), netlink(7), linux/if_link.h, linux/rtnetlink.h, linux/neighbour.h. A failure is the kernel's
errno with the step's name. A socket stays in the network namespace in which it was opened.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x1, 0x4, 0x300
NLM_F_DUMP_INTR = 0x10
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
RTPROT_SAMPAN = 83  # ours in `ip route`, so that we never remove a route that someone else made
NDA_DST, NDA_LLADDR = 1, 2
NUD_PERMANENT, NTF_SELF = 0x80, 0x02
NESTED = 0x8000
RECEIVE_BYTES = 1 << 18
ACKS_AT_ONCE = 64  # answers must fit into the socket's receive buffer


@dataclass(frozen=True, slots=True)
class Step:
    """One rtnetlink request and what to call it when it fails. `forgive` are errno values that count as done."""

    what: str
    kind: int
    flags: int
    payload: bytes
    forgive: tuple[int, ...] = ()


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


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def _u32(kind: int, value: int) -> bytes:
    return _attribute(kind, struct.pack("=I", value))


def _text(kind: int, value: str) -> bytes:
    return _attribute(kind, value.encode() + b"\0")


def _mac(value: str) -> bytes:
    return bytes.fromhex(value.replace(":", ""))


def _ip(value: str) -> bytes:
    return ipaddress.IPv4Address(value).packed


def _link_header(index: int = 0, *, up: bool = False, family: int = 0) -> bytes:
    return struct.pack("=BxHiII", family, 0, index, IFF_UP if up else 0, IFF_UP if up else 0)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(data):
        size, kind = struct.unpack_from("=HH", data, at)
        if size < 4:
            return
        yield kind & ~NESTED, data[at + 4 : at + size]
        at += (size + 3) & ~3


def _new_link(name: str, kind: str, data: bytes, *, up: bool, mtu: int = 0, mac: str = "", master: int = 0) -> Step:
    payload = _link_header(up=up) + _text(IFLA_IFNAME, name)
    if mtu:
        payload += _u32(IFLA_MTU, mtu)
    if mac:
        payload += _attribute(IFLA_ADDRESS, _mac(mac))
    if master:
        payload += _u32(IFLA_MASTER, master)
    info = _attribute(IFLA_INFO_KIND, kind.encode()) + _attribute(IFLA_INFO_DATA | NESTED, data)
    payload += _attribute(IFLA_LINKINFO | NESTED, info)
    return Step(f"add {kind} device {name}", RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, payload)


def add_veth(name: str, peer: str, netns: int, *, mtu: int, peer_mac: str, master: int = 0) -> Step:
    """A veth pair: `name` here, up, a port of bridge `master`; `peer`, down, in the namespace of fd `netns`."""
    far = _link_header() + _text(IFLA_IFNAME, peer) + _u32(IFLA_MTU, mtu)
    far += _attribute(IFLA_ADDRESS, _mac(peer_mac)) + _u32(IFLA_NET_NS_FD, netns)
    return _new_link(name, "veth", _attribute(VETH_INFO_PEER | NESTED, far), up=True, mtu=mtu, master=master)


def add_bridge(name: str, *, mac: str, mtu: int = 0) -> Step:
    """A bridge with a fixed MAC whose ports forward at once (no spanning tree delay)."""
    return _new_link(name, "bridge", _u32(IFLA_BR_FORWARD_DELAY, 0), up=True, mtu=mtu, mac=mac)


def add_vxlan(name: str, *, vni: int, link: int, local: str, port: int, mac: str, mtu: int) -> Step:
    """A VXLAN device that neither learns nor floods."""
    data = _u32(IFLA_VXLAN_ID, vni) + _u32(IFLA_VXLAN_LINK, link) + _attribute(IFLA_VXLAN_LOCAL, _ip(local))
    data += _attribute(IFLA_VXLAN_LEARNING, b"\0") + _attribute(IFLA_VXLAN_PORT, struct.pack(">H", port))
    return _new_link(name, "vxlan", data, up=True, mtu=mtu, mac=mac)


def set_link(index: int, *, up: bool = False, mtu: int = 0, mac: str = "", master: int = 0) -> Step:
    """Change a device; what is left out stays as it is."""
    payload = _link_header(index, up=up)
    if mtu:
        payload += _u32(IFLA_MTU, mtu)
    if mac:
        payload += _attribute(IFLA_ADDRESS, _mac(mac))
    if master:
        payload += _u32(IFLA_MASTER, master)
    return Step(f"set device {index}", RTM_NEWLINK, 0, payload)


def set_hairpin(index: int) -> Step:
    """Let a bridge port send a frame back to where it came from."""
    mode = _attribute(IFLA_PROTINFO | NESTED, _attribute(IFLA_BRPORT_MODE, b"\1"))
    return Step(f"set hairpin of port {index}", RTM_SETLINK, 0, _link_header(index, family=AF_BRIDGE) + mode)


def delete_link(name: str) -> Step:
    """Delete the device `name`, if there is one."""
    payload = _link_header() + _text(IFLA_IFNAME, name)
    return Step(f"delete device {name}", RTM_DELLINK, 0, payload, (errno.ENODEV,))


def _address(address: Address) -> bytes:
    # No broadcast address: it would be one more local address that pods could not have.
    head = struct.pack("=BBBBI", socket.AF_INET, address.prefix, 0, 0, address.index)
    return head + _attribute(IFA_LOCAL, _ip(address.address)) + _attribute(IFA_ADDRESS, _ip(address.address))


def put_address(address: Address) -> Step:
    """Add an address, or keep it."""
    what = f"add address {address.address}/{address.prefix} to device {address.index}"
    return Step(what, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, _address(address))


def delete_address(address: Address) -> Step:
    """Delete an address, if it is there."""
    what = f"delete address {address.address} from device {address.index}"
    return Step(what, RTM_DELADDR, 0, _address(address), (errno.EADDRNOTAVAIL, errno.ENODEV))


def _route(route: Route) -> bytes:
    network = ipaddress.IPv4Network(route.destination)
    scope = RT_SCOPE_UNIVERSE if route.gateway else RT_SCOPE_LINK
    flags = RTNH_F_ONLINK if route.onlink else 0
    head = struct.pack(
        "=BBBBBBBBI",
        socket.AF_INET, network.prefixlen, 0, 0, RT_TABLE_MAIN, RTPROT_SAMPAN, scope, RTN_UNICAST, flags,
    )  # fmt: skip
    if network.prefixlen:
        head += _attribute(RTA_DST, network.network_address.packed)
    head += _u32(RTA_OIF, route.index)
    if route.gateway:
        head += _attribute(RTA_GATEWAY, _ip(route.gateway))
    if route.source:
        head += _attribute(RTA_PREFSRC, _ip(route.source))
    return head


def put_route(route: Route) -> Step:
    """Add a route in place of any other to the same destination."""
    what = f"add route to {route.destination} by device {route.index} {route.gateway}"
    return Step(what, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, _route(route))


def delete_route(route: Route) -> Step:
    """Delete a route, if it is there."""
    return Step(f"delete route to {route.destination}", RTM_DELROUTE, 0, _route(route), (errno.ESRCH, errno.ENODEV))


def _neighbour(entry: Neighbour) -> bytes:
    head = struct.pack("=BxxxiHBB", socket.AF_INET, entry.index, NUD_PERMANENT, 0, 0)
    return head + _attribute(NDA_DST, _ip(entry.address)) + _attribute(NDA_LLADDR, _mac(entry.mac))


def put_neighbour(entry: Neighbour) -> Step:
    """Add or change a permanent neighbour."""
    return Step(f"add neighbour {entry.address}", RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, _neighbour(entry))


def delete_neighbour(entry: Neighbour) -> Step:
    """Delete a neighbour, if it is there."""
    return Step(f"delete neighbour {entry.address}", RTM_DELNEIGH, 0, _neighbour(entry), (errno.ENOENT,))


def _forwarding(entry: Forwarding) -> bytes:
    head = struct.pack("=BxxxiHBB", AF_BRIDGE, entry.index, NUD_PERMANENT, NTF_SELF, 0)
    return head + _attribute(NDA_LLADDR, _mac(entry.mac)) + _attribute(NDA_DST, _ip(entry.remote))


def put_forwarding(entry: Forwarding) -> Step:
    """Add or change a forwarding entry."""
    what = f"add forwarding of {entry.mac} to {entry.remote}"
    return Step(what, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, _forwarding(entry))


def delete_forwarding(entry: Forwarding) -> Step:
    """Delete a forwarding entry, if it is there."""
    return Step(f"delete forwarding of {entry.mac}", RTM_DELNEIGH, 0, _forwarding(entry), (errno.ENOENT,))


class RouteSocket:
    """An rtnetlink socket of the network namespace this thread is in. One thread at a time; `with` closes it."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def perform(self, *steps: Step) -> None:
        """Do steps in order and in as few system calls as possible; all are tried.

        Raises OSError with the kernel's errno for the first that failed.
        """
        failure: OSError | None = None
        for start in range(0, len(steps), ACKS_AT_ONCE):
            failure = self._perform(steps[start : start + ACKS_AT_ONCE]) or failure
        if failure:
            raise failure

    def _perform(self, steps: Sequence[Step]) -> OSError | None:
        waiting: dict[int, Step] = {}
        out = b""
        for step in steps:
            self._sequence += 1
            waiting[self._sequence] = step
            flags = NLM_F_REQUEST | NLM_F_ACK | step.flags
            body = step.payload + bytes(-len(step.payload) % 4)
            out += struct.pack("=IHHII", 16 + len(step.payload), step.kind, flags, self._sequence, 0) + body
        self._socket.send(out)
        failure: OSError | None = None
        while waiting:
            for kind, _, sequence, body in self._receive():
                if kind != NLMSG_ERROR or (done := waiting.pop(sequence, None)) is None:
                    continue
                code = -struct.unpack_from("=i", body)[0]
                if code and code not in done.forgive and failure is None:
                    failure = OSError(code, f"{done.what}: {os.strerror(code)}")
        return failure

    def links(self) -> list[Link]:
        """Every device."""
        return [_parse_link(body) for body in self._dump(RTM_GETLINK, _link_header())]

    def link(self, name: str) -> Link | None:
        """The device `name`, None if there is none."""
        answer = self._ask(RTM_GETLINK, _link_header() + _text(IFLA_IFNAME, name), f"look up device {name}")
        return _parse_link(answer) if answer else None

    def addresses(self) -> list[Address]:
        """Every IPv4 address."""
        found = []
        for body in self._dump(RTM_GETADDR, struct.pack("=BBBBI", socket.AF_INET, 0, 0, 0, 0)):
            _, prefix, _, _, index = struct.unpack_from("=BBBBI", body)
            values = dict(_attributes(body[8:]))
            local = values.get(IFA_LOCAL) or values.get(IFA_ADDRESS)
            if local and len(local) == 4:
                found.append(Address(index, socket.inet_ntoa(local), prefix))
        return found

    def routes(self, *, ours: bool = True) -> list[Route]:
        """IPv4 routes of the main table with one hop: those that put_route made, or all."""
        found = []
        for body in self._dump(RTM_GETROUTE, struct.pack("=BBBBBBBBI", socket.AF_INET, *[0] * 8)):
            _, length, _, _, table, protocol, _, kind, flags = struct.unpack_from("=BBBBBBBBI", body)
            if table != RT_TABLE_MAIN or kind != RTN_UNICAST or (ours and protocol != RTPROT_SAMPAN):
                continue
            values = dict(_attributes(body[12:]))
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
        for body in self._dump(RTM_GETNEIGH, struct.pack("=BxxxiHBB", family, 0, 0, 0, 0)):
            held_family, held, state, _, _ = struct.unpack_from("=BxxxiHBB", body)
            values = dict(_attributes(body[12:]))
            known = NDA_LLADDR in values and len(values.get(NDA_DST, b"")) == 4
            if held == index and held_family == family and state & NUD_PERMANENT and known:
                yield values

    def _ask(self, kind: int, payload: bytes, what: str) -> bytes | None:
        """One object by its key; None if the kernel has none."""
        self._sequence += 1
        head = struct.pack("=IHHII", 16 + len(payload), kind, NLM_F_REQUEST, self._sequence, 0)
        self._socket.send(head + payload)
        for answer, _, sequence, body in self._receive():
            if sequence != self._sequence:
                continue
            if answer != NLMSG_ERROR:
                return body
            code = -struct.unpack_from("=i", body)[0]
            if code not in (0, errno.ENODEV):
                raise OSError(code, f"{what}: {os.strerror(code)}")
        return None

    def _dump(self, kind: int, payload: bytes) -> list[bytes]:
        for _ in range(16):  # the kernel says when a table changed under the dump: then it is not one state
            found, whole = self._dump_once(kind, payload)
            if whole:
                return found
        return found

    def _dump_once(self, kind: int, payload: bytes) -> tuple[list[bytes], bool]:
        self._sequence += 1
        head = struct.pack("=IHHII", 16 + len(payload), kind, NLM_F_REQUEST | NLM_F_DUMP, self._sequence, 0)
        self._socket.send(head + payload)
        found: list[bytes] = []
        whole = True
        while True:
            for answer, flags, sequence, body in self._receive():
                if sequence != self._sequence:
                    continue
                whole = whole and not flags & NLM_F_DUMP_INTR
                if answer == NLMSG_DONE:
                    return found, whole
                if answer == NLMSG_ERROR:
                    code = -struct.unpack_from("=i", body)[0]
                    raise OSError(code, f"rtnetlink dump {kind}: {os.strerror(code)}")
                found.append(body)

    def _receive(self) -> Iterable[tuple[int, int, int, bytes]]:
        data = self._socket.recv(RECEIVE_BYTES)
        at = 0
        while at + 16 <= len(data):
            size, kind, flags, sequence, _ = struct.unpack_from("=IHHII", data, at)
            yield kind, flags, sequence, data[at + 16 : at + size]
            at += max(16, (size + 3) & ~3)


def _parse_link(body: bytes) -> Link:
    _, _, index, flags, _ = struct.unpack_from("=BxHiII", body)
    values = dict(_attributes(body[16:]))
    info = dict(_attributes(values.get(IFLA_LINKINFO, b"")))
    kind = info.get(IFLA_INFO_KIND, b"").rstrip(b"\0").decode()
    vxlan = None
    if kind == "vxlan":
        data = dict(_attributes(info.get(IFLA_INFO_DATA, b"")))
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
