"""Trust on the first connection: which CA a server belongs to, known by a fingerprint that the user was given.

The first connection is a TLS handshake and nothing else: no byte of ours goes to a server that has not shown the CA.
The fingerprint is kubeadm's: SHA-256 of the CA certificate's SubjectPublicKeyInfo in DER (RFC 7469 has the same).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import socket
import ssl
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from sampan.errors import ClusterError

CONNECT_SECONDS = 10.0
HASH = re.compile(r"sha256:[0-9a-f]{64}")
API_PORT = 6443


class Address(NamedTuple):
    """Where a server listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """https://HOST:PORT"""
        return f"https://[{self.host}]:{self.port}" if ":" in self.host else f"https://{self.host}:{self.port}"


def address_of(url: str) -> Address:
    """The host and port of an https URL, 6443 when it says none. Raises ClusterError."""
    where = f"server address {url!r}"
    try:
        parts = urlsplit(url if "//" in url else f"https://{url}")
        port = parts.port
    except ValueError as error:
        raise ClusterError(where=where, what=str(error), remedy="write https://HOST:PORT") from None
    if parts.scheme != "https" or not parts.hostname or parts.path.strip("/") or parts.query or parts.username:
        raise ClusterError(where=where, what="is no https://HOST:PORT", remedy="write https://HOST:PORT")
    return Address(parts.hostname, port or API_PORT)


def checked_hash(text: str) -> str:
    """A fingerprint as it is to be written. Raises ClusterError."""
    if not HASH.fullmatch(text.lower()):
        raise ClusterError(
            where=f"CA hash {text!r}",
            what="is not sha256: and 64 hexadecimal digits",
            remedy="take it from: kctl token create --print-join-command",
        )
    return text.lower()


def fingerprint(certificate: bytes) -> str:
    """A certificate's (DER). Raises ValueError for what is none."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = x509.load_der_x509_certificate(certificate).public_key()
    return "sha256:" + hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def pinned_ca(server: Address, ca_hash: str) -> str:
    """The CA certificate (PEM) that the server shows and that has this fingerprint. Raises ClusterError."""
    shown = []
    for certificate in _chain(server):
        try:
            found = fingerprint(certificate)
        except ValueError:
            continue
        if hmac.compare_digest(found, ca_hash):
            return ssl.DER_cert_to_PEM_cert(certificate)
        shown.append(found)
    last = f"its CA's hash is {shown[-1]}" if shown else "it shows no certificate"
    raise ClusterError(
        where=server.url,
        what=f"this is not the cluster that was meant: {last}, and {ca_hash} was asked for; nothing was sent to it",
        remedy="compare with the hash that kctl token create --print-join-command prints",
    )


def _chain(server: Address) -> list[bytes]:
    """All certificates of the server's handshake (DER), its own first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # what it shows is compared with the fingerprint, and nothing is sent
    try:
        with (
            socket.create_connection(server, CONNECT_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=server.host) as secured,
        ):
            # Public from Python 3.13 on; the object below has offered it since 3.10.
            below: Any = secured if hasattr(secured, "get_unverified_chain") else secured._sslobj  # type: ignore[attr-defined]
            chain = below.get_unverified_chain() or ()
            return [one if isinstance(one, bytes) else ssl.PEM_cert_to_DER_cert(one.public_bytes()) for one in chain]
    except ssl.SSLError as error:
        raise ClusterError(
            where=server.url,
            what=f"speaks no TLS that can be understood: {error.reason or error}",
            remedy="give the address of the API server",
        ) from error
    except OSError as error:
        raise ClusterError(
            where=server.url,
            what=f"no connection: {error.strerror or error}",
            remedy="check the address, and that the server runs and no firewall is between",
        ) from error
