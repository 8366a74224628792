import asyncio
import random
from collections.abc import Mapping
from ipaddress import IPv4Network
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.kind import Context
from apiserver.kinds import allocation
from apiserver.kinds.repair import repair
from apiserver.kinds.service import SERVICE
from sampan.api.core_v1 import Service
from sampan.errors import ApiError


class Pools:
    """Claims as etcd keeps them, and the view that several servers have of them, which may be behind."""

    def __init__(self, cidr: str = "10.96.0.0/16", ports: range = range(30000, 32768), *, blind: bool = False) -> None:
        self.held: dict[str, dict[str, str]] = {}
        self.blind = blind
        self.settings = SimpleNamespace(service_cidr=IPv4Network(cidr), node_port_range=ports)

    async def claim(self, pool: str, value: str, owner: str) -> bool:
        await asyncio.sleep(0)
        return self.held.setdefault(pool, {}).setdefault(value, owner) == owner

    async def release(self, pool: str, value: str, owner: str) -> None:
        if self.held.get(pool, {}).get(value) == owner:
            del self.held[pool][value]

    def claims(self, pool: str) -> Mapping[str, str]:
        return {} if self.blind else dict(self.held.get(pool, {}))

    def peek(self, *_: Any) -> None:
        return None


def context(pools: Pools) -> Any:
    return Context(server=pools, user=None, namespace="d", now=None)  # type: ignore[arg-type]  # only claims are used


def service(name: str, **spec: Any) -> Service:
    made = Service.from_json({"metadata": {"name": name, "namespace": "d", "uid": name}, "spec": spec})
    SERVICE.strategy.prepare_create(made, context(Pools()))
    return made


async def create(pools: Pools, name: str, **spec: Any) -> Service:
    made = service(name, **{"ports": [{"port": 80}], **spec})
    await SERVICE.strategy.before_create(made, context(pools))
    return made


@pytest.mark.parametrize("blind", [False, True])
async def test_no_two_services_get_one_address(blind: bool) -> None:
    pools = Pools("10.96.0.0/26", blind=blind)
    made = await asyncio.gather(*(create(pools, f"s{n}") for n in range(40)))
    assert len({one.spec.cluster_ip for one in made}) == 40
    assert all(one.spec.cluster_ips == [one.spec.cluster_ip] for one in made)


async def test_a_full_range_is_an_error_and_a_released_address_is_given_again() -> None:
    pools = Pools("10.96.0.0/29")
    made = [await create(pools, f"s{n}") for n in range(6)]
    assert {one.spec.cluster_ip for one in made} == {f"10.96.0.{n}" for n in range(1, 7)}
    with pytest.raises(ApiError, match="failed to allocate a serviceIP: range is full") as caught:
        await create(pools, "one-too-many")
    assert caught.value.code == 500
    await SERVICE.strategy.after_delete(made[0], pools)  # type: ignore[arg-type]  # only claims are used
    assert (await create(pools, "again")).spec.cluster_ip == made[0].spec.cluster_ip


async def test_a_chosen_address_is_claimed_or_refused() -> None:
    pools = Pools()
    assert (await create(pools, "dns", clusterIP="10.96.0.10")).spec.cluster_ips == ["10.96.0.10"]
    with pytest.raises(ApiError) as caught:
        await create(pools, "other", clusterIP="10.96.0.10")
    assert caught.value.message == (
        'Service "other" is invalid: spec.clusterIPs: Invalid value: ["10.96.0.10"]: '
        "failed to allocate IP 10.96.0.10: provided IP is already allocated"
    )
    with pytest.raises(ApiError, match=r"is not in the valid range\. The range of valid IPs is 10\.96\.0\.0/16"):
        await create(pools, "outside", clusterIP="10.97.0.1")


async def test_a_refusal_gives_everything_back() -> None:
    pools = Pools()
    await create(pools, "a", type="NodePort", ports=[{"port": 80, "nodePort": 30080}])
    before = {pool: dict(values) for pool, values in pools.held.items()}
    ports = [{"name": "x", "port": 1}, {"name": "y", "port": 2, "nodePort": 30080}]
    with pytest.raises(ApiError, match=r"spec\.ports\[1\]\.nodePort: Invalid value: 30080: provided port is already"):
        await create(pools, "b", type="NodePort", ports=ports)
    assert pools.held == before


async def test_two_protocols_may_share_a_node_port_of_one_service() -> None:
    ports = [
        {"name": "u", "port": 53, "protocol": "UDP", "nodePort": 30053},
        {"name": "t", "port": 53, "nodePort": 30053},
    ]
    made = await create(Pools(), "dns", type="NodePort", ports=ports)
    assert [port.node_port for port in made.spec.ports] == [30053, 30053]


async def test_a_headless_service_and_a_name_take_nothing() -> None:
    pools = Pools()
    await create(pools, "headless", clusterIP="None")
    await create(pools, "name", type="ExternalName", externalName="a.b", ports=[])
    assert pools.held == {}


async def test_a_change_claims_what_is_new_and_releases_what_is_gone() -> None:
    pools = Pools()
    old = await create(pools, "web", type="NodePort")
    new = Service.from_json(old.to_json())
    new.spec.ports[0].node_port = 31000
    SERVICE.strategy.prepare_update(new, old, context(pools))
    await SERVICE.strategy.before_update(new, old, context(pools))
    assert {"31000", str(old.spec.ports[0].node_port)} == pools.held[allocation.NODE_PORTS].keys()
    await SERVICE.strategy.after_update(new, old, pools)  # type: ignore[arg-type]  # only claims are used
    assert pools.held[allocation.NODE_PORTS].keys() == {"31000"}
    assert pools.held[allocation.ADDRESSES].keys() == {old.spec.cluster_ip}


@given(st.integers(1, 60), st.sets(st.integers(1, 60)), st.integers(0, 70), st.randoms(use_true_random=False))
def test_every_free_number_is_tried_and_the_reserved_ones_last(
    last: int, taken: set[int], reserved: int, chance: random.Random
) -> None:
    tried = list(dict.fromkeys(allocation.order(1, last, reserved, taken, chance)))
    assert sorted(tried) == sorted(set(range(1, last + 1)) - taken)
    below = [number <= reserved for number in tried]
    assert below == sorted(below)


def test_a_claim_without_an_owner_has_leaked() -> None:
    assert allocation.leaked({"10.96.0.1": "d/a/1", "10.96.0.2": "d/b/2"}, {"d/a/1"}) == ["10.96.0.2"]


async def test_what_leaked_is_given_back_by_the_second_pass_and_what_is_unclaimed_is_claimed() -> None:
    pools: Any = Pools()
    kept, lost = await create(pools, "kept", type="NodePort"), await create(pools, "lost")
    unclaimed = service("unclaimed", clusterIP="10.96.9.9", ports=[{"port": 1}])
    pools.peek_all = lambda _: [kept.to_json(), unclaimed.to_json()]
    first = await repair(pools)
    assert {value for _, value, _ in first.suspected} == {lost.spec.cluster_ip}
    assert lost.spec.cluster_ip in pools.held[allocation.ADDRESSES]
    second = await repair(pools, first)
    assert {value for _, value, _ in second.released} == {lost.spec.cluster_ip}
    assert pools.held[allocation.ADDRESSES].keys() == {kept.spec.cluster_ip, "10.96.9.9"}
    assert pools.held[allocation.NODE_PORTS].keys() == {str(kept.spec.ports[0].node_port)}


async def test_an_address_that_two_services_have_is_told() -> None:
    pools: Any = Pools()
    first = await create(pools, "first")
    second = service("second", clusterIP=first.spec.cluster_ip, ports=[{"port": 1}])
    pools.peek_all = lambda _: [first.to_json(), second.to_json()]
    assert {owner for _, _, owner in (await repair(pools)).contested} == {"d/second/second"}
