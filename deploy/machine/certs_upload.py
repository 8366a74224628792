"""What all servers of a cluster share, on its way from the first to the others: encrypted, for two hours.

The CA with its key, the key that signs service account tokens, and how etcd is reached, as Secret
kube-system/sampan-certs. Each value is AES-256-GCM under the certificate key, which is only ever shown to the user,
with its nonce in front (NIST SP 800-38D). The Secret is owned by a bootstrap token that allows nothing and expires,
so that the cleaner of expired tokens, and then the garbage collector, remove it. kubeadm's upload-certs does the same.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping

from deploy.machine import tokens
from deploy.machine.connection import Connection
from sampan.errors import ApiError, ClusterError

NAME = "sampan-certs"
SECRETS = "/api/v1/namespaces/kube-system/secrets"
SECONDS = 2 * 3600
KEY_BYTES, NONCE_BYTES = 32, 12


def new_key() -> str:
    """A certificate key: 64 hexadecimal digits."""
    return os.urandom(KEY_BYTES).hex()


def checked_key(text: str) -> bytes:
    """The key's bytes. Raises ClusterError."""
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ClusterError(
            where="--certificate-key",
            what="is not 64 hexadecimal digits",
            remedy="take it from the output of: sampan server --upload-certs",
        )
    return key


def encrypted(key: bytes, name: str, value: bytes) -> bytes:
    """Nonce and ciphertext; the name is authenticated with it, so values can't be exchanged."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, value, name.encode())


def decrypted(key: bytes, name: str, value: bytes) -> bytes:
    """Back again. Raises ClusterError for the wrong key, or a value that was tampered with."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(key).decrypt(value[:NONCE_BYTES], value[NONCE_BYTES:], name.encode())
    except (InvalidTag, ValueError):
        raise ClusterError(
            where=f"Secret kube-system/{NAME}",
            what="can't be decrypted with this certificate key",
            remedy="take the key from the newest output of: sampan server --upload-certs",
        ) from None


def upload(connection: Connection, files: Mapping[str, bytes], key_text: str) -> None:
    """Put the files there, in place of earlier ones. Raises ApiError, ClusterError."""
    key = checked_key(key_text)
    guard = tokens.create(connection, seconds=SECONDS, description="ends Secret sampan-certs", usages=())
    owner = {"apiVersion": "v1", "kind": "Secret", "name": guard.secret, "uid": guard.uid, "controller": True}
    data = {name: base64.b64encode(encrypted(key, name, value)).decode() for name, value in files.items()}
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": NAME, "namespace": "kube-system", "ownerReferences": [owner]},
        "data": data,
    }
    try:
        connection.call("DELETE", f"{SECRETS}/{NAME}")
    except ApiError as error:
        if not error.is_not_found:
            raise
    connection.call("POST", SECRETS, body)


def download(connection: Connection, key_text: str) -> dict[str, bytes]:
    """The files. Raises ClusterError that says what is wrong."""
    key = checked_key(key_text)
    try:
        found = connection.call("GET", f"{SECRETS}/{NAME}")
    except ApiError as error:
        where = f"{connection.server.url}, Secret kube-system/{NAME}"
        if error.code == 404:
            what = "is not there: it is kept for two hours"
            raise ClusterError(
                where=where, what=what, remedy="run on a server: sampan server --upload-certs"
            ) from error
        raise ClusterError(where=where, what=error.message) from error
    data = found.get("data") or {}
    return {name: decrypted(key, name, base64.b64decode(value)) for name, value in data.items()}
