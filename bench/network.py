"""What the pod network costs: throughput between nodes, and new connections by Services, as ratios.

    python -m bench.network [--rounds 7]

In network namespaces with the very rules and overlay that an agent makes: TCP throughput from a pod to a pod of
another node, beside a bare veth pair (goal 0.7); new connections a second through a ClusterIP, beside straight to the
pod, on the same node and with 10, 1,000 and 5,000 Services (goal 0.9, flat). The two sides of a ratio take turns.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles

from nodeagent.network.config import Mode
from nodeagent.network.services.model import Endpoint, Protocol, Service, ServiceKey, ServicePort
from sampan.netlink.route import Address, add_veth, put_address, set_link
from tests.integration.network.conftest import Laboratory, Namespace

PORT, SINK = 8080, 9090
BLOCK = bytes(1 << 18)
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER that resets on close: no TIME_WAIT, so that no bench runs out of ports."""


@contextmanager
def child(work: Callable[[], object]) -> Iterator[None]:
    """Do something in a process of its own until the block ends."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(0)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def listening(namespace: Namespace, port: int) -> socket.socket:
    """A listening socket in a namespace."""
    made = namespace.socket()
    made.settimeout(None)
    made.bind(("", port))
    made.listen(1024)
    return made


def swallow(listener: socket.socket) -> None:
    """Take all that connections bring, one connection after another."""
    space = memoryview(bytearray(1 << 20))
    while True:
        connection, _ = listener.accept()
        with connection:
            while connection.recv_into(space):
                continue


def accept(listener: socket.socket) -> None:
    """Take connections and end them."""
    while True:
        listener.accept()[0].close()


def bytes_a_second(namespace: Namespace, address: str, seconds: float = 0.7) -> float:
    """TCP throughput of one connection."""
    with namespace.socket() as client:
        client.connect((address, SINK))
        sent, began = 0, time.perf_counter()
        while (now := time.perf_counter()) < began + seconds:
            sent += client.send(BLOCK)
        return sent / (now - began)


def connections_a_second(namespace: Namespace, address: str, port: int, seconds: float = 0.5) -> float:
    """How often one client can connect."""

    def connect() -> int:
        count, until = 0, time.perf_counter() + seconds
        while time.perf_counter() < until:
            with socket.socket() as client:
                client.settimeout(3)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                client.connect((address, port))
            count += 1
        return count

    return namespace.run(connect) / seconds


def report(what: str, pairs: list[tuple[float, float]], unit: Callable[[float], str], goal: float) -> None:
    """Print the ratio of the first to the second."""
    low, middle, high = quantiles([ours / peers for ours, peers in pairs], n=4)
    typical = quantiles([ours for ours, _ in pairs], n=2)[0], quantiles([peers for _, peers in pairs], n=2)[0]
    told = f"{unit(typical[0])} to {unit(typical[1])}"
    print(f"{what}: {middle:.2f} ({low:.2f} to {high:.2f}; goal {goal:.2f}), {told}", flush=True)


def bare_pair(lab: Laboratory) -> tuple[Namespace, Namespace]:
    """Two namespaces with nothing but a veth pair between them, 10.1.1.1 and 10.1.1.2, of a pod's MTU."""
    one, two = lab.namespace("one"), lab.namespace("two")
    one.kernel.perform(add_veth("left", "right", two.fd, mtu=1450, peer_mac="02:00:00:00:02:01"))
    for namespace, device, address in ((one, "left", "10.1.1.1"), (two, "right", "10.1.1.2")):
        link = namespace.kernel.link(device)
        assert link is not None
        namespace.kernel.perform(put_address(Address(link.index, address, 24)), set_link(link.index, up=True))
    return one, two


def throughput(rounds: int, directory: Path, mode: Mode) -> None:
    """Between two nodes."""
    lab = Laboratory(directory)
    try:
        near, far = lab.node(mode=mode), lab.node(mode=mode)
        lab.connect()
        source, target = lab.pod(near, "source"), lab.pod(far, "target")
        one, two = bare_pair(lab)
        sinks = [listening(target.namespace, SINK), listening(two, SINK)]
        with child(lambda: swallow(sinks[0])), child(lambda: swallow(sinks[1])):
            pairs = [
                (bytes_a_second(source.namespace, target.ip), bytes_a_second(one, "10.1.1.2")) for _ in range(rounds)
            ]
        for sink in sinks:
            sink.close()
        report(
            f"TCP from pod to pod of another node ({mode.value}), to a bare veth pair",
            pairs,
            lambda rate: f"{rate * 8 / 1e9:.1f} Gbit/s",
            0.7,
        )
    finally:
        lab.close()


def connections(rounds: int, directory: Path) -> None:
    """By a ClusterIP among more and more."""
    lab = Laboratory(directory)
    try:
        node = lab.node()
        lab.connect()
        client, server = lab.pod(node, "client"), lab.pod(node, "server")
        listener = listening(server.namespace, PORT)
        for count in (10, 1000, 5000):
            services, endpoints = [], {}
            for at in range(count):
                services.append(
                    Service(
                        "shop",
                        f"s{at}",
                        cluster_ips=(f"10.96.{at // 250}.{at % 250 + 1}",),
                        ports=(ServicePort(80, Protocol.TCP, "http"),),
                    )
                )
                endpoints[ServiceKey("shop", f"s{at}")] = [Endpoint(server.ip, PORT, "http", "tcp", node=node.name)]
            began = time.perf_counter()
            lab.serve(services, endpoints)
            took = time.perf_counter() - began
            middle = services[count // 2].cluster_ips[0]
            with child(lambda: accept(listener)):
                pairs = [
                    (
                        connections_a_second(client.namespace, middle, 80),
                        connections_a_second(client.namespace, server.ip, PORT),
                    )
                    for _ in range(rounds)
                ]
            what = f"new connections by ClusterIP among {count:,} (rules set in {took:.2f} s), to straight to the pod"
            report(what, pairs, lambda rate: f"{rate:,.0f}/s", 0.9)
        listener.close()
    finally:
        lab.close()


def main() -> int:
    """All questions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name:
        for mode in Mode:
            (Path(name) / mode.value).mkdir()
            throughput(rounds, Path(name) / mode.value, mode)
        (Path(name) / "services").mkdir()
        connections(rounds, Path(name) / "services")
    return 0


if __name__ == "__main__":
    sys.exit(main())
