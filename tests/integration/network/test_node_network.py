"""The whole network of nodes as the agent runs it: from API objects to packets and names."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from nodeagent.network.dns.message import (
    AAAA,
    NXDOMAIN,
    A,
    Address,
    Edns,
    Message,
    Question,
    Record,
    decode,
    encode,
    name_of,
    reply,
)
from nodeagent.network.dns.server import DnsServer
from nodeagent.network.dns.zone import zone_of
from nodeagent.network.errors import NetworkError
from nodeagent.network.namespaces import write_sysctl
from nodeagent.network.node_network import NodeNetwork
from nodeagent.network.services.device import reconcile_device
from nodeagent.network.services.model import Protocol
from nodeagent.network.services.plan import HostPort
from sampan.api.core_v1 import Node, Service
from sampan.api.discovery_v1 import EndpointSlice
from sampan.netlink.route import RouteSocket, delete_link

pytestmark = pytest.mark.root
DNS = "10.96.0.10"


class Cluster:
    """API objects by kind and name, told to every agent in its own thread."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {"nodes": {}, "services": {}, "slices": {}}
        self.listeners: list[tuple[str, asyncio.AbstractEventLoop, Any]] = []

    def put(self, kind: str, new: Any) -> None:
        old = self.objects[kind].get(new.metadata.name)
        self.objects[kind][new.metadata.name] = new
        self._tell(kind, old, new)

    def delete(self, kind: str, name: str) -> None:
        self._tell(kind, self.objects[kind].pop(name), None)

    def _tell(self, kind: str, old: Any, new: Any) -> None:
        for listening, loop, callback in self.listeners:
            if listening == kind:
                loop.call_soon_threadsafe(callback, SimpleNamespace(old=old, new=new))


@dataclass
class Source:
    """Stands for an informer of one kind."""

    cluster: Cluster
    kind: str

    async def synced(self) -> None:
        return

    def subscribe(self, callback: Any) -> Any:
        for one in self.cluster.objects[self.kind].values():
            callback(SimpleNamespace(old=None, new=one))
        entry = (self.kind, asyncio.get_running_loop(), callback)
        self.cluster.listeners.append(entry)
        return lambda: self.cluster.listeners.remove(entry)


class Agent:
    """A node's NodeNetwork in a thread of the node's namespace."""

    def __init__(self, node: Any, cluster: Cluster) -> None:
        self.network: Any = None
        self._started = threading.Event()
        self._node, self._cluster = node, cluster
        self._thread = threading.Thread(target=lambda: node.namespace.run(lambda: asyncio.run(self._run())))
        self._thread.start()
        self._started.wait(10)

    async def _run(self) -> None:
        sources = [Source(self._cluster, kind) for kind in ("nodes", "services", "slices")]
        self.network = NodeNetwork(self._node.config, *sources, resync_seconds=0.3)
        self.loop = asyncio.get_running_loop()
        self.task = asyncio.create_task(self.network.run())
        self._started.set()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task

    def ready(self) -> None:

        try:
            asyncio.run_coroutine_threadsafe(self.network.ready(), self.loop).result(10)
        except TimeoutError:
            pytest.fail(f"not ready: {self.network.problems()}")

    def stop(self) -> None:
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self.task.cancel)
            self._thread.join(10)


@pytest.fixture
def cluster() -> Any:
    return Cluster()


@pytest.fixture
def agents(lab: Any, cluster: Any) -> Any:
    """Two nodes under agents."""
    for _ in range(2):
        node = lab.node()
        cluster.put("nodes", node_object(node))
    made = [Agent(node, cluster) for node in lab.nodes]
    for agent in made:
        agent.ready()
    yield made
    for agent in made:
        agent.stop()


def node_object(node: Any, **spec: Any) -> Node:
    return Node.from_json(
        {
            "metadata": {"name": node.name},
            "spec": {"podCIDR": node.pod_cidr, **spec},
            "status": {"addresses": [{"type": "InternalIP", "address": node.ip}]},
        }
    )


def service_object(name: str, ip: str, **spec: Any) -> Service:
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    return Service.from_json(
        {
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {"clusterIP": ip, "clusterIPs": [ip], "ports": ports, **spec},
        }
    )


def slice_object(service: str, *pods: Any, protocol: str = "TCP", **conditions: bool) -> EndpointSlice:
    return EndpointSlice.from_json(
        {
            "metadata": {
                "name": f"{service}-1",
                "namespace": "shop",
                "labels": {"kubernetes.io/service-name": service},
            },
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080, "protocol": protocol}],
            "endpoints": [
                {
                    "addresses": [pod.ip],
                    "conditions": {"ready": True, "serving": True, **conditions},
                    "nodeName": pod.name.split("-")[0],
                }
                for pod in pods
            ],
        }
    )


def eventually(condition: Any, *, seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except (OSError, NetworkError):
            pass
        assert time.monotonic() < end, "the condition never came true"
        threading.Event().wait(0.05)


def query(namespace: Any, name: str, type: int = A, *, tcp: bool = False, server: str = DNS, **more: Any) -> Any:
    wire = encode(Message(77, Question(name_of(name), type), recursion_desired=True, **more))
    if not tcp:
        with namespace.socket(socket.SOCK_DGRAM) as client:
            client.connect((server, 53))
            client.send(wire)
            return decode(client.recv(65535))
    with namespace.socket() as client:
        client.connect((server, 53))
        client.sendall(len(wire).to_bytes(2, "big") + wire)
        with client.makefile("rb") as stream:
            return decode(stream.read(int.from_bytes(stream.read(2), "big")))


def test_a_service_works_by_name_from_another_node(lab: Any, cluster: Any, agents: Any) -> None:
    server, client = lab.pod(lab.nodes[0], "n1-a"), lab.pod(lab.nodes[1], "n2-a")
    lab.answer(server.namespace, 8080, server.name)
    cluster.put("services", service_object("web", "10.96.7.7"))
    cluster.put("slices", slice_object("web", server))
    eventually(lambda: query(client.namespace, "web.shop.svc.cluster.local").answers)
    assert query(client.namespace, "web.shop.svc.cluster.local").answers[0].data.text == "10.96.7.7"
    assert query(client.namespace, "web.shop.svc.cluster.local", tcp=True).answers[0].data.text == "10.96.7.7"
    assert query(lab.nodes[1].namespace, "web.shop.svc.cluster.local").answers
    eventually(lambda: client.namespace.ask("10.96.7.7", 80) == f"n1-a {client.ip}")
    cluster.delete("services", "web")
    eventually(lambda: query(client.namespace, "web.shop.svc.cluster.local").rcode == NXDOMAIN)
    eventually(lambda: _refused(lambda: client.namespace.ask("10.96.7.7", 80)))


def _refused(ask: Any) -> bool:
    try:
        ask()
    except ConnectionRefusedError:
        return True
    return False


RESOLVE = """
import ctypes, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
assert libc.unshare(0x20000) == 0
assert libc.mount(b"none", b"/", None, 0x4000 | 0x40000, None) == 0
assert libc.mount(sys.argv[1].encode(), b"/etc/resolv.conf", None, 0x1000, None) == 0
for name in sys.argv[2:]:
    try:
        print(sorted({entry[4][0] for entry in socket.getaddrinfo(name, 80)}))
    except socket.gaierror as error:
        print(error.errno == socket.EAI_NONAME)
"""


def test_the_c_librarys_resolver_finds_names_by_its_search_list(
    lab: Any, cluster: Any, agents: Any, tmp_path: Any
) -> None:
    client = lab.pod(lab.nodes[1], "n2-a")
    cluster.put("services", service_object("web", "10.96.7.7"))
    eventually(lambda: query(client.namespace, "web.shop.svc.cluster.local").answers)
    resolv = tmp_path / "resolv.conf"
    resolv.write_text(
        f"nameserver {DNS}\nsearch shop.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n"
    )
    start = time.monotonic()
    done = client.namespace.run(
        lambda: subprocess.run(
            [sys.executable, "-c", RESOLVE, str(resolv), "web", "web.shop", "web.shop.svc", "example.com", "nope"],
            capture_output=True,
            text=True,
            check=True,
        )
    )
    assert done.stdout.splitlines() == ["['10.96.7.7']"] * 3 + ["True", "True"]
    assert time.monotonic() - start < 3, "a name that isn't there must be denied at once, not by a time-out"


def test_the_overlay_follows_nodes_and_repairs_itself(lab: Any, cluster: Any, agents: Any) -> None:
    a, b = lab.pod(lab.nodes[0], "n1-a"), lab.pod(lab.nodes[1], "n2-a")
    assert a.namespace.ping(b.ip)
    lab.nodes[0].namespace.kernel.perform(delete_link("sampan-vxlan"), delete_link("sampan-svc"))
    eventually(lambda: a.namespace.ping(b.ip, seconds=0.1))
    eventually(lambda: query(a.namespace, "ns.dns.cluster.local").answers)
    cluster.delete("nodes", "n2")
    eventually(lambda: not a.namespace.ping(b.ip, seconds=0.1))
    cluster.put("nodes", node_object(lab.nodes[1]))
    eventually(lambda: a.namespace.ping(b.ip, seconds=0.1))


def test_a_strict_path_filter_of_the_machine_is_loosened_where_it_would_drop_answers(lab: Any, cluster: Any) -> None:
    for _ in range(2):
        node = lab.node()
        for name in ("all", "eth0"):
            node.namespace.run(partial(write_sysctl, f"net/ipv4/conf/{name}/rp_filter", "1"))
        cluster.put("nodes", node_object(node))
    made = [Agent(node, cluster) for node in lab.nodes]
    try:
        for agent in made:
            agent.ready()
        pod = lab.pod(lab.nodes[0], "n1-a")
        lab.answer(pod.namespace, 8080, pod.name)
        with lab.nodes[1].namespace.socket() as client:  # there by the overlay, back by the link
            client.bind((lab.nodes[1].ip, 0))
            client.connect((pod.ip, 8080))
            assert client.recv(100) == b"n1-a 172.30.0.12"
    finally:
        for agent in made:
            agent.stop()


def test_lost_rules_are_put_back(lab: Any, cluster: Any, agents: Any) -> None:
    server = lab.pod(lab.nodes[0], "n1-a")
    lab.answer(server.namespace, 8080, server.name)
    cluster.put("services", service_object("web", "10.96.7.7"))
    cluster.put("slices", slice_object("web", server))
    eventually(lambda: lab.nodes[0].namespace.ask("10.96.7.7", 80))
    lab.nodes[0].namespace.run(lambda: subprocess.run(["nft", "delete", "table", "ip", "sampan"], check=True))
    eventually(lambda: lab.nodes[0].namespace.ask("10.96.7.7", 80, seconds=0.2))


def test_a_killed_agent_leaves_connections_alone_and_its_successor_changes_nothing(
    lab: Any, cluster: Any, agents: Any
) -> None:
    server, client = lab.pod(lab.nodes[0], "n1-a"), lab.pod(lab.nodes[1], "n2-a")
    lab.answer(server.namespace, 8080, server.name)
    cluster.put("services", service_object("web", "10.96.7.7"))
    cluster.put("slices", slice_object("web", server))
    eventually(lambda: client.namespace.ask("10.96.7.7", 80))
    for agent in agents:
        agent.stop()
    assert client.namespace.ask("10.96.7.7", 80) == f"n1-a {client.ip}"
    again = Agent(lab.nodes[1], cluster)
    try:
        again.ready()
        assert again.network.metrics()["network_overlay_changes_total"] == 0
        assert client.namespace.ask("10.96.7.7", 80) == f"n1-a {client.ip}"
    finally:
        again.stop()


def test_udp_flows_whose_endpoint_went_while_no_agent_ran_are_forgotten(lab: Any, cluster: Any, agents: Any) -> None:
    pods = [lab.pod(lab.nodes[0], f"n1-{letter}") for letter in "ab"]
    for pod in pods:
        lab.answer(pod.namespace, 8080, pod.name)
    client = lab.pod(lab.nodes[1], "n2-a").namespace
    ports = [{"name": "http", "port": 80, "protocol": "UDP"}]
    cluster.put("services", service_object("web", "10.96.7.7", ports=ports))
    cluster.put("slices", slice_object("web", pods[0], protocol="UDP"))
    with client.socket(socket.SOCK_DGRAM) as own:
        eventually(lambda: client.ask_udp("10.96.7.7", 80, client=own, seconds=0.2).startswith("n1-a "))
        agents[1].stop()
        cluster.put("slices", slice_object("web", pods[1], protocol="UDP"))
        assert client.ask_udp("10.96.7.7", 80, client=own).startswith("n1-a ")
        again = Agent(lab.nodes[1], cluster)
        try:
            eventually(lambda: client.ask_udp("10.96.7.7", 80, client=own, seconds=0.2).startswith("n1-b "))
        finally:
            again.stop()


def test_a_node_without_a_range_says_so_and_gets_ready_with_one(lab: Any, cluster: Any) -> None:
    node = lab.node()
    cluster.put("nodes", node_object(node, podCIDR=None))
    agent = Agent(node, cluster)
    try:
        eventually(lambda: any("no range of pod addresses yet" in line for line in agent.network.problems()))
        eventually(lambda: query(node.namespace, "ns.dns.cluster.local").answers)  # names need no range
        cluster.put("nodes", node_object(node))
        agent.ready()
        assert agent.network.problems() == []
    finally:
        agent.stop()


def test_host_ports_lead_to_their_pod(lab: Any, cluster: Any, agents: Any) -> None:
    pod = lab.pod(lab.nodes[0], "n1-a")
    lab.answer(pod.namespace, 8080, pod.name)
    outsider = lab.machine("outsider", "172.30.0.200")
    network = agents[0].network
    port = HostPort(9000, Protocol.TCP, pod.ip, 8080)
    agents[0].loop.call_soon_threadsafe(network.set_host_ports, (port,))
    eventually(lambda: outsider.ask("172.30.0.11", 9000) == "n1-a 172.30.0.200")
    assert pod.namespace.ask("172.30.0.11", 9000) == "n1-a 10.244.1.1"
    agents[0].loop.call_soon_threadsafe(network.set_host_ports, ())
    eventually(lambda: _refused(lambda: outsider.ask("172.30.0.11", 9000)))


def test_remove_all_leaves_nothing(lab: Any, cluster: Any, agents: Any) -> None:
    node = lab.nodes[0]
    lab.pod(node, "n1-a")
    cluster.put("services", service_object("web", "10.96.7.7"))
    agents[0].stop()
    for _ in range(2):
        node.namespace.run(agents[0].network.remove_all)
    assert {link.name for link in node.namespace.kernel.links()} == {"lo", "eth0"}
    assert node.namespace.kernel.routes() == []
    rules = node.namespace.run(lambda: subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True))
    assert rules.stdout == ""


def test_a_control_plane_that_is_no_node_is_reached_by_pods(lab: Any) -> None:
    near = lab.node(reserved_addresses=("172.30.0.1",))
    lab.connect()
    lab.serve([], {})
    pod = lab.pod(near, "n1-a")
    assert pod.namespace.ping("172.30.0.1")


def test_egress_is_translated_only_when_asked_for(lab: Any) -> None:
    near, far = lab.node(), lab.node(egress_nat=True)
    lab.connect()
    lab.serve([], {})
    outsider = lab.machine("outsider", "172.30.0.200")
    assert not lab.pod(near, "n1-a").namespace.ping(outsider_ip := "172.30.0.200", seconds=0.2)
    assert lab.pod(far, "n2-a").namespace.ping(outsider_ip)
    assert outsider.ping(far.ip)


# The server alone, over the sockets of a namespace.


@pytest.fixture
def dns(lab: Any) -> Any:
    """A DNS server at 10.96.0.10 of a node, with an upstream that says 192.0.2.1 to everything, and a client."""
    node = lab.node()
    node.namespace.run(lambda: _device(node))
    upstream = lab.namespace("upstream")
    answering = upstream.socket(socket.SOCK_DGRAM)
    answering.bind(("127.0.0.1", 5353))
    zone = zone_of("cluster.local", DNS, [], {}, cluster_cidr="10.244.0.0/16", service_cidr="10.96.0.0/16")
    stop = threading.Event()
    started = threading.Event()
    found = SimpleNamespace(node=node, client=lab.pod(node, "client").namespace, server=None)

    async def serve() -> None:
        found.server = DnsServer(DNS, zone, upstream="172.30.0.1:5353")
        await found.server.start()
        started.set()
        await asyncio.to_thread(stop.wait)
        await found.server.close()

    thread = threading.Thread(target=lambda: node.namespace.run(lambda: asyncio.run(serve())))
    thread.start()
    assert started.wait(10)
    yield found
    stop.set()
    thread.join(10)
    answering.close()


def _device(node: Any) -> None:
    with RouteSocket() as kernel:
        reconcile_device(kernel, node.config, node.pod_cidr)


def test_names_of_others_are_forwarded_when_an_upstream_is_set(lab: Any, dns: Any) -> None:
    upstream = lab.switch.socket(socket.SOCK_DGRAM)
    upstream.bind(("172.30.0.1", 5353))

    def answer_once() -> None:
        data, peer = upstream.recvfrom(1000)
        asked = decode(data)
        assert asked.question is not None
        record = Record(asked.question.name, A, 60, Address("192.0.2.1"))
        good = reply(asked, answers=[record])
        upstream.sendto(encode(replace(good, id=asked.id ^ 1)), peer)  # a forger, who has to guess the id
        upstream.sendto(b"nonsense", peer)
        upstream.sendto(encode(good), peer)

    thread = threading.Thread(target=answer_once)
    thread.start()
    response = query(dns.client, "example.com", edns=Edns())
    thread.join(5)
    upstream.close()
    assert [record.data.text for record in response.answers] == ["192.0.2.1"]
    assert response.recursion_available
    assert response.id == 77


def test_hostile_packets_neither_end_nor_slow_the_server(dns: Any) -> None:
    garbage = [
        b"",
        b"\0" * 11,
        b"\xff" * 1400,
        bytes.fromhex("000181800001000000000000") + b"\1a\0\0\1\0\1",  # an answer
        bytes.fromhex("00010100000100000000ffff") + b"\xc0\x0c" * 500,
        bytes.fromhex("0001010000010000ffff0000") + b"\1a" * 2000,
        bytes.fromhex("000101000001000000000000") + b"\xc0\x0c\0\1\0\1",
    ]
    with dns.client.socket(socket.SOCK_DGRAM) as client:
        client.connect((DNS, 53))
        for packet in garbage * 100:
            client.send(packet)
    idle = [dns.client.socket() for _ in range(200)]
    try:
        for one in idle:
            with contextlib.suppress(OSError):
                one.connect((DNS, 53))
                one.send(b"\xff")
        with dns.client.socket() as greedy:
            greedy.settimeout(3)
            with contextlib.suppress(OSError):
                greedy.connect((DNS, 53))
                greedy.sendall(b"\xff\xff" + bytes(4000))
                assert greedy.recv(10) == b""
        assert query(dns.client, "ns.dns.cluster.local").answers[0].data.text == DNS
        assert query(dns.client, "ns.dns.cluster.local", AAAA).answers == ()
        assert query(dns.node.namespace, "ns.dns.cluster.local", tcp=True).answers  # another client is served
    finally:
        for one in idle:
            one.close()
    assert dns.server.counts.malformed >= 500


def test_an_upstream_that_is_silent_costs_its_client_only(dns: Any) -> None:
    with dns.client.socket(socket.SOCK_DGRAM) as client:
        client.connect((DNS, 53))
        for id in range(300):
            client.send(encode(Message(id, Question(name_of("example.com"), A), recursion_desired=True)))
        start = time.monotonic()
        assert query(dns.client, "ns.dns.cluster.local").answers
        assert time.monotonic() - start < 1


def test_a_taken_address_is_told(dns: Any) -> None:
    second = DnsServer(DNS, dns.server.zone)
    with pytest.raises(NetworkError, match="see which other program"):
        dns.node.namespace.run(lambda: asyncio.run(second.start()))
    with pytest.raises(NetworkError, match="is this server itself"):
        DnsServer(DNS, dns.server.zone, upstream=DNS)
