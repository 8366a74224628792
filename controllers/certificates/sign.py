"""Makes a certificate of an approved request. No API here, and no policy but what a signer's certificates are like.

Always: the certificate begins a little in the past, so that a machine whose clock is behind accepts it, and never
outlives the authority's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from controllers.certificates.requests import alternative_names
from sampan.certs import backdated
from sampan.errors import ClusterError

EXTENDED: dict[str, ObjectIdentifier] = {
    "client auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "server auth": ExtendedKeyUsageOID.SERVER_AUTH,
}


class Authority:
    """The CA that signs: any RSA or elliptic key."""

    def __init__(self, certificate: x509.Certificate, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> None:
        self.certificate = certificate
        self._key = key

    @classmethod
    def load(cls, certificate: str, key: str) -> Authority:
        """From PEM files. Raises ClusterError."""
        try:
            private = serialization.load_pem_private_key(Path(key).read_bytes(), None)
            loaded = x509.load_pem_x509_certificate(Path(certificate).read_bytes())
        except (OSError, ValueError) as error:
            raise ClusterError(
                where=f"the authority that signs, {certificate} and {key}",
                what=str(error),
                remedy="check `signing` in the controllers' configuration",
            ) from error
        if not isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
            raise ClusterError(where=f"the authority's key {key}", what="it is neither RSA nor elliptic")
        return cls(loaded, private)

    def sign(
        self, request: x509.CertificateSigningRequest, usages: Sequence[str], seconds: float, now: datetime
    ) -> bytes:
        """The certificate as PEM, valid until `seconds` after now at most. Raises ValueError."""
        ends = min(now + timedelta(seconds=seconds), self.certificate.not_valid_after_utc)
        if ends <= now:
            raise ValueError("the authority's own certificate has ended")
        builder = (
            x509.CertificateBuilder()
            .subject_name(request.subject)
            .issuer_name(self.certificate.subject)
            .public_key(request.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - backdated(ends - now))
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        basic = key_usage(usages)
        if basic is not None:
            builder = builder.add_extension(basic, critical=True)
        extended = [EXTENDED[one] for one in usages if one in EXTENDED]
        if extended:
            builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
        names = alternative_names(request)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def key_usage(usages: Sequence[str]) -> x509.KeyUsage | None:
    """The basic usages among those asked for; none at all is no extension, which must not be empty (RFC 5280)."""
    if not {"digital signature", "key encipherment"} & set(usages):
        return None
    return x509.KeyUsage(
        digital_signature="digital signature" in usages,
        content_commitment=False,
        key_encipherment="key encipherment" in usages,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
