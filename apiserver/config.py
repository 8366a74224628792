"""The server's configuration: one JSON file, read once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any

from sampan.errors import ClusterError

SERVICE_CIDR = IPv4Network("10.96.0.0/16")


@dataclass(frozen=True)
class Files:
    """Paths of a certificate, its key, and the CA that signed the other side; empty when not used."""

    cert: str = ""
    key: str = ""
    ca: str = ""


@dataclass(frozen=True)
class Config:
    """Everything that differs from one server to the next."""

    etcd_endpoints: tuple[str, ...] = ("http://127.0.0.1:2379",)
    etcd: Files = Files()
    tls: Files = Files()
    """`ca` is the CA that client certificates are checked against."""
    kubelet: Files = Files()
    """The client certificate for node agents, and the CA of their serving certificates."""
    signing_key: str = ""
    """PEM file of the key (RSA or EC P-256) that signs service-account tokens."""
    issuer: str = "https://kubernetes.default.svc.cluster.local"
    listen: tuple[str, ...] = ()
    listen_fds: tuple[int, ...] = ()
    """Sockets that are bound and listening already, inherited from the parent."""
    service_cidr: IPv4Network | IPv6Network = SERVICE_CIDR
    node_port_range: range = range(30000, 32768)
    cluster_domain: str = "cluster.local"
    advertise_address: str = ""
    log_level: str = "info"
    event_ttl_seconds: int = 3600
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def advertise_port(self) -> int:
        """The port of the first listening address: what the `kubernetes` Service leads to."""
        return int(self.listen[0].rpartition(":")[2]) if self.listen else 6443


def read(path: str | Path) -> Config:
    """Read a configuration file. Raises ClusterError naming the file and the setting."""
    try:
        value = json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise ClusterError(
            where=f"configuration {path}", what=str(error), remedy="give --config a readable JSON file"
        ) from error
    try:
        return from_json(value)
    except (TypeError, ValueError, AttributeError) as error:
        raise ClusterError(where=f"configuration {path}", what=str(error)) from error


def from_json(value: Mapping[str, Any]) -> Config:
    """Turn the decoded file into a Config. Raises ValueError naming a setting that is unknown or malformed."""
    known = {
        "etcd", "tls", "kubelet_client", "service_account", "listen", "listen_fds", "service_cidr", "node_port_range",
        "cluster_domain", "advertise_address", "log_level", "event_ttl_seconds",
    }  # fmt: skip
    if unknown := sorted(set(value) - known):
        raise ValueError(f"unknown setting {unknown[0]!r}; known are {', '.join(sorted(known))}")
    etcd, tls = value.get("etcd", {}), value.get("tls", {})
    kubelet, account = value.get("kubelet_client", {}), value.get("service_account", {})
    options: dict[str, Any] = {
        "etcd_endpoints": tuple(etcd.get("endpoints") or Config.etcd_endpoints),
        "etcd": Files(etcd.get("cert", ""), etcd.get("key", ""), etcd.get("ca", "")),
        "tls": Files(tls.get("cert", ""), tls.get("key", ""), tls.get("client_ca", "")),
        "kubelet": Files(kubelet.get("cert", ""), kubelet.get("key", ""), kubelet.get("ca", "")),
        "signing_key": account.get("signing_key", ""),
        "issuer": account.get("issuer") or Config.issuer,
        "listen": tuple(value.get("listen", ())),
        "listen_fds": tuple(value.get("listen_fds", ())),
    }
    if "service_cidr" in value:
        options["service_cidr"] = ip_network(value["service_cidr"])
    if "node_port_range" in value:
        options["node_port_range"] = ports(value["node_port_range"])
    names = {one.name for one in fields(Config)}
    options |= {key: value[key] for key in value if key in names and key not in options}
    return Config(**options)


def ports(value: str | Sequence[int]) -> range:
    """`"30000-32767"` or `[30000, 32767]`, both ends included. Raises ValueError."""
    low, high = (int(part) for part in value.split("-")) if isinstance(value, str) else value
    if not 0 < low <= high < 65536:
        raise ValueError(f"node_port_range {value!r} is no range of ports, such as 30000-32767")
    return range(low, high + 1)
