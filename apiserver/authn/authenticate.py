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
        """None when the token is no good. Raises ApiError 401 when there is more to say to whoever has it."""


class Authenticate:
    """The peer's certificate is looked at once a connection."""

    def __init__(self, *readers: TokenReader) -> None:
        self._readers = readers

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
        if scheme.lower() == "bearer":
            for reader in self._readers:
                user = reader.user(token.strip())
                if user is not None:
                    return user
        raise ApiError(401, Reason.UNAUTHORIZED, "Unauthorized")
