"""A fake node's own objects: its Node, its Lease. Pure.

Elsewhere: what a status consists of (nodeagent/node_status.py).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from nodeagent.cri import Conditions, Version
from nodeagent.fake.config import CAPACITY, FakeConfig
from nodeagent.machine import Load, System
from nodeagent.node_status import NodeSettings, node_status
from sampan.api import core_v1
from sampan.fake import LABEL, PREFIX, VALUE
from sampan.version import VERSION

ZONE = "topology.kubernetes.io/zone"
PLENTY = 1 << 40
READY = Conditions(runtime_ready=True, network_ready=True)
ARCHITECTURE = "amd64"


def node(config: FakeConfig, name: str, now: datetime) -> dict[str, Any]:
    """The Node that registers a fake node: with its whole status, so that it is Ready at once."""
    settings = NodeSettings(
        name=name,
        address=config.address,
        port=config.port,
        max_pods=int(CAPACITY["pods"]),
        fake_capacity=CAPACITY | config.capacity,
    )
    system = System(
        machine_id=name,
        system_uuid=name,
        boot_id=name,
        kernel="fake",
        os_image="a fake node of Sampan",
        architecture=ARCHITECTURE,
        cpus=0,
        memory=0,
        hostname=name,
    )
    load = Load(memory_available=PLENTY, disk_size=PLENTY, disk_free=PLENTY, pids_free=1 << 20)
    status = node_status(settings, system, load, READY, Version("fake", VERSION), (), core_v1.NodeStatus(), now)
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels(config, name)},
        "spec": {"taints": [one.model_dump() for one in config.taints]},
        "status": status.to_json(),
    }


def labels(config: FakeConfig, name: str) -> dict[str, str]:
    """What a fake node is labelled with."""
    zone = {ZONE: f"zone-{(number(name) - 1) % config.zones + 1}"} if config.zones else {}
    return (
        {
            "kubernetes.io/hostname": name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": ARCHITECTURE,
            LABEL: VALUE,
        }
        | zone
        | config.labels
    )


def number(name: str) -> int:
    """fake-7 -> 7."""
    return int(name.removeprefix(PREFIX))


def renewal(config: FakeConfig, name: str, now: datetime) -> dict[str, Any]:
    """What a node's lease says from now on."""
    return {
        "spec": {
            "holderIdentity": name,
            "leaseDurationSeconds": config.lease_seconds,
            "renewTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }
    }


def lease(config: FakeConfig, name: str, uid: str, now: datetime) -> dict[str, Any]:
    """A node's lease, which goes with the node."""
    owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "ownerReferences": [owner]},
    } | renewal(config, name, now)


class Addresses:
    """The pods' addresses: each once, the lowest that is free after the last one given."""

    def __init__(self, cidr: str) -> None:
        network = ipaddress.IPv4Network(cidr)
        self._first, self._count = int(network.network_address) + 1, network.num_addresses - 2
        self._next = 0
        self._of: dict[str, str] = {}
        self._taken: set[str] = set()

    def keep(self, uid: str, address: str) -> None:
        """A pod has this address already."""
        if self._of.get(uid) != address:
            self.release(uid)
            self._of[uid] = address
            self._taken.add(address)

    def of(self, uid: str) -> str:
        """A pod's address. Raises LookupError when all are taken."""
        if (known := self._of.get(uid)) is not None:
            return known
        for _ in range(self._count):
            address = str(ipaddress.IPv4Address(self._first + self._next))
            self._next = (self._next + 1) % self._count
            if address not in self._taken:
                self.keep(uid, address)
                return address
        raise LookupError(f"all {self._count} addresses of the fake nodes' pods are taken")

    def release(self, uid: str) -> None:
        """A pod is gone."""
        if (address := self._of.pop(uid, None)) is not None:
            self._taken.discard(address)


def turns(names: Iterable[str], count: int) -> list[list[str]]:
    """Names in `count` groups of nearly equal size: one group's leases are renewed at a time."""
    groups: list[list[str]] = [[] for _ in range(count)]
    for index, name in enumerate(names):
        groups[index % count].append(name)
    return groups
