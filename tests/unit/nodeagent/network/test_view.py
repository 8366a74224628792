"""From API objects to the network's own values."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from nodeagent.network.overlay import Peer
from nodeagent.network.services.model import (
    Endpoint,
    Protocol,
    Service,
    ServiceKey,
    ServicePort,
    endpoints_of,
    service_of,
)
from nodeagent.network.view import ClusterView, peer_of
from sampan.api.core_v1 import Node
from sampan.api.core_v1 import Service as ServiceObject
from sampan.api.discovery_v1 import EndpointSlice

LIGHT = settings(max_examples=60, deadline=None)


def service(**spec: object) -> Service:
    return service_of(ServiceObject.from_json({"metadata": {"name": "web", "namespace": "shop"}, "spec": spec}))


def slice_of(name: str, service: str, addresses: list[str], **conditions: bool) -> EndpointSlice:
    return EndpointSlice.from_json(
        {
            "metadata": {"name": name, "namespace": "shop", "labels": {"kubernetes.io/service-name": service}},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
            "endpoints": [{"addresses": [one], "conditions": conditions, "nodeName": "n1"} for one in addresses],
        }
    )


def test_a_service_is_read_in_full() -> None:
    made = service(
        type="NodePort",
        clusterIP="10.96.0.7",
        clusterIPs=["10.96.0.7"],
        externalIPs=["198.51.100.1", "nonsense"],
        ports=[{"name": "dns", "port": 53, "protocol": "UDP", "nodePort": 30053}, {"port": 80}],
        sessionAffinity="ClientIP",
        internalTrafficPolicy="Local",
        externalTrafficPolicy="Local",
        publishNotReadyAddresses=True,
    )
    assert made == Service(
        "shop",
        "web",
        ("10.96.0.7",),
        ("198.51.100.1",),
        (ServicePort(53, Protocol.UDP, "dns", 30053), ServicePort(80)),
        affinity_seconds=10800,
        internal_local=True,
        external_local=True,
        publish_not_ready=True,
    )


def test_affinitys_timeout_headless_and_external_names_are_read() -> None:
    config = {"clientIP": {"timeoutSeconds": 60}}
    assert (
        service(clusterIP="10.96.0.7", sessionAffinity="ClientIP", sessionAffinityConfig=config).affinity_seconds == 60
    )
    assert service(clusterIP="None", clusterIPs=["None"]).cluster_ips == ()
    external = service(type="ExternalName", externalName="mx.example.com")
    assert (external.external_name, external.cluster_ips) == ("mx.example.com", ())
    assert service(clusterIP="10.96.0.7", ports=[{"port": 1, "protocol": "ICMP"}]).ports == ()


def test_missing_conditions_mean_ready_and_serving() -> None:
    found = endpoints_of([slice_of("a", "web", ["10.244.1.2"])])[ServiceKey("shop", "web")]
    assert found == (Endpoint("10.244.1.2", 8080, "http", node="n1"),)
    dying = slice_of("a", "web", ["10.244.1.2"], ready=False, serving=True, terminating=True)
    (one,) = endpoints_of([dying])[ServiceKey("shop", "web")]
    assert (one.ready, one.serving, one.terminating) == (False, True, True)
    (one,) = endpoints_of([slice_of("a", "web", ["10.244.1.2"], ready=False)])[ServiceKey("shop", "web")]
    assert not one.serving


def test_slices_without_a_service_and_foreign_addresses_are_left_out() -> None:
    assert endpoints_of([slice_of("a", "", ["10.244.1.2"])]) == {}
    assert endpoints_of([slice_of("a", "web", ["nonsense"])]) == {ServiceKey("shop", "web"): ()}


def test_a_node_is_read_as_far_as_it_is_there() -> None:
    assert peer_of(Node.from_json({"metadata": {"name": "n1"}})) == Peer("n1", "", "")
    addresses = [
        {"type": "Hostname", "address": "n1"},
        {"type": "InternalIP", "address": "fd00::1"},
        {"type": "InternalIP", "address": "172.30.0.11"},
    ]
    node = {"metadata": {"name": "n1"}, "spec": {"podCIDR": "10.244.1.0/24"}, "status": {"addresses": addresses}}
    assert peer_of(Node.from_json(node)) == Peer("n1", "172.30.0.11", "10.244.1.0/24")


def test_a_heartbeat_is_no_change() -> None:
    view = ClusterView()
    first = Node.from_json({"metadata": {"name": "n1", "resourceVersion": "1"}})
    beat = Node.from_json({"metadata": {"name": "n1", "resourceVersion": "2"}, "status": {"phase": "x"}})
    assert view.take_node(None, first)
    assert not view.take_node(first, beat)
    assert view.take_node(beat, None)
    assert view.peers == {}


slices = st.builds(
    slice_of,
    name=st.sampled_from(["a", "b", "c"]),
    service=st.sampled_from(["web", "db", ""]),
    addresses=st.lists(st.integers(2, 5).map(lambda n: f"10.244.1.{n}"), max_size=3),
)


@LIGHT
@given(st.lists(st.tuples(slices, st.booleans()), max_size=12))
def test_endpoints_are_those_of_the_slices_that_are_there(steps: list[tuple[EndpointSlice, bool]]) -> None:
    view = ClusterView()
    held: dict[str, EndpointSlice] = {}
    for one, put in steps:
        name = one.metadata.name or ""
        old = held.pop(name, None)
        if put:
            held[name] = one
        before = dict(view.endpoints)
        changed = view.take_slice(old, held.get(name))
        expected = {key: value for key, value in endpoints_of(held.values()).items() if value}
        assert view.endpoints == expected
        assert changed == (before != expected)
