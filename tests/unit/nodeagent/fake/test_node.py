"""What fake nodes are called, where their pods are, and when their leases are renewed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis.strategies import integers, lists, sampled_from

from nodeagent.fake.config import FakeConfig
from nodeagent.fake.node import ZONE, Addresses, node, turns

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_node_is_ready_from_its_first_moment() -> None:
    config = FakeConfig(kubeconfig=Path("k"), count=3, without=["fake-2"], zones=2, capacity={"cpu": "64"})
    assert config.names == ["fake-1", "fake-3"]
    value = node(config, "fake-3", NOW)
    assert value["metadata"]["labels"] | {ZONE: "zone-1", "sampan.dev/fake": "true"} == value["metadata"]["labels"]
    ready = next(one for one in value["status"]["conditions"] if one["type"] == "Ready")
    assert ready["status"] == "True"
    assert (value["status"]["allocatable"]["cpu"], value["status"]["allocatable"]["pods"]) == ("64", "110")


@given(lists(sampled_from("abcdefgh")))
def test_no_two_pods_share_an_address(pods: list[str]) -> None:
    addresses, there = Addresses("198.18.0.0/28"), dict[str, str]()
    for pod in pods:
        if pod in there:
            addresses.release(pod)
            del there[pod]
        else:
            there[pod] = addresses.of(pod)
            assert addresses.of(pod) == there[pod]
        assert len(set(there.values())) == len(there)


def test_addresses_run_out_and_come_back() -> None:
    addresses = Addresses("198.18.0.0/30")
    addresses.keep("a", "198.18.0.1")
    assert addresses.of("b") == "198.18.0.2"
    with pytest.raises(LookupError, match="all 2 addresses"):
        addresses.of("c")
    addresses.release("a")
    assert addresses.of("c") == "198.18.0.1"


@given(integers(0, 50), integers(1, 7))
def test_every_lease_has_one_turn(nodes: int, count: int) -> None:
    names = [f"fake-{number}" for number in range(nodes)]
    groups = turns(names, count)
    assert len(groups) == count
    assert sorted(name for group in groups for name in group) == sorted(names)
    assert max(map(len, groups)) - min(map(len, groups)) <= 1
