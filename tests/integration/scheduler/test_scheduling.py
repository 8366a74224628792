"""The scheduler against a real API server and etcd: nodes and pods are made by API calls, as anybody would."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sampan.api.core_v1 import Event, Pod
from sampan.client import Client
from sampan.errors import ApiError
from sampan.informer import Informer
from sampan.kinds import EVENTS, NAMESPACES, NODES, PODS, PRIORITY_CLASSES, SERVICE_ACCOUNTS, SERVICES
from sampan.resource import Resource
from scheduler.scheduler import Scheduler
from scheduler.serving import serving
from tests.servers import Servers, free_port

JSON = dict[str, Any]
SPACE = "default"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with Servers(tmp_path_factory.mktemp("scheduler")) as found:
        yield found


@pytest.fixture
async def client(servers: Servers) -> AsyncIterator[Client]:
    async with Client.from_kubeconfig(str(servers.kubeconfig)) as found:
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": SPACE}}
        await ensure(found, SERVICE_ACCOUNTS, account)  # a controller's work
        for pod in (await found.list(PODS)).items:
            await found.delete(PODS, pod.metadata.name or "", pod.metadata.namespace or "", grace_period_seconds=0)
        for node in (await found.list(NODES)).items:
            await found.delete(NODES, node.metadata.name or "")
        yield found


class Running:
    """A scheduler at work in this event loop, and the events that it writes."""

    def __init__(self, client: Client, scheduler: Scheduler) -> None:
        self.client = client
        self.scheduler = scheduler
        self.events: Informer[Event] = Informer(client, EVENTS)

    async def pod(self, name: str, condition: Callable[[Pod], bool]) -> Pod:
        """Wait until a pod is as wanted."""

        def met() -> bool:
            found = self.scheduler.pods.get(SPACE, name)
            return found is not None and condition(found)

        await self.scheduler.pods.until(met, within=15)
        found = self.scheduler.pods.get(SPACE, name)
        assert found is not None
        return found

    async def node_of(self, name: str) -> str:
        """Wait until a pod is bound."""
        return (await self.pod(name, lambda pod: bool(pod.spec.node_name))).spec.node_name or ""

    async def event(self, name: str, reason: str) -> Event:
        """Wait for an event about a pod."""

        def matching() -> list[Event]:
            return [e for e in self.events.items() if (e.involved_object.name, e.reason) == (name, reason)]

        await self.events.until(lambda: bool(matching()), within=15)
        return matching()[-1]


@asynccontextmanager
async def at_work(client: Client, **options: Any) -> AsyncIterator[Running]:
    scheduler = Scheduler(client, seed=1, **options)
    running = Running(client, scheduler)
    tasks = [asyncio.ensure_future(one) for one in (scheduler.follow(), scheduler.schedule(), running.events.run())]
    try:
        await running.events.synced()
        yield running
        assert not any(task.done() for task in tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
async def running(client: Client) -> AsyncIterator[Running]:
    async with at_work(client) as found:
        yield found


async def make_node(
    client: Client, name: str, *, cpu: str = "4", taints: list[JSON] | None = None, labels: JSON | None = None
) -> None:
    """A node that is ready, without the taint that every new one has until then."""
    labels = {"kubernetes.io/hostname": name} | (labels or {})
    status = {"allocatable": {"cpu": cpu, "memory": "8Gi", "pods": "110"}}
    await client.create(NODES, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}})
    await client.patch(NODES, name, {"status": status}, subresource="status")
    await client.patch(NODES, name, {"spec": {"taints": taints or []}})


def pod_json(name: str, *, cpu: str = "100m", labels: JSON | None = None, **spec: Any) -> JSON:
    container = {"name": "c", "image": "web", "resources": {"requests": {"cpu": cpu}}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": SPACE, "labels": labels or {}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0, **spec},
    }


async def make_pod(client: Client, name: str, **options: Any) -> Pod:
    return await client.create(PODS, pod_json(name, **options), namespace=SPACE)


async def test_pods_get_a_node_and_an_event_says_which(running: Running, client: Client) -> None:
    await make_node(client, "n1")
    await make_node(client, "n2")
    await asyncio.gather(*(make_pod(client, f"p{index}") for index in range(20)))
    nodes = [await running.node_of(f"p{index}") for index in range(20)]
    assert (nodes.count("n1"), nodes.count("n2")) == (10, 10)
    event = await running.event("p3", "Scheduled")
    assert (event.type, event.message) == ("Normal", f"Successfully assigned default/p3 to {nodes[3]}")
    assert event.reporting_component == "default-scheduler"
    bound = await running.pod("p3", lambda pod: bool(pod.status.conditions))
    assert [(one.type, one.status) for one in bound.status.conditions] == [("PodScheduled", "True")]


async def test_a_pod_that_fits_nowhere_says_why_and_is_placed_when_a_node_comes(
    running: Running, client: Client
) -> None:
    await make_node(client, "small", cpu="1")
    await make_node(client, "tainted", cpu="8", taints=[{"key": "only", "value": "db", "effect": "NoSchedule"}])
    await running.scheduler.nodes.until(lambda: len(running.scheduler.nodes.items()) == 2)
    await make_pod(client, "big", cpu="2")
    pod = await running.pod("big", lambda pod: bool(pod.status.conditions))
    condition = pod.status.conditions[0]
    message = (
        "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s). "
        "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
    )
    assert (condition.type, condition.status, condition.reason) == ("PodScheduled", "False", "Unschedulable")
    assert condition.message == message
    event = await running.event("big", "FailedScheduling")
    assert (event.type, event.message) == ("Warning", message)
    found = running.scheduler.explanations.of(SPACE, "big")
    assert found is not None
    assert {one["node"]: one["reasons"] for one in found["nodes"]} == {
        "small": ["Insufficient cpu"],
        "tainted": ["node(s) had untolerated taint(s)"],
    }
    await make_node(client, "large", cpu="8")
    assert await running.node_of("big") == "large"


async def test_without_nodes_a_pod_waits_for_the_first(running: Running, client: Client) -> None:
    await make_pod(client, "early")
    event = await running.event("early", "FailedScheduling")
    assert event.message == "no nodes available to schedule pods"
    await make_node(client, "first")
    assert await running.node_of("early") == "first"


async def test_removing_a_taint_places_the_pod_that_did_not_tolerate_it(running: Running, client: Client) -> None:
    await make_node(client, "n1", taints=[{"key": "k", "effect": "NoSchedule"}])
    await make_pod(client, "p")
    await running.event("p", "FailedScheduling")
    await client.patch(NODES, "n1", {"spec": {"taints": []}})
    assert await running.node_of("p") == "n1"


async def test_an_important_pod_takes_the_place_of_a_lesser_one(running: Running, client: Client) -> None:
    await make_node(client, "n1", cpu="2")
    for name, priority in (("low", 1), ("lower", 0)):
        value = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": priority}
        await ensure_class(client, name, value)
    await ensure_class(client, "high", {"value": 1000})
    await make_pod(client, "keeps", cpu="1", priorityClassName="low")
    await make_pod(client, "leaves", cpu="1", priorityClassName="lower")
    assert {await running.node_of("keeps"), await running.node_of("leaves")} == {"n1"}
    preemptor = await make_pod(client, "urgent", cpu="1", priorityClassName="high")
    event = await running.event("leaves", "Preempted")
    assert event.message == f"Preempted by pod {preemptor.metadata.uid} on node n1"
    # There is no agent here, so the victim's end is ours to confirm.
    try:
        leaving = await client.get(PODS, "leaves", SPACE)
        reasons = {one.type: one.reason for one in leaving.status.conditions}
        assert reasons.get("DisruptionTarget") == "PreemptionByScheduler"
        waiting = await running.pod("urgent", lambda pod: bool(pod.status.nominated_node_name))
        assert waiting.status.nominated_node_name == "n1"
        await client.delete(PODS, "leaves", SPACE, grace_period_seconds=0)
    except ApiError as error:
        if not error.is_not_found:  # a grace period of 0 ends it at once
            raise
    assert await running.node_of("urgent") == "n1"
    assert await running.node_of("keeps") == "n1"


async def ensure_class(client: Client, name: str, value: JSON) -> None:
    body = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}} | value
    await ensure(client, PRIORITY_CLASSES, body)


async def ensure(client: Client, resource: Resource[Any], body: JSON) -> None:
    try:
        await client.create(resource, body)
    except ApiError as error:
        if not error.is_already_exists:
            raise


async def test_other_schedulers_pods_and_gated_ones_are_left_alone(running: Running, client: Client) -> None:
    await make_node(client, "n1")
    await make_pod(client, "theirs", schedulerName="other")
    await make_pod(client, "gated", schedulingGates=[{"name": "example.com/wait"}])
    await make_pod(client, "ours")
    assert await running.node_of("ours") == "n1"
    for name in ("theirs", "gated"):
        assert not (await client.get(PODS, name, SPACE)).spec.node_name
    await client.patch(PODS, "gated", {"spec": {"schedulingGates": []}}, namespace=SPACE)
    assert await running.node_of("gated") == "n1"
    assert not (await client.get(PODS, "theirs", SPACE)).spec.node_name


async def test_the_pods_of_a_service_spread_over_zones(running: Running, client: Client) -> None:
    for name, zone in (("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b")):
        await make_node(client, name, labels={"topology.kubernetes.io/zone": zone})
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": SPACE}}
    service["spec"] = {"selector": {"app": "web"}, "ports": [{"port": 80}]}
    await client.create(SERVICES, service, namespace=SPACE)
    await running.scheduler.services.until(lambda: running.scheduler.services.get(SPACE, "web") is not None)
    for index in range(4):
        await make_pod(client, f"w{index}", labels={"app": "web"})
        await running.node_of(f"w{index}")
    nodes = sorted([await running.node_of(f"w{index}") for index in range(4)])
    await client.delete(SERVICES, "web", SPACE)
    assert nodes == ["a1", "a2", "a3", "b1"]


async def test_a_scheduler_that_loses_a_race_forgets_what_it_assumed(running: Running, client: Client) -> None:
    """Two schedulers want the same pods; refused bindings are forgotten, so both end with the truth."""
    await make_node(client, "n1", cpu="16")
    await make_node(client, "n2", cpu="16")
    async with at_work(client) as second:
        await asyncio.gather(*(make_pod(client, f"p{index}", cpu="200m") for index in range(20)))
        both = (running, second)
        for one in both:
            nodes = [await one.node_of(f"p{index}") for index in range(20)]
        truth = {f"p{index}": node for index, node in enumerate(nodes)}

        def settled(scheduler: Scheduler) -> bool:
            return not len(scheduler.queue) and {p.name: p.node for p in scheduler.columns.placed.values()} == truth

        for one in both:
            async with asyncio.timeout(15):  # a refused binding comes back through no informer
                while not settled(one.scheduler):  # noqa: ASYNC110 (nothing tells of it)
                    await asyncio.sleep(0.05)
            columns = one.scheduler.columns
            used = {columns.names[row]: int(columns.used[0, row]) for row in range(2)}
            assert used == {name: 200 * nodes.count(name) for name in ("n1", "n2")}


async def test_the_debug_server_explains_a_placement(running: Running, client: Client) -> None:
    await make_node(client, "n1")
    await make_pod(client, "p")
    await running.node_of("p")
    async with serving(running.scheduler, "127.0.0.1", 0) as port, aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{port}/debug/explain?pod=default/p") as answer:
            found = await answer.json()
        async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
            metrics = await answer.text()
        async with session.get(f"http://127.0.0.1:{port}/debug/explain?pod=default/nobody") as answer:
            assert answer.status == 404
    assert found["placed"] == "n1"
    (node,) = found["nodes"]
    assert node["total"] == sum(found["weights"][name] * value for name, value in node["scores"].items())
    assert 'scheduler_schedule_attempts_total{result="scheduled"} 1.0' in metrics


async def test_as_a_process_it_leads_places_and_ends_on_sigterm(
    servers: Servers, client: Client, tmp_path: Path
) -> None:
    kubeconfig = servers.kubeconfig_of("system:kube-scheduler")
    port = free_port()
    config = tmp_path / "scheduler.json"
    config.write_text(json.dumps({"kubeconfig": str(kubeconfig), "metrics": f"127.0.0.1:{port}", "seed": 7}))
    await ensure(client, NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system"}})
    command = [sys.executable, "-m", "scheduler.main", "--config", str(config)]
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    pods: Informer[Pod] = Informer(client, PODS)
    following = asyncio.ensure_future(pods.run())
    try:
        await make_node(client, "n1")
        await make_pod(client, "p")

        def bound() -> bool:
            found = pods.get(SPACE, "p")
            return found is not None and found.spec.node_name == "n1"

        await pods.until(bound, within=20)
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/healthz") as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        _, stderr = await asyncio.wait_for(process.communicate(), 5)
    finally:
        following.cancel()
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0
    assert b"Traceback" not in stderr
