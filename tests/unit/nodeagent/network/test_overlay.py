"""What a node needs to reach the others."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeagent.network.config import Mode, NetworkConfig
from nodeagent.network.errors import NetworkError
from nodeagent.network.overlay import Peer, difference, plan, usable_peers
from nodeagent.network.pod import gateway_of, host_device_of, mac_of
from sampan.netlink.route import Route

LIGHT = settings(max_examples=60, deadline=None)

CIDR = "10.244.0.0/16"
peers = st.lists(
    st.builds(
        Peer,
        name=st.integers(0, 20).map(lambda n: f"n{n}"),
        address=st.one_of(st.integers(1, 20).map(lambda n: f"172.30.0.{n}"), st.sampled_from(["", "x", "fd00::1"])),
        pod_cidr=st.one_of(
            st.integers(0, 20).map(lambda n: f"10.244.{n}.0/24"),
            st.sampled_from(["", "10.244.0.0/20", "10.9.0.0/24", "10.244.1.1/24", "::/64"]),
        ),
    ),
    max_size=12,
    unique_by=lambda peer: peer.name,
)


def config(name: str = "n1", mode: Mode = Mode.VXLAN) -> NetworkConfig:
    return NetworkConfig(name, f"172.30.0.{name[1:]}", "eth0", Path("/nowhere"), mode=mode)


@LIGHT
@given(peers)
def test_ranges_never_overlap_and_every_node_agrees(peers: list[Peer]) -> None:
    good, complaints = usable_peers(peers, CIDR)
    assert usable_peers(reversed(peers), CIDR)[0] == good
    networks = [ipaddress.ip_network(peer.pod_cidr) for peer in good]
    assert not any(a.overlaps(b) for n, a in enumerate(networks) for b in networks[:n])
    assert len({peer.address for peer in good}) == len(good)
    complete = [peer for peer in peers if peer.pod_cidr and peer.address]
    assert len(good) + len(complaints) == len(complete)


@LIGHT
@given(peers)
def test_every_other_node_is_reached_and_nothing_else(peers: list[Peer]) -> None:
    good, _ = usable_peers(peers, CIDR)
    made = plan(config(), "10.244.1.0/24", good)
    others = [peer for peer in good if peer.name != "n1" and peer.address != "172.30.0.1"]
    assert {destination for destination, _ in made.routes} == {peer.pod_cidr for peer in others}
    mac = dict(made.neighbours)
    node = dict(made.forwardings)
    for destination, gateway in made.routes:
        peer = next(one for one in others if one.pod_cidr == destination)
        assert node[mac[gateway]] == peer.address
    assert len(made.neighbours) == len(made.forwardings) == len(others)


@LIGHT
@given(peers)
def test_direct_routes_need_no_device(peers: list[Peer]) -> None:
    good, _ = usable_peers(peers, CIDR)
    made = plan(config(mode=Mode.DIRECT), "10.244.1.0/24", good)
    assert made.device is None
    assert not made.neighbours
    assert all(gateway in {peer.address for peer in good} for _, gateway in made.routes)


def test_two_nodes_agree_on_each_others_device() -> None:
    both = [Peer("n1", "172.30.0.1", "10.244.1.0/24"), Peer("n2", "172.30.0.2", "10.244.2.0/24")]
    one, two = plan(config("n1"), "10.244.1.0/24", both), plan(config("n2"), "10.244.2.0/24", both)
    assert one.device is not None
    assert dict(two.forwardings) == {one.device.mac: one.device.local}
    assert dict(two.neighbours) == {one.device.address: one.device.mac}


@LIGHT
@given(st.sets(st.integers(0, 9)), st.sets(st.integers(0, 9)))
def test_a_difference_makes_the_one_of_the_other(wanted: set[int], held: set[int]) -> None:
    routes = {n: Route(f"10.244.{n}.0/24", 1) for n in range(10)}
    add, delete = difference([routes[n] for n in wanted], [routes[n] for n in held])
    assert ({routes[n] for n in held} | set(add)) - set(delete) == {routes[n] for n in wanted}
    assert not set(add) & set(delete)


@LIGHT
@given(st.ip_addresses(v=4), st.ip_addresses(v=4))
def test_addresses_have_macs_of_their_own(one: ipaddress.IPv4Address, other: ipaddress.IPv4Address) -> None:
    first = bytes.fromhex(mac_of(str(one)).replace(":", ""))
    assert first[0] & 3 == 2  # local, unicast
    assert (mac_of(str(one)) == mac_of(str(other))) == (one == other)


def test_names_fit_the_kernel() -> None:
    names = {host_device_of(f"sandbox-{n}") for n in range(1000)}
    assert len(names) == 1000
    assert all(len(name) <= 15 for name in names)


def test_ranges_without_room_are_refused() -> None:
    assert gateway_of("10.244.3.0/24") == "10.244.3.1"
    for bad in ("10.244.0.0/30", "10.244.0.1/24", "fd00::/64", "x"):
        with pytest.raises(NetworkError):
            gateway_of(bad)


@pytest.mark.parametrize(
    "settings",
    [
        {"node_address": "172.30.0"},
        {"cluster_cidr": "10.244.0.1/16"},
        {"service_cidr": "fd00::/112"},
        {"device": "a-name-of-sixteen"},
        {"device": "a b"},
        {"device": ""},
        {"table": "x; flush ruleset"},
        {"vxlan_id": 1 << 24},
        {"vxlan_port": 0},
        {"reserved_addresses": ("x",)},
    ],
)
def test_wrong_settings_are_named(settings: dict[str, object]) -> None:
    base: dict[str, object] = {"node_name": "n", "node_address": "172.30.0.1", "device": "eth0", "state_dir": Path()}
    with pytest.raises(NetworkError, match=next(iter(settings))):
        NetworkConfig(**{**base, **settings})  # type: ignore[arg-type]
