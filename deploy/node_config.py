"""What a node's runtime and agent are told, whatever the node is: a namespace, a VM, or a real machine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.places import NodePlaces

KUBELET_PORT = 10250
FIRST_INHERITED = 3


@dataclass(frozen=True)
class ClusterFacts:
    """What all nodes of a cluster agree on. The JSON form is published in ConfigMap kube-system/sampan-config."""

    cluster_cidr: str
    service_cidr: str
    dns_address: str
    dns_domain: str = "cluster.local"
    network_mode: str = "vxlan"
    lease_seconds: int = 40
    pod_pids_limit: int = -1

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ClusterFacts:
        """From `cluster.json`. Raises KeyError for what is missing, ValueError for what is no number."""
        return cls(
            cluster_cidr=str(value["clusterCIDR"]),
            service_cidr=str(value["serviceCIDR"]),
            dns_address=str(value["dnsAddress"]),
            dns_domain=str(value.get("dnsDomain") or cls.dns_domain),
            network_mode=str(value.get("networkMode") or cls.network_mode),
            lease_seconds=int(value.get("nodeLeaseSeconds") or cls.lease_seconds),
            pod_pids_limit=int(value.get("podPidsLimit") or cls.pod_pids_limit),
        )

    def to_json(self) -> dict[str, Any]:
        """As `cluster.json`; the servers are added by whoever publishes it."""
        return {
            "clusterCIDR": self.cluster_cidr,
            "serviceCIDR": self.service_cidr,
            "dnsAddress": self.dns_address,
            "dnsDomain": self.dns_domain,
            "networkMode": self.network_mode,
            "nodeLeaseSeconds": self.lease_seconds,
            "podPidsLimit": self.pod_pids_limit,
        }


@dataclass(frozen=True)
class Credentials:
    """Who the node is. What is `renewed` the agent replaces by itself, by certificate signing requests.

    A pair's two files may be one that holds both.
    """

    kubeconfig: Path
    client_ca: Path
    serving: tuple[Path, Path]
    client: tuple[Path, Path]
    renewed: bool = False


@dataclass(frozen=True)
class NodeFacts:
    """One node."""

    own: NodePlaces
    address: str
    device: str
    """The interface that leads to the other nodes."""
    image_store: Path
    credentials: Credentials
    parent_store: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: Sequence[Mapping[str, str]] = ()
    reserved_addresses: Sequence[str] = ()
    """Addresses of the device's link that are no node's."""
    egress: bool = False
    """Pods may call what lies outside of the cluster, and the machine's name server knows names outside of it."""
    log_level: str = "info"
    user_ids_first: int = 65536
    """Where the users begin that pods in user namespaces get; nodes of one machine should differ."""
    eviction_hard: Mapping[str, str] | None = None
    """When pods are evicted, if not as the kubelet does by default."""


def runtime_config(node: NodeFacts, cluster: ClusterFacts) -> dict[str, Any]:
    """nodeagent.runtime.config's file."""
    own = node.own
    config = {
        "socket": str(own.cri_socket),
        "state_dir": str(own.state / "runtime"),
        "run_dir": str(own.run / "runtime"),
        "image_store": str(node.image_store),
        "cgroup_parent": own.cgroup,
        "forkserver_socket": str(own.fork_socket),
        "streaming_address": "127.0.0.1:0",
        "network": "builtin",
        "pod_network": {
            "state_dir": str(own.state / "network"),
            "device": node.device,
            "mode": cluster.network_mode,
        },
        "log_level": node.log_level,
    }
    return config | ({"parent_store": node.parent_store} if node.parent_store else {})


def name_server(resolv_conf: Path = Path("/etc/resolv.conf")) -> str:
    """The machine's first IPv4 name server (resolv.conf(5)), "" when it has none."""
    try:
        text = resolv_conf.read_text(errors="replace")
    except OSError:
        return ""
    servers = [line.split()[1] for line in text.splitlines() if line.startswith("nameserver") and len(line.split()) > 1]
    return next((one for one in servers if ":" not in one), "")


def agent_config(node: NodeFacts, cluster: ClusterFacts) -> dict[str, Any]:
    """nodeagent.config's file."""
    own, who = node.own, node.credentials
    serving, client = ({"cert": str(pair[0]), "key": str(pair[1])} for pair in (who.serving, who.client))
    made = {
        "node_name": own.name,
        "node_ip": node.address,
        "kubeconfig": str(who.kubeconfig),
        "cri_socket": str(own.cri_socket),
        "state_dir": str(own.state / "agent"),
        "log_dir": str(own.state / "pod-logs"),
        "cgroup_root": own.cgroup,
        "tls": {**serving, "client_ca": str(who.client_ca), "renewed": who.renewed},
        "client_certificate": {**client, "renewed": who.renewed},
        "port": KUBELET_PORT,
        "cluster_dns": [cluster.dns_address],
        "cluster_domain": cluster.dns_domain,
        "network": {
            "node_name": own.name,
            "node_address": node.address,
            "device": node.device,
            "cluster_cidr": cluster.cluster_cidr,
            "service_cidr": cluster.service_cidr,
            "dns_address": cluster.dns_address,
            "dns_domain": cluster.dns_domain,
            "dns_descriptors": [FIRST_INHERITED, FIRST_INHERITED + 1],
            "mode": cluster.network_mode,
            "state_dir": str(own.state / "network"),
            "reserved_addresses": list(node.reserved_addresses),
            "egress_nat": node.egress,
            "dns_upstream": name_server() if node.egress else "",
        },
        "user_ids_first": node.user_ids_first,
        "lease_seconds": cluster.lease_seconds,
        "pod_pids_limit": cluster.pod_pids_limit,
        "register_with_labels": dict(node.labels),
        "register_with_taints": [dict(taint) for taint in node.taints],
        "log_level": node.log_level,
    }
    return made if node.eviction_hard is None else made | {"eviction_hard": dict(node.eviction_hard)}


def write(node: NodeFacts, cluster: ClusterFacts, directory: Path) -> None:
    """Write runtime.json and agent.json into `directory`."""
    for name, config in (("runtime", runtime_config(node, cluster)), ("agent", agent_config(node, cluster))):
        (directory / f"{name}.json").write_text(json.dumps(config, indent=1) + "\n")


def kubeconfig(
    server: str, name: str, *, ca: Path, client: tuple[Path, Path], servers: Sequence[str] = ()
) -> dict[str, Any]:
    """A kubeconfig that refers to files, which are read anew when they change."""
    cluster: dict[str, Any] = {"server": server, "certificate-authority": str(ca)}
    if servers:
        cluster["extensions"] = [{"name": "sampan.dev/servers", "extension": {"servers": list(servers)}}]
    user = {"client-certificate": str(client[0]), "client-key": str(client[1])}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
