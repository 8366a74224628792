"""Forget UDP flows whose endpoint is gone: UDP never says goodbye, so connection tracking would keep the way.

Source: linux/netfilter/nfnetlink_conntrack.h. A TCP client notices by itself; its entries are left alone.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sampan.netlink.messages import NESTED, NetlinkSocket, Step, attribute, attributes

NETLINK_NETFILTER = 12
CT_GET, CT_DELETE = 0x101, 0x102  # NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET, _DELETE
CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_ID = 1, 2, 12
CTA_TUPLE_IP, CTA_TUPLE_PROTO = 1, 2
CTA_IP_V4_SRC, CTA_IP_V4_DST = 1, 2
CTA_PROTO_NUM, CTA_PROTO_SRC_PORT, CTA_PROTO_DST_PORT = 1, 2, 3

Targets = Mapping[tuple[str, int], frozenset[tuple[str, int]]]


@dataclass(frozen=True, slots=True)
class Flow:
    """A tracked UDP flow: where its first packet was sent, and who answers. `key` names it to the kernel."""

    sent_to: tuple[str, int]
    answered_by: tuple[str, int]
    key: bytes


def stale_targets(old: Targets, new: Targets) -> dict[tuple[str, int], frozenset[tuple[str, int]]]:
    """The (address, port) whose flows have to be looked at, and the endpoints that they may still have."""
    return {key: new.get(key, frozenset()) for key, targets in old.items() if targets - new.get(key, frozenset())}


def is_stale(flow: Flow, targets: Targets, node_addresses: Collection[str]) -> bool:
    """Whether the flow goes to an endpoint that its target no longer has."""
    allowed = targets.get(flow.sent_to)
    if allowed is None and flow.sent_to[0] in node_addresses:
        allowed = targets.get(("", flow.sent_to[1]))
    return allowed is not None and flow.answered_by not in allowed


def forget_stale(targets: Targets, node_addresses: Collection[str]) -> int:
    """Delete stale flows of this network namespace and return how many. Raises OSError."""
    with NetlinkSocket(NETLINK_NETFILTER) as kernel:
        head = struct.pack(">BBH", socket.AF_INET, 0, 0)
        flows = [flow for body in kernel.dump(CT_GET, head) if (flow := _parse(body[4:]))]
        stale = [flow for flow in flows if is_stale(flow, targets, node_addresses)]
        steps = (
            Step(f"forget flow to {flow.sent_to}", CT_DELETE, 0, head + flow.key, (errno.ENOENT,)) for flow in stale
        )
        kernel.perform(*steps)
    return len(stale)


def _parse(data: bytes) -> Flow | None:
    values = dict(attributes(data))
    sent, answer = _tuple(values.get(CTA_TUPLE_ORIG, b"")), _tuple(values.get(CTA_TUPLE_REPLY, b""))
    if sent is None or answer is None:
        return None
    key = attribute(CTA_TUPLE_ORIG | NESTED, values[CTA_TUPLE_ORIG])
    if CTA_ID in values:
        key += attribute(CTA_ID, values[CTA_ID])
    return Flow(sent_to=sent[1], answered_by=answer[0], key=key)


def _tuple(data: bytes) -> tuple[tuple[str, int], tuple[str, int]] | None:
    """Source and destination of a UDP tuple, None for another protocol."""
    parts = dict(attributes(data))
    ip, proto = dict(attributes(parts.get(CTA_TUPLE_IP, b""))), dict(attributes(parts.get(CTA_TUPLE_PROTO, b"")))
    if proto.get(CTA_PROTO_NUM) != bytes([socket.IPPROTO_UDP]) or CTA_IP_V4_SRC not in ip:
        return None
    source = (socket.inet_ntoa(ip[CTA_IP_V4_SRC]), struct.unpack(">H", proto[CTA_PROTO_SRC_PORT])[0])
    target = (socket.inet_ntoa(ip[CTA_IP_V4_DST]), struct.unpack(">H", proto[CTA_PROTO_DST_PORT])[0])
    return source, target
