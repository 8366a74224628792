"""The certificates of a cluster: one CA, and a certificate for each identity.

Names and groups are the ones that Kubernetes' own authorization rules know ("PKI certificates and requirements").
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from deploy.spec import Cluster, NodeSpec
from sampan.certs import Authority, Pair, signing_key
from sampan.kubeconfig import SERVERS_EXTENSION

CONTROL_PLANE = {
    "admin": ("kubernetes-admin", ("system:masters",)),
    "scheduler": ("system:kube-scheduler", ()),
    "controllers": ("system:kube-controller-manager", ()),
    "kubelet-client": ("kube-apiserver-kubelet-client", ("system:masters",)),
    "etcd-client": ("kube-apiserver-etcd-client", ()),
}


def paths(pki: Path, name: str) -> tuple[Path, Path]:
    """The certificate's and the key's file."""
    return pki / f"{name}.crt", pki / f"{name}.key"


def read(pki: Path, name: str) -> Pair:
    """A pair from its files."""
    certificate, key = paths(pki, name)
    return Pair(certificate.read_bytes(), key.read_bytes())


def ensure(cluster: Cluster, pki: Path) -> None:
    """Make what is missing of a local cluster's certificates. Nothing that is there changes."""
    network = cluster.spec.network
    authority = ensure_shared(pki)
    ensure_control_plane(pki, authority, network.domain, (network.control_address, network.first_service_address))
    issue(pki, authority, "etcd", "etcd", hosts=("localhost", "127.0.0.1", network.control_address))


def ensure_node(node: NodeSpec, pki: Path) -> None:
    """Make a node's certificate unless it is there."""
    user, hosts = f"system:node:{node.name}", (node.name, node.address or "")
    issue(pki, _authority(pki), f"node-{node.name}", user, groups=("system:nodes",), hosts=hosts)


def ensure_shared(pki: Path) -> Authority:
    """What all servers of a cluster have in common: the CA, and the key that signs service account tokens."""
    pki.mkdir(parents=True, exist_ok=True, mode=0o700)
    authority = _authority(pki)
    tokens = pki / "service-accounts.key"
    if not tokens.exists():
        tokens.touch(0o600)
        tokens.write_bytes(signing_key())
    return authority


def ensure_control_plane(pki: Path, authority: Authority, domain: str, addresses: Sequence[str]) -> None:
    """One server's certificates. `addresses` are those that its clients call, the `kubernetes` Service's too."""
    for name, (user, groups) in CONTROL_PLANE.items():
        issue(pki, authority, name, user, groups=groups)
    service = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", f"kubernetes.default.svc.{domain}")
    hosts = dict.fromkeys((*service, "localhost", "127.0.0.1", *addresses))
    issue(pki, authority, "apiserver", "kube-apiserver", hosts=tuple(hosts), chained=True)


def issue(
    pki: Path,
    authority: Authority,
    name: str,
    user: str,
    *,
    groups: Sequence[str] = (),
    hosts: Sequence[str] = (),
    chained: bool = False,
) -> None:
    """Make one certificate unless it is there.

    A `chained` one is followed by the CA's own in its file and so in every handshake: a machine that joins knows
    nothing of the CA but its fingerprint, and finds it there.
    """
    certificate, key = paths(pki, name)
    if not certificate.exists():
        made = authority.issue(user, groups=groups, hosts=hosts)
        if chained:
            made = Pair(made.certificate + authority.pair.certificate, made.key)
        made.write(certificate, key)


def _authority(pki: Path) -> Authority:
    certificate, key = paths(pki, "ca")
    if certificate.exists():
        return Authority.load(read(pki, "ca"))
    authority = Authority.create("sampan")
    authority.pair.write(certificate, key)
    return authority


def kubeconfig(pki: Path, identity: str, server: str, context: str, *, servers: Sequence[str] = ()) -> dict[str, Any]:
    """A kubeconfig with the certificates inside, so that one file is enough. `servers` are all that are known."""

    def inline(data: bytes) -> str:
        return base64.b64encode(data).decode()

    pair = read(pki, identity)
    cluster: dict[str, Any] = {
        "server": server,
        "certificate-authority-data": inline((pki / "ca.crt").read_bytes()),
    }
    if len(servers) > 1:
        cluster["extensions"] = [{"name": SERVERS_EXTENSION, "extension": {"servers": list(servers)}}]
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": context, "cluster": cluster}],
        "users": [
            {
                "name": context,
                "user": {
                    "client-certificate-data": inline(pair.certificate),
                    "client-key-data": inline(pair.key),
                },
            }
        ],
        "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
        "current-context": context,
    }


def write_kubeconfig(path: Path, value: dict[str, Any]) -> None:
    """Put a kubeconfig on disk, readable by its owner alone."""
    path.touch(0o600)
    path.write_text(yaml.safe_dump(value, sort_keys=False))
