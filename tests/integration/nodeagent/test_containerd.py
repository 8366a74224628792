"""The same agent over Debian's containerd, by its socket: nothing but the socket's path differs."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from nodeagent.network.cni import write_configuration
from nodeagent.network.config import PodNetworkConfig
from sampan.api.core_v1 import Pod
from sampan.client import Client

FOREVER = ["sh", "-c", "trap 'exit 0' TERM; while true; do sleep 0.1; done"]
POD_CIDR = "10.244.1.0/24"
CONFIG = """\
version = 2
root = "{base}/root"
state = "{base}/state"
[grpc]
  address = "{base}/containerd.sock"
[ttrpc]
  address = "{base}/containerd.sock.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:test"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{base}/cni/bin"
    conf_dir = "{base}/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
"""


def with_command(source: Path, target: Path, name: str, command: list[str]) -> None:
    """A copy of an OCI archive under another name, with another command: what containerd runs in each sandbox."""
    with tarfile.open(source) as tar:
        files = {member.name: _bytes(tar, member) for member in tar.getmembers() if member.isfile()}

    def put(content: bytes) -> tuple[str, int]:
        digest = hashlib.sha256(content).hexdigest()
        files[f"blobs/sha256/{digest}"] = content
        return f"sha256:{digest}", len(content)

    index = json.loads(files["index.json"])
    entry = index["manifests"][0]
    manifest = json.loads(files["blobs/sha256/" + entry["digest"].partition(":")[2]])
    config = json.loads(files["blobs/sha256/" + manifest["config"]["digest"].partition(":")[2]])
    config["config"]["Cmd"] = command
    manifest["config"]["digest"], manifest["config"]["size"] = put(json.dumps(config).encode())
    entry["digest"], entry["size"] = put(json.dumps(manifest).encode())
    entry["annotations"] = {"org.opencontainers.image.ref.name": name, "io.containerd.image.name": name}
    files["index.json"] = json.dumps(index).encode()
    with tarfile.open(target, "w") as tar:
        for path, content in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def _bytes(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    found = tar.extractfile(member)
    assert found is not None
    return found.read()


@pytest.fixture
def containerd(node: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A containerd of the test's own with the image in it, in place of the node's runtime: its directory."""
    if shutil.which("containerd") is None or shutil.which("runc") is None:
        pytest.skip("needs Debian's containerd and runc")
    base = tmp_path_factory.mktemp("containerd")
    network = PodNetworkConfig(state_dir=node.state_dir / "network", device="uplink")
    write_configuration(base / "cni" / "net.d", base / "cni" / "bin", network, POD_CIDR)
    config = base / "config.toml"
    config.write_text(CONFIG.format(base=base))
    with (base / "log").open("ab") as log:
        process = subprocess.Popen(["containerd", "--config", str(config)], stdout=log, stderr=log)
    address = ["ctr", "--address", str(base / "containerd.sock"), "--namespace", "k8s.io"]
    try:
        pause = base / "pause.tar"
        with_command(node.base / "busybox.tar", pause, "localhost/pause:test", ["sleep", "100000"])
        for attempt in range(100):
            done = subprocess.run([*address, "images", "import", str(pause)], capture_output=True, check=False)
            if done.returncode == 0:
                break
            assert attempt < 99, done.stderr.decode()
            subprocess.run(["sleep", "0.1"], check=True)
        archive = str(node.base / "busybox.tar")
        subprocess.run([*address, "images", "import", archive], capture_output=True, check=True)
        yield base
    finally:
        listed = subprocess.run([*address, "tasks", "list", "-q"], capture_output=True, check=False).stdout.decode()
        for task in listed.split():
            subprocess.run([*address, "tasks", "rm", "--force", task], capture_output=True, check=False)
        process.send_signal(signal.SIGTERM)
        process.wait(10)
        shims = [
            int(place.name)
            for place in Path("/proc").glob("[0-9]*")
            if str(base).encode() in _command_line(place) and b"containerd-shim" in _command_line(place)
        ]
        for shim in shims:
            os.kill(shim, signal.SIGKILL)
        for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
            if line.split()[4].startswith(str(base)):
                subprocess.run(["umount", "-l", line.split()[4]], check=False)


def _command_line(place: Path) -> bytes:
    try:
        return (place / "cmdline").read_bytes()
    except OSError:
        return b""


@pytest.fixture
async def over_containerd(cluster: Any, containerd: Path) -> AsyncIterator[Any]:
    """The node's agent, restarted over containerd; back over the runtime afterwards."""
    node = cluster.node
    path = node.base / "agent.json"
    before = path.read_text()
    path.write_text(json.dumps(json.loads(before) | {"cri_socket": str(containerd / "containerd.sock")}))
    node.kill("agent")
    node.start("agent")
    try:
        yield cluster
        async with Client.from_kubeconfig(str(node.servers.kubeconfig)):
            for name in list(cluster.names):
                await cluster.delete(name, grace_period_seconds=1)
            cluster.names.clear()
    finally:
        node.kill("agent")
        path.write_text(before)
        node.start("agent")


def ready(pod: Pod) -> bool:
    return any(one.type == "Ready" and one.status == "True" for one in pod.status.conditions)


async def test_pods_live_over_containerd_as_they_do_over_our_runtime(over_containerd: Any) -> None:
    cluster = over_containerd
    probe = {"exec": {"command": ["true"]}}
    script = (
        "echo begun; if [ -e /v/again ]; then trap 'exit 0' TERM; while true; do sleep 0.1; done; fi; touch /v/again"
    )
    await cluster.run(
        "contained",
        [{"name": "c", "command": ["sh", "-c", script], "readinessProbe": probe,
          "volumeMounts": [{"name": "v", "mountPath": "/v"}]}],
        hostNetwork=True,
        volumes=[{"name": "v", "emptyDir": {}}],
    )  # fmt: skip
    pod = await cluster.until(
        "contained", lambda pod: ready(pod) and pod.status.container_statuses[0].restart_count == 1, 40
    )
    status = pod.status.container_statuses[0]
    assert status.container_id.startswith("containerd://")
    assert status.last_state.terminated.reason == "Completed"
    assert cluster.logs("contained") == "begun\n"
    before = pod.status.to_json()
    cluster.node.kill("agent")
    cluster.node.start("agent")
    await cluster.run("later", [{"name": "c", "command": FOREVER}], hostNetwork=True)
    await cluster.until("later", ready, 40)
    assert (await cluster.get("contained")).status.to_json() == before


async def test_a_pod_has_an_address_of_the_node_and_streams_by_kubectl(over_containerd: Any) -> None:
    cluster = over_containerd
    script = "mkdir /w; echo hello >/w/index.html; echo serving; exec httpd -f -p 8080 -h /w"
    probe = {"httpGet": {"path": "/index.html", "port": 8080}, "periodSeconds": 1}
    await cluster.run("served", [{"name": "c", "command": ["sh", "-c", script], "readinessProbe": probe}])
    pod = await cluster.until("served", ready, 40)
    assert pod.status.container_statuses[0].container_id.startswith("containerd://")
    address = pod.status.pod_ip
    assert address.startswith("10.244.1.")

    def asked() -> bytes:
        with urllib.request.urlopen(f"http://{address}:8080/", timeout=10) as answer:
            return bytes(answer.read())

    async def kubectl(*words: str, stdin: str = "") -> str:
        return str(await asyncio.to_thread(cluster.node.servers.kubectl, *words, stdin=stdin))

    assert await asyncio.to_thread(asked) == b"hello\n"
    assert await kubectl("logs", "served") == "serving\n"
    assert await kubectl("exec", "-i", "served", "--", "tr", "a-z", "A-Z", stdin="loud") == "LOUD"
    assert address in await kubectl("exec", "served", "--", "busybox", "ip", "-4", "address", "show", "eth0")
