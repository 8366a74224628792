"""One whole node: etcd, API server, runtime and agent as processes, in a network namespace that leads nowhere.

The test process enters the namespace for as long as the node lives. Afterwards no process, mount, cgroup, device or
namespace of it is left.
"""

from __future__ import annotations

import asyncio
import ctypes
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nodeagent.runtime.images.archives import load
from nodeagent.runtime.images.store import ImageStore
from sampan.api.core_v1 import Event, Namespace, Pod
from sampan.api.meta_v1 import ObjectMeta
from sampan.client import Client
from sampan.errors import ApiError
from sampan.kinds import EVENTS, NAMESPACES, NODES, PODS, SERVICE_ACCOUNTS

ROOT = Path(__file__).resolve().parents[3]
CLONE_NEWNET = 0x40000000
NODE_IP = "172.30.0.11"
IMAGE = "localhost/busybox:test"
POD_CIDR = "10.244.1.0/24"

libc = ctypes.CDLL(None, use_errno=True)


def load_module(name: str, path: Path) -> Any:
    """A test support file by its path: tests are no packages."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


servers_module = load_module("tests_servers", ROOT / "tests/servers.py")
runtime_module = load_module("tests_runtime_conftest", ROOT / "tests/integration/runtime/conftest.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(item.fspath).is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.root)
            if os.geteuid() != 0:
                item.add_marker(pytest.mark.skip(reason="needs root: namespaces, mounts, cgroups"))


async def until(condition: Callable[[], Any] | Callable[[], Awaitable[Any]], seconds: float = 20.0) -> Any:
    """Wait for a condition to hold, and return what it returned."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if isinstance(value, Awaitable):
            value = await value
        if value:
            return value
        assert time.monotonic() < deadline, f"not true within {seconds} s: {getattr(condition, '__name__', condition)}"
        await asyncio.sleep(0.05)


class Node:
    """The processes of one node and its control plane."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.servers = servers_module.Servers(base)
        self.cgroup_root = f"sampan-agent-test-{os.getpid()}"
        self.log_dir = base / "pod-logs"
        self.state_dir = base / "agent"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        load(ImageStore(base / "images"), self._archive())
        self._write_configs()

    def _archive(self) -> Path:
        path = self.base / "busybox.tar"
        runtime_module.busybox_archive(path)
        return path

    def _write_configs(self) -> None:
        base = self.base
        self.servers._pair("kubelet-server", "system:node:n1", (), (NODE_IP, "n1"))
        runtime = {
            "socket": str(base / "cri.sock"),
            "state_dir": str(base / "runtime"),
            "run_dir": str(base / "runtime-run"),
            "image_store": str(base / "images"),
            "cgroup_parent": f"/{self.cgroup_root}",
            "forkserver_socket": str(base / "fork.sock"),
            "network": "builtin",
            "pod_network": {"state_dir": str(self.state_dir / "network"), "device": "uplink"},
        }
        (base / "runtime.json").write_text(json.dumps(runtime))
        agent = {
            "node_name": "n1",
            "node_ip": NODE_IP,
            "kubeconfig": str(self.servers.kubeconfig_of("system:node:n1", ("system:nodes",))),
            "cri_socket": str(base / "cri.sock"),
            "state_dir": str(self.state_dir),
            "log_dir": str(self.log_dir),
            "cgroup_root": self.cgroup_root,
            "port": 10250,
            "tls": {
                "cert": str(base / "kubelet-server.pem"),
                "key": str(base / "kubelet-server.key"),
                "client_ca": str(self.servers.ca),
            },
            "cluster_dns": ["10.96.0.10"],
            "lease_seconds": 8,
            "eviction_seconds": 0.5,
            "network": {"device": "uplink"},
            "register_with_labels": {"disk": "fast"},
        }
        (base / "agent.json").write_text(json.dumps(agent))

    def start(self, name: str) -> None:
        """Start "forkserver", "runtime" or "agent"."""
        base = self.base
        command = {
            "forkserver": ["-I", "-S", str(ROOT / "nodeagent/runtime/forkserver.py"), "--socket",
                           str(base / "fork.sock"), "--state-dir", str(base / "forkstate")],
            "runtime": ["-m", "nodeagent.runtime.main", "--config", str(base / "runtime.json")],
            "agent": ["-m", "nodeagent.main", "--config", str(base / "agent.json")],
        }[name]  # fmt: skip
        log = (base / f"{name}.log").open("ab")
        self.processes[name] = subprocess.Popen([sys.executable, *command], cwd=ROOT, stdout=log, stderr=log)

    def kill(self, name: str) -> None:
        """SIGKILL."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def log(self, name: str) -> str:
        """What a process has printed."""
        return (self.base / f"{name}.log").read_text()

    def close(self) -> None:
        for name in ("agent", "runtime", "forkserver"):
            if (process := self.processes.pop(name, None)) is not None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        self.servers.close()
        self._sweep()

    def _sweep(self) -> None:
        """What a failed test left."""
        for root in [Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").glob("*")]:
            ours = root / self.cgroup_root
            if not ours.is_dir():
                continue
            for _ in range(50):
                pids = [pid for path in ours.rglob("cgroup.procs") for pid in path.read_text().split()]
                if not pids:
                    break
                for pid in pids:
                    try:
                        os.kill(int(pid), signal.SIGKILL)
                    except ProcessLookupError:
                        continue
                time.sleep(0.05)
            for folder in sorted(ours.rglob("*/"), reverse=True):
                if folder.is_dir():
                    folder.rmdir()
            ours.rmdir()
        for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
            target = line.split()[4]
            if target.startswith(str(self.base)):
                subprocess.run(["umount", "-l", target], check=False)


@pytest.fixture(scope="session")
def network_namespace() -> Iterator[None]:
    """A network namespace with a loopback and an uplink that leads nowhere; left again at the end."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    for command in (
        "ip link set lo up",
        "ip link add uplink type bridge",
        f"ip address add {NODE_IP}/24 dev uplink",
        "ip link set uplink up",
    ):
        subprocess.run(command.split(), check=True)
    yield
    libc.setns(before, CLONE_NEWNET)
    os.close(before)


@pytest.fixture(scope="session")
def node(network_namespace: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node that has registered and has its pod range."""
    node = Node(tmp_path_factory.mktemp("node"))
    try:
        node.start("forkserver")
        node.start("runtime")
        node.start("agent")
        asyncio.run(_prepare(node))
        yield node
    finally:
        if os.environ.get("SAMPAN_TEST_LOGS"):
            print(node.log("agent"), node.log("runtime"))
        node.close()


async def _prepare(node: Node) -> None:
    """What controllers would do: a pod CIDR, a service account, and the namespace of leases."""
    async with Client.from_kubeconfig(str(node.servers.kubeconfig)) as client:

        async def registered() -> bool:
            try:
                await client.get(NODES, "n1")
            except ApiError:
                return False
            return True

        await until(registered)
        await client.patch(NODES, "n1", {"spec": {"podCIDR": POD_CIDR, "podCIDRs": [POD_CIDR]}})
        for name in ("kube-node-lease", "default"):
            try:
                await client.create(NAMESPACES, Namespace(metadata=ObjectMeta(name=name)))
            except ApiError as error:
                if not error.is_already_exists:
                    raise
        try:
            await client.create(SERVICE_ACCOUNTS, {"metadata": {"name": "default"}}, namespace="default")
        except ApiError as error:
            if not error.is_already_exists:
                raise

        async def ready() -> bool:
            status = (await client.get(NODES, "n1")).status
            return any(one.type == "Ready" and one.status == "True" for one in status.conditions)

        await until(ready)


class Cluster:
    """What a test does with the API."""

    def __init__(self, client: Client, node: Node) -> None:
        self.client = client
        self.node = node
        self.names: list[str] = []

    async def run(self, name: str, containers: list[dict[str, Any]], **spec: Any) -> Pod:
        """Create a pod on the node."""
        metadata = spec.pop("metadata", {})
        whole = {
            "metadata": {"name": name, "namespace": "default"} | metadata,
            "spec": {
                "nodeName": "n1",
                "terminationGracePeriodSeconds": 2,
                "automountServiceAccountToken": False,
                "containers": [{"image": IMAGE, "imagePullPolicy": "IfNotPresent"} | one for one in containers],
            }
            | spec,
        }
        for group in ("initContainers", "ephemeralContainers"):
            if group in whole["spec"]:
                whole["spec"][group] = [
                    {"image": IMAGE, "imagePullPolicy": "IfNotPresent"} | one for one in whole["spec"][group]
                ]
        self.names.append(name)
        return await self.client.create(PODS, whole, namespace="default")

    async def get(self, name: str) -> Pod:
        return await self.client.get(PODS, name, "default")

    async def until(self, name: str, condition: Callable[[Pod], Any], seconds: float = 20.0) -> Pod:
        """Wait until a pod satisfies a condition."""
        pod = None

        async def holds() -> Pod | None:
            nonlocal pod
            pod = await self.get(name)
            return pod if condition(pod) else None

        try:
            found = await until(holds, seconds)
        except AssertionError:
            events = "\n".join(f"{one.type} {one.reason} {one.message}" for one in await self.events(name))
            shown = json.dumps(pod.status.to_json(), indent=1) if pod is not None else ""
            raise AssertionError(f"{name} did not get there:\n{shown}\n{events}") from None
        assert isinstance(found, Pod)
        return found

    async def until_gone(self, name: str, seconds: float = 20.0) -> None:
        async def gone() -> bool:
            try:
                await self.get(name)
            except ApiError as error:
                return error.is_not_found
            return False

        await until(gone, seconds)

    async def wait(self, condition: Callable[[], Any] | Callable[[], Awaitable[Any]], seconds: float = 20.0) -> Any:
        """Wait for anything."""
        return await until(condition, seconds)

    async def delete(self, name: str, **options: Any) -> None:
        await self.client.delete(PODS, name, "default", **options)
        await self.until_gone(name)

    async def events(self, name: str) -> list[Event]:
        found = await self.client.list(EVENTS, "default", field_selector=f"involvedObject.name={name}")
        return found.items

    async def event(self, name: str, reason: str) -> Event:
        """Wait for an event of a pod."""

        async def there() -> Event | None:
            return next((one for one in await self.events(name) if one.reason == reason), None)

        found = await until(there)
        assert isinstance(found, Event)
        return found

    def logs(self, name: str, *arguments: str) -> str:
        """kubectl logs."""
        return str(self.node.servers.kubectl("logs", name, *arguments))

    def text(self, pod: Pod, container: str, attempt: int = 0) -> str:
        """A log file's text, as the runtime has written it."""
        path = self.node.log_dir / f"default_{pod.metadata.name}_{pod.metadata.uid}" / container / f"{attempt}.log"
        parts = [line.split(" ", 3) for line in path.read_text().splitlines()] if path.exists() else []
        return "".join(text + ("\n" if tag == "F" else "") for _, _, tag, text in parts)


@pytest.fixture
async def cluster(node: Node) -> AsyncIterator[Cluster]:
    """The API of the node's cluster; pods of the test are gone afterwards."""
    async with Client.from_kubeconfig(str(node.servers.kubeconfig)) as client:
        cluster = Cluster(client, node)
        yield cluster
        for name in cluster.names:
            try:
                await client.delete(PODS, name, "default", grace_period_seconds=1)
            except ApiError as error:
                if not error.is_not_found:
                    raise
        for name in cluster.names:
            await cluster.until_gone(name)
