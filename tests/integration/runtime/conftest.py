"""A whole runtime on this machine: fork server and CRI server as their own processes, a busybox image, a gRPC client.

Every machine ends as it was found: no process, mount, cgroup or directory stays.
"""

import asyncio
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import grpc.aio
import pytest

from nodeagent.runtime import defaults
from nodeagent.runtime.images.archives import load
from nodeagent.runtime.images.store import ImageStore
from sampan.cri import api_pb2 as cri
from sampan.cri import api_pb2_grpc

REPO = Path(__file__).resolve().parents[3]
IMAGE = "localhost/busybox:test"
APPLETS = [
    "sh",
    "cat",
    "echo",
    "ls",
    "id",
    "sleep",
    "true",
    "false",
    "kill",
    "mount",
    "grep",
    "dd",
    "nc",
    "stty",
    "tty",
    "touch",
    "mkdir",
    "hostname",
    "env",
    "head",
    "chmod",
    "ping",
    "trap",
    "ps",
    "umount",
    "mknod",
    "wc",
    "printf",
    "tail",
    "yes",
    "seq",
    "stat",
    "nsenter",
    "unshare",
    "chroot",
    "test",
    "tr",
    "rm",
    "ln",
    "ulimit",
    "httpd",
    "wget",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(item.fspath).is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.root)
            if os.geteuid() != 0:
                item.add_marker(pytest.mark.skip(reason="needs root: namespaces, mounts, cgroups"))


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def busybox_archive(path: Path) -> None:
    """An OCI archive with static busybox, two users and a group."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:

        def put(name: str, content: bytes, mode: int) -> None:
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), mode
            tar.addfile(info, io.BytesIO(content))

        for name in ("bin", "etc", "tmp", "home", "home/app"):
            info = tarfile.TarInfo(name)
            info.type, info.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            tar.addfile(info)
        put("bin/busybox", Path("/bin/busybox").read_bytes(), 0o755)
        for applet in APPLETS:
            info = tarfile.TarInfo(f"bin/{applet}")
            info.type, info.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(info)
        put("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n", 0o644)
        put("etc/group", b"root:x:0:\napp:x:1000:\nextra:x:2000:app\n", 0o644)
        put("etc/secret", b"for root alone\n", 0o600)
    blob = layer.getvalue()
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Env": ["PATH=/bin", "FROM_IMAGE=yes"], "Cmd": ["sh", "-c", "echo from the image"]},
            "rootfs": {"type": "layers", "diff_ids": [_digest(blob)]},
        }
    ).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": _digest(config),
                "size": len(config),
            },
            "layers": [
                {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": _digest(blob), "size": len(blob)}
            ],
        }
    ).encode()
    index = json.dumps(
        {
            "schemaVersion": 2,
            "manifests": [
                {
                    "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "digest": _digest(manifest),
                    "size": len(manifest),
                    "annotations": {"org.opencontainers.image.ref.name": IMAGE, "io.containerd.image.name": IMAGE},
                }
            ],
        }
    ).encode()
    with tarfile.open(path, "w") as tar:
        for name, content in [
            ("oci-layout", b'{"imageLayoutVersion": "1.0.0"}'),
            ("index.json", index),
            *((f"blobs/sha256/{_digest(c)[7:]}", c) for c in (blob, config, manifest)),
        ]:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


async def until(condition: Callable[[], object] | Callable[[], Awaitable[object]], seconds: float = 15.0) -> object:
    """Wait for a condition, looking twenty times a second; fails with its name if it does not come."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if isinstance(value, Awaitable):
            value = await value
        if value:
            return value
        assert time.monotonic() < deadline, f"{condition} has not come true in {seconds} s"
        await asyncio.sleep(0.05)


class Machine:
    """One runtime with everything that is its own."""

    def __init__(self, base: Path, store: Path) -> None:
        self.base = base
        self.cgroup_parent = f"/sampan-test-{base.name}"
        self.forkserver_socket = base / "fork.sock"
        self.socket = base / "cri.sock"
        self.logs = base / "logs"
        self.store = store
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.config = base / "runtime.json"
        self.config.write_text(
            json.dumps(
                {
                    "socket": str(self.socket),
                    "state_dir": str(base / "state"),
                    "run_dir": str(base / "run"),
                    "image_store": str(store),
                    "cgroup_parent": self.cgroup_parent,
                    "forkserver_socket": str(self.forkserver_socket),
                    "network": "none",
                    "log_level": "info",
                }
            )
        )
        self._channel: grpc.aio.Channel | None = None

    def start_forkserver(self) -> None:
        command = [sys.executable, "-I", "-S", str(REPO / "nodeagent/runtime/forkserver.py")]
        command += ["--socket", str(self.forkserver_socket), "--state-dir", str(self.base / "forkstate")]
        self.processes["forkserver"] = subprocess.Popen(command)

    def start_runtime(self) -> None:
        command = [sys.executable, "-m", "nodeagent.runtime.main", "--config", str(self.config)]
        self.processes["runtime"] = subprocess.Popen(command, cwd=REPO)

    async def connect(self) -> None:
        """Wait until the runtime answers."""
        if self._channel is not None:
            await self._channel.close()
        options = [("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 100)]
        self._channel = grpc.aio.insecure_channel(f"unix:{self.socket}", options=options)
        self.cri = api_pb2_grpc.RuntimeServiceStub(self._channel)
        self.images = api_pb2_grpc.ImageServiceStub(self._channel)
        await self.cri.Version(cri.VersionRequest(), wait_for_ready=True, timeout=60)

    def kill(self, name: str) -> None:
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    async def sandbox(self, name: str = "pod", **linux: object) -> str:
        """Run a sandbox: pid namespace a container unless asked otherwise."""
        config = self.sandbox_config(name, **linux)
        response = await self.cri.RunPodSandbox(cri.RunPodSandboxRequest(config=config))
        return str(response.pod_sandbox_id)

    def sandbox_config(self, name: str = "pod", **options: object) -> cri.PodSandboxConfig:
        namespaces = options.pop("namespaces", cri.NamespaceOption(pid=cri.NamespaceMode.CONTAINER))
        config = cri.PodSandboxConfig(
            metadata=cri.PodSandboxMetadata(name=name, uid=f"uid-{name}", namespace="default"),
            hostname=name,
            log_directory=str(self.logs / name),
            linux=cri.LinuxPodSandboxConfig(
                cgroup_parent=self.cgroup_parent,
                security_context=cri.LinuxSandboxSecurityContext(namespace_options=namespaces),
            ),
        )
        config.MergeFrom(cri.PodSandboxConfig(**options))
        return config

    async def create(self, sandbox: str, argv: list[str], name: str = "c", **config: object) -> str:
        security = config.pop("security", cri.LinuxContainerSecurityContext())
        if not security.HasField("namespace_options"):
            security.namespace_options.pid = config.pop("pid", cri.NamespaceMode.CONTAINER)
        if not security.privileged:  # as the agent asks unless procMount is Unmasked
            security.masked_paths.extend(defaults.MASKED_PATHS)
            security.readonly_paths.extend(defaults.READ_ONLY_PATHS)
        resources = config.pop("resources", cri.LinuxContainerResources())
        message = cri.ContainerConfig(
            metadata=cri.ContainerMetadata(name=name),
            image=cri.ImageSpec(image=IMAGE),
            command=argv,
            log_path=f"{name}.log",
            linux=cri.LinuxContainerConfig(security_context=security, resources=resources),
            **config,
        )
        response = await self.cri.CreateContainer(cri.CreateContainerRequest(pod_sandbox_id=sandbox, config=message))
        return str(response.container_id)

    async def start(self, container: str) -> None:
        await self.cri.StartContainer(cri.StartContainerRequest(container_id=container))

    async def run(self, sandbox: str, argv: list[str], name: str = "c", **config: object) -> str:
        container = await self.create(sandbox, argv, name, **config)
        await self.start(container)
        return container

    async def status(self, container: str) -> cri.ContainerStatus:
        return (await self.cri.ContainerStatus(cri.ContainerStatusRequest(container_id=container))).status

    async def exited(self, container: str, seconds: float = 15.0) -> cri.ContainerStatus:
        """Wait for its end."""

        async def look() -> cri.ContainerStatus | None:
            status = await self.status(container)
            return status if status.state == cri.ContainerState.CONTAINER_EXITED else None

        status = await until(look, seconds)
        assert isinstance(status, cri.ContainerStatus)
        return status

    async def output(self, sandbox: str, script: str, name: str = "c", pod: str = "pod", **config: object) -> str:
        """What a shell script prints, run to its end in a container."""
        container = await self.run(sandbox, ["sh", "-c", script], name, **config)
        await self.exited(container)
        return self.text(name, pod)

    def text(self, name: str = "c", pod: str = "pod", stream: str = "") -> str:
        """The text of a log file, lines joined as a reader of CRI logs does."""
        path = self.logs / pod / f"{name}.log"
        found = []
        for line in path.read_bytes().split(b"\n")[:-1]:
            _, source, tag, content = line.split(b" ", 3)
            if not stream or source == stream.encode():
                found.append(content + (b"\n" if tag == b"F" else b""))
        return b"".join(found).decode("utf-8", "replace")

    async def exec(self, container: str, argv: list[str], timeout: int = 10) -> cri.ExecSyncResponse:
        request = cri.ExecSyncRequest(container_id=container, cmd=argv, timeout=timeout)
        return await self.cri.ExecSync(request)

    async def close(self) -> None:
        if self._channel is not None:
            if {"runtime", "forkserver"} <= self.processes.keys():
                for item in (await self.cri.ListPodSandbox(cri.ListPodSandboxRequest())).items:
                    await self.cri.RemovePodSandbox(cri.RemovePodSandboxRequest(pod_sandbox_id=item.id))
            await self._channel.close()
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            process.wait(timeout=10)

    def leftovers(self) -> list[str]:
        """What is still there of this machine besides its own directory."""
        mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        found = [mount for mount in mounts if mount.startswith(str(self.base))]
        for root in Path("/sys/fs/cgroup").glob(f"*{self.cgroup_parent}"):
            found += [str(folder) for folder in root.iterdir() if folder.is_dir()]
        return found

    def sweep(self) -> None:
        """Take away what a failed test left."""
        for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
            mount = line.split()[4]
            if mount.startswith(str(self.base)):
                subprocess.run(["umount", "-l", mount], check=False)
        for root in [
            *Path("/sys/fs/cgroup").glob(f"*{self.cgroup_parent}"),
            Path(f"/sys/fs/cgroup{self.cgroup_parent}"),
        ]:
            if not root.is_dir():
                continue
            for _ in range(50):
                pids = [pid for folder in root.rglob("cgroup.procs") for pid in folder.read_text().split()]
                if not pids:
                    break
                for pid in pids:
                    os.kill(int(pid), signal.SIGKILL)
                time.sleep(0.02)
            for folder in sorted(root.rglob("*/"), reverse=True):
                if folder.is_dir():
                    folder.rmdir()
            root.rmdir()
        shutil.rmtree(self.base, ignore_errors=True)


@pytest.fixture(scope="session")
def image_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the busybox image in it."""
    base = tmp_path_factory.mktemp("images")
    busybox_archive(base / "busybox.tar")
    load(ImageStore(base / "store"), base / "busybox.tar")
    return base / "store"


@pytest.fixture
async def machine(tmp_path: Path, image_store: Path) -> AsyncIterator[Machine]:
    """A runtime that serves; afterwards nothing of it may be left."""
    base = Path(f"/tmp/sampan-rt-{os.getpid()}-{time.monotonic_ns()}")
    base.mkdir()
    machine = Machine(base, image_store)
    try:
        machine.start_forkserver()
        machine.start_runtime()
        await machine.connect()
        yield machine
        await machine.close()
        assert machine.leftovers() == []
    finally:
        for process in machine.processes.values():
            if process.poll() is None:
                process.kill()
                process.wait()
        machine.sweep()
