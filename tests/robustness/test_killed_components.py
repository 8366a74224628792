"""Every process of a cluster is killed while a rollout goes on under load: it converges, and nobody has lost anything.

`SAMPAN_ROBUSTNESS=all` kills each kind by itself and then all kinds by turns; by default two, chosen by the seed.
"""

from __future__ import annotations

import asyncio
import os
import random
import uuid
from collections.abc import Sequence
from typing import Protocol

import pytest
from killing import CARRY_REQUESTS, EVERYTHING, kill
from load import Load

from clusters import LocalCluster

IN_FULL = os.environ.get("SAMPAN_ROBUSTNESS") == "all"
SLACK_SECONDS = 1.0


class Seeds(Protocol):
    """See conftest.py."""

    def __call__(self, few: int, many: int) -> list[int]: ...


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


async def test_a_rollout_under_load_survives_whatever_is_killed(cluster: LocalCluster, seeds: Seeds) -> None:
    for seed in seeds(1, 3):
        dice = random.Random(seed)
        await storm(cluster, dice.choices(EVERYTHING, k=10 if IN_FULL else 2), seed)


@pytest.mark.skipif(not IN_FULL, reason="make test-robustness")
@pytest.mark.parametrize("victim", EVERYTHING)
async def test_a_rollout_under_load_survives_three_deaths_of(victim: str, cluster: LocalCluster, seeds: Seeds) -> None:
    [seed] = seeds(1, 1)
    await storm(cluster, [victim] * 3, seed)
