"""Killing a cluster's processes one by one, by SIGKILL, and what was killed when."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass

from clusters import LocalCluster

CONTROL_PLANE = ("etcd", "apiserver", "scheduler", "controllers")
OF_A_NODE = ("agent", "runtime", "forkserver")
SUPERVISOR = "supervisor"
EVERYTHING = (*CONTROL_PLANE, *OF_A_NODE, SUPERVISOR)
CARRY_REQUESTS = ("etcd", "apiserver")
"""What a client's request goes through."""


@dataclass(frozen=True)
class Kill:
    """One process that was killed. Times are time.monotonic's; `back` when it was seen to run again."""

    victim: str
    at: float
    back: float


async def kill(cluster: LocalCluster, victim: str, nodes: Sequence[str], dice: random.Random) -> Kill:
    """Kill one process and return when there is another in its place. Of a node's: on a node by chance."""
    if victim == SUPERVISOR:
        pid = int(cluster.places.pid.read_text())
        at = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(dice.random())
        await asyncio.to_thread(cluster.kctl, "cluster", "start", cluster.name, timeout=120)
        return Kill(victim, at, time.monotonic())
    name = f"{dice.choice(list(nodes))}/{victim}" if victim in OF_A_NODE else victim
    pid = await asyncio.to_thread(cluster.component_pid, name)
    at = time.monotonic()
    if pid:
        os.kill(pid, signal.SIGKILL)
    await asyncio.to_thread(cluster.eventually, lambda: cluster.component_pid(name) not in (0, pid))
    if victim in CARRY_REQUESTS:
        await asyncio.to_thread(cluster.eventually, lambda: cluster.kubectl("get", "--raw", "/readyz") == "ok")
    return Kill(name, at, time.monotonic())
