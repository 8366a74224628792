"""Pods come and go, rollouts go on, bad clients hold connections: afterwards the cluster holds what it held before.

`make test-soak` makes it long ($SAMPAN_SOAK is "pod cycles,rollouts,half-open connections"); make test a short form.
Figures: docs/soak.md.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from api import Api
from bad_clients import holding
from books import Books, grown, look

from clusters import LocalCluster

SHORT = "40,1,50"
BATCH = 20
DEAF = 5
GROWTH_KIB = 24 * 1024
"""What a process may keep more of its own memory than after the warm-up, whatever was done meanwhile."""
TREND_KIB = 400
"""And how much more of it for each 1,000 cycles, by the slope over the second half of a long run."""
MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: rolling}
spec:
  replicas: 2
  revisionHistoryLimit: 2
  selector: {matchLabels: {app: rolling}}
  template:
    metadata: {labels: {app: rolling}}
    spec:
      terminationGracePeriodSeconds: 10
      containers:
      - {name: main, image: "busybox:test", command: [sh, -c, "trap 'exit 0' TERM; sleep 100000 & wait"]}
---
apiVersion: v1
kind: Service
metadata: {name: rolling}
spec:
  selector: {app: rolling}
  ports: [{port: 80}]
"""


def pod(number: int) -> dict[str, Any]:
    """Half of them sleep until they are ended, half end by themselves; volumes and a token as most pods have."""
    command = ["sh", "-c", "trap 'exit 0' TERM; sleep 100000 & wait" if number % 2 else "true"]
    mounts = [{"name": "scratch", "mountPath": "/scratch"}, {"name": "settings", "mountPath": "/settings"}]
    container = {"name": "main", "image": "busybox:test", "command": command, "volumeMounts": mounts}
    volumes = [{"name": "scratch", "emptyDir": {}}, {"name": "settings", "configMap": {"name": "settings"}}]
    spec = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 10, "containers": [container]}
    metadata = {"name": f"p{number}", "labels": {"app": "cycled"}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {**spec, "volumes": volumes}}


async def cycle(api: Api, namespace: str, numbers: Sequence[int]) -> None:
    """A batch of pods comes to its place and goes."""
    pods = f"/api/v1/namespaces/{namespace}/pods"
    await asyncio.gather(*(api.ask("POST", pods, pod(number)) for number in numbers))

    def there(found: dict[str, Any]) -> bool:
        phases = [one["status"].get("phase") for one in found["items"]]
        return len(phases) == len(numbers) and set(phases) <= {"Running", "Succeeded"}

    await api.until(f"{pods}?labelSelector=app%3Dcycled", there)
    await api.ask("DELETE", f"{pods}?labelSelector=app%3Dcycled")
    await api.until(f"{pods}?labelSelector=app%3Dcycled", lambda found: not found["items"])


async def roll(api: Api, namespace: str, number: int) -> None:
    """One rollout from its beginning to its end."""
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/rolling"
    patch = {"spec": {"template": {"metadata": {"annotations": {"roll": str(number)}}}}}
    made = await api.ask("PATCH", path, patch, "application/merge-patch+json")
    generation = made["metadata"]["generation"]

    def through(found: dict[str, Any]) -> bool:
        status = found["status"]
        return (
            status.get("observedGeneration", 0) >= generation
            and status.get("updatedReplicas") == status.get("replicas") == status.get("availableReplicas") == 2
        )

    await api.until(path, through)


class Run:
    """One soak, in namespaces of its own."""

    def __init__(self, cluster: LocalCluster, api: Api) -> None:
        self.cluster, self.api = cluster, api
        self.numbers = itertools.count()
        self.samples: list[tuple[int, Mapping[str, int]]] = []
        self.done = 0

    async def stretch(self, cycles: int, rollouts: int, half_open: int) -> None:
        """So much work, in a namespace that goes with everything in it."""
        namespace = f"soak-{uuid.uuid4().hex[:6]}"
        kubectl = self.cluster.kubectl
        await asyncio.to_thread(kubectl, "create", "namespace", namespace)
        await asyncio.to_thread(
            kubectl, "create", "configmap", "settings", "-n", namespace, "--from-literal=colour=blue"
        )
        await self.api.until(f"/api/v1/namespaces/{namespace}/serviceaccounts", lambda found: bool(found["items"]))
        await asyncio.to_thread(self.cluster.apply, namespace, MANIFEST)
        rolled = 0
        async with holding(self.api, half_open, DEAF if half_open else 0):
            for done in range(0, cycles, BATCH):
                batch = [next(self.numbers) for _ in range(min(BATCH, cycles - done))]
                while rolled * cycles < rollouts * (done + len(batch)):
                    rolled += 1
                    await roll(self.api, namespace, rolled)
                await cycle(self.api, namespace, batch)
                self.done += len(batch)
                if self.done % 100 < BATCH:
                    self.samples.append((self.done, look(self.cluster).memory))
                    print(json.dumps({"cycles": self.done, "KiB": self.samples[-1][1]}), flush=True)
        await asyncio.to_thread(kubectl, "delete", "namespace", namespace, "--wait=true", timeout=180)

    async def rest(self, before: Books | None = None) -> Books:
        """What is held once nothing more is let go of."""
        deadline = time.monotonic() + 150
        last: Books | None = None
        while True:
            now = await asyncio.to_thread(look, self.cluster)
            if before is not None and not grown(before, now):
                return now
            if before is None and last is not None and not grown(now, last):
                return now
            if time.monotonic() > deadline:
                return now
            last = now
            await asyncio.sleep(2)


def slope(samples: Sequence[tuple[int, int]]) -> float:
    """Least squares: how much more for each 1,000 cycles."""
    if not samples:
        return 0.0
    mean_x = sum(x for x, _ in samples) / len(samples)
    mean_y = sum(y for _, y in samples) / len(samples)
    spread = sum((x - mean_x) ** 2 for x, _ in samples)
    return 1000 * sum((x - mean_x) * (y - mean_y) for x, y in samples) / spread if spread else 0.0


async def test_afterwards_a_cluster_holds_what_it_held_before(cluster: LocalCluster) -> None:
    cycles, rollouts, half_open = map(int, os.environ.get("SAMPAN_SOAK", SHORT).split(","))
    async with Api(cluster) as api:
        run = Run(cluster, api)
        await run.stretch(cycles=min(cycles, 500) // 10, rollouts=1, half_open=half_open // 10)  # what is loaded once
        before = await run.rest()
        run.done, run.samples = 0, []
        began = time.monotonic()
        await run.stretch(cycles, rollouts, half_open)
        took = time.monotonic() - began
        after = await run.rest(before)
    kept = {name: after.memory[name] - before.memory.get(name, 0) for name in after.memory}
    late = run.samples[len(run.samples) // 2 :]
    slopes = {name: slope([(x, memory[name]) for x, memory in late if name in memory]) for name in after.memory}
    report = {
        "cycles": cycles, "rollouts": rollouts, "half-open": half_open, "seconds": round(took),
        "before": before.counts, "after": after.counts, "KiB before": before.memory, "KiB after": after.memory,
        "KiB a 1,000 cycles": slopes,
    }  # fmt: skip
    if where := os.environ.get("SAMPAN_SOAK_REPORT"):
        Path(where).write_text(json.dumps(report, indent=1))
    print(json.dumps(report, indent=1))
    assert grown(before, after) == {}
    assert {name: kib for name, kib in kept.items() if kib > GROWTH_KIB} == {}
    if cycles >= 1000:
        assert {name: kib for name, kib in slopes.items() if kib > TREND_KIB} == {}
