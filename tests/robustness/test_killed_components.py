"""Every process of a cluster is killed while a rollout goes on under load: it converges, and nobody has lost anything.

`SAMPAN_ROBUSTNESS=all` kills each by itself and then all kinds by turns; by default a few are chosen by the seed.
"""

from __future__ import annotations

import asyncio
import os
import random
import uuid
from collections.abc import Iterator, Sequence
from typing import Protocol

import pytest
from killing import CARRY_REQUESTS, EVERYTHING, kill
from load import Load

from clusters import LocalCluster

NODES = ("n1", "n2", "n3")
SLACK_SECONDS = 1.0


class Sample(Protocol):
    """See conftest.py."""

    def __call__(self, cases: Sequence[int], few: int) -> list[int]: ...


@pytest.fixture(scope="module")
def three_nodes() -> Iterator[LocalCluster]:
    if running := os.environ.get("SAMPAN_TEST_CLUSTER"):
        yield LocalCluster.running(running)
        return
    with LocalCluster.started(name="kills", nodes=3) as cluster:
        cluster.build_webapp("v1", "v2")
        cluster.build_busybox()
        yield cluster


async def storm(cluster: LocalCluster, victims: Sequence[str], seed: int) -> None:
    """Roll out and kill, one victim after the other; then everything is as it must be."""
    print(f"SAMPAN_SEED={seed} {' '.join(victims)}")
    dice = random.Random(seed)
    namespace = f"kills-{uuid.uuid4().hex[:6]}"
    cluster.kubectl("create", "namespace", namespace)
    cluster.eventually(lambda: cluster.get("serviceaccount", "default", "-n", namespace))
    nodes = [node["metadata"]["name"] for node in cluster.get("nodes")]
    load = Load(cluster, namespace, seed)
    load.begin()
    kills = []
    async with load.going_on():
        version = 1
        for victim in victims:
            version = 3 - version
            await asyncio.to_thread(load.roll, f"v{version}")
            await asyncio.sleep(dice.random() * 4)
            kills.append(await kill(cluster, victim, nodes, dice))
            print(f"{kills[-1].victim}: back after {kills[-1].back - kills[-1].at:.1f} s", flush=True)
        await asyncio.to_thread(load.rolled_out)
    load.settle()
    problems = load.verdict()
    assert not problems, "\n".join(problems)
    carried = [one for one in kills if one.victim in CARRY_REQUESTS]
    unexplained = [
        failure.what
        for failure in load.failures
        if not any(one.at <= failure.ended and failure.began <= one.back + SLACK_SECONDS for one in carried)
    ]
    print(f"{len(load.failures)} requests failed, {len(load.shorts)} pods ran once")
    assert unexplained == []
    cluster.kubectl("delete", "namespace", namespace, "--wait=true", timeout=120)


@pytest.mark.parametrize("victim", EVERYTHING)
async def test_one_kind(three_nodes: LocalCluster, victim: str, sample: Sample) -> None:
    [seed] = sample(range(1_000_000), 1)
    await storm(three_nodes, [victim] * 3, seed)


async def test_all_kinds_by_turns(three_nodes: LocalCluster, sample: Sample) -> None:
    [seed] = sample(range(1_000_000), 1)
    dice = random.Random(seed)
    await storm(three_nodes, [dice.choice(EVERYTHING) for _ in range(10)], seed)
