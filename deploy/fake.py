"""Fake nodes of a local cluster: what their one process is told, and what changes when some are added or removed.

Elsewhere: the process itself (nodeagent/fake/), their description in a Cluster (spec.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from deploy import components, node_config, pki
from deploy.places import Places
from deploy.process_tree import ChildSpec
from deploy.spec import Cluster, FakeNodes
from sampan import fake
from sampan.errors import ClusterError

CHILD = "fake-nodes"
IDENTITY = "fake-nodes"
USER = "system:sampan:fake-nodes"
PORT = 10260
SHAPE = ("labels", "capacity", "zones", "taint")
"""What all fake nodes of a cluster have in common, and `add` may say anew."""
TAINT = {"key": fake.LABEL, "value": fake.VALUE, "effect": "NoSchedule"}


def ensure_certificate(cluster: Cluster, places: Places) -> None:
    """Make or renew the pair by which fake nodes write and serve. Raises ClusterError."""
    hosts = (cluster.spec.network.control_address,)
    pki.issue(places.pki, pki.ensure_shared(places.pki), IDENTITY, USER, hosts=hosts, lifetime=pki.lifetime_of(cluster))


def child(cluster: Cluster, places: Places, cgroup: str) -> ChildSpec:
    """Write the configuration; the process that plays all fake nodes."""
    ensure_certificate(cluster, places)
    described, network = cluster.spec.fake_nodes, cluster.spec.network
    ca, (certificate, key) = places.pki / "ca.crt", pki.paths(places.pki, IDENTITY)
    kubeconfig = places.config / f"{CHILD}.kubeconfig"
    server = f"https://{network.control_address}:{components.API_PORT}"
    client = (certificate, key)
    pki.write_kubeconfig(kubeconfig, node_config.kubeconfig(server, places.name, ca=ca, client=client))
    value: dict[str, Any] = {
        "kubeconfig": str(kubeconfig),
        "count": described.count,
        "without": described.without,
        "silent": described.stopped,
        "address": network.control_address,
        "port": PORT,
        "tls": {"cert": str(certificate), "key": str(key), "client_ca": str(ca)},
        "capacity": described.capacity,
        "labels": described.labels,
        "zones": described.zones,
        "taints": [TAINT] if described.taint else [],
        "lease_seconds": cluster.spec.timing.node_lease_seconds,
        "log_level": cluster.spec.log_level,
    }
    path = places.config / f"{CHILD}.json"
    path.write_text(json.dumps(value, indent=1) + "\n")
    start = components.forked("nodeagent.fake.main", path)
    return ChildSpec(CHILD, start, places.logs / f"{CHILD}.log", cgroup=cgroup)


def is_fake(cluster: Cluster, name: str) -> bool:
    """Whether a cluster has a fake node of that name."""
    return name in cluster.spec.fake_nodes.names


def awake(cluster: Cluster) -> set[str]:
    """The fake nodes that report."""
    described = cluster.spec.fake_nodes
    return set(described.names) - set(described.stopped)


def check_action(node: str, action: str) -> None:
    """Raises ClusterError for what can't be done to a fake node."""
    if action not in ("remove", "stop", "start"):
        why = "it has neither disk nor cable" if action in ("reset", "disconnect", "connect") else "it has no machine"
        raise ClusterError(
            where=f"node {node}", what=f"{why}: it can't {action}", remedy="a fake node can stop, start and be removed"
        )


def changed(described: FakeNodes, request: Mapping[str, Any]) -> FakeNodes:
    """The description after a request: `add` so many, `remove`, `stop` or `start` some by name. Pure.

    Raises ValueError.
    """
    value = described.to_json()
    without, stopped = set(described.without), set(described.stopped)
    match request:
        case {"add": int(count)}:
            value |= {key: request[key] for key in SHAPE if key in request}
            value["count"] = described.count + count
        case {"remove": list(names)}:
            without |= set(names)
            stopped -= set(names)
        case {"stop": list(names)}:
            stopped |= set(names)
        case {"start": list(names)}:
            stopped -= set(names)
        case _:
            raise ValueError(f"unknown request about fake nodes: {json.dumps(dict(request))[:200]}")
    while value["count"] and f"{fake.PREFIX}{value['count']}" in without:
        without.discard(f"{fake.PREFIX}{value['count']}")
        value["count"] -= 1
    if not value["count"]:
        return FakeNodes()
    value |= {"without": sorted(without, key=_number), "stopped": sorted(stopped, key=_number)}
    return FakeNodes.from_json(value)


def _number(name: str) -> int:
    return int(name.removeprefix(fake.PREFIX))


def few(names: Iterable[str]) -> str:
    """Names for a message: all of a few, the first and last of many."""
    known = list(names)
    return ", ".join(known) or "none" if len(known) <= 5 else f"{known[0]} to {known[-1]}, {len(known)} of them"
