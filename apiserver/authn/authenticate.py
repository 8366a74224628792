"""Who asks: a client certificate, else a bearer token, else nobody."""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

from apiserver.authn.certificates import user_of
from apiserver.http.connection import Connection
from apiserver.kind import User
from sampan.errors import ApiError, Reason


class TokenReader(Protocol):
    """What makes a user of a token."""

    def user(self, token: str) -> User | None:
        """None when the token is no good."""


class Authenticate:
    """The peer's certificate is looked at once a connection."""

    def __init__(self, tokens: TokenReader | None) -> None:
        self._tokens = tokens

    async def __call__(self, request: web.BaseRequest) -> User | None:
        """The user. Raises ApiError 401 for a token that is no good."""
        connection = request.protocol
        if isinstance(connection, Connection):
            if not connection.peer_known:
                transport = request.transport
                certificate = transport.get_extra_info("peercert") if transport is not None else None
                connection.peer = user_of(certificate) if certificate else None
                connection.peer_known = True
            if connection.peer is not None:
                return connection.peer
        header = request.headers.get("Authorization", "")
        if not header:
            return None
        scheme, _, token = header.partition(" ")
        user = self._tokens.user(token.strip()) if self._tokens and scheme.lower() == "bearer" else None
        if user is None:
            raise ApiError(401, Reason.UNAUTHORIZED, "Unauthorized")
        return user
