"""How long a pod takes from its creation to Running and ready, one at a time and 30 at once on one node.

    python -m bench.pod_start [--pods 40]

On a cluster of one node, with an image that is there already. Goals: p50 100 ms one at a time, 3 s for 30 at once
(Kubernetes 1.20 with containerd on the same machine: 280 ms and 15.6 s). A pod's time ends when a watch shows its
Ready condition. Beside the wall time stands the CPU time that one pod costs all of the cluster's processes, etcd and
the runtime included: it is steadier on a machine that does other work too.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles

from bench.cluster import IMAGE, a_cluster
from bench.processes import cpu_of
from deploy import cgroups
from deploy.places import Places
from sampan.api.core_v1 import Pod
from sampan.client import Client
from sampan.informer import Change, Informer
from sampan.kinds import PODS

KUBERNETES = (0.28, 15.6)
GOALS = (0.1, 3.0)
AT_ONCE = 30
WAIT_FOR_TERM = "trap 'exit 0' TERM; /bin/busybox sleep 1000000 & wait"


def pod(name: str) -> dict[str, object]:
    """A pod that does nothing."""
    container = {"name": "main", "image": IMAGE, "command": ["/bin/busybox", "sh", "-c", WAIT_FOR_TERM]}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 1}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": spec}


class Seen:
    """When each pod was first seen scheduled and ready."""

    def __init__(self) -> None:
        self.scheduled: dict[str, float] = {}
        self.ready: dict[str, float] = {}
        self.present: set[str] = set()

    def __call__(self, change: Change[Pod]) -> None:
        now, name = time.perf_counter(), change.object.metadata.name or ""
        if change.new is None:
            self.present.discard(name)
            return
        self.present.add(name)
        if change.new.spec.node_name:
            self.scheduled.setdefault(name, now)
        if any(one.type == "Ready" and one.status == "True" for one in change.new.status.conditions):
            self.ready.setdefault(name, now)


async def one_at_a_time(client: Client, pods: Informer[Pod], seen: Seen, count: int) -> list[tuple[float, float]]:
    """Seconds to scheduled and to ready of each pod; each is gone before the next is made."""
    times = []
    for at in range(count):
        name = f"one-{at}"
        began = time.perf_counter()
        await client.create(PODS, pod(name))
        await pods.until(lambda name=name: name in seen.ready, within=30)  # type: ignore[misc]  # a default, bound now
        times.append((seen.scheduled[name] - began, seen.ready[name] - began))
        await client.delete(PODS, name, "default")
        await pods.until(lambda name=name: name not in seen.present, within=30)  # type: ignore[misc]  # likewise
    return times


async def at_once(client: Client, pods: Informer[Pod], seen: Seen) -> float:
    """Seconds until all are ready."""
    names = [f"many-{at}" for at in range(AT_ONCE)]
    began = time.perf_counter()
    await asyncio.gather(*(client.create(PODS, pod(name)) for name in names))
    await pods.until(lambda: all(name in seen.ready for name in names), within=60)
    took = max(seen.ready[name] for name in names) - began
    await asyncio.gather(*(client.delete(PODS, name, "default") for name in names))
    await pods.until(lambda: not seen.present & set(names), within=60)
    return took


@contextmanager
def cost(of: str, per: int) -> Iterator[None]:
    """Print what each process spends meanwhile, for one pod."""
    before = cpu_of(cgroups.processes(Places.of(of).cgroup))
    yield
    after = cpu_of(cgroups.processes(Places.of(of).cgroup))
    spent: defaultdict[str, float] = defaultdict(float)
    for pid, seconds in after.items():
        try:
            name = Path(f"/proc/{pid}/comm").read_text().strip()
        except OSError:
            continue
        spent[name] += (seconds - before.get(pid, 0.0)) / per
    parts = ", ".join(f"{name} {seconds * 1e3:.1f}" for name, seconds in sorted(spent.items(), key=lambda x: -x[1])[:8])
    print(f"  CPU for each, in ms: {sum(spent.values()) * 1e3:.1f} ({parts})", flush=True)


async def measure(name: str, count: int) -> None:
    """Both questions."""
    async with Client.from_kubeconfig(None) as client:
        pods, seen = Informer(client, PODS, namespace="default"), Seen()
        pods.subscribe(seen)
        following = asyncio.ensure_future(pods.run())
        await pods.synced()
        await one_at_a_time(client, pods, seen, 3)
        seen.ready.clear()
        seen.scheduled.clear()
        with cost(name, count):
            times = await one_at_a_time(client, pods, seen, count)
        cuts = quantiles((ready for _, ready in times), n=100)
        bound = quantiles((scheduled for scheduled, _ in times), n=2)[0]
        print(
            f"create to Running and ready, one at a time: p50 {cuts[49] * 1e3:.0f} ms, p99 {cuts[98] * 1e3:.0f} ms;"
            f" {cuts[49] / KUBERNETES[0]:.2f} of Kubernetes 1.20's {KUBERNETES[0] * 1e3:.0f} ms"
            f" (goal {GOALS[0] * 1e3:.0f} ms); scheduled after {bound * 1e3:.0f} ms"
        )
        with cost(name, AT_ONCE):
            took = await at_once(client, pods, seen)
        print(
            f"{AT_ONCE} pods at once on one node, all ready: {took:.2f} s; {took / KUBERNETES[1]:.2f} of Kubernetes"
            f" 1.20's {KUBERNETES[1]} s (goal {GOALS[1]:.0f} s)"
        )
        following.cancel()


def main() -> None:
    """Start a cluster, measure, delete it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pods", type=int, default=40, help="pods made one at a time")
    options = parser.parse_args()
    with a_cluster(nodes=1) as name:
        asyncio.run(measure(name, options.pods))


if __name__ == "__main__":
    main()
