"""A range of pod addresses for every node: the lowest free part of the cluster's, for as long as the node exists.

Source: Node API reference (`spec.podCIDR`, which never changes once it is set).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from sampan import fake
from sampan.actions import Action, Event, Patch
from sampan.api.core_v1 import Node
from sampan.events import NORMAL
from sampan.kinds import NODES
from sampan.loop import Controller
from sampan.objects import Key
from sampan.world import World

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Ranges:
    """Which node has which part of the cluster's range. What was just given stays taken until the cache shows it."""

    def __init__(self, cluster: str, node_mask: int) -> None:
        self._cluster: Network = ipaddress.ip_network(cluster)
        if not self._cluster.prefixlen <= node_mask <= self._cluster.max_prefixlen:
            raise ValueError(f"cluster_cidr {cluster} has no subnets with node_cidr_mask {node_mask}")
        self._mask = node_mask
        self._given: dict[str, Network] = {}

    def reconcile(self, node: Node, world: World) -> Iterator[Action]:
        """Give a new node its range. A fake one's pods have addresses that nobody routes."""
        name = node.metadata.name or ""
        if node.metadata.labels.get(fake.LABEL) == fake.VALUE:
            return
        if node.spec.pod_cidr or node.metadata.deletion_timestamp is not None:
            self._given.pop(name, None)
            return
        subnet = self._given.get(name) or self.free(node_ranges(world.all(NODES)))
        if subnet is None:
            yield Event(NODES, node, NORMAL, "CIDRNotAvailable", f"Node {name} status is now: CIDRNotAvailable")
            return
        self._given[name] = subnet
        cidr = str(subnet)
        spec = {"podCIDR": cidr, "podCIDRs": [cidr]}
        yield Patch(NODES, node, {"metadata": {"resourceVersion": node.metadata.resource_version}, "spec": spec})

    def gone(self, key: Key, _: World) -> Iterator[Action]:
        """The node is no more, so its range is free."""
        self._given.pop(key.name, None)
        yield from ()

    def free(self, taken: Iterable[Network]) -> Network | None:
        """The lowest subnet that overlaps none of those taken."""
        base, bits = int(self._cluster.network_address), self._cluster.max_prefixlen - self._mask
        last = (1 << (self._mask - self._cluster.prefixlen)) - 1
        used: set[int] = set()
        for one in [*taken, *self._given.values()]:
            if one.version != self._cluster.version:
                continue
            first = max(0, (int(one.network_address) - base) >> bits)
            used.update(range(first, min(last, (int(one.broadcast_address) - base) >> bits) + 1))
        number = next((n for n in range(last + 1) if n not in used), None)
        if number is None:
            return None
        return ipaddress.ip_network((base + (number << bits), self._mask))


def node_ranges(nodes: Iterable[Node]) -> Iterator[Network]:
    """The ranges that nodes have; an unreadable one is its setter's problem."""
    for node in nodes:
        for text in {node.spec.pod_cidr, *node.spec.pod_cidrs} - {None, ""}:
            try:
                yield ipaddress.ip_network(text or "")
            except ValueError:
                continue


def node_ipam(ranges: Ranges) -> Controller[Node]:
    """The controller over `ranges`. One worker: two would choose the same range."""
    return Controller(name="node-ipam-controller", of=NODES, reconcile=ranges.reconcile, gone=ranges.gone, workers=1)
