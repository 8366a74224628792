"""All controllers as one process over a real API server; scheduler and agents are a few lines that obey at once."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sampan.api.core_v1 import Pod
from sampan.client import Client, PatchKind, Propagation, Unreachable
from sampan.errors import ApiError
from sampan.informer import Change, Informer
from sampan.kinds import (
    CONFIG_MAPS,
    CUSTOM_RESOURCE_DEFINITIONS,
    DAEMON_SETS,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    ENDPOINTS,
    EVENTS,
    JOBS,
    LEASES,
    NAMESPACES,
    NODES,
    PODS,
    REPLICA_SETS,
    SERVICE_ACCOUNTS,
    SERVICES,
)
from sampan.objects import Key, PartialObjectMetadata, key_of
from sampan.resource import Resource
from servers import ROOT, Servers

SECONDS = 30.0
GRACE = 4.0


class Controllers:
    """The controllers' process."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._config = servers.directory / "controllers.json"
        self._log = servers.directory / "controllers.log"
        self.offset = servers.directory / "offset"
        self._config.write_text(
            json.dumps(
                {
                    "kubeconfig": str(servers.kubeconfig_of("system:kube-controller-manager")),
                    "root_ca_file": str(servers.ca),
                    "node_monitor_grace_seconds": GRACE,
                    "node_startup_grace_seconds": GRACE,
                    "default_toleration_seconds": 1,
                    "identity": "test",
                    "clock_offset_file": str(self.offset),
                    "log_level": "info",
                }
            )
        )
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "controllers.main", "--config", str(self._config)]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, stderr=log)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(5)

    def advance(self, seconds: float) -> None:
        """Move their calendar forward."""
        self.offset.write_text(str(seconds))
        self.process.send_signal(signal.SIGUSR1)

    def log(self) -> str:
        return self._log.read_text()


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with Servers(tmp_path_factory.mktemp("controllers")) as running:
        yield running


@pytest.fixture(scope="module")
def controllers(servers: Servers) -> Iterator[Controllers]:
    running = Controllers(servers)
    yield running
    assert running.process.poll() is None, running.log()[-4000:]
    assert running.stop() == 0
    assert "a bug in" not in running.log()


class Cluster:
    """A client, and informers to wait on; nodes whose agents obey at once."""

    def __init__(self, client: Client, pods: Informer[Pod]) -> None:
        self.client = client
        self.pods = pods
        self.beating: set[str] = set()
        self._queue: asyncio.Queue[Pod] = asyncio.Queue()
        pods.subscribe(self._tell)

    def _tell(self, change: Change[Pod]) -> None:
        if change.new is not None:
            self._queue.put_nowait(change.new)

    async def obey(self) -> None:
        """Schedule, run and end pods, on nodes that beat."""
        while True:
            pod = await self._queue.get()
            try:
                await self._tend(pod)
            except ApiError as error:
                if not error.is_not_found and not error.is_conflict:
                    raise
            except Unreachable:
                asyncio.get_running_loop().call_later(0.2, self._queue.put_nowait, pod)

    async def _tend(self, pod: Pod) -> None:
        m = pod.metadata
        name, namespace = m.name or "", m.namespace or ""
        if not pod.spec.node_name:
            if m.deletion_timestamp is None and self.beating:
                node = min(self.beating, key=lambda n: (sum(p.spec.node_name == n for p in self.pods.items()), n))
                binding = {"metadata": {"name": name}, "target": {"kind": "Node", "name": _pinned(pod) or node}}
                path = PODS.path(namespace, name, "binding")
                body = json.dumps({"apiVersion": "v1", "kind": "Binding", **binding}).encode()
                await self.client.request("POST", path, body=body)
        elif pod.spec.node_name not in self.beating:
            return
        elif m.deletion_timestamp is not None:
            if pod.status.phase not in ("Succeeded", "Failed"):
                await self.report(pod, phase="Failed", conditions=[])
            await self.client.delete(PODS, name, namespace, grace_period_seconds=0, uid=m.uid)
        elif pod.status.phase == "Pending":
            await self.report(pod, **running(pod))
        elif pod.status.phase == "Running" and pod.spec.restart_policy == "Never":
            await self.report(pod, phase="Succeeded", conditions=[])

    async def report(self, pod: Pod, **status: Any) -> None:
        """What the agent says of a pod."""
        name, namespace = pod.metadata.name or "", pod.metadata.namespace or ""
        patch = {"status": status}
        await self.client.patch(PODS, name, patch, namespace=namespace, subresource="status")

    async def add_node(self, name: str) -> None:
        """A node registers, reports that it is ready, and beats."""
        self.beating.add(name)
        await self.client.create(NODES, {"metadata": {"name": name}})
        await self.report_node(name)
        await self.beat(name)

    async def report_node(self, name: str) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": now}
        patch = {"status": {"conditions": [ready]}}
        await self.client.patch(NODES, name, patch, kind=PatchKind.STRATEGIC, subresource="status")

    async def beat(self, name: str) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": now}
        try:
            await self.client.patch(LEASES, name, {"spec": spec}, namespace="kube-node-lease")
        except ApiError as error:
            if not error.is_not_found:
                raise
            lease = {"metadata": {"name": name, "namespace": "kube-node-lease"}, "spec": spec}
            await self.client.create(LEASES, lease)

    async def heartbeats(self) -> None:
        while True:
            for name in sorted(self.beating):
                with suppress(Unreachable):
                    await self.beat(name)
            await asyncio.sleep(1)

    async def until(self, condition: Callable[[], Awaitable[object]], seconds: float = SECONDS) -> Any:
        """Wait until the condition's answer is true (a 404 counts as false), and return the answer."""
        answer: object = None
        try:
            async with asyncio.timeout(seconds):
                while True:
                    try:
                        answer = await condition()
                    except ApiError as error:
                        if not error.is_not_found:
                            raise
                        answer = None
                    if answer:
                        return answer
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"still {answer!r} after {seconds} s") from None

    async def gone(self, *what: Any) -> None:
        """Wait until an object is no more."""

        async def absent() -> bool:
            try:
                await self.client.get(*what)
            except ApiError as error:
                return error.is_not_found
            return False

        await self.until(absent)


def running(pod: Pod) -> dict[str, Any]:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    address = f"10.244.9.{sum((pod.metadata.uid or '').encode()) % 250 + 1}"
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": now}
    return {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "conditions": [ready]}


def _pinned(pod: Pod) -> str:
    from controllers.daemonset import node_of

    return node_of(pod)


@pytest.fixture
async def cluster(servers: Servers, controllers: Controllers) -> AsyncIterator[Cluster]:
    async with Client.from_kubeconfig(str(servers.kubeconfig)) as client:
        pods = Informer(client, PODS)
        made = Cluster(client, pods)
        tasks = [asyncio.ensure_future(work) for work in (pods.run(), made.obey(), made.heartbeats())]
        await pods.synced()
        existing = {node.metadata.name for node in (await client.list(NODES)).items}
        for name in ("n1", "n2"):
            if name in existing:
                made.beating.add(name)
                await made.beat(name)
                await made.report_node(name)
            else:
                await made.add_node(name)
        yield made
        for task in tasks:
            failed = task.done()
            task.cancel()
            assert not failed, task


@pytest.fixture
async def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> str:
    name: str = "t-" + request.node.name.removeprefix("test_").replace("_", "-")[:50].rstrip("-")
    await cluster.client.create(NAMESPACES, {"metadata": {"name": name}})
    return name


def web(namespace: str, replicas: int = 3, image: str = "v1") -> dict[str, Any]:
    ports = [{"name": "http", "containerPort": 8080}]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "main", "image": image, "ports": ports}]},
            },
        },
    }


async def available(cluster: Cluster, namespace: str, wanted: int = 3) -> None:
    async def check() -> bool:
        status = (await cluster.client.get(DEPLOYMENTS, "web", namespace)).status
        return (status.updated_replicas or 0, status.available_replicas or 0, status.replicas or 0) == (wanted,) * 3

    await cluster.until(check)


async def kubectl(servers: Servers, *arguments: str) -> str:
    return await asyncio.to_thread(servers.kubectl, *arguments)


async def test_kubectl_rolls_a_deployment_out_and_back(cluster: Cluster, namespace: str, servers: Servers) -> None:
    await cluster.client.create(DEPLOYMENTS, web(namespace))
    await available(cluster, namespace)
    told = await kubectl(servers, "-n", namespace, "rollout", "status", "deployment/web", "--timeout=20s")
    assert 'deployment "web" successfully rolled out' in told
    await kubectl(servers, "-n", namespace, "set", "image", "deployment/web", "main=v2")
    told = await kubectl(servers, "-n", namespace, "rollout", "status", "deployment/web", "--timeout=20s")
    assert 'deployment "web" successfully rolled out' in told
    pods = (await cluster.client.list(PODS, namespace)).items
    assert {p.spec.containers[0].image for p in pods if p.metadata.deletion_timestamp is None} == {"v2"}
    history = await kubectl(servers, "-n", namespace, "rollout", "history", "deployment/web")
    assert [line.split()[0] for line in history.splitlines()[2:] if line] == ["1", "2"]
    await kubectl(servers, "-n", namespace, "rollout", "undo", "deployment/web")
    await kubectl(servers, "-n", namespace, "rollout", "status", "deployment/web", "--timeout=20s")
    deployment = await cluster.client.get(DEPLOYMENTS, "web", namespace)
    assert deployment.spec.template.spec.containers[0].image == "v1"
    assert deployment.metadata.annotations["deployment.kubernetes.io/revision"] == "3"
    reasons = {event.reason for event in (await cluster.client.list(EVENTS, namespace)).items}
    assert {"ScalingReplicaSet", "SuccessfulCreate", "SuccessfulDelete"} <= reasons
    await kubectl(servers, "-n", namespace, "scale", "deployment/web", "--replicas=5")
    await available(cluster, namespace, 5)


async def test_a_service_follows_its_pods(cluster: Cluster, namespace: str) -> None:
    ports = [{"port": 80, "targetPort": "http"}]
    await cluster.client.create(
        SERVICES,
        {"metadata": {"name": "web", "namespace": namespace}, "spec": {"selector": {"app": "web"}, "ports": ports}},
    )
    await cluster.client.create(DEPLOYMENTS, web(namespace))

    async def ready() -> list[str]:
        slices = (await cluster.client.list(ENDPOINT_SLICES, namespace)).items
        found = [e for one in slices for e in one.endpoints if e.conditions is not None and e.conditions.ready]
        return [e.addresses[0] for e in found]

    async def all_ready() -> bool:
        return len(await ready()) == 3

    await cluster.until(all_ready)
    (one,) = (await cluster.client.list(ENDPOINT_SLICES, namespace)).items
    assert [port.port for port in one.ports] == [8080]

    async def legacy() -> bool:
        endpoints = await cluster.client.get(ENDPOINTS, "web", namespace)
        return sum(len(subset.addresses) for subset in endpoints.subsets) == 3

    await cluster.until(legacy)
    await cluster.client.delete(SERVICES, "web", namespace)
    await cluster.gone(ENDPOINTS, "web", namespace)
    await cluster.gone(ENDPOINT_SLICES, one.metadata.name, namespace)


async def test_owners_take_their_dependents_with_them_by_each_policy(cluster: Cluster, namespace: str) -> None:
    client = cluster.client

    async def sets() -> list[Any]:
        return (await client.list(REPLICA_SETS, namespace)).items

    async def pods() -> list[Any]:
        return (await client.list(PODS, namespace)).items

    async def nothing() -> bool:
        return not await sets() and not await pods()

    for policy in (Propagation.BACKGROUND, Propagation.FOREGROUND):
        await client.create(DEPLOYMENTS, web(namespace))
        await available(cluster, namespace)
        await client.delete(DEPLOYMENTS, "web", namespace, propagation=policy)
        await cluster.gone(DEPLOYMENTS, "web", namespace)
        if policy is Propagation.FOREGROUND:
            assert await sets() == []
        await cluster.until(nothing)
    await client.create(DEPLOYMENTS, web(namespace))
    await available(cluster, namespace)
    await client.delete(DEPLOYMENTS, "web", namespace, propagation=Propagation.ORPHAN)
    await cluster.gone(DEPLOYMENTS, "web", namespace)
    (orphan,) = await sets()
    assert orphan.metadata.owner_references == []
    assert len(await pods()) == 3
    # The same deployment takes the orphan again.
    await client.create(DEPLOYMENTS, web(namespace))
    await available(cluster, namespace)
    (adopted,) = await sets()
    assert (adopted.metadata.uid, adopted.metadata.owner_references[0].name) == (orphan.metadata.uid, "web")


async def test_a_dependent_of_an_owner_that_never_was_goes(cluster: Cluster, namespace: str) -> None:
    absent = {"apiVersion": "v1", "kind": "ConfigMap", "name": "never", "uid": "00000000-0000-0000-0000-000000000000"}
    for name, owners in (("lost", [absent]), ("kept", [])):
        meta = {"name": name, "namespace": namespace, "ownerReferences": owners}
        await cluster.client.create(CONFIG_MAPS, {"metadata": meta})
    await cluster.gone(CONFIG_MAPS, "lost", namespace)
    await cluster.client.get(CONFIG_MAPS, "kept", namespace)


async def test_a_namespace_ends_with_all_that_is_in_it(cluster: Cluster, namespace: str) -> None:
    client = cluster.client
    await client.create(DEPLOYMENTS, web(namespace))
    held = {"name": "held", "namespace": namespace, "finalizers": ["example.org/held"]}
    await client.create(CONFIG_MAPS, {"metadata": held})
    await available(cluster, namespace)
    await client.delete(NAMESPACES, namespace)

    async def remaining() -> str:
        conditions = (await client.get(NAMESPACES, namespace)).status.conditions
        found = [one for one in conditions if one.type == "NamespaceFinalizersRemaining" and one.status == "True"]
        return found[0].message or "" if found else ""

    assert "example.org/held in 1 resource instances" in await cluster.until(remaining)
    with pytest.raises(ApiError) as refused:
        await client.create(CONFIG_MAPS, {"metadata": {"name": "late", "namespace": namespace}})
    assert refused.value.code == 403
    await client.patch(CONFIG_MAPS, "held", {"metadata": {"finalizers": None}}, namespace=namespace)
    await cluster.gone(NAMESPACES, namespace)
    assert (await client.list(PODS, namespace)).items == []


async def test_every_namespace_has_an_account_and_the_root_certificate(
    cluster: Cluster, namespace: str, servers: Servers
) -> None:
    async def there() -> bool:
        await cluster.client.get(SERVICE_ACCOUNTS, "default", namespace)
        found = await cluster.client.get(CONFIG_MAPS, "kube-root-ca.crt", namespace)
        return found.data == {"ca.crt": servers.ca.read_text()}

    await cluster.until(there)
    await cluster.client.delete(CONFIG_MAPS, "kube-root-ca.crt", namespace)
    await cluster.until(there)


async def test_a_job_completes_and_expires(cluster: Cluster, namespace: str) -> None:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "x"}]}}
    spec = {"completions": 4, "parallelism": 2, "completionMode": "Indexed", "template": template}
    meta = {"name": "sum", "namespace": namespace}
    await cluster.client.create(JOBS, {"metadata": meta, "spec": spec})

    async def complete() -> bool:
        job = await cluster.client.get(JOBS, "sum", namespace)
        return any(one.type == "Complete" and one.status == "True" for one in job.status.conditions)

    await cluster.until(complete)
    status = (await cluster.client.get(JOBS, "sum", namespace)).status
    assert (status.succeeded, status.completed_indexes) == (4, "0-3")
    await cluster.client.patch(JOBS, "sum", {"spec": {"ttlSecondsAfterFinished": 0}}, namespace=namespace)
    await cluster.gone(JOBS, "sum", namespace)


async def test_a_daemon_runs_on_every_node(cluster: Cluster, namespace: str) -> None:
    template = {"metadata": {"labels": {"app": "d"}}, "spec": {"containers": [{"name": "main", "image": "x"}]}}
    spec = {"selector": {"matchLabels": {"app": "d"}}, "template": template}
    await cluster.client.create(DAEMON_SETS, {"metadata": {"name": "d", "namespace": namespace}, "spec": spec})

    async def everywhere() -> bool:
        status = (await cluster.client.get(DAEMON_SETS, "d", namespace)).status
        return (status.number_available or 0) == status.desired_number_scheduled >= 2

    await cluster.until(everywhere)
    nodes = [pod.spec.node_name for pod in (await cluster.client.list(PODS, namespace)).items]
    assert sorted(filter(None, nodes)) == ["n1", "n2"]


async def test_nodes_get_ranges_of_their_own(cluster: Cluster) -> None:
    async def given() -> list[str]:
        nodes = (await cluster.client.list(NODES)).items
        ranges = [node.spec.pod_cidr for node in nodes]
        return [one for one in ranges if one] if all(ranges) else []

    ranges = await cluster.until(given)
    assert len(set(ranges)) == len(ranges)
    assert all(one.startswith("10.244.") and one.endswith("/24") for one in ranges)


async def test_pods_of_a_silent_node_come_up_elsewhere(cluster: Cluster, namespace: str) -> None:
    client = cluster.client
    await client.create(DEPLOYMENTS, web(namespace, 4))
    await available(cluster, namespace, 4)
    lost = {key_of(p) for p in (await client.list(PODS, namespace)).items if p.spec.node_name == "n2"}
    assert lost
    cluster.beating.discard("n2")

    async def moved() -> bool:
        pods = [p for p in (await client.list(PODS, namespace)).items if p.metadata.deletion_timestamp is None]
        ready = [p for p in pods if any(c.type == "Ready" and c.status == "True" for c in p.status.conditions)]
        return len(ready) == 4 and {p.spec.node_name for p in ready} == {"n1"}

    await cluster.until(moved, 40)
    node = await client.get(NODES, "n2")
    ready = next(one for one in node.status.conditions if one.type == "Ready")
    assert (ready.status, ready.reason) == ("Unknown", "NodeStatusUnknown")
    assert {(one.key.rpartition("/")[2], one.effect) for one in node.spec.taints} >= {("unreachable", "NoExecute")}
    cluster.beating.add("n2")
    await cluster.beat("n2")
    await cluster.report_node("n2")

    async def untainted() -> bool:
        return not (await client.get(NODES, "n2")).spec.taints

    await cluster.until(untainted)
    assert {Key(*one) for one in lost}


async def test_controllers_that_were_killed_go_on_where_they_were(
    cluster: Cluster, namespace: str, controllers: Controllers
) -> None:
    await cluster.client.create(DEPLOYMENTS, web(namespace))
    await available(cluster, namespace)
    controllers.kill()
    patch = {"spec": {"replicas": 5}}
    await cluster.client.patch(DEPLOYMENTS, "web", patch, namespace=namespace)
    controllers.start()
    await available(cluster, namespace, 5)


async def test_controllers_outlive_an_api_server_that_is_killed(
    cluster: Cluster, namespace: str, servers: Servers, controllers: Controllers
) -> None:
    await cluster.client.create(DEPLOYMENTS, web(namespace))
    await available(cluster, namespace)
    running = controllers.process.pid
    servers.server.kill()
    servers.start_server(servers.server.port)
    await asyncio.to_thread(servers.server.wait, servers.tls())
    patch = {"spec": {"replicas": 4}}
    await cluster.client.patch(DEPLOYMENTS, "web", patch, namespace=namespace)
    await available(cluster, namespace, 4)
    assert controllers.process.poll() is None
    assert controllers.process.pid == running


async def test_an_hour_passes_when_the_clock_is_moved(
    cluster: Cluster, namespace: str, controllers: Controllers
) -> None:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "x"}]}}
    spec = {"ttlSecondsAfterFinished": 3600, "template": template}
    await cluster.client.create(JOBS, {"metadata": {"name": "once", "namespace": namespace}, "spec": spec})

    async def complete() -> bool:
        job = await cluster.client.get(JOBS, "once", namespace)
        return any(one.type == "Complete" and one.status == "True" for one in job.status.conditions)

    await cluster.until(complete)
    controllers.advance(3601)
    await cluster.gone(JOBS, "once", namespace)
    assert controllers.process.poll() is None


BOATS = {
    "metadata": {"name": "boats.example.org"},
    "spec": {
        "group": "example.org",
        "scope": "Namespaced",
        "names": {"plural": "boats", "singular": "boat", "kind": "Boat"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


async def test_custom_resources_own_and_are_cleared_away(cluster: Cluster, namespace: str) -> None:
    client = cluster.client
    await client.create(CUSTOM_RESOURCE_DEFINITIONS, BOATS)
    boats = Resource("example.org", "v1", "Boat", "boats", PartialObjectMetadata)
    plain = boats.path(namespace)

    async def create(name: str, **meta: Any) -> dict[str, Any]:
        body = {"apiVersion": "example.org/v1", "kind": "Boat", "metadata": {"name": name, **meta}}
        answer: dict[str, Any] = json.loads(await client.request("POST", plain, body=json.dumps(body).encode()))
        return answer

    async def first() -> bool:
        await create("junk")
        return True

    await cluster.until(first)
    uid = (await client.get(boats, "junk", namespace)).metadata.uid
    owner = {"apiVersion": "example.org/v1", "kind": "Boat", "name": "junk", "uid": uid, "controller": True}
    meta = {"name": "cargo", "namespace": namespace, "ownerReferences": [owner]}
    await client.create(CONFIG_MAPS, {"metadata": meta})
    await client.delete(boats, "junk", namespace)
    await cluster.gone(CONFIG_MAPS, "cargo", namespace)
    await create("sampan")
    await client.delete(NAMESPACES, namespace)
    await cluster.gone(NAMESPACES, namespace)
    await client.delete(CUSTOM_RESOURCE_DEFINITIONS, "boats.example.org")


def test_a_bad_configuration_is_told_and_ends_with_2(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text('{"kubeconfig": "/none", "cluster_cider": "x"}')
    done = subprocess.run(
        [sys.executable, "-m", "controllers.main", "--config", str(config)], cwd=ROOT, capture_output=True, check=False
    )
    assert done.returncode == 2
    assert b"unknown settings cluster_cider" in done.stderr


async def test_a_server_that_is_not_there_is_told_as_such(servers: Servers) -> None:
    text = servers.kubeconfig.read_text().replace(str(servers.server.port), "1")
    path = servers.directory / "nobody.kubeconfig"
    path.write_text(text)
    async with Client.from_kubeconfig(str(path), refused_seconds=0.1) as client:
        with pytest.raises(Unreachable, match="is the API server running"):
            await client.list(PODS)
