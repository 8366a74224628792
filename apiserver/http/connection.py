"""One client's connection: aiohttp's, with limits on what a silent client may hold, and an end for its watches."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from apiserver.kind import User

FIRST_REQUEST_SECONDS = 20.0
KEEPALIVE_SECONDS = 120.0
MOST_CONNECTIONS = 8000
LINE_BYTES = 64 * 1024
"""Longest request line and header: exec carries its arguments in the URL."""


class Connection(RequestHandler):
    """Remembers who the peer is, and cancels a watch when the peer goes away."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.peer: User | None = None
        self.peer_known = False
        self._watching: asyncio.Task[Any] | None = None
        self._asked = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection, unless there are too many; it must ask something soon."""
        super().connection_made(transport)
        if self._manager is not None and len(self._manager.connections) > MOST_CONNECTIONS:
            transport.abort()  # type: ignore[attr-defined]  # every stream transport has it
            return
        self._timer = asyncio.get_running_loop().call_later(FIRST_REQUEST_SECONDS, self._silent)

    def _silent(self) -> None:
        if not self._asked and self.transport is not None:
            self.transport.abort()

    def asked(self) -> None:
        """A request has arrived complete."""
        if not self._asked:
            self._asked = True
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    @property
    def paused(self) -> bool:
        """Too much is waiting to be sent."""
        return bool(self._paused)

    async def drained(self) -> None:
        """Wait until the client has taken most of it. Raises ConnectionResetError."""
        await self._drain_helper()

    def cancel_on_loss(self, wanted: bool = True) -> None:
        """Cancel the current task when the peer goes away."""
        self._watching = asyncio.current_task() if wanted else None

    def connection_lost(self, exc: BaseException | None) -> None:
        """The peer is gone."""
        if self._timer is not None:
            self._timer.cancel()
        watching, self._watching = self._watching, None
        super().connection_lost(exc)
        if watching is not None:
            watching.cancel()


class Server(web.Server):
    """Makes a Connection for every client."""

    def __call__(self) -> RequestHandler:
        """The protocol of a new connection."""
        return Connection(
            self,
            loop=self._loop,
            keepalive_timeout=KEEPALIVE_SECONDS,
            max_line_size=LINE_BYTES,
            max_field_size=LINE_BYTES,
            auto_decompress=False,
            access_log=None,
            **self._kwargs,
        )
