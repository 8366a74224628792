"""What the node's network is told by the agent: its settings, and which ports of the node lead to which pods. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nodeagent.config import AgentConfig
from nodeagent.network.config import Mode, NetworkConfig
from nodeagent.network.services.model import Protocol
from nodeagent.network.services.plan import HostPort
from nodeagent.observed import Observed
from sampan.api import core_v1
from sampan.errors import ClusterError


def host_ports(pods: Iterable[tuple[core_v1.Pod, Observed]]) -> tuple[HostPort, ...]:
    """The hostPorts of pods that have an address, in a fixed order."""
    found: set[HostPort] = set()
    for pod, seen in pods:
        sandbox = seen.sandbox
        if pod.spec.host_network or sandbox is None or not sandbox.ready or not sandbox.ips:
            continue
        for spec in (*pod.spec.init_containers, *pod.spec.containers):
            for port in spec.ports:
                if port.host_port:
                    protocol = Protocol((port.protocol or "TCP").lower())
                    found.add(
                        HostPort(port.host_port, protocol, sandbox.ips[0], port.container_port, port.host_ip or "")
                    )
    return tuple(sorted(found, key=str))


def network_config(config: AgentConfig) -> NetworkConfig:
    """The node's network as configured; names and addresses default to the agent's own. Raises ClusterError."""
    given: dict[str, Any] = dict(config.network or {})
    if "mode" in given:
        given["mode"] = Mode(given["mode"])
    if "state_dir" in given:
        given["state_dir"] = Path(given["state_dir"])
    for key in ("reserved_addresses", "dns_descriptors"):
        if key in given:
            given[key] = tuple(given[key])
    own: dict[str, Any] = {
        "node_name": config.node_name,
        "node_address": config.node_ip,
        "state_dir": config.state_dir / "network",
        "dns_domain": config.cluster_domain,
    }
    if config.cluster_dns:
        own["dns_address"] = config.cluster_dns[0]
    try:
        return NetworkConfig(**(own | given))
    except (TypeError, ValueError) as error:
        raise ClusterError(where="node agent configuration, network", what=str(error)) from None
