"""A certificate authority, and the certificates and keys that it signs.

All keys are ECDSA P-256: a cluster's whole set is made in a few milliseconds. Identity is read from a client
certificate as Kubernetes does: the common name is the user, each organization a group.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sampan.files import write_whole

CLOCK_SKEW = timedelta(minutes=5)
"""How far in the past a certificate begins, so that a peer whose clock is a little behind accepts it."""
DECADE = timedelta(days=3650)
BEFORE = timedelta(days=730)
"""How far in the past an authority begins: a clock that was ahead when it was made may be set back by so much."""


def backdated(lifetime: timedelta) -> timedelta:
    """How far in the past a certificate of a lifetime begins: a short one less, or most of its life would be over."""
    return min(CLOCK_SKEW, lifetime / 10)


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes

    def write(self, certificate: Path, key: Path) -> None:
        """Put both on disk, each in one rename, the key first; it is readable by its owner alone from its first byte.

        A key that is there already is not touched: whoever reads the pair while a certificate is renewed finds halves
        that fit.
        """
        if not key.exists() or key.read_bytes() != self.key:
            write_whole(key, self.key)
        write_whole(certificate, self.certificate, 0o644)


class Authority:
    """A CA that signs in memory. Build one with `create` or `load`."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self._certificate = certificate
        self._key = key

    @classmethod
    def create(cls, name: str, lifetime: timedelta = DECADE) -> Authority:
        """A new self-signed CA."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - BEFORE)
            .not_valid_after(now + lifetime)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(certificate, key)

    @classmethod
    def load(cls, pair: Pair) -> Authority:
        """A CA from its PEM files. Raises ValueError when they are not a P-256 CA."""
        return cls(x509.load_pem_x509_certificate(pair.certificate), _private(pair.key))

    @property
    def pair(self) -> Pair:
        """The CA's own certificate and key."""
        return Pair(self._certificate.public_bytes(serialization.Encoding.PEM), private_pem(self._key))

    def issue(
        self,
        user: str,
        *,
        groups: Sequence[str] = (),
        hosts: Sequence[str] = (),
        lifetime: timedelta = DECADE,
        key_pem: bytes | None = None,
    ) -> Pair:
        """A certificate for client and server use. `hosts` are DNS names and addresses it may serve.

        `key_pem` is the key of a certificate that is renewed; without it there is a new one. Raises ValueError for a
        key that is none, or when the authority's own certificate has ended.
        """
        key = ec.generate_private_key(ec.SECP256R1()) if key_pem is None else _private(key_pem)
        names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        names.append(x509.NameAttribute(NameOID.COMMON_NAME, user))
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name(names))
            .issuer_name(self._certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - backdated(lifetime))
            .not_valid_after(min(now + lifetime, self._certificate.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]),
                critical=False,
            )
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if hosts:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([general_name(host) for host in hosts]), critical=False
            )
        certificate = builder.sign(self._key, hashes.SHA256())
        return Pair(certificate.public_bytes(serialization.Encoding.PEM), private_pem(key))


def _private(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("the key is not an elliptic curve key")
    return key


def signing_key() -> bytes:
    """A new PEM key to sign service account tokens with (ES256)."""
    return private_pem(ec.generate_private_key(ec.SECP256R1()))


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key as PEM (PKCS #8), not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def general_name(host: str) -> x509.GeneralName:
    """A host as a certificate names it: an address if it is one, else a DNS name."""
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
