"""A certificate request, read: its state, who asks, and what identity the PKCS #10 inside asks for. Pure."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

from sampan.api.certificates_v1 import CertificateSigningRequest, CertificateSigningRequestCondition

CLIENT = "kubernetes.io/kube-apiserver-client"
NODE_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
NODE_SERVING = "kubernetes.io/kubelet-serving"
APPROVED, DENIED, FAILED = "Approved", "Denied", "Failed"
NODE_PREFIX = "system:node:"
NODES_GROUP = "system:nodes"


@dataclass(frozen=True)
class Asked:
    """What a PKCS #10 request asks for."""

    common_name: str
    organizations: tuple[str, ...]
    dns_names: tuple[str, ...]
    addresses: tuple[str, ...]
    others: int
    """Alternative names of other sorts (mail, URI)."""
    public_key: bytes

    @property
    def node(self) -> str:
        """The node whose identity it is, empty when it is no node's."""
        ours = self.organizations == (NODES_GROUP,) and self.common_name.startswith(NODE_PREFIX)
        return self.common_name.removeprefix(NODE_PREFIX) if ours else ""


def condition(request: CertificateSigningRequest, kind: str) -> CertificateSigningRequestCondition | None:
    """A condition of a request, if it has it."""
    return next((one for one in request.status.conditions if one.type == kind), None)


def undecided(request: CertificateSigningRequest) -> bool:
    """Whether nobody has approved or denied it."""
    return condition(request, APPROVED) is None and condition(request, DENIED) is None


def load(request: CertificateSigningRequest) -> x509.CertificateSigningRequest:
    """The PKCS #10 request. Raises ValueError."""
    try:
        return x509.load_pem_x509_csr(base64.b64decode(request.spec.request))
    except binascii.Error as error:
        raise ValueError(str(error)) from error


def asked(request: CertificateSigningRequest) -> Asked:
    """What a request asks for. Raises ValueError when it can't be read, or says something twice."""
    parsed = load(request)
    names = [str(one.value) for one in parsed.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if len(names) > 1:
        raise ValueError("the subject has more than one common name")
    groups = [str(one.value) for one in parsed.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    alternatives = alternative_names(parsed)
    dns = tuple(one.value for one in alternatives if isinstance(one, x509.DNSName))
    addresses = tuple(str(one.value) for one in alternatives if isinstance(one, x509.IPAddress))
    key = parsed.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    others = len(alternatives) - len(dns) - len(addresses)
    return Asked("".join(names), tuple(groups), dns, addresses, others, key)


def alternative_names(parsed: x509.CertificateSigningRequest) -> list[x509.GeneralName]:
    """The subject alternative names. Raises ValueError."""
    try:
        return list(parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return []
    except x509.DuplicateExtension as error:
        raise ValueError(str(error)) from error


def expires(pem: str | None) -> datetime | None:
    """When an issued certificate (PEM in base64) ends; None when it is none."""
    try:
        return x509.load_pem_x509_certificate(base64.b64decode(pem or "")).not_valid_after_utc
    except ValueError:  # binascii's error is one too
        return None
