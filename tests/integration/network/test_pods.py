"""Pods reach pods: real namespaces, real packets."""

from __future__ import annotations

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from nodeagent.network.config import Mode
from nodeagent.network.errors import NetworkError
from nodeagent.network.pod import host_device_of
from sampan.netlink.route import delete_link

pytestmark = pytest.mark.root


def test_pods_of_all_nodes_reach_each_other(lab: Any, mode: Any) -> None:
    nodes = [lab.node(mode=mode) for _ in range(3)]
    lab.connect()
    pods = [lab.pod(node, f"{node.name}-{letter}") for node in nodes for letter in "ab"]
    for pod in pods:
        lab.answer(pod.namespace, 8080, pod.name)
    for source in pods:
        for target in pods:
            assert source.namespace.ping(target.ip), f"{source.name} can't ping {target.name}"
            assert source.namespace.ask(target.ip, 8080) == f"{target.name} {source.ip}"
            assert source.namespace.ask_udp(target.ip, 8080) == f"{target.name} {source.ip}"


def test_nodes_and_pods_reach_each_other(lab: Any, mode: Any) -> None:
    near, far = lab.node(mode=mode), lab.node(mode=mode)
    lab.connect()
    pod = lab.pod(near, "pod")
    lab.answer(pod.namespace, 8080, "pod")
    assert near.namespace.ping(pod.ip)
    assert far.namespace.ping(pod.ip)
    assert far.namespace.ask(pod.ip, 8080).startswith("pod ")
    assert pod.namespace.ping(near.ip)


def test_a_packet_of_the_pods_mtu_passes_whole_and_a_larger_one_does_not(lab: Any) -> None:
    near, far = lab.node(), lab.node()
    lab.connect()
    a, b = lab.pod(near, "a"), lab.pod(far, "b")
    assert a.address.mtu == 1450
    assert a.namespace.ping(b.ip, size=1450 - 28)
    assert not a.namespace.ping(b.ip, size=1450 - 26, seconds=0.2)


def test_no_frame_is_flooded_to_nodes_that_it_is_not_for(lab: Any) -> None:
    nodes = [lab.node() for _ in range(3)]
    lab.connect()
    a, b = lab.pod(nodes[0], "a"), lab.pod(nodes[1], "b")
    with nodes[2].namespace.run(
        lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
    ) as listener:
        listener.bind(("eth0", 0x0800))
        listener.setblocking(False)
        assert a.namespace.ping(b.ip)
        assert not a.namespace.ping("10.244.9.9", seconds=0.2)
        seen = []
        with suppress(BlockingIOError):
            while True:
                seen.append(listener.recv(2000))
    overlay_port = (8472).to_bytes(2, "big")
    assert not [frame for frame in seen if frame[23] == socket.IPPROTO_UDP and frame[36:38] == overlay_port]


def test_a_lost_overlay_is_built_again_and_a_right_one_is_left_alone(lab: Any, mode: Any) -> None:
    near, far = lab.node(mode=mode), lab.node(mode=mode)
    lab.connect()
    a, b = lab.pod(near, "a"), lab.pod(far, "b")
    assert near.reconcile(lab.peers()) == 0
    if mode is Mode.VXLAN:
        near.namespace.kernel.perform(delete_link("sampan-vxlan"))
    else:
        assert near.reconcile([]) == 1
    assert not a.namespace.ping(b.ip, seconds=0.1)
    assert near.reconcile(lab.peers()) > 0
    assert a.namespace.ping(b.ip)


def test_a_node_that_leaves_or_moves_is_followed(lab: Any) -> None:
    near, far = lab.node(), lab.node()
    lab.connect()
    a, b = lab.pod(near, "a"), lab.pod(far, "b")
    others = [peer for peer in lab.peers() if peer.name != "n2"]
    near.reconcile(others)
    assert not a.namespace.ping(b.ip, seconds=0.1)
    assert near.namespace.kernel.routes() == []
    near.reconcile(lab.peers())
    assert a.namespace.ping(b.ip)


def test_both_modes_can_follow_each_other_on_one_node(lab: Any) -> None:
    near, far = lab.node(), lab.node()
    lab.connect()
    a, b = lab.pod(near, "a"), lab.pod(far, "b")
    for mode in (Mode.DIRECT, Mode.VXLAN):
        for node in (near, far):
            object.__setattr__(node.config, "mode", mode)
            node.reconcile(lab.peers())
        assert a.namespace.ping(b.ip), mode
        assert (near.namespace.kernel.link("sampan-vxlan") is not None) == (mode is Mode.VXLAN)


def test_adding_again_changes_nothing_and_removing_leaves_nothing(lab: Any) -> None:
    node = lab.node()
    before = {link.name for link in node.namespace.kernel.links()}
    pod = lab.pod(node, "pod")
    again = node.namespace.run(lambda: node.network.add("pod", pod.namespace.path, pod_cidr=node.pod_cidr))
    assert again == pod.address
    assert node.network.allocations() == {"pod": pod.ip}
    node.namespace.run(lambda: node.network.check("pod", pod.namespace.path))
    for _ in range(2):
        node.namespace.run(lambda: node.network.remove("pod"))
    assert {link.name for link in node.namespace.kernel.links()} == before
    assert {link.name for link in pod.namespace.kernel.links()} == {"lo"}
    assert node.network.allocations() == {}
    with pytest.raises(NetworkError, match="has no address"):
        node.namespace.run(lambda: node.network.check("pod", pod.namespace.path))


def test_a_pair_left_by_a_crash_is_made_anew(lab: Any) -> None:
    node = lab.node()
    first = lab.pod(node, "pod")
    second = lab.namespace("second")  # the runtime died and gives the same sandbox a new namespace
    address = node.namespace.run(lambda: node.network.add("pod", second.path, pod_cidr=node.pod_cidr))
    assert address == first.address
    assert second.ping(address.gateway)
    assert first.namespace.kernel.link("eth0") is None


def test_a_namespace_with_a_foreign_eth0_is_refused_and_left_as_it_was(lab: Any) -> None:
    node = lab.node()
    other = lab.machine("other", "172.30.0.99")
    with pytest.raises(NetworkError, match="is not ours"):
        node.namespace.run(lambda: node.network.add("pod", other.path, pod_cidr=node.pod_cidr))
    assert node.network.allocations() == {}
    assert other.kernel.link("eth0") is not None
    assert node.namespace.kernel.link(host_device_of("pod")) is None


def test_sandboxes_without_a_pod_are_cleared_away(lab: Any) -> None:
    node = lab.node()
    for name in "abc":
        lab.pod(node, name)
    assert node.namespace.run(lambda: node.network.retain({"b"})) == ["a", "c"]
    assert set(node.network.allocations()) == {"b"}


def test_pods_are_added_and_removed_at_once_by_many_threads(lab: Any) -> None:
    node = lab.node()
    node.namespace.run(node.network.remove_all)  # the bridge as well has to be made by one of them
    pods = [lab.namespace(f"pod{number}") for number in range(16)]

    def in_threads(call: Callable[[Any], Any]) -> list[Any]:
        with ThreadPoolExecutor(8) as threads:
            return list(threads.map(lambda pod: node.namespace.run(partial(call, pod)), pods))

    made = in_threads(lambda pod: node.network.add(pod.name, pod.path, pod_cidr=node.pod_cidr))
    assert len({address.ips for address in made}) == 16
    assert pods[0].ping(made[15].ips[0])
    in_threads(lambda pod: node.network.remove(pod.name))
    assert node.network.allocations() == {}
    assert {link.name for link in node.namespace.kernel.links()} == {"lo", "eth0", "sampan-pods"}
