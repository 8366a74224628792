"""An address, and the connection to it: made when it is needed, and made again when it was lost."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

from apiserver.rpc.connection import Connection, Duplex, Metadata
from apiserver.rpc.frames import CallError, Code

CONNECT_SECONDS = 2.0
REST_SECONDS = 0.1
"""Between two attempts to connect, however many calls wait."""


class Channel:
    """Calls to one address. `tls` makes the context of the next connection, and may raise OSError."""

    def __init__(self, address: str, tls: Callable[[], ssl.SSLContext] | None = None, metadata: Metadata = ()) -> None:
        self._address, self._tls, self._metadata = address, tls, metadata
        host, _, port = address.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[Connection] | None = None
        self._failed: tuple[float, CallError] | None = None
        self._closed = False

    async def unary(self, path: str, request: bytes, seconds: float) -> bytes:
        """One message there, one back. Raises CallError."""
        connection = self._connection
        if connection is None or not connection.usable:
            connection = await self._connect()
        return await connection.unary(path, request, seconds)

    async def duplex(self, path: str) -> Duplex:
        """Begin a call of many messages both ways. Raises CallError."""
        connection = self._connection
        if connection is None or not connection.usable:
            connection = await self._connect()
        return await connection.duplex(path)

    async def close(self, grace: float = 0.0) -> None:
        """Begin no more calls; give those under way so many seconds."""
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
        connection = self._connection
        if connection is None:
            return
        connection.retire()
        if grace:
            await asyncio.sleep(grace)
        connection.close()

    async def _connect(self) -> Connection:
        """The one attempt that all calls wait for."""
        loop = asyncio.get_running_loop()
        if self._closed:
            raise CallError(Code.CANCELLED, f"the channel to {self._address} is closed")
        if self._failed is not None and loop.time() < self._failed[0]:
            raise CallError(self._failed[1].code, self._failed[1].details)
        if self._connecting is None or self._connecting.done():
            self._connecting = loop.create_task(self._open(), name=f"connecting to {self._address}")
        try:
            return await asyncio.shield(self._connecting)
        except asyncio.CancelledError:
            if self._closed and self._connecting.cancelled():
                raise CallError(Code.CANCELLED, f"the channel to {self._address} is closed") from None
            raise
        except CallError as error:  # one of its own for each call: whoever raises it adds a trace
            raise CallError(error.code, error.details) from error

    async def _open(self) -> Connection:
        loop = asyncio.get_running_loop()

        def protocol() -> Connection:
            return Connection(self._address, secure=self._tls is not None, metadata=self._metadata)

        connection: Connection | None = None
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                context = self._tls() if self._tls is not None else None
                name = self._host if context is not None else None
                _, connection = await loop.create_connection(
                    protocol, self._host, self._port, ssl=context, server_hostname=name
                )
                await connection.settled
        except (OSError, CallError) as error:
            if connection is not None:
                connection.close()
            late = isinstance(error, TimeoutError) and not str(error)
            why = f"no answer in {CONNECT_SECONDS:g} s" if late else str(error)
            failure = CallError(Code.UNAVAILABLE, f"failed to connect to {self._address}: {why}")
            self._failed = (loop.time() + REST_SECONDS, failure)
            raise failure from error
        self._failed = None
        self._connection = connection
        return connection
