"""What is short, who goes first, and in which words."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeagent.eviction.measure import disk_use
from nodeagent.eviction.rank import PodUse, has_limits, over_its_limits, ranked, refused_under, shown, verdict
from nodeagent.eviction.signals import Available, Pressures, Shortage, Signal, shortages, thresholds
from sampan import quantity
from sampan.api.core_v1 import Pod

MEBI = 1 << 20


def pod(name: str, *, priority: int = 0, requests: dict[str, str] | None = None, **spec: Any) -> Pod:
    container = {"name": "c", "resources": {"requests": requests or {}} | spec.pop("resources", {})}
    return Pod.from_json({"metadata": {"name": name}, "spec": {"priority": priority, "containers": [container]} | spec})


def names(uses: list[PodUse]) -> list[str]:
    return [use.pod.metadata.name or "" for use in uses]


def test_who_exceeds_its_request_goes_first_then_the_lower_priority_then_the_furthest_above() -> None:
    uses = [
        PodUse(pod("within", requests={"memory": "100Mi"}), {"c": 90 * MEBI}),
        PodUse(pod("important", priority=10, requests={"memory": "1Mi"}), {"c": 900 * MEBI}),
        PodUse(pod("little", requests={"memory": "10Mi"}), {"c": 20 * MEBI}),
        PodUse(pod("much", requests={"memory": "10Mi"}), {"c": 50 * MEBI}),
        PodUse(pod("critical", priority=2_000_001_000), {"c": 5000 * MEBI}),
    ]
    assert names(ranked(uses, "memory")) == ["much", "little", "important", "within"]


def test_of_disk_the_whole_pod_counts_and_of_files_no_request() -> None:
    uses = [
        PodUse(pod("one", requests={"ephemeral-storage": "1Gi"}), {}, {"c": 10}, {"v": 2 << 30}, inodes=5),
        PodUse(pod("two", requests={"ephemeral-storage": "4Gi"}), {}, {"c": 3 << 30}, {}, inodes=50),
    ]
    assert names(ranked(uses, "ephemeral-storage")) == ["one", "two"]
    assert names(ranked(uses, "inodes")) == ["two", "one"]


def test_the_message_is_upstreams() -> None:
    use = PodUse(pod("p", requests={"memory": "10Mi"}), {"c": 20 * MEBI})
    found = verdict(use, Shortage(Signal.MEMORY, 100 * MEBI, 94508 << 10))
    assert (found.phase, found.reason, found.grace, found.disrupted) == ("Failed", "Evicted", 1, True)
    assert found.message == (
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 94508Ki. "
        "Container c was using 20Mi, request is 10Mi, has larger consumption of memory. "
    )


@given(st.integers(0, 1 << 62))
def test_an_amount_is_shown_as_what_it_is(amount: int) -> None:
    assert quantity.value(shown(amount)) == amount


def test_thresholds_are_amounts_or_percentages_and_nonsense_is_named() -> None:
    limits = thresholds({"nodefs.available": "10%", "memory.available": "100Mi", "imagefs.available": "0%"})
    seen = {Signal.DISK: Available(9, 100), Signal.MEMORY: Available(99 * MEBI, 1 << 40)}
    assert [one.signal for one in shortages(limits, seen)] == [Signal.MEMORY, Signal.DISK]
    assert shortages(limits, {Signal.DISK: Available(10, 100), Signal.MEMORY: Available(100 * MEBI, 1 << 40)}) == []
    for bad in ({"cpu.available": "1"}, {"memory.available": "much"}, {"memory.available": "-1Mi"},
                {"nodefs.available": "101%"}, {"nodefs.available": "x%"}):  # fmt: skip
        with pytest.raises(ValueError, match="eviction"):
            thresholds(bad)


def test_a_pressure_is_told_for_a_while_after_it_was_felt() -> None:
    felt, short = Pressures(300.0), [Shortage(Signal.IMAGE_DISK, 10, 1)]
    assert felt.update([], 0.0) == frozenset()
    assert felt.update(short, 10.0) == {"DiskPressure"}
    assert felt.update([], 309.0) == {"DiskPressure"}
    assert felt.update([], 310.0) == frozenset()


def test_a_volume_a_container_and_a_pod_have_their_limits() -> None:
    limits = {"limits": {"ephemeral-storage": "1Mi"}}
    volumes = [{"name": "v", "emptyDir": {"sizeLimit": "1Mi"}}, {"name": "m", "emptyDir": {"medium": "Memory"}}]
    assert has_limits(pod("p", resources=limits))
    assert has_limits(pod("p", volumes=volumes))
    assert not has_limits(pod("p"))
    assert over_its_limits(PodUse(pod("p", volumes=volumes), {}, {"c": 9 * MEBI}, {"v": MEBI})) is None
    over = over_its_limits(PodUse(pod("p", volumes=volumes), {}, {}, {"v": MEBI + 1}))
    assert over is not None
    assert over.message == 'Usage of EmptyDir volume "v" exceeds the limit "1Mi". '
    over = over_its_limits(PodUse(pod("p", resources=limits), {}, {"c": 1}, {"v": MEBI}))
    assert over is not None
    assert over.message == "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. "
    containers = [{"name": name, "resources": limits} for name in ("a", "b")]
    two = Pod.from_json({"metadata": {"name": "p"}, "spec": {"containers": containers}})
    over = over_its_limits(PodUse(two, {}, {"a": MEBI + 1}))
    assert over is not None
    assert over.message == 'Container a exceeded its local ephemeral storage limit "1Mi". '


def test_a_node_under_pressure_takes_no_pods_but_critical_ones() -> None:
    best_effort, burstable = pod("b"), pod("u", requests={"memory": "1Mi"})
    assert refused_under(best_effort, []) is None
    assert refused_under(burstable, ["MemoryPressure"]) is None
    assert refused_under(pod("c", priority=2_000_000_000), ["DiskPressure"]) is None
    tolerant = pod("t", tolerations=[{"key": "node.kubernetes.io/memory-pressure", "operator": "Exists"}])
    assert refused_under(tolerant, ["MemoryPressure"]) is None
    for one, found in ((best_effort, ["MemoryPressure"]), (burstable, ["DiskPressure"]), (tolerant, ["DiskPressure"])):
        refused = refused_under(one, found)
        assert refused is not None
        assert refused.message == f"Pod was rejected: The node had condition: [{found[0]}]. "
        assert not refused.disrupted


def test_disk_use_counts_blocks_once_and_leaves_by_no_symlink(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").write_bytes(b"x" * 100_000)
    (tmp_path / "in/file").write_bytes(b"x" * 50_000)
    os.link(tmp_path / "in/file", tmp_path / "in/again")
    (tmp_path / "in/link").symlink_to(tmp_path / "out")
    (tmp_path / "in/folder").mkdir()
    found = disk_use(tmp_path / "in")
    assert 50_000 <= found.bytes < 90_000
    assert found.inodes == 4
    assert disk_use(tmp_path / "none").inodes == 0
