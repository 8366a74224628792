"""The settings of one node's network. Plain values, so that every planner can be tested without a node."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from nodeagent.network.errors import NetworkError

VXLAN_OVERHEAD_BYTES = 50  # RFC 7348 section 5: outer IPv4 20, UDP 8, VXLAN 8, inner Ethernet 14


class Mode(Enum):
    """How packets reach pods on other nodes."""

    VXLAN = "vxlan"
    """Over a VXLAN device: any underlay that carries UDP between the nodes will do."""
    DIRECT = "direct"
    """By routes to the nodes' own addresses: no overhead, but every node must be on one link."""


@dataclass(frozen=True, slots=True)
class PodNetworkConfig:
    """What it takes to attach pods to the node.

    `mtu` is bytes for pods' interfaces; 0 takes the uplink's, less VXLAN's overhead when `mode` asks for it.
    """

    state_dir: Path
    device: str
    mode: Mode = Mode.VXLAN
    bridge: str = "sampan-pods"
    mtu: int = 0


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """Everything that a node's network is told. Addresses and ranges are IPv4 text.

    `device` is the uplink, `node_address` this node's address on it. `reserved_addresses` are addresses of the
    node network that are no Node objects (a control plane): like other nodes' they don't know the way to pods,
    so pods' packets to them leave with the node's address. `dns_descriptors` are inherited sockets (UDP, TCP) that are
    bound to the DNS address already: questions that come while the agent restarts wait in them.
    """

    node_name: str
    node_address: str
    device: str
    state_dir: Path
    cluster_cidr: str = "10.244.0.0/16"
    service_cidr: str = "10.96.0.0/16"
    dns_address: str = "10.96.0.10"
    dns_domain: str = "cluster.local"
    dns_upstream: str = ""
    dns_descriptors: tuple[int, ...] = ()
    mode: Mode = Mode.VXLAN
    egress_nat: bool = False
    bridge: str = "sampan-pods"
    vxlan_device: str = "sampan-vxlan"
    service_device: str = "sampan-svc"
    vxlan_id: int = 1
    vxlan_port: int = 8472
    mtu: int = 0
    table: str = "sampan"
    reserved_addresses: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for field in ("node_address", "dns_address"):
            _must(field, getattr(self, field), ipaddress.IPv4Address)
        for field in ("cluster_cidr", "service_cidr"):
            _must(field, getattr(self, field), ipaddress.IPv4Network)
        for address in self.reserved_addresses:
            _must("reserved_addresses", address, ipaddress.IPv4Address)
        for field in ("device", "bridge", "vxlan_device", "service_device"):
            name = getattr(self, field)
            # dev_valid_name() of the kernel: at most 15 bytes, no slash, colon or space
            if not 0 < len(name.encode()) <= 15 or any(c in "/:" or c.isspace() for c in name):
                raise NetworkError(
                    where=f"network settings, {field}",
                    what=f"{name!r} is not a name for a network device",
                    remedy="use 1 to 15 characters without '/', ':' or spaces",
                )
        if not self.table.replace("_", "").replace("-", "").isalnum() or not self.table[0].isalpha():
            raise NetworkError(
                where="network settings, table",
                what=f"{self.table!r} is not a name for an nftables table",
                remedy="start with a letter and go on with letters, digits, '-' or '_'",
            )
        if not 0 < self.vxlan_id < 1 << 24:
            raise NetworkError(where="network settings, vxlan_id", what=f"{self.vxlan_id} is not in 1..16777215")
        if not 0 < self.vxlan_port < 65536:
            raise NetworkError(where="network settings, vxlan_port", what=f"{self.vxlan_port} is not in 1..65535")

    def pods(self) -> PodNetworkConfig:
        """The part of it that attaching a pod needs."""
        return PodNetworkConfig(
            state_dir=self.state_dir, device=self.device, mode=self.mode, bridge=self.bridge, mtu=self.mtu
        )


def _must(field: str, text: str, parse: type[ipaddress.IPv4Address] | type[ipaddress.IPv4Network]) -> None:
    try:
        parse(text)
    except ValueError as error:
        raise NetworkError(
            where=f"network settings, {field}", what=str(error), remedy="only IPv4 is supported so far"
        ) from error
