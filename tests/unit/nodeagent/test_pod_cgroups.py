"""What the cgroups above containers are limited to."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nodeagent.pod_cgroups import limits_of_node, limits_of_pod
from nodeagent.runtime.cgroups.resources import Limits
from sampan.api.core_v1 import Pod

MEBI = 1 << 20


def pod(*containers: dict[str, Any], init: tuple[dict[str, Any], ...] = ()) -> Pod:
    def specs(those: tuple[dict[str, Any], ...], name: str) -> list[dict[str, Any]]:
        return [{"name": f"{name}{i}", "image": "a", "resources": one} for i, one in enumerate(those)]

    spec = {"containers": specs(containers, "c"), "initContainers": specs(init, "i")}
    return Pod.from_json({"metadata": {"name": "p", "uid": "u"}, "spec": spec})


def test_a_pods_limits_are_its_containers_together() -> None:
    one = {"requests": {"cpu": "100m"}, "limits": {"cpu": "200m", "memory": "16Mi", "hugepages-2Mi": "4Mi"}}
    two = {"limits": {"cpu": "300m", "memory": "8Mi", "hugepages-2Mi": "2Mi"}}
    assert limits_of_pod(pod(one, two), 77) == Limits(
        cpu_shares=409,
        cpu_quota=50_000,
        cpu_period=100_000,
        memory_bytes=24 * MEBI,
        pids=77,
        hugepages={"2MB": 6 * MEBI},
    )


def test_a_container_without_a_limit_leaves_its_pod_without_one() -> None:
    made = limits_of_pod(pod({"limits": {"cpu": "1", "memory": "1Gi"}}, {}), -1)
    assert (made.cpu_quota, made.cpu_period, made.memory_bytes, made.cpu_shares) == (0, 0, 0, 1024)


def test_an_init_container_counts_if_it_is_the_larger() -> None:
    made = limits_of_pod(pod({"limits": {"memory": "8Mi"}}, init=({"limits": {"memory": "64Mi"}},)), -1)
    assert made.memory_bytes == 64 * MEBI


def test_a_node_is_limited_to_its_capacity() -> None:
    made = limits_of_node({"cpu": "2", "memory": "1024Ki", "pods": "110"})
    assert made == Limits(cpu_shares=2048, memory_bytes=MEBI)


@given(st.lists(st.integers(1, 64_000), min_size=1, max_size=5))
def test_no_container_has_more_than_its_pod(milli: list[int]) -> None:
    """cgroup v1 refuses a child whose quota is larger than its parent's."""
    made = limits_of_pod(pod(*({"limits": {"cpu": f"{m}m", "memory": "1Mi"}} for m in milli)), -1)
    alone = [limits_of_pod(pod({"limits": {"cpu": f"{m}m", "memory": "1Mi"}}), -1) for m in milli]
    assert made.cpu_quota >= max(one.cpu_quota for one in alone)
    assert made.cpu_shares >= max(one.cpu_shares for one in alone)
