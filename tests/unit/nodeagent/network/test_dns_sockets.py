"""Inherited DNS sockets: a question that came while no server was there is answered by the next one."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest
import uvloop

from nodeagent.network.dns.message import Message, Question, decode, encode
from nodeagent.network.dns.server import DnsServer
from nodeagent.network.dns.zone import zone_of

A, IN = 1, 1


def bound() -> tuple[socket.socket, socket.socket]:
    """UDP and TCP on one free loopback port."""
    while True:
        stream = socket.create_server(("127.0.0.1", 0))
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            datagrams.bind(stream.getsockname())
        except OSError:  # the UDP port of that number is taken
            stream.close()
            datagrams.close()
            continue
        return datagrams, stream


async def converse() -> None:
    """Ask before there is a server, twice."""
    datagrams, stream = bound()
    with datagrams, stream, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        client.connect(datagrams.getsockname())
        name = (b"kubernetes", b"default", b"svc", b"cluster", b"local")
        client.send(encode(Message(id=7, question=Question(name, A, IN)), 512))
        zone = zone_of(
            "cluster.local", "10.96.0.10", (), {}, cluster_cidr="10.244.0.0/16", service_cidr="10.96.0.0/16", serial=1
        )
        for _ in range(2):  # the sockets outlive a server
            server = DnsServer("10.96.0.10", zone, descriptors=(datagrams.fileno(), stream.fileno()))
            await server.start()
            data = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(client, 4096), 5)
            assert decode(data).id == 7
            await server.close()
            client.send(encode(Message(id=7, question=Question(name, A, IN)), 512))


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_question_that_waits_in_the_socket_is_answered_by_the_next_server(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(converse())
