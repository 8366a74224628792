"""The certificates of a cluster: one CA, and a certificate for each identity.

A certificate that is missing is made, one that is due is renewed, for the key that is there. Names and groups are the
ones that Kubernetes' own authorization rules know ("PKI certificates and requirements").
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from deploy.spec import YEAR_SECONDS, Cluster, NodeSpec
from sampan.certs import Authority, Pair, signing_key
from sampan.errors import ClusterError
from sampan.files import write_whole
from sampan.kubeconfig import SERVERS_EXTENSION
from sampan.signing_requests import Validity

YEAR = timedelta(seconds=YEAR_SECONDS)
RENEW_AT = 0.7
"""A certificate is renewed when so much of its life is over."""

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
    """Make what is missing or due of a local cluster's certificates. Raises ClusterError."""
    network, lifetime = cluster.spec.network, lifetime_of(cluster)
    authority = ensure_shared(pki)
    addresses = (network.control_address, network.first_service_address)
    ensure_control_plane(pki, authority, network.domain, addresses, lifetime=lifetime)
    hosts = ("localhost", "127.0.0.1", network.control_address)
    issue(pki, authority, "etcd", "etcd", hosts=hosts, lifetime=lifetime)


def ensure_node(cluster: Cluster, node: NodeSpec, pki: Path) -> None:
    """Make or renew the certificate of a node that is a namespace. Raises ClusterError."""
    user, hosts = f"system:node:{node.name}", (node.name, node.address or "")
    name, lifetime = f"node-{node.name}", lifetime_of(cluster)
    issue(pki, _authority(pki), name, user, groups=("system:nodes",), hosts=hosts, lifetime=lifetime)


def lifetime_of(cluster: Cluster) -> timedelta:
    """How long a cluster's certificates are valid."""
    return timedelta(seconds=cluster.spec.certificates.duration_seconds)


def ensure_shared(pki: Path) -> Authority:
    """What all servers of a cluster have in common: the CA, and the key that signs service account tokens."""
    pki.mkdir(parents=True, exist_ok=True, mode=0o700)
    authority = _authority(pki)
    tokens = pki / "service-accounts.key"
    if not tokens.exists():
        write_whole(tokens, signing_key())
    return authority


def ensure_control_plane(
    pki: Path, authority: Authority, domain: str, addresses: Sequence[str], *, lifetime: timedelta = YEAR
) -> None:
    """One server's certificates. `addresses` are those that its clients call, the `kubernetes` Service's too."""
    for name, (user, groups) in CONTROL_PLANE.items():
        issue(pki, authority, name, user, groups=groups, lifetime=lifetime)
    service = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", f"kubernetes.default.svc.{domain}")
    hosts = dict.fromkeys((*service, "localhost", "127.0.0.1", *addresses))
    issue(pki, authority, "apiserver", "kube-apiserver", hosts=tuple(hosts), lifetime=lifetime, chained=True)


def issue(
    pki: Path,
    authority: Authority,
    name: str,
    user: str,
    *,
    groups: Sequence[str] = (),
    hosts: Sequence[str] = (),
    lifetime: timedelta = YEAR,
    chained: bool = False,
) -> None:
    """Make one certificate unless there is one that is not due. A renewed one is for the same key. Raises ClusterError.

    A `chained` one is followed by the CA's own in its file and so in every handshake: a machine that joins knows
    nothing of the CA but its fingerprint, and finds it there.
    """
    certificate, key = paths(pki, name)
    now = datetime.now(UTC)
    if now < due_at(certificate, now):
        return
    try:
        kept = key.read_bytes() if key.exists() else None
        made = authority.issue(user, groups=groups, hosts=hosts, lifetime=lifetime, key_pem=kept or None)
    except ValueError as error:
        raise ClusterError(
            where=f"certificate {certificate}", what=f"can't be made: {error}", remedy=f"check {pki / 'ca.crt'}, {key}"
        ) from error
    if chained:
        made = Pair(made.certificate + authority.pair.certificate, made.key)
    made.write(certificate, key)


def due_at(certificate: Path, now: datetime) -> datetime:
    """When a certificate should be renewed; `now` for one that is missing, unreadable, or not valid yet."""
    try:
        held = Validity.of(certificate.read_bytes())
    except (OSError, ValueError):
        return now
    return held.at(RENEW_AT) if held.begins <= now else now


def next_due(pki: Path, now: datetime) -> datetime:
    """When the next of a directory's certificates is due, the CA's own excepted."""
    found = [due_at(one, now) for one in pki.glob("*.crt") if one.name != "ca.crt"]
    return min(found, default=now + YEAR)


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


def as_yaml(kubeconfig: dict[str, Any]) -> str:
    """A kubeconfig as it is written."""
    return yaml.safe_dump(kubeconfig, sort_keys=False)


def write_kubeconfig(path: Path, value: dict[str, Any]) -> None:
    """Put a kubeconfig on disk by one rename, readable by its owner alone."""
    write_whole(path, as_yaml(value).encode())
