"""What a machine asks to have signed: a new key, and a PKCS #10 request (RFC 2986) for a certificate of it.

Elsewhere: who signs (sampan.certs and the controllers).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sampan.certs import general_name, private_pem

CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client-kubelet"
SERVING_SIGNER = "kubernetes.io/kubelet-serving"
NODES = "system:nodes"
NODE_PREFIX = "system:node:"


@dataclass(frozen=True)
class SigningRequest:
    """A key that stays where it was made, and the request that goes out. Both PEM."""

    key: bytes
    request: bytes


def signing_request(user: str, groups: Sequence[str] = (), hosts: Sequence[str] = ()) -> SigningRequest:
    """A new P-256 key, and the request for a certificate that names it."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    names.append(x509.NameAttribute(NameOID.COMMON_NAME, user))
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names))
    if hosts:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([general_name(host) for host in hosts]), critical=False
        )
    request = builder.sign(key, hashes.SHA256())
    return SigningRequest(private_pem(key), request.public_bytes(serialization.Encoding.PEM))


def node_request(node: str, hosts: Sequence[str] = ()) -> SigningRequest:
    """The request for a node's identity: its client certificate, or with `hosts` its serving certificate."""
    return signing_request(NODE_PREFIX + node, (NODES,), hosts)


@dataclass(frozen=True)
class Validity:
    """When a certificate holds, and for whom."""

    begins: datetime
    ends: datetime
    hosts: frozenset[str]

    @classmethod
    def of(cls, pem: bytes) -> Validity:
        """Of the first certificate in the text. Raises ValueError."""
        certificate = x509.load_pem_x509_certificate(pem)
        try:
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            hosts: frozenset[str] = frozenset()
        else:
            hosts = frozenset(str(one.value) for one in names)
        return cls(certificate.not_valid_before_utc, certificate.not_valid_after_utc, hosts)

    def at(self, share: float) -> datetime:
        """The moment when so much of its life is over."""
        return self.begins + (self.ends - self.begins) * share


def write_pair(path: Path, certificate: bytes, key: bytes) -> None:
    """Put a certificate and its key into one file by one rename: a reader sees the old pair or the new one."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(certificate.rstrip() + b"\n" + key)
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(path)
