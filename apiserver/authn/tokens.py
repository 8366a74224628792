"""Service-account tokens: JWTs (RFC 7519) signed RS256 or ES256 with the cluster's key.

Always: a token is good only while its service account exists with the same UID, and the pod, secret or node that it is
bound to as well. Source: "Managing Service Accounts", "Bound service account tokens".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from apiserver.authn.certificates import AUTHENTICATED
from apiserver.kind import Json, Server, User
from sampan.errors import ClusterError
from sampan.kinds import NODES, PODS, SECRETS, SERVICE_ACCOUNTS
from sampan.resource import Resource

CLAIM = "kubernetes.io"
KEEP = 4096
BOUND: dict[str, Resource[Any]] = {"pod": PODS, "secret": SECRETS, "node": NODES}
EXTRA = "authentication.kubernetes.io/"


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Key:
    """The signing key, and the one algorithm that goes with it."""

    def __init__(self, pem: bytes) -> None:
        key = serialization.load_pem_private_key(pem, None)
        if isinstance(key, rsa.RSAPrivateKey):
            self.algorithm = "RS256"
        elif isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == "secp256r1":
            self.algorithm = "ES256"
        else:
            raise ValueError("the key is neither RSA nor EC P-256")
        self._key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = key
        public = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.id = _encode(hashlib.sha256(public).digest())

    def sign(self, data: bytes) -> bytes:
        """The signature as JWS has it."""
        if isinstance(self._key, rsa.RSAPrivateKey):
            return self._key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        r, s = decode_dss_signature(self._key.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def good(self, data: bytes, signature: bytes) -> bool:
        """Whether the signature is this key's."""
        try:
            if isinstance(self._key, rsa.RSAPrivateKey):
                self._key.public_key().verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
            elif len(signature) == 64:
                r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
                self._key.public_key().verify(encode_dss_signature(r, s), data, ec.ECDSA(hashes.SHA256()))
            else:
                return False
        except InvalidSignature:
            return False
        return True

    def jwk(self) -> Json:
        """The public key (RFC 7517)."""
        made: Json = {"use": "sig", "kid": self.id, "alg": self.algorithm}
        if isinstance(self._key, rsa.RSAPrivateKey):
            numbers = self._key.public_key().public_numbers()
            n = numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big")
            return made | {"kty": "RSA", "n": _encode(n), "e": _encode(numbers.e.to_bytes(3, "big"))}
        point = self._key.public_key().public_numbers()
        x, y = _encode(point.x.to_bytes(32, "big")), _encode(point.y.to_bytes(32, "big"))
        return made | {"kty": "EC", "crv": "P-256", "x": x, "y": y}


class Tokens:
    """Makes and reads tokens of one issuer."""

    def __init__(self, server: Server, key: Key, issuer: str) -> None:
        self._server, self.key, self.issuer = server, key, issuer
        self._read: dict[str, Json] = {}

    @classmethod
    def load(cls, server: Server, path: str, issuer: str) -> Tokens:
        """With the key in a PEM file. Raises ClusterError."""
        try:
            return cls(server, Key(Path(path).read_bytes()), issuer)
        except (OSError, ValueError) as error:
            raise ClusterError(
                where=f"service account key {path}", what=str(error), remedy="give a PEM file of an RSA or EC P-256 key"
            ) from error

    def issue(
        self,
        account: Mapping[str, Any],
        audiences: Sequence[str],
        seconds: int,
        bound: Mapping[str, Mapping[str, str]] | None = None,
    ) -> str:
        """A token for a ServiceAccount object, valid for `seconds`; `bound`: {"pod": {"name": ..., "uid": ...}}."""
        now = int(self._server.clock.now().timestamp())
        metadata = account["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        claims = {
            "aud": list(audiences) or [self.issuer],
            "exp": now + seconds,
            "iat": now,
            "nbf": now,
            "iss": self.issuer,
            "jti": str(uuid.uuid4()),
            CLAIM: {"namespace": namespace, "serviceaccount": {"name": name, "uid": metadata["uid"]}, **(bound or {})},
            "sub": f"system:serviceaccount:{namespace}:{name}",
        }
        head = _encode(orjson.dumps({"alg": self.key.algorithm, "kid": self.key.id}))
        signed = f"{head}.{_encode(orjson.dumps(claims))}"
        return f"{signed}.{_encode(self.key.sign(signed.encode()))}"

    def claims(self, token: str) -> Json | None:
        """The claims of a token that this issuer signed and that is not expired."""
        found = self._read.get(token)
        if found is None:
            found = self._verified(token)
            if found is None:
                return None
            if len(self._read) >= KEEP:
                self._read.clear()
            self._read[token] = found
        now = self._server.clock.now().timestamp()
        return found if found["nbf"] - 60 <= now < found["exp"] else None

    def _verified(self, token: str) -> Json | None:
        parts = token.split(".")
        if len(parts) != 3 or len(token) > 16384:
            return None
        try:
            head, claims, signature = (
                orjson.loads(_decode(parts[0])),
                orjson.loads(_decode(parts[1])),
                _decode(parts[2]),
            )
        except (ValueError, binascii.Error):
            return None
        if not isinstance(head, dict) or head.get("alg") != self.key.algorithm:
            return None
        if not self.key.good(f"{parts[0]}.{parts[1]}".encode(), signature):
            return None
        return claims if isinstance(claims, dict) and claims.get("iss") == self.issuer else None

    def user(self, token: str, audiences: Sequence[str] = ()) -> User | None:
        """The user of a token that is good for one of the audiences (the API server itself when none is given)."""
        claims = self.claims(token)
        if claims is None or not set(claims["aud"]) & set(audiences or (self.issuer,)):
            return None
        ours = claims[CLAIM]
        namespace, account = ours["namespace"], ours["serviceaccount"]
        if not self._exists(SERVICE_ACCOUNTS, namespace, account):
            return None
        extra = {f"{EXTRA}credential-id": (f"JTI={claims['jti']}",)}
        for what, resource in BOUND.items():
            reference = ours.get(what)
            if reference is None:
                continue
            if not self._exists(resource, namespace if resource.namespaced else "", reference):
                return None
            extra[f"{EXTRA}{what}-name"] = (reference["name"],)
            extra[f"{EXTRA}{what}-uid"] = (reference["uid"],)
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED)
        return User(claims["sub"], account["uid"], groups, extra)

    def _exists(self, resource: Any, namespace: str, reference: Mapping[str, str]) -> bool:
        found = self._server.peek(resource, namespace, reference["name"])
        return found is not None and found["metadata"]["uid"] == reference["uid"]


def expiry(now: datetime, seconds: int) -> str:
    """When a token made now ends, as an RFC 3339 timestamp."""
    return datetime.fromtimestamp(int(now.timestamp()) + seconds, now.tzinfo).strftime("%Y-%m-%dT%H:%M:%SZ")
