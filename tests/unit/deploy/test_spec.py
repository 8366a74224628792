"""The Cluster object: what is accepted, and what a refusal says."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy import spec
from deploy.spec import NodeSpec
from sampan.errors import ClusterError


def test_a_cluster_prints_as_it_is_read() -> None:
    cluster = spec.compose("dev", 3).with_nodes(spec.compose("dev", 3).spec.nodes)
    assert spec.parse(cluster.to_yaml(), "again") == cluster


def test_nodes_keep_their_addresses_when_one_in_the_middle_goes() -> None:
    three = spec.compose("dev", 3)
    placed = three.with_nodes(three.spec.nodes)
    fewer = placed.with_nodes([node for node in placed.spec.nodes if node.name != "n2"])
    again = fewer.with_nodes([*fewer.spec.nodes, NodeSpec(name="n4")])
    assert [(node.name, node.address) for node in again.spec.nodes] == [
        ("n1", "172.30.0.11"),
        ("n3", "172.30.0.13"),
        ("n4", "172.30.0.12"),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- a list", "not one Cluster object"),
        ("spec: {nodes: [{name: n1}, {name: n1}]}", "two nodes have the same name"),
        ("spec: {nodes: [{name: ../etc}]}", "spec.nodes.0.name: '../etc' is not"),
        ("spec: {nodez: []}", "spec.nodez: Extra inputs are not permitted"),
        ("spec: {network: {podCIDR: 172.30.0.0/16}}", "overlap"),
        ("spec: {network: {podCIDR: 10.0.0.0/40}}", "spec.network.podCIDR"),
        ("spec: {apiPort: 70000}", "apiPort 70000 is not a port"),
        ("spec: {timing: {nodeLeaseSeconds: 0}}", "must be at least 1"),
        ("kind: Clutter", "kind"),
        ("a: [", "not YAML"),
    ],
)
def test_a_bad_description_is_refused_with_its_place(text: str, says: str) -> None:
    with pytest.raises(ClusterError) as caught:
        spec.parse(text, "cluster.yaml")
    assert says in str(caught.value)
    assert str(caught.value).startswith("cluster.yaml: ")


@given(st.text(max_size=200))
def test_no_text_does_anything_but_parse_or_be_refused(text: str) -> None:
    with contextlib.suppress(ClusterError):
        assert isinstance(spec.parse(text, "somewhere"), spec.Cluster)


def test_a_full_node_network_says_so() -> None:
    cluster = spec.parse("spec: {network: {nodeCIDR: 172.30.0.0/28}}", "small")
    with pytest.raises(ClusterError, match="no address is free"):
        cluster.with_nodes(spec.compose("small", 5).spec.nodes)
