"""Bootstrap tokens made by a server for its own cluster; everything else about them is `kctl token`."""

from __future__ import annotations

import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from deploy.machine.connection import Connection

ALPHABET = string.ascii_lowercase + string.digits
JOIN_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Token:
    """A token that the cluster knows now."""

    text: str
    secret: str
    uid: str


def create(
    connection: Connection,
    *,
    seconds: int,
    description: str,
    usages: Sequence[str] = ("authentication", "signing"),
    node: str = "",
) -> Token:
    """A new token; with `node` it is good for that node's identity alone. Raises ApiError, ClusterError."""
    identity, secret = (("".join(secrets.choice(ALPHABET) for _ in range(length))) for length in (6, 16))
    ends = datetime.now(UTC) + timedelta(seconds=seconds)
    data = {
        "token-id": identity,
        "token-secret": secret,
        "expiration": ends.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "description": description,
    } | {f"usage-bootstrap-{usage}": "true" for usage in usages}
    if node:
        data["node-name"] = node
    name = f"bootstrap-token-{identity}"
    made = connection.call(
        "POST",
        "/api/v1/namespaces/kube-system/secrets",
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": "kube-system"},
            "type": "bootstrap.kubernetes.io/token",
            "stringData": data,
        },
    )
    return Token(f"{identity}.{secret}", name, str(made["metadata"]["uid"]))
