"""The streaming server: a connection a session, by a URL with a token that is good once.

A request is upgraded to WebSocket or SPDY/3.1 and handed to its session; anything else is refused with a sentence.
"""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from http import HTTPStatus

from nodeagent.runtime.sessions import Sessions, Ticket
from nodeagent.runtime.streaming import channels as ch
from nodeagent.runtime.streaming import commands, portforward, request
from nodeagent.runtime.streaming.request import BadRequest, Request
from sampan import websocket as ws
from sampan.logs import fields

log = logging.getLogger("sampan.runtime")

_TUNNEL = "SPDY/3.1+portforward.k8s.io"
_PORT_FORWARD_PROTOCOLS = {_TUNNEL: (4, False), "v4.channel.k8s.io": (4, False), "portforward.k8s.io": (4, False)}
_SPDY_COMMAND_VERSIONS = {
    "v5.channel.k8s.io": 5,
    "v4.channel.k8s.io": 4,
    "v3.channel.k8s.io": 3,
    "v2.channel.k8s.io": 2,
    "channel.k8s.io": 1,
}
_SPDY_FORWARD_VERSIONS = {"portforward.k8s.io": 1}


class StreamingServer:
    """Serves sessions' URLs between `start` and `stop`."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, address: str) -> str:
        """Listen on "host:port" (port 0: any); the base URL. Raises OSError, ValueError."""
        host, _, port = address.rpartition(":")
        self._server = await asyncio.start_server(self._connected, host.strip("[]"), int(port), limit=ch.READ_BYTES)
        bound = self._server.sockets[0].getsockname()
        shown = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
        return f"http://{shown}:{bound[1]}"

    async def stop(self) -> None:
        """End every session."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked = await request.read(reader)
            _, kind, token = asked.path.split("/", 2) if asked.path.count("/") == 2 else ("", "", "")
            ticket = self._sessions.take(kind, token)
            if ticket is None:
                raise BadRequest("this session is unknown, used already, or has expired", HTTPStatus.NOT_FOUND)
            await self._session(asked, ticket, reader, writer)
        except BadRequest as error:
            with contextlib.suppress(OSError):
                writer.write(request.refusal(error.status, str(error)))
                await writer.drain()
        except (ch.Gone, EOFError, OSError) as error:
            log.debug("session ended early", extra=fields(error=error))
        except Exception:  # the edge: a bug in one session is that session's
            log.exception("session failed")
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _session(
        self, asked: Request, ticket: Ticket, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        upgrade = asked.headers.get("upgrade", "").lower()
        if "upgrade" not in [word.lower() for word in asked.words("connection")]:
            raise BadRequest("this URL serves upgrades to WebSocket or SPDY/3.1 only", HTTPStatus.UPGRADE_REQUIRED)
        if upgrade == "websocket":
            await self._websocket(asked, ticket, reader, writer)
        elif upgrade == "spdy/3.1":
            await self._spdy(asked, ticket, reader, writer)
        else:
            raise BadRequest(
                f"upgrade to {upgrade!r} is not offered: WebSocket or SPDY/3.1", HTTPStatus.UPGRADE_REQUIRED
            )

    async def _websocket(
        self, asked: Request, ticket: Ticket, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        key = asked.headers.get("sec-websocket-key", "")
        if asked.method != "GET" or not key or asked.headers.get("sec-websocket-version") != "13":
            raise BadRequest("a WebSocket needs GET, version 13 and a key")
        known = _PORT_FORWARD_PROTOCOLS if ticket.kind == "portforward" else None
        protocol = ch.choose(asked.words("sec-websocket-protocol"), known)
        if protocol is None:
            raise BadRequest(f"none of the protocols {asked.words('sec-websocket-protocol')} is spoken here")
        headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": ws.accept_key(key)}
        if protocol:
            headers["Sec-WebSocket-Protocol"] = protocol
        ports = _ports(asked, ticket) if ticket.kind == "portforward" and protocol != _TUNNEL else []
        writer.write(request.response(HTTPStatus.SWITCHING_PROTOCOLS, headers))
        connection = ch.WebSocketConnection(reader, writer)
        if ticket.kind == "portforward":
            assert ticket.sandbox is not None
            if protocol == _TUNNEL:
                await portforward.over_spdy(ticket.sandbox, ch.SpdyConnection(ch.TunnelStream(connection)))
            else:
                await portforward.over_websocket(ticket.sandbox, connection, ports)
            return
        channels = ch.WebSocketChannels(connection, protocol)
        first = ch.STDOUT if ticket.stdout else ch.STDERR if ticket.stderr else ch.ERROR
        await channels.send(first, b"")  # tells clients that wait for a first message that the session is there
        await self._command(ticket, channels)

    async def _spdy(
        self, asked: Request, ticket: Ticket, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        forwarding = ticket.kind == "portforward"
        known: Mapping[str, int] = _SPDY_FORWARD_VERSIONS if forwarding else _SPDY_COMMAND_VERSIONS
        offered = asked.words("x-stream-protocol-version")
        protocol = next((name for name in known if name in offered), None if offered else "")
        if protocol is None:
            raise BadRequest(f"none of the protocols {offered} is spoken here", HTTPStatus.FORBIDDEN)
        headers = {"Connection": "Upgrade", "Upgrade": "SPDY/3.1"}
        if protocol:
            headers["X-Stream-Protocol-Version"] = protocol
        writer.write(request.response(HTTPStatus.SWITCHING_PROTOCOLS, headers))
        connection = ch.SpdyConnection(ch.PlainStream(reader, writer))
        if forwarding:
            assert ticket.sandbox is not None
            await portforward.over_spdy(ticket.sandbox, connection)
            return
        version = known.get(protocol, 1)
        channels = ch.SpdyChannels(connection, version)
        wanted = ((ch.STDIN, ticket.stdin), (ch.STDOUT, ticket.stdout), (ch.STDERR, ticket.stderr))
        expected = {ch.ERROR, *(channel for channel, wish in wanted if wish)}
        if ticket.tty and version >= 3:
            expected.add(ch.RESIZE)
        await channels.opened(expected)
        await self._command(ticket, channels)

    async def _command(self, ticket: Ticket, channels: ch.Channels) -> None:
        run = commands.run_exec if ticket.kind == "exec" else commands.run_attach
        await run(self._sessions, ticket, channels)
        await channels.close()


def _ports(asked: Request, ticket: Ticket) -> list[int]:
    words = [word for value in asked.query.get("port", asked.query.get("ports", [])) for word in value.split(",")]
    ports = [int(word) for word in words if word.isdigit()] or list(ticket.ports)
    if not ports or len(ports) > 64 or any(not 0 < port < 1 << 16 for port in ports):
        raise BadRequest("the query names 1 to 64 ports: ?port=80&port=443")
    return ports
