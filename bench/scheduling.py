"""How fast pods get nodes: the pure placement alone, and from create to bound through etcd and the API server.

    python -m bench.scheduling [--pure] [--pods 2000 --nodes 100]

Goals: twice what Kubernetes 1.20 did on the same machine with the same load: 430 pods/s (2,000 pods on 100 nodes)
and 208 pods/s (3,000 on 1,000); the placement itself is to be far above that.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import quantiles
from typing import Any

import numpy as np
import uvloop

from sampan.api.core_v1 import Node, Pod
from sampan.client import Client
from sampan.errors import ApiError
from sampan.informer import Change, Informer
from sampan.kinds import NAMESPACES, NODES, PODS, SERVICE_ACCOUNTS
from sampan.selectors import of_map
from scheduler.columns import Columns
from scheduler.place import Waiting, place
from scheduler.shape import Shapes
from tests.servers import Servers

JSON = dict[str, Any]
CREATORS = 32
KUBERNETES = {(2000, 100): 430.0, (3000, 1000): 208.0}
GOALS = {(2000, 100): 860.0, (3000, 1000): 620.0}
WEB = {"app": "web"}
NEAR = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": WEB}}
EVEN = {
    "maxSkew": 1,
    "topologyKey": "topology.kubernetes.io/zone",
    "whenUnsatisfiable": "DoNotSchedule",
    "labelSelector": {"matchLabels": WEB},
}


def node_json(index: int) -> JSON:
    """One of many equal nodes, in three zones."""
    name = f"n{index:05}"
    labels = {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": f"z{index % 3}"}
    status = {"allocatable": {"cpu": "32", "memory": "64Gi", "pods": "110"}}
    meta = {"name": name, "labels": labels}
    return {"apiVersion": "v1", "kind": "Node", "metadata": meta, "status": status}


def pod_json(index: int, **spec: Any) -> JSON:
    """One of many equal pods."""
    container = {"name": "c", "image": "web", "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}}
    meta = {"name": f"p{index:05}", "namespace": "default", "uid": f"u{index}", "labels": WEB}
    spec = {"containers": [container], "automountServiceAccountToken": False, **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def pure(nodes: int, pods: int, what: str, *, spread: bool = False, **spec: Any) -> None:
    """Print how many pods a second `place` alone handles, in batches of 256."""
    columns = Columns.of(Node.from_json(node_json(index)) for index in range(nodes))
    shapes = Shapes()
    selector = of_map(WEB) if spread else None
    models = [Pod.from_json(pod_json(index, **spec)) for index in range(pods)]
    began = time.perf_counter()
    waiting = [Waiting(one.metadata.uid or "", "default", "p", shapes.of(one, selector)) for one in models]
    compiled = time.perf_counter()
    rng = np.random.default_rng(1)
    for start in range(0, pods, 256):
        place(columns, waiting[start].shape, waiting[start : start + 256], rng)
    ended = time.perf_counter()
    rate = pods / (ended - compiled)
    print(f"pure, {nodes} nodes, {what}: {rate:,.0f} pods/s placed ({pods / (compiled - began):,.0f}/s compiled)")


async def prepare(client: Client, nodes: int) -> None:
    """Make ready nodes, as agents would."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "default"}}
    system = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system"}}
    for resource, body in ((SERVICE_ACCOUNTS, account), (NAMESPACES, system)):
        try:
            await client.create(resource, body)  # type: ignore[misc]  # resources of different models
        except ApiError as error:
            if not error.is_already_exists:
                raise
    gate = asyncio.Semaphore(CREATORS)

    async def make(index: int) -> None:
        async with gate:
            value = node_json(index)
            await client.create(NODES, value)
            await client.patch(NODES, value["metadata"]["name"], {"spec": {"taints": []}})

    await asyncio.gather(*(make(index) for index in range(nodes)))


async def create_to_bound(client: Client, pods: int) -> tuple[float, list[float]]:
    """Create pods from many clients and wait until all are bound: pods a second, and each one's latency."""
    created: dict[str, float] = {}
    bound: dict[str, float] = {}
    watching: Informer[Pod] = Informer(client, PODS)

    def seen(change: Change[Pod]) -> None:
        pod = change.new
        if pod is not None and pod.spec.node_name:
            bound.setdefault(pod.metadata.name or "", time.perf_counter())

    watching.subscribe(seen)
    following = asyncio.ensure_future(watching.run())
    await watching.synced()
    bound.clear()
    left = iter(range(pods))

    async def creator() -> None:
        for index in left:
            value = pod_json(index)
            created[value["metadata"]["name"]] = time.perf_counter()
            del value["metadata"]["uid"]
            await client.create(PODS, value)

    began = time.perf_counter()
    await asyncio.gather(*(creator() for _ in range(CREATORS)))
    making = time.perf_counter() - began
    await watching.until(lambda: len(bound) >= pods, within=120)
    took = time.perf_counter() - began
    following.cancel()
    print(f"  all created after {making:.2f} s, all bound after {took:.2f} s")
    return pods / took, [bound[name] - created[name] for name in bound]


async def through_the_api(servers: Servers, directory: Path, pods: int, nodes: int) -> None:
    """Start a scheduler process and measure."""
    config = directory / "scheduler.json"
    config.write_text(json.dumps({"kubeconfig": str(servers.kubeconfig_of("system:kube-scheduler")), "seed": 1}))
    async with Client.from_kubeconfig(str(servers.kubeconfig)) as client:
        await prepare(client, nodes)
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "scheduler.main", "--config", str(config))
        try:
            await create_to_bound(client, 50)  # warms everything up
            for pod in (await client.list(PODS)).items:
                await client.delete(PODS, pod.metadata.name or "", "default", grace_period_seconds=0)
            rate, latencies = await create_to_bound(client, pods)
        finally:
            process.terminate()
            await process.wait()
    cuts = quantiles(latencies, n=100)
    known = KUBERNETES.get((pods, nodes))
    ratio = f", {rate / known:.2f} of Kubernetes 1.20's {known:.0f}, goal {GOALS[pods, nodes]:.0f}" if known else ""
    print(f"{pods} pods on {nodes} nodes, create to bound: {rate:.0f} pods/s{ratio}")
    print(f"  latency p50 {cuts[49]:.2f} s, p99 {cuts[98]:.2f} s")


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pure", action="store_true", help="only the placement, without the API")
    parser.add_argument("--pods", type=int, default=0)
    parser.add_argument("--nodes", type=int, default=0)
    options = parser.parse_args()
    pure(1000, 10000, "plain")
    pure(1000, 10000, "of a service", spread=True)
    pure(100, 5000, "of a service", spread=True)
    pure(1000, 1000, "spread by a hard constraint", topologySpreadConstraints=[EVEN])
    anti = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [NEAR]}}
    pure(1000, 900, "one a node by anti-affinity", affinity=anti)
    if options.pure:
        return
    cases = [(options.pods, options.nodes)] if options.pods and options.nodes else list(GOALS)
    for pods, nodes in cases:
        with tempfile.TemporaryDirectory() as name, Servers(Path(name)) as servers:
            uvloop.run(through_the_api(servers, Path(name), pods, nodes))


if __name__ == "__main__":
    main()
