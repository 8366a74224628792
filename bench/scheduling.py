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
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import quantiles
from typing import Any

import numpy as np
import uvloop

from bench.api_load import Link
from bench.processes import cpu_of, cpu_seconds
from sampan.api.core_v1 import Node, Pod
from sampan.client import Client
from sampan.errors import ApiError
from sampan.informer import Informer
from sampan.kinds import NAMESPACES, NODES, PODS, SERVICE_ACCOUNTS
from sampan.selectors import of_map
from scheduler.columns import Columns
from scheduler.place import Waiting, place
from scheduler.shape import Shapes
from tests.servers import Servers, free_port

JSON = dict[str, Any]
CREATORS = 32
PODS_PATH = "/api/v1/namespaces/default/pods"
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
    """What pods need to be made, and nodes (which fake agents register) without the taint that they begin with."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "default"}}
    for namespace in ("kube-system", "kube-node-lease"):
        await _unless_there(
            client, NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        )
    await _unless_there(client, SERVICE_ACCOUNTS, account)
    there: Informer[Node] = Informer(client, NODES)
    following = asyncio.ensure_future(there.run())
    await there.until(lambda: len(there.items()) >= nodes, within=120)
    gate = asyncio.Semaphore(CREATORS)

    async def free(name: str) -> None:
        async with gate:
            await client.patch(NODES, name, {"spec": {"taints": []}})

    await asyncio.gather(*(free(one.metadata.name or "") for one in there.items()))
    following.cancel()


async def _unless_there(client: Client, resource: Any, body: JSON) -> None:
    try:
        await client.create(resource, body)
    except ApiError as error:
        if not error.is_already_exists:
            raise


async def create_to_bound(links: list[Link], watch: Link, pods: int) -> tuple[float, list[float]]:
    """Create pods from many clients and wait until all are bound: pods a second, and each one's latency."""
    created: dict[bytes, float] = {}
    bound: dict[bytes, float] = {}
    version = json.loads(await watch.ask("GET", f"{PODS_PATH}?limit=1"))["metadata"]["resourceVersion"]
    await watch.start("GET", f"{PODS_PATH}?watch=1&resourceVersion={version}")
    all_bound = asyncio.Event()

    async def follow() -> None:
        while len(bound) < pods:
            line = await watch.reader.readline()
            if b'"nodeName":"' in line:
                bound.setdefault(line.partition(b'"name":"')[2].partition(b'"')[0], time.perf_counter())
        all_bound.set()

    following = asyncio.ensure_future(follow())
    left = iter(range(pods))

    async def creator(link: Link) -> None:
        for index in left:
            value = pod_json(index)
            del value["metadata"]["uid"]
            created[value["metadata"]["name"].encode()] = time.perf_counter()
            await link.ask("POST", PODS_PATH, json.dumps(value).encode())

    began = time.perf_counter()
    await asyncio.gather(*(creator(link) for link in links))
    making = time.perf_counter() - began
    async with asyncio.timeout(240):
        await all_bound.wait()
    took = time.perf_counter() - began
    following.cancel()
    watch.writer.transport.abort()
    print(f"  all created after {making:.2f} s, all bound after {took:.2f} s")
    return pods / took, [bound[name] - created[name] for name in bound if name in created]


async def through_the_api(servers: Servers, directory: Path, pods: int, nodes: int) -> None:
    """Start a scheduler and an agent of fake nodes, and measure."""
    scheduler, fake = directory / "scheduler.json", directory / "fake.json"
    scheduler.write_text(json.dumps({"kubeconfig": str(servers.kubeconfig_of("system:kube-scheduler")), "seed": 1}))
    agent = {
        "kubeconfig": str(servers.kubeconfig_of("system:sampan:fake-nodes")),
        "count": nodes,
        "zones": 3,
        "port": free_port(),
        "start_seconds": 3600,  # what is measured ends when a pod is bound
    }
    fake.write_text(json.dumps(agent))
    servers.kubeconfig_of("load", ("system:masters",))
    port, context = servers.server.port, servers.tls("load")
    async with Client.from_kubeconfig(str(servers.kubeconfig)) as client, AsyncExitStack() as stack:
        pids = {"API server": servers.server.process.pid, "etcd": servers.etcd.pid}
        for name, module, config in (
            ("nodes", "nodeagent.fake.main", fake),
            ("scheduler", "scheduler.main", scheduler),
        ):
            process = await asyncio.create_subprocess_exec(sys.executable, "-m", module, "--config", str(config))
            stack.push_async_callback(process.wait)
            stack.callback(process.terminate)
            pids[name] = process.pid
        await prepare(client, nodes)
        links = [await Link.open(port, context) for _ in range(CREATORS)]
        await create_to_bound(links, await Link.open(port, context), 50)  # warms everything up
        for pod in (await client.list(PODS)).items:
            await client.delete(PODS, pod.metadata.name or "", "default", grace_period_seconds=0)
        before, own = cpu_of(pids.values()), time.process_time()
        rate, latencies = await create_to_bound(links, await Link.open(port, context), pods)
        costs = {name: (cpu_seconds(pid) - before[pid]) / pods for name, pid in pids.items()}
        costs["clients"] = (time.process_time() - own) / pods
    cuts = quantiles(latencies, n=100)
    known = KUBERNETES.get((pods, nodes))
    ratio = f", {rate / known:.2f} of Kubernetes 1.20's {known:.0f}, goal {GOALS[pods, nodes]:.0f}" if known else ""
    print(f"{pods} pods on {nodes} nodes, create to bound: {rate:.0f} pods/s{ratio}")
    print(f"  latency p50 {cuts[49]:.2f} s, p99 {cuts[98]:.2f} s")
    told = ", ".join(f"{name} {cost * 1e6:,.0f}" for name, cost in costs.items())
    total = sum(costs.values())
    print(f"  CPU, us a pod: {told}; {total * 1e6:,.0f} in all: two cores could do {2 / total:,.0f} pods/s")


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
