"""Bootstrap tokens: what a machine shows that is no node yet.

A token `ID.SECRET` is good while the Secret kube-system/bootstrap-token-ID exists, has that secret, may authenticate
and has not expired. Always: secrets are compared in a time that does not depend on them, and only whoever knows the
secret is told more than "Unauthorized".
Source: "Authenticating with Bootstrap Tokens". Ours: the key `node-name`, which binds a token to one node.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from apiserver.authn.certificates import AUTHENTICATED
from apiserver.kind import Server, User
from sampan.errors import ApiError, Reason
from sampan.kinds import SECRETS

NAMESPACE = "kube-system"
PREFIX = "bootstrap-token-"
TYPE = "bootstrap.kubernetes.io/token"
USER = "system:bootstrap:"
GROUP = "system:bootstrappers"
NODE_NAME = "authentication.sampan.dev/node-name"
TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})", re.ASCII)
EXTRA_GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]", re.ASCII)
NOBODY = "0" * 16
"""Compared with when there is no such token, so that its absence takes as long to find out."""


def values_of(secret: Mapping[str, Any]) -> dict[str, str]:
    """The decoded data of a plain Secret; what is no text counts as absent."""
    made: dict[str, str] = {}
    for key, value in (secret.get("data") or {}).items():
        try:
            made[key] = base64.b64decode(value).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue
    return made


def expiry(text: str) -> datetime | None:
    """When a token ends, from its `expiration` key. None for what is no RFC 3339 time."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


class BootstrapTokens:
    """Reads bootstrap tokens, from the Secrets in the watch cache."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def user(self, token: str) -> User | None:
        """The user of a token. None when there is none; ApiError 401 when the token may not be used any more."""
        parts = TOKEN.fullmatch(token)
        if parts is None:
            return None
        identity, given = parts[1], parts[2]
        secret = self._server.peek(SECRETS, NAMESPACE, PREFIX + identity) or {}
        values = values_of(secret)
        kept = values.get("token-secret", "")
        same = hmac.compare_digest((kept or NOBODY).encode(), given.encode())
        if not (kept and same) or secret.get("type") != TYPE or values.get("token-id") != identity:
            return None
        if secret["metadata"].get("deletionTimestamp"):
            return None
        self._check(identity, values)
        extra = {NODE_NAME: (values["node-name"],)} if values.get("node-name") else {}
        groups = [one.strip() for one in values.get("auth-extra-groups", "").split(",") if one.strip()]
        if bad := next((one for one in groups if not EXTRA_GROUP.fullmatch(one)), ""):
            raise refusal(identity, f"has the group {bad!r}, and only groups below {GROUP}: are allowed")
        return User(USER + identity, groups=tuple(dict.fromkeys((GROUP, *groups, AUTHENTICATED))), extra=extra)

    def _check(self, identity: str, values: Mapping[str, str]) -> None:
        if "expiration" in values:
            ends = expiry(values["expiration"])
            if ends is None:
                raise refusal(identity, f"has an expiration that is no time: {values['expiration']!r}")
            if ends <= self._server.clock.now():
                raise refusal(identity, f"expired at {ends:%Y-%m-%dT%H:%M:%SZ}")
        if values.get("usage-bootstrap-authentication") != "true":
            raise refusal(identity, "may not be used to authenticate (its usages leave authentication out)")


def refusal(identity: str, why: str) -> ApiError:
    """401 for somebody who knows the secret, so may know what is wrong."""
    return ApiError(
        401,
        Reason.UNAUTHORIZED,
        f"the bootstrap token {identity} {why}; make a new one with: kctl token create --print-join-command",
    )
