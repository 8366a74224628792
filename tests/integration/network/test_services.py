"""Services carry connections: real namespaces, real rules, real packets."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from nodeagent.network.namespaces import write_sysctl
from nodeagent.network.services.model import Endpoint, Protocol, Service, ServiceKey, ServicePort
from sampan.netlink.route import Route, put_route

pytestmark = pytest.mark.root

WEB = ServiceKey("shop", "web")
VIP = "10.96.7.7"
SERVICE = Service(
    "shop",
    "web",
    cluster_ips=(VIP,),
    ports=(
        ServicePort(80, Protocol.TCP, "http", node_port=30080),
        ServicePort(53, Protocol.UDP, "dns", node_port=30053),
    ),
)


def endpoints(*pods: Any, **state: Any) -> list[Endpoint]:
    return [
        Endpoint(pod.ip, 8080, name, protocol, node=pod.name.split("-")[0], **state)
        for pod in pods
        for name, protocol in (("http", "tcp"), ("dns", "udp"))
    ]


@pytest.fixture(params=["0", "1"], ids=["no-br-netfilter", "br-netfilter"])
def bridged(request: Any) -> Any:
    """Whether bridged packets visit the rules as well: a setting of the machine that we can't choose there."""
    return request.param


@pytest.fixture
def three(lab: Any) -> Any:
    """Two nodes with two answering pods each, and a client that is a pod of no service on the first."""
    for _ in range(2):
        lab.node()
    lab.connect()
    pods = [lab.pod(node, f"{node.name}-{letter}") for node in lab.nodes for letter in "ab"]
    for pod in pods:
        lab.answer(pod.namespace, 8080, pod.name)
    return pods


def answers(ask: Any, *, times: int = 60) -> Counter[str]:
    return Counter(ask().split()[0] for _ in range(times))


def test_a_cluster_address_reaches_every_endpoint_from_pods_and_nodes(lab: Any, three: Any, bridged: Any) -> None:
    client = lab.pod(lab.nodes[0], "client")
    lab.serve([SERVICE], {WEB: endpoints(*three)})
    for node in lab.nodes:
        node.namespace.run(lambda: write_sysctl("net/bridge/bridge-nf-call-iptables", bridged))
    names = {pod.name for pod in three}
    for namespace in (client.namespace, three[0].namespace, lab.nodes[0].namespace, lab.nodes[1].namespace):
        assert set(answers(lambda: namespace.ask(VIP, 80))) == names  # noqa: B023
        assert set(answers(lambda: namespace.ask_udp(VIP, 53))) == names  # noqa: B023


def test_a_pod_sees_the_clients_address_unless_it_is_its_own(lab: Any, three: Any, bridged: Any) -> None:
    a, other = three[0], three[1]
    for node in lab.nodes:
        node.namespace.run(lambda: write_sysctl("net/bridge/bridge-nf-call-iptables", bridged))
    lab.serve([SERVICE], {WEB: endpoints(a)})
    assert other.namespace.ask(VIP, 80) == f"{a.name} {other.ip}"
    assert three[2].namespace.ask(VIP, 80) == f"{a.name} {three[2].ip}"
    assert a.namespace.ask(VIP, 80) == f"{a.name} 10.244.1.1"  # hairpin
    assert a.namespace.ask_udp(VIP, 53) == f"{a.name} 10.244.1.1"


def test_programs_of_a_node_come_from_the_bridge_to_which_all_nodes_know_the_way(lab: Any, three: Any) -> None:
    lab.serve([SERVICE], {WEB: endpoints(three[0])})
    assert lab.nodes[1].namespace.ask(VIP, 80) == "n1-a 10.244.2.1"
    assert lab.nodes[0].namespace.ask(VIP, 80) == "n1-a 10.244.1.1"


def test_a_cluster_address_can_be_used_from_outside_by_way_of_any_node(lab: Any, three: Any) -> None:
    outsider = lab.machine("outsider", "172.30.0.200")
    outsider_route(outsider, "10.96.0.0/16", lab.nodes[0].ip)
    lab.serve([SERVICE], {WEB: endpoints(*three)})
    assert set(answers(lambda: outsider.ask(VIP, 80))) == {pod.name for pod in three}


def test_balance_is_fair(lab: Any, three: Any) -> None:
    client = lab.pod(lab.nodes[0], "client")
    lab.serve([SERVICE], {WEB: endpoints(*three)})
    seen = answers(lambda: client.namespace.ask(VIP, 80), times=400)
    assert min(seen.values()) > 50  # expected 100 each; 6 standard deviations
    assert len(seen) == 4


def test_node_ports_answer_on_every_nodes_address_and_not_on_loopback(lab: Any, three: Any) -> None:
    outsider = lab.machine("outsider", "172.30.0.200")
    lab.serve([SERVICE], {WEB: endpoints(*three)})
    for node in lab.nodes:
        assert set(answers(lambda: outsider.ask(node.ip, 30080))) == {pod.name for pod in three}  # noqa: B023
        assert outsider.ask_udp(node.ip, 30053)
        assert node.namespace.ask(node.ip, 30080)
        assert three[0].namespace.ask(node.ip, 30080)
        with pytest.raises(ConnectionRefusedError):
            node.namespace.ask("127.0.0.1", 30080)
    with pytest.raises(ConnectionRefusedError):
        outsider.ask(lab.nodes[0].ip, 30081)


def test_external_addresses_are_answered(lab: Any, three: Any) -> None:
    outsider = lab.machine("outsider", "172.30.0.200")
    outsider_route(outsider, "198.51.100.7/32", lab.nodes[0].ip)
    lab.serve([replace(SERVICE, external_ips=("198.51.100.7",))], {WEB: endpoints(*three)})
    assert set(answers(lambda: outsider.ask("198.51.100.7", 80))) == {pod.name for pod in three}
    assert three[0].namespace.ask("198.51.100.7", 80)


def outsider_route(machine: Any, destination: str, gateway: str) -> None:
    machine.kernel.perform(put_route(Route(destination, machine.kernel.link("eth0").index, gateway)))


def test_external_policy_local_keeps_the_clients_address_and_drops_elsewhere(lab: Any, three: Any) -> None:
    outsider = lab.machine("outsider", "172.30.0.200")
    # Pods answer an outsider by their own address only if it is translated back: nothing else leaves.
    lab.serve([replace(SERVICE, external_local=True)], {WEB: endpoints(three[0], three[1])})
    assert outsider.ask(lab.nodes[0].ip, 30080).endswith(" 172.30.0.200")
    with pytest.raises(TimeoutError):
        outsider.ask(lab.nodes[1].ip, 30080, seconds=0.3)
    # In the cluster the policy doesn't matter.
    assert three[2].namespace.ask(lab.nodes[1].ip, 30080)
    assert three[2].namespace.ask(VIP, 80)


def test_internal_policy_local_stays_on_the_node(lab: Any, three: Any) -> None:
    service = replace(SERVICE, internal_local=True)
    lab.serve([service], {WEB: endpoints(*three)})
    assert set(answers(lambda: three[0].namespace.ask(VIP, 80))) == {"n1-a", "n1-b"}
    lab.serve([service], {WEB: endpoints(*three[:2])})
    with pytest.raises(TimeoutError):
        three[2].namespace.ask(VIP, 80, seconds=0.3)


def test_without_endpoints_connections_are_refused_at_once(lab: Any, three: Any) -> None:
    outsider = lab.machine("outsider", "172.30.0.200")
    lab.serve([SERVICE], {})
    asks: tuple[Callable[[], Any], ...] = (
        lambda: three[0].namespace.ask(VIP, 80),
        lambda: lab.nodes[0].namespace.ask(VIP, 80),
        lambda: outsider.ask(lab.nodes[0].ip, 30080),
        lambda: three[0].namespace.ask("10.96.99.99", 80),  # no such Service
        lambda: lab.nodes[0].namespace.ask("10.96.99.99", 80),
        lambda: three[0].namespace.ask(VIP, 81),  # no such port
    )
    for ask in asks:
        with pytest.raises(ConnectionRefusedError):
            ask()
    with three[0].namespace.socket(socket.SOCK_DGRAM) as udp:
        udp.connect((VIP, 53))
        udp.send(b"?")
        with pytest.raises(ConnectionRefusedError):
            udp.recv(1)


def test_terminating_endpoints_serve_while_nobody_else_is_ready(lab: Any, three: Any) -> None:
    client = three[3].namespace
    dying = endpoints(three[0], ready=False, terminating=True)
    lab.serve([SERVICE], {WEB: dying})
    assert client.ask(VIP, 80).startswith("n1-a ")
    lab.serve([SERVICE], {WEB: [*dying, *endpoints(three[1])]})
    assert set(answers(lambda: client.ask(VIP, 80))) == {"n1-b"}


def test_open_connections_outlive_their_endpoints_removal(lab: Any, three: Any) -> None:
    a = three[0]
    with a.namespace.socket() as listener, three[3].namespace.socket() as client:
        listener.bind(("", 9090))
        listener.listen()
        service = replace(SERVICE, ports=(ServicePort(90, name="long"),))
        lab.serve([service], {WEB: [Endpoint(a.ip, 9090, "long", node="n1")]})
        client.connect((VIP, 90))
        server, _ = listener.accept()
        with server:
            lab.serve([service], {WEB: [Endpoint(a.ip, 9090, "long", node="n1", ready=False, terminating=True),
                                        Endpoint(three[1].ip, 9090, "long", node="n1")]})  # fmt: skip
            client.sendall(b"still")
            assert server.recv(10) == b"still"
            lab.serve([], {})
            server.sendall(b"here")
            assert client.recv(10) == b"here"


def test_affinity_keeps_a_client_with_its_endpoint_until_that_is_gone(lab: Any, three: Any) -> None:
    service = replace(SERVICE, affinity_seconds=600)
    lab.serve([service], {WEB: endpoints(*three)})
    clients = [lab.pod(lab.nodes[0], f"client{number}") for number in range(8)]
    first = {}
    for client in clients:
        seen = answers(lambda: client.namespace.ask(VIP, 80), times=12)  # noqa: B023
        assert len(seen) == 1
        first[client.name] = seen.popitem()[0]
    assert len(set(first.values())) > 1
    gone = first[clients[0].name]
    left = [pod for pod in three if pod.name != gone]
    lab.serve([service], {WEB: endpoints(*left)})
    for client in clients:
        seen = answers(lambda: client.namespace.ask(VIP, 80), times=12)  # noqa: B023
        assert len(seen) == 1, "a client whose endpoint went has a new one for good"
        name = seen.popitem()[0]
        assert name != gone
        assert first[client.name] in (gone, name), "other clients keep theirs"
        first[client.name] = name
    # An agent that starts anew knows nothing of the table, and still leaves clients where they are.
    node = lab.nodes[0]
    node.services.table = type(node.services.table)("sampan", node.services.nftables)
    lab.serve([service], {WEB: endpoints(*left)})
    for client in clients:
        assert client.namespace.ask(VIP, 80).startswith(first[client.name] + " ")


def test_affinity_ends_with_its_timeout(lab: Any, three: Any) -> None:
    lab.serve([replace(SERVICE, affinity_seconds=1)], {WEB: endpoints(*three)})
    # Asked without a pause a client stays; with its entry expired it is balanced anew.
    ask = three[0].namespace.ask
    first = ask(VIP, 80)
    seen = {first}
    waiting = threading.Event()
    for _ in range(12):
        waiting.wait(1.1)
        seen.add(ask(VIP, 80))
        if len(seen) > 1:
            break
    assert len(seen) > 1


def test_udp_clients_move_when_their_endpoint_goes(lab: Any, three: Any) -> None:
    lab.serve([SERVICE], {WEB: endpoints(three[0])})
    with three[3].namespace.socket(socket.SOCK_DGRAM) as client:

        def ask() -> str:
            return str(three[3].namespace.ask_udp(VIP, 53, client=client))

        assert ask().startswith("n1-a ")
        lab.serve([SERVICE], {WEB: [*endpoints(three[0], ready=False, terminating=True), *endpoints(three[1])]})
        assert ask().startswith("n1-a ")  # it still serves
        lab.serve([SERVICE], {WEB: endpoints(three[1])})
        assert ask().startswith("n1-b ")


def test_an_api_server_that_knows_no_pods_is_reached_as_the_node(lab: Any, three: Any) -> None:
    lab.answer(lab.switch, 6443, "api")
    service = Service("default", "kubernetes", cluster_ips=("10.96.0.1",), ports=(ServicePort(443, name="https"),))
    lab.serve([service], {service.key: [Endpoint("172.30.0.1", 6443, "https")]})
    for pod in three:
        assert pod.namespace.ask("10.96.0.1", 443) == f"api 172.30.0.1{pod.name[1]}"
    assert lab.nodes[0].namespace.ask("10.96.0.1", 443).startswith("api ")


def test_no_connection_fails_while_endpoints_change(lab: Any, three: Any) -> None:
    """Every endpoint comes and goes under load; whoever is in a plan answers, so every connection must succeed."""
    service = SERVICE
    lab.serve([service], {WEB: endpoints(*three)})
    stop = threading.Event()
    failures: list[BaseException] = []
    done: Counter[str] = Counter()

    def load(namespace: Any, address: str, port: int) -> None:
        while not stop.is_set():
            try:
                done[namespace.ask(address, port, seconds=5).split()[0]] += 1
            except Exception as error:
                failures.append(error)

    threads = [
        threading.Thread(target=load, args=(lab.nodes[0].pods["n1-a"].namespace, VIP, 80)),
        threading.Thread(target=load, args=(lab.nodes[1].namespace, VIP, 80)),
        threading.Thread(target=load, args=(lab.nodes[1].pods["n2-b"].namespace, lab.nodes[1].ip, 30080)),
    ]
    for thread in threads:
        thread.start()
    other = [Service("shop", f"s{n}", (f"10.96.8.{n}",), ports=(ServicePort(80),)) for n in range(1, 40)]
    try:
        for turn in range(60):
            some = [pod for place, pod in enumerate(three) if (turn >> place) & 1] or three
            going = [pod for pod in three if pod not in some]
            state = [*endpoints(*some), *endpoints(*going, ready=False, terminating=True)]
            if turn % 20 == 19:  # and as after a crash of the agent
                for node in lab.nodes:
                    node.services.table = type(node.services.table)("sampan", node.services.nftables)
            lab.serve([service, *other[: turn % 40]], {WEB: state})
    finally:
        stop.set()
        for thread in threads:
            thread.join(10)
    assert failures == []
    assert sum(done.values()) > 100
    assert len(done) == 4


def test_remove_all_leaves_no_table(lab: Any, three: Any) -> None:
    node = lab.nodes[0]
    lab.serve([SERVICE], {WEB: endpoints(*three)})
    assert node.services.nftables.names("sampan") is not None
    for _ in range(2):
        node.services.table.remove_all()
    assert node.services.nftables.names("sampan") is None


def test_the_kernel_takes_rules_for_every_protocol_and_policy(lab: Any) -> None:
    node = lab.node()
    ports = tuple(ServicePort(80, protocol, node_port=30080) for protocol in Protocol)
    every = [Endpoint("10.244.1.2", 80, protocol=p.value, node=n) for p in Protocol for n in ("n1", "n2")]
    many = [
        Service("shop", f"s{number}", (f"10.96.3.{number}",), (f"198.51.100.{number}",), ports, *policies)
        for number, policies in enumerate(product((0, 60), (False, True), (False, True)), 1)
    ]
    lab.serve(many, {service.key: every for service in many[1:]})
    lab.serve(many[2:], {service.key: every[:3] for service in many})
    assert node.services.table.check()
    lab.serve([], {})
    chains, tables = node.services.nftables.names("sampan")
    assert not [name for name in (*chains, *tables) if "shop" in name]


def test_a_table_of_another_version_is_replaced(lab: Any, three: Any) -> None:
    node = lab.nodes[0]
    old = "add table ip sampan; add map ip sampan services { type ipv4_addr : verdict; }; add chain ip sampan balance"
    node.namespace.run(lambda: subprocess.run(["nft", old], check=True))
    lab.serve([SERVICE], {WEB: endpoints(*three)})
    assert node.namespace.ask(VIP, 80)
