"""A laboratory of network namespaces: nodes on one switch, pods on the nodes. Nothing of it has a name or a file
on the machine: the namespaces are held by file descriptors, so they end with the test process at the latest.
"""

from __future__ import annotations

import ctypes
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from socket import SocketKind
from socket import socket as Socket  # noqa: N812  # a method here is called socket
from typing import Any, TypeVar

import pytest

from nodeagent.network import overlay
from nodeagent.network.config import Mode, NetworkConfig
from nodeagent.network.namespaces import CLONE_NEWNET, inside
from nodeagent.network.node_network import facts_of
from nodeagent.network.pod import PodAddress, PodNetwork
from nodeagent.network.services.conntrack import Targets, forget_stale, stale_targets
from nodeagent.network.services.device import reconcile_device
from nodeagent.network.services.model import Endpoints, Service
from nodeagent.network.services.nftables import Nftables, ServiceTable
from nodeagent.network.services.plan import NodeFacts, plan
from sampan.netlink.route import (
    Address,
    RouteSocket,
    add_bridge,
    add_veth,
    put_address,
    set_link,
)

T = TypeVar("T")


class Namespace:
    """A network namespace with nothing in it but lo, up."""

    def __init__(self, name: str) -> None:
        self.name = name
        made: list[int] = []

        def make() -> None:
            if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) == 0:
                made.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        if not made:
            pytest.skip("needs root on Linux: no network namespace can be made")
        self.fd = made[0]
        self.kernel = self.run(RouteSocket)
        self.kernel.perform(set_link(1, up=True))

    @property
    def path(self) -> str:
        return f"/proc/self/fd/{self.fd}"

    def run(self, call: Callable[[], T]) -> T:
        """Call something inside; a socket made there stays there."""
        with inside(self.fd, self.name):
            return call()

    def close(self) -> None:
        self.kernel.close()
        os.close(self.fd)

    def socket(self, kind: SocketKind = socket.SOCK_STREAM, protocol: int = 0) -> Socket:
        made = self.run(lambda: socket.socket(socket.AF_INET, kind, protocol))
        made.settimeout(3)
        return made

    def ping(self, address: str, *, size: int = 56, seconds: float = 3) -> bool:
        """One ICMP echo (RFC 792), not fragmented on the way; whether its answer came."""
        with self.socket(socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
            raw.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER, IP_PMTUDISC_DO
            body = os.urandom(size)
            head = struct.pack(">BBHHH", 8, 0, 0, os.getpid() & 0xFFFF, 1)
            words = struct.unpack(f">{(8 + size) // 2}H", head + body)
            total = sum(words)
            while total >> 16:
                total = (total & 0xFFFF) + (total >> 16)
            head = struct.pack(">BBHHH", 8, 0, ~total & 0xFFFF, os.getpid() & 0xFFFF, 1)
            try:
                raw.sendto(head + body, (address, 0))
            except OSError:
                return False
            end = time.monotonic() + seconds
            while (left := end - time.monotonic()) > 0:
                if not select.select([raw], [], [], left)[0]:
                    break
                packet, sender = raw.recvfrom(65535)
                if sender[0] == address and packet[20] == 0 and packet[28:] == body:
                    return True
            return False

    def ask(self, address: str, port: int, *, source: int = 0, seconds: float = 3) -> str:
        """Connect by TCP and read until the end: the answer of an EchoServer ("name client-address")."""
        with self.socket() as client:
            client.settimeout(seconds)
            if source:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                client.bind(("", source))
            client.connect((address, port))
            data = b""
            while chunk := client.recv(1000):
                data += chunk
            return data.decode()

    def ask_udp(self, address: str, port: int, *, client: Socket | None = None, seconds: float = 3) -> str:
        """Send one datagram and wait for the answer."""
        own = client or self.socket(socket.SOCK_DGRAM)
        own.settimeout(seconds)
        try:
            own.sendto(b"?", (address, port))
            data, sender = own.recvfrom(1000)
            assert sender == (address, port), f"answer from {sender}, asked {(address, port)}"
            return data.decode()
        finally:
            if client is None:
                own.close()


class Answerer:
    """Says its name and the caller's address by TCP and UDP on a port of a namespace, in two threads."""

    def __init__(self, namespace: Namespace, port: int, name: str) -> None:
        self.name = name
        self._tcp = namespace.socket()
        self._tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._tcp.bind(("", port))
        self._tcp.listen(256)
        self._udp = namespace.socket(socket.SOCK_DGRAM)
        self._udp.bind(("", port))
        self._stop_read, self._stop_write = os.pipe()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            waiting: list[Any] = [self._tcp, self._udp, self._stop_read]
            ready = select.select(waiting, [], [])[0]
            if self._stop_read in ready:
                return
            if self._tcp in ready:
                connection, peer = self._tcp.accept()
                with connection:
                    connection.sendall(f"{self.name} {peer[0]}".encode())
            if self._udp in ready:
                _, peer = self._udp.recvfrom(1000)
                self._udp.sendto(f"{self.name} {peer[0]}".encode(), peer)

    def close(self) -> None:
        os.write(self._stop_write, b".")
        self._thread.join(5)
        for fd in (self._stop_read, self._stop_write):
            os.close(fd)
        self._tcp.close()
        self._udp.close()


@dataclass
class Pod:
    """A sandbox: a namespace with an address."""

    name: str
    namespace: Namespace
    address: PodAddress

    @property
    def ip(self) -> str:
        return self.address.ips[0]


class Services:
    """A node's service rules, driven by hand."""

    def __init__(self, namespace: Namespace, facts: NodeFacts) -> None:
        self.namespace = namespace
        self.facts = facts
        self.nftables = namespace.run(Nftables)
        self.table = ServiceTable("sampan", self.nftables)
        self._udp: Targets = {}

    def apply(self, services: list[Service], endpoints: Endpoints) -> None:
        wanted = plan(self.facts, services, endpoints)
        self.namespace.run(lambda: self.table.apply(wanted.ruleset))
        targets = stale_targets(self._udp, wanted.udp)
        self._udp = wanted.udp
        if targets:
            self.namespace.run(lambda: forget_stale(targets, self.facts.node_addresses))


@dataclass
class Node:
    """A node: a namespace with eth0 on the switch, and the pods on it."""

    name: str
    namespace: Namespace
    config: NetworkConfig
    pod_cidr: str
    network: PodNetwork
    pods: dict[str, Pod] = field(default_factory=dict)
    services: Services | None = None

    @property
    def ip(self) -> str:
        return self.config.node_address

    def reconcile(self, peers: list[overlay.Peer]) -> int:
        wanted = overlay.plan(self.config, self.pod_cidr, peers)
        return self.namespace.run(lambda: self._reconcile(wanted))

    def _reconcile(self, wanted: overlay.Overlay) -> int:
        with RouteSocket() as kernel:
            return overlay.reconcile(kernel, self.config, wanted)


class Laboratory:
    """Makes nodes and pods, and takes them all away."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._namespaces: list[Namespace] = []
        self._answerers: list[Answerer] = []
        self.nodes: list[Node] = []
        self.switch = self.namespace("switch")
        self.switch.kernel.perform(add_bridge("switch", mac="02:00:00:00:00:01"))
        link = self.switch.kernel.link("switch")
        assert link is not None
        self._switch = link.index
        self.switch.kernel.perform(put_address(Address(self._switch, "172.30.0.1", 24)))

    def namespace(self, name: str) -> Namespace:
        made = Namespace(name)
        self._namespaces.append(made)
        return made

    def machine(self, name: str, address: str) -> Namespace:
        """A machine on the switch that is no node."""
        made = self.namespace(name)
        mac = f"02:00:00:00:01:{len(self._namespaces):02x}"
        self.switch.kernel.perform(add_veth(f"to-{name}", "eth0", made.fd, mtu=1500, peer_mac=mac, master=self._switch))
        link = made.kernel.link("eth0")
        assert link is not None
        made.kernel.perform(set_link(link.index, up=True), put_address(Address(link.index, address, 24)))
        return made

    def node(self, **settings: object) -> Node:
        """The next node: n1 at 172.30.0.11 with pods in 10.244.1.0/24, and so on."""
        number = len(self.nodes) + 1
        name = f"n{number}"
        address = f"172.30.0.{10 + number}"
        config = NetworkConfig(
            node_name=name,
            node_address=address,
            device="eth0",
            state_dir=self._directory / name,
            **settings,  # type: ignore[arg-type]  # a test names the settings that it is about
        )
        node = Node(name, self.machine(name, address), config, f"10.244.{number}.0/24", PodNetwork(config.pods()))
        node.namespace.run(lambda: node.network.prepare(node.pod_cidr))
        self.nodes.append(node)
        return node

    def peers(self) -> list[overlay.Peer]:
        return [overlay.Peer(node.name, node.ip, node.pod_cidr) for node in self.nodes]

    def serve(self, services: list[Service], endpoints: Endpoints) -> None:
        """Put Services into force on every node."""
        for node in self.nodes:
            if node.services is None:
                others = tuple(other.ip for other in self.nodes if other is not node)
                facts = facts_of(node.config, others)
                node.services = Services(node.namespace, facts)
                kernel = node.namespace.kernel
                node.namespace.run(partial(reconcile_device, kernel, node.config, node.pod_cidr))
            node.services.apply(services, endpoints)

    def connect(self) -> None:
        """Let every node's overlay know all nodes."""
        for node in self.nodes:
            node.reconcile(self.peers())

    def pod(self, node: Node, name: str) -> Pod:
        namespace = self.namespace(name)
        address = node.namespace.run(lambda: node.network.add(name, namespace.path, pod_cidr=node.pod_cidr))
        node.pods[name] = pod = Pod(name, namespace, address)
        return pod

    def answer(self, namespace: Namespace, port: int, name: str) -> Answerer:
        made = Answerer(namespace, port, name)
        self._answerers.append(made)
        return made

    def close(self) -> None:
        for answerer in self._answerers:
            answerer.close()
        for node in self.nodes:
            if node.services:
                node.services.nftables.close()
        for namespace in self._namespaces:
            namespace.close()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Laboratory]:
    """An empty laboratory."""
    made = Laboratory(tmp_path)
    yield made
    made.close()


@pytest.fixture(params=[Mode.VXLAN, Mode.DIRECT], ids=lambda mode: mode.value)
def mode(request: pytest.FixtureRequest) -> Mode:
    """Both ways between nodes."""
    value = request.param
    assert isinstance(value, Mode)
    return value
