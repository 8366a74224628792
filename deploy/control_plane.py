"""What a control plane's processes are told: their configuration files, and etcd's command line.

Plain values, so that a local cluster and a machine that is a server (machine/server.py) are written by one function.
Elsewhere: the certificates that these files name (pki.py), how a process is started (components.py).
"""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy import node_config, pki
from deploy.components import API_PORT, FIRST_INHERITED
from deploy.node_config import ClusterFacts
from deploy.places import Places
from deploy.spec import YEAR_SECONDS, Cluster
from sampan.version import VERSION

ETCD_PORT = 2379
SCHEDULER_METRICS = "127.0.0.1:10259"
"""As upstream's port is; in the cluster's own network."""


@dataclass(frozen=True)
class EtcdAccess:
    """How the API server reaches etcd."""

    endpoints: tuple[str, ...]
    ca: Path
    certificate: Path
    key: Path


@dataclass(frozen=True)
class ControlPlane:
    """One API server, the controllers and the scheduler beside it. `identity` differs from every other replica's."""

    identity: str
    pki: Path
    config: Path
    etcd: EtcdAccess
    address: str
    """Where the API listens and what the `kubernetes` Service leads to."""
    listen: tuple[str, ...]
    inherited: tuple[int, ...]
    """Descriptors of sockets that listen already."""
    pod_cidr: str
    service_cidr: str
    domain: str
    node_monitor_grace_seconds: int
    log_level: str
    network_mode: str = ClusterFacts.network_mode
    node_lease_seconds: int = ClusterFacts.lease_seconds
    certificate_seconds: int = YEAR_SECONDS
    """How long a certificate that the controllers sign is valid, at most."""
    pod_pids_limit: int = ClusterFacts.pod_pids_limit

    @property
    def facts(self) -> ClusterFacts:
        """What machines that join are told. DNS answers at host 10 of the services, as kubeadm has it."""
        return ClusterFacts(
            cluster_cidr=self.pod_cidr,
            service_cidr=self.service_cidr,
            dns_address=str(ipaddress.ip_network(self.service_cidr)[10]),
            dns_domain=self.domain,
            network_mode=self.network_mode,
            lease_seconds=self.node_lease_seconds,
            pod_pids_limit=self.pod_pids_limit,
        )


def of_cluster(cluster: Cluster, places: Places) -> ControlPlane:
    """A local cluster's control plane."""
    network = cluster.spec.network
    certificate, key = pki.paths(places.pki, "etcd-client")
    return ControlPlane(
        identity=places.name,
        pki=places.pki,
        config=places.config,
        etcd=EtcdAccess((f"https://{network.control_address}:{ETCD_PORT}",), places.pki / "ca.crt", certificate, key),
        address=network.control_address,
        listen=(f"{network.control_address}:{API_PORT}",),
        inherited=(FIRST_INHERITED,),
        pod_cidr=network.pod_cidr,
        service_cidr=network.service_cidr,
        domain=network.domain,
        node_monitor_grace_seconds=cluster.spec.timing.node_monitor_grace_seconds,
        log_level=cluster.spec.log_level,
        network_mode=network.mode,
        node_lease_seconds=cluster.spec.timing.node_lease_seconds,
        certificate_seconds=cluster.spec.certificates.duration_seconds,
        pod_pids_limit=cluster.spec.pod_pids_limit,
    )


def write_configs(plane: ControlPlane) -> None:
    """Write the configuration files and the kubeconfigs that they refer to."""
    plane.config.mkdir(parents=True, exist_ok=True, mode=0o700)
    ca = str(plane.pki / "ca.crt")

    def tls(name: str) -> dict[str, str]:
        certificate, key = pki.paths(plane.pki, name)
        return {"cert": str(certificate), "key": str(key)}

    server = f"https://{plane.listen[0]}"
    for identity in ("scheduler", "controllers"):
        target = plane.config / f"{identity}.kubeconfig"
        client = pki.paths(plane.pki, identity)
        config = node_config.kubeconfig(server, plane.identity, ca=plane.pki / "ca.crt", client=client)
        pki.write_kubeconfig(target, config)
    _write(
        plane.config / "apiserver.json",
        {
            "etcd": {
                "endpoints": list(plane.etcd.endpoints),
                "ca": str(plane.etcd.ca),
                "cert": str(plane.etcd.certificate),
                "key": str(plane.etcd.key),
            },
            "tls": {**tls("apiserver"), "client_ca": ca},
            "kubelet_client": {**tls("kubelet-client"), "ca": ca},
            "service_account": {
                "signing_key": str(plane.pki / "service-accounts.key"),
                "issuer": f"https://kubernetes.default.svc.{plane.domain}",
            },
            "listen": list(plane.listen),
            "listen_fds": list(plane.inherited),
            "service_cidr": plane.service_cidr,
            "node_port_range": "30000-32767",
            "cluster_domain": plane.domain,
            "advertise_address": plane.address,
            "log_level": plane.log_level,
        },
    )
    _write(
        plane.config / "scheduler.json",
        {
            "kubeconfig": str(plane.config / "scheduler.kubeconfig"),
            "identity": plane.identity,
            "metrics": SCHEDULER_METRICS,
            "log_level": plane.log_level,
        },
    )
    _write(
        plane.config / "controllers.json",
        {
            "kubeconfig": str(plane.config / "controllers.kubeconfig"),
            "cluster_cidr": plane.pod_cidr,
            "node_cidr_mask": 24,
            "root_ca_file": ca,
            "signing": {**tls("ca"), "duration_seconds": plane.certificate_seconds},
            "join_facts": plane.facts.to_json() | {"version": VERSION},
            "node_monitor_grace_seconds": plane.node_monitor_grace_seconds,
            "identity": plane.identity,
            "log_level": plane.log_level,
        },
    )


def etcd_command(address: str, pki_directory: Path, data: Path) -> tuple[str, ...]:
    """etcd's argv: one member, TLS both ways, clients at `address` only."""
    url = f"https://{address}:{ETCD_PORT}"
    certificate, key = pki.paths(pki_directory, "etcd")
    return (
        "etcd",
        "--name=sampan",
        f"--data-dir={data}",
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--initial-advertise-peer-urls=http://127.0.0.1:2380",
        "--initial-cluster=sampan=http://127.0.0.1:2380",
        f"--cert-file={certificate}",
        f"--key-file={key}",
        "--client-cert-auth",
        f"--trusted-ca-file={pki_directory / 'ca.crt'}",
        "--logger=zap",
        "--log-level=warn",
        "--max-request-bytes=4194304",
        "--quota-backend-bytes=8589934592",
    )


def _write(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n")
