"""The node's DNS server: UDP and TCP on the cluster's DNS address.

Always: a packet that is no query costs one look and no answer; the number of TCP connections and of questions
waiting for an upstream is bounded, and each has a time limit; an error in one question never ends the server.
Elsewhere: answers (answer.py), the upstream's protocol details (message.py). Forwarding is off unless an upstream
is set.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import random
import secrets
import socket
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import cast

from nodeagent.network.dns.answer import answer, lower
from nodeagent.network.dns.message import (
    FORMERR,
    SERVFAIL,
    Edns,
    Message,
    MessageError,
    Question,
    decode,
    encode,
    is_plain_query,
    reply,
)
from nodeagent.network.dns.zone import Zone
from nodeagent.network.errors import NetworkError
from sampan.logs import fields

log = logging.getLogger(__name__)

PORT = 53
LEAST_PAYLOAD, MOST_PAYLOAD = 512, 1232  # RFC 1035 4.2.1; DNS flag day 2020
TCP_CONNECTIONS, TCP_IDLE_SECONDS, QUERY_BYTES = 128, 10.0, 4096
CONNECTIONS_A_CLIENT = 16
RECEIVE_BYTES = 1 << 20  # a burst of questions waits here, not in the clients' time-outs
SO_RCVBUFFORCE = 33  # socket(7)
UPSTREAM_QUESTIONS, UPSTREAM_SECONDS = 256, 4.0


@dataclass(slots=True)
class Counts:
    """What the server did since it started."""

    queries: int = 0
    malformed: int = 0
    forwarded: int = 0
    upstream_failures: int = 0
    failures: int = 0


def upstream_of(text: str) -> tuple[str, int] | None:
    """The upstream's address and port from "192.0.2.1" or "192.0.2.1:5353"; None for "". Raises NetworkError."""
    if not text:
        return None
    host, _, port = text.partition(":")
    try:
        return str(ipaddress.IPv4Address(host)), int(port or PORT)
    except ValueError as error:
        raise NetworkError(where="network settings, dns_upstream", what=str(error)) from error


class DnsServer:
    """Answers from `zone`, which may be replaced at any time. `start`, then `close`."""

    def __init__(
        self, address: str, zone: Zone, *, upstream: str = "", port: int = PORT, descriptors: tuple[int, ...] = ()
    ) -> None:
        self.zone = zone
        self._descriptors = descriptors
        self.counts = Counts()
        self._address = (address, port)
        self._upstream = upstream_of(upstream)
        if self._upstream == self._address:
            raise NetworkError(
                where="network settings, dns_upstream",
                what=f"{upstream} is this server itself",
                remedy="name a resolver outside of the cluster, or none",
            )
        self.transport: asyncio.DatagramTransport | None = None
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: Counter[str] = Counter()
        self._waiting = 0

    async def start(self) -> None:
        """Open both sockets in the network namespace of this thread. Raises NetworkError if that fails."""
        loop = asyncio.get_running_loop()
        try:
            datagrams, stream = self._sockets()
            await loop.create_datagram_endpoint(lambda: _Datagrams(self), sock=datagrams)
            self._server = await asyncio.start_server(self._converse, sock=stream, limit=QUERY_BYTES)
        except OSError as error:
            await self.close()
            raise NetworkError(
                where=f"DNS server at {self._address[0]}:{self._address[1]}",
                what=str(error),
                remedy="see which other program has the port (ss -lnp), or set another dns_address",
            ) from error

    def _sockets(self) -> tuple[socket.socket, socket.socket]:
        """(UDP, TCP): copies of the inherited ones, which outlive this server, or new ones."""
        if not self._descriptors:
            return _bound(socket.SOCK_DGRAM, self._address), _bound(socket.SOCK_STREAM, self._address)
        datagrams, stream = (socket.socket(fileno=os.dup(one)) for one in self._descriptors)
        datagrams.setblocking(False)
        stream.setblocking(False)
        return datagrams, stream

    async def close(self) -> None:
        """Close the sockets and drop questions in flight."""
        if self.transport:
            self.transport.close()
        if self._server:
            self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def datagram(self, data: bytes, client: tuple[str, int]) -> None:
        """Answer one UDP packet, at once if the zone has the answer."""
        query = self._query(data)
        if query is None:
            return
        if isinstance(query, bytes):
            self._send(query, client)
            return
        outcome = self._answer(query)
        if isinstance(outcome, Message):
            self._send(encode(outcome, _payload(query)), client)
        elif self._waiting < UPSTREAM_QUESTIONS:
            task = asyncio.create_task(self._forward_datagram(query, client))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            self._send(encode(reply(query, SERVFAIL), _payload(query)), client)

    def _send(self, data: bytes, client: tuple[str, int]) -> None:
        if self.transport and not self.transport.is_closing():
            self.transport.sendto(data, client)

    def _query(self, data: bytes) -> Message | bytes | None:
        """The query; or the bytes to answer to what isn't one; None to say nothing."""
        self.counts.queries += 1
        try:
            if len(data) <= QUERY_BYTES and is_plain_query(data):
                return decode(data)
        except MessageError:
            pass
        self.counts.malformed += 1
        if len(data) < 12 or data[2] & 0x80:
            return None  # answering an answer could go on for ever
        return encode(Message(int.from_bytes(data[:2], "big"), None, response=True, rcode=FORMERR))

    def _answer(self, query: Message) -> Message | None:
        """The complete answer; None if an upstream has to be asked."""
        try:
            outcome = answer(self.zone, query, turn=random.getrandbits(16))
        except Exception:  # the loop's edge: a bug met by one question must not stop the others
            self.counts.failures += 1
            log.exception("a question failed", extra=fields(question=repr(query.question)))
            return reply(query, SERVFAIL)
        if outcome.ask is not None and self._upstream and query.recursion_desired:
            return None
        return replace(outcome.response, recursion_available=self._upstream is not None)

    async def _forward_datagram(self, query: Message, client: tuple[str, int]) -> None:
        self._send(encode(await self._forward(query, tcp=False), _payload(query)), client)

    async def _forward(self, query: Message, *, tcp: bool) -> Message:
        """Ask the upstream for the name that our own answer lacks."""
        outcome = answer(self.zone, query)
        assert outcome.ask is not None
        assert query.question is not None
        self.counts.forwarded += 1
        self._waiting += 1
        question = Question(outcome.ask, query.question.type)
        try:
            async with asyncio.timeout(UPSTREAM_SECONDS):
                found = await self._ask_upstream(question, tcp=tcp)
        except (OSError, TimeoutError, MessageError, EOFError) as error:
            self.counts.upstream_failures += 1
            log.warning(
                "the upstream server fails",
                extra=fields(upstream=self._upstream, error=str(error) or type(error).__name__),
            )
            return reply(query, SERVFAIL)
        finally:
            self._waiting -= 1
        made = reply(
            query,
            found.rcode & 0xF,
            answers=(*outcome.response.answers, *found.answers),
            authorities=found.authorities,
        )
        return replace(made, recursion_available=True, truncated=found.truncated)

    async def _ask_upstream(self, question: Question, *, tcp: bool) -> Message:
        assert self._upstream is not None
        id = secrets.randbits(16)
        query = Message(id=id, question=question, recursion_desired=True, edns=Edns(MOST_PAYLOAD))
        if tcp:
            found = decode(await _ask_by_tcp(self._upstream, encode(query)))
            if not _answers(found, query):
                raise MessageError("the upstream answered another question")
            return found
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:  # a port of its own each time (RFC 5452)
            own.setblocking(False)
            own.connect(self._upstream)
            await loop.sock_sendall(own, encode(query))
            while True:
                data = await loop.sock_recv(own, 65535)
                with suppress(MessageError):  # a forger's guess must not spoil the true answer
                    if _answers(found := decode(data), query):
                        return found

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = str((writer.get_extra_info("peername") or ("",))[0])
        if self._connections.total() >= TCP_CONNECTIONS or self._connections[client] >= CONNECTIONS_A_CLIENT:
            writer.transport.abort()
            return
        self._connections[client] += 1
        try:
            while True:
                async with asyncio.timeout(TCP_IDLE_SECONDS):
                    size = int.from_bytes(await reader.readexactly(2), "big")
                    if size > QUERY_BYTES:
                        return
                    data = await reader.readexactly(size)
                    out = await self._reply_by_tcp(data)
                    if out is None:
                        return
                    writer.write(len(out).to_bytes(2, "big") + out)
                    await writer.drain()
        except (TimeoutError, EOFError, OSError):
            pass  # the client is slow or gone: its connection ends, nothing else
        finally:
            self._connections[client] -= 1
            self._connections += Counter()  # drops those at zero
            writer.transport.abort() if reader.at_eof() else writer.close()

    async def _reply_by_tcp(self, data: bytes) -> bytes | None:
        query = self._query(data)
        if query is None or isinstance(query, bytes):
            return query
        response = self._answer(query)
        if response is None:
            full = self._waiting >= UPSTREAM_QUESTIONS
            response = reply(query, SERVFAIL) if full else await self._forward(query, tcp=True)
        return encode(response)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Questions may be waiting in the socket, so answers go out from the first moment on."""
        self._server.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._server.datagram(data, addr)

    def error_received(self, exc: Exception) -> None:
        """An ICMP error about a client that went away is of no interest."""


def _payload(query: Message) -> int:
    if query.edns is None:
        return LEAST_PAYLOAD
    return max(LEAST_PAYLOAD, min(query.edns.payload, MOST_PAYLOAD))


def _answers(found: Message, query: Message) -> bool:
    return (
        found.response
        and found.id == query.id
        and found.question is not None
        and query.question is not None
        and lower(found.question.name) == lower(query.question.name)
        and found.question.type == query.question.type
    )


async def _ask_by_tcp(upstream: tuple[str, int], query: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*upstream)
    try:
        writer.write(len(query).to_bytes(2, "big") + query)
        await writer.drain()
        size = int.from_bytes(await reader.readexactly(2), "big")
        return await reader.readexactly(size)
    finally:
        writer.close()


def _bound(kind: socket.SocketKind, address: tuple[str, int]) -> socket.socket:
    made = socket.socket(socket.AF_INET, kind)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setblocking(False)
        if kind is socket.SOCK_DGRAM:
            with suppress(OSError):  # without the capability the default has to do
                made.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BYTES)
        made.bind(address)
    except OSError:
        made.close()
        raise
    return made
