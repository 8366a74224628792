"""Sockets and TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence

from apiserver.config import Files
from apiserver.http.connection import Server
from sampan.errors import ClusterError
from sampan.serving import Serving

BACKLOG = 1024


def tls(files: Files) -> ssl.SSLContext | None:
    """The server's side of TLS: 1.2 and newer, HTTP/1.1, client certificates asked for but optional.

    A certificate that is renewed is taken up by the next connection.
    """
    if not files.cert:
        return None
    try:
        return Serving(lambda: _context(files), [one for one in (files.cert, files.key, files.ca) if one]).context
    except OSError as error:
        raise ClusterError(
            where=f"API server's certificate {files.cert}", what=str(error), remedy="check tls in the configuration"
        ) from error


def _context(files: Files) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.cert, files.key)
    if files.ca:
        context.load_verify_locations(files.ca)
        context.verify_mode = ssl.CERT_OPTIONAL
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


async def listen(
    server: Server, addresses: Sequence[str], inherited: Sequence[int], context: ssl.SSLContext | None
) -> list[asyncio.Server]:
    """Open every address and take over the inherited sockets. Raises ClusterError."""
    loop = asyncio.get_running_loop()
    made: list[asyncio.Server] = []
    for address in addresses:
        host, _, port = address.rpartition(":")
        try:
            made.append(
                await loop.create_server(server, host.strip("[]") or None, int(port), ssl=context, backlog=BACKLOG)
            )
        except (OSError, ValueError) as error:
            raise ClusterError(
                where=f"listening address {address}", what=str(error), remedy="free it, or change listen"
            ) from error
    for number in inherited:
        try:
            sock = socket.socket(fileno=number)
            sock.setblocking(False)
            made.append(await loop.create_server(server, sock=sock, ssl=context, backlog=BACKLOG))
        except OSError as error:
            raise ClusterError(where=f"inherited socket {number}", what=str(error)) from error
    return made
