"""How long a container takes from its start to its exit, beside `crun run`, in a sandbox that is there already.

    python -m bench.container_start [--rounds 100]

Goal: 0.80 of crun's time. Both run busybox's `true` in new pid, mount and cgroup namespaces, join the same net, ipc
and uts namespaces, and use the same capabilities, masked paths and cgroups. Ours mounts an overlay as well, which
crun leaves to its callers. Three ways are timed, by turns, so that noise meets all: the fork server alone, the whole
of CRI (create, start, and until the exit is told), and crun.
"""

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import quantiles
from typing import Any

from nodeagent.runtime import defaults, plan
from nodeagent.runtime import syscalls as sc
from nodeagent.runtime.cgroups.choose import cgroups
from nodeagent.runtime.cgroups.resources import Limits
from nodeagent.runtime.forks import Ended, ForkClient
from nodeagent.runtime.images.archives import load
from nodeagent.runtime.images.store import ImageStore
from sampan.cri import api_pb2 as cri
from tests.integration.runtime.conftest import IMAGE, Machine, busybox_archive

GOAL = 0.80


def mount_namespace_without_unified() -> int:
    """crun refuses the hybrid cgroup layout: a mount namespace that has only v1."""
    ready, told = os.pipe()
    hold, held = os.pipe()
    pid, pidfd = sc.clone(sc.CLONE_NEWNS)
    if pid == 0:
        sc.mount("", "/", "", sc.MS_REC | sc.MS_PRIVATE)
        if os.path.ismount("/sys/fs/cgroup/unified"):
            sc.umount("/sys/fs/cgroup/unified", sc.MNT_DETACH)
        os.write(told, b"1")
        os.read(hold, 1)
        os._exit(0)
    os.read(ready, 1)
    fd = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY)
    os.write(held, b"1")
    os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
    for one in (ready, told, hold, held, pidfd):
        os.close(one)
    return fd


def bundle(base: Path, namespaces: dict[str, str]) -> Path:
    """A crun bundle of the same settings."""
    made = base / "bundle"
    made.mkdir()
    subprocess.run(["crun", "spec"], cwd=made, check=True)
    spec: dict[str, Any] = json.loads((made / "config.json").read_text())
    names = sorted(defaults.DEFAULT_CAPABILITIES)
    spec["process"] |= {"terminal": False, "args": ["/bin/true"], "rlimits": []}
    spec["process"]["capabilities"] = dict.fromkeys(("bounding", "effective", "permitted"), names)
    spec["root"] = {"path": str(base / "rootfs"), "readonly": False}
    kinds = {"network": "net", "ipc": "ipc", "uts": "uts"}
    spec["linux"]["namespaces"] = [
        {"type": kind} | ({"path": namespaces[kinds[kind]]} if kind in kinds else {})
        for kind in ("pid", "mount", "cgroup", *kinds)
    ]
    spec["linux"]["cgroupsPath"] = f"/sampan-bench-{os.getpid()}/crun"
    spec["linux"]["maskedPaths"] = list(defaults.MASKED_PATHS)
    spec["linux"]["readonlyPaths"] = list(defaults.READ_ONLY_PATHS)
    spec.pop("hostname", None)
    (made / "config.json").write_text(json.dumps(spec))
    return made


def seconds_of_crun(namespace: int, made: Path, at: int) -> float:
    """One `crun run` as a whole process."""
    started = time.perf_counter()
    pid, pidfd = sc.clone(0)
    if pid == 0:
        sc.setns(namespace, sc.CLONE_NEWNS)
        name = f"bench-{os.getpid()}-{at}"
        os.execv("/usr/bin/crun", ["crun", "--cgroup-manager=cgroupfs", "run", "-b", str(made), name])
    status = os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
    os.close(pidfd)
    if status is None or status.si_status != 0:
        raise RuntimeError(f"crun failed: {status}")
    return time.perf_counter() - started


class Ours:
    """The fork server alone, and behind CRI, in one sandbox."""

    def __init__(self, machine: Machine, sandbox: str) -> None:
        self.machine = machine
        self.sandbox = sandbox
        self.cgroups = cgroups()
        self.ends: dict[str, asyncio.Future[Ended]] = {}
        self.forks = ForkClient(str(machine.forkserver_socket), on_exit=self._ended)
        run = machine.base / "run/sandboxes" / sandbox
        self.namespaces = {kind: str(run / kind) for kind in ("net", "ipc", "uts")}
        image = ImageStore(machine.store).resolve(IMAGE)
        assert image is not None
        self.image = image

    def _ended(self, name: str, how: Ended) -> None:
        if name in self.ends:
            self.ends[name].set_result(how)

    async def seconds_of_forks(self, at: int) -> float:
        """Cgroup, directories, start, exit, and all removed again: what crun run does too."""
        started = time.perf_counter()
        name = f"bench-{at}"
        base = self.machine.base / name
        for part in ("upper", "work", "root"):
            (base / part).mkdir(parents=True)
        cgroup = f"{self.machine.cgroup_parent}/{name}"
        self.cgroups.create(cgroup, Limits(), defaults.DEVICE_RULES)
        config = cri.ContainerConfig(command=["/bin/true"])
        config.linux.security_context.masked_paths.extend(defaults.MASKED_PATHS)
        config.linux.security_context.readonly_paths.extend(defaults.READ_ONLY_PATHS)
        image = self.image
        setup = plan.setup_of(
            config,
            plan.SandboxPaths(self.namespaces, "", "", "", "pod"),
            plan.Root(image.layers, str(base / "upper"), str(base / "work"), str(base / "root")),
            procs_files=self.cgroups.procs_files(cgroup),
            nodes=[],
            cgroup_version=self.cgroups.version,
            cgroup_mounts=self.cgroups.container_mounts(),
            image_layers={},
        )
        self.ends[name] = asyncio.get_running_loop().create_future()
        process = plan.process_of(config, image.config, "pod")
        answer = await self.forks.call("start", id=name, setup=setup, process=process)
        for fd in answer.fds:
            os.close(fd)
        how = await self.ends[name]
        del self.ends[name]
        assert how.code == 0
        await self.forks.call("forget", id=name)
        self.cgroups.remove(cgroup)
        shutil.rmtree(base)
        return time.perf_counter() - started

    async def seconds_of_cri(self, at: int, events: "asyncio.Queue[str]") -> float:
        """Create, start, and until the exit is told."""
        started = time.perf_counter()
        container = await self.machine.run(self.sandbox, ["/bin/true"], f"bench-{at}")
        while await events.get() != container:
            continue
        spent = time.perf_counter() - started
        await self.machine.cri.RemoveContainer(cri.RemoveContainerRequest(container_id=container))
        return spent


async def follow(machine: Machine, into: "asyncio.Queue[str]") -> None:
    """Put the ID of each container that has stopped."""
    async for event in machine.cri.GetContainerEvents(cri.GetEventsRequest()):
        if event.container_event_type == cri.ContainerEventType.CONTAINER_STOPPED_EVENT:
            into.put_nowait(event.container_id)


def report(what: str, ours: list[float], peers: list[float]) -> None:
    """Print the middle ratio."""
    low, middle, high = quantiles([a / b for a, b in zip(ours, peers, strict=True)], n=4)
    typical = quantiles(ours, n=4)[1] * 1e3
    print(
        f"{what}: {middle:.2f} of crun's time ({low:.2f} to {high:.2f}; goal {GOAL:.2f}), {typical:.1f} ms", flush=True
    )


async def measure(rounds: int) -> int:
    base = Path(tempfile.mkdtemp(prefix="sampan-bench-"))
    busybox_archive(base / "busybox.tar")
    load(ImageStore(base / "store"), base / "busybox.tar")
    (base / "machine").mkdir()
    machine = Machine(base / "machine", base / "store")
    tasks: list[asyncio.Future[None]] = []
    try:
        machine.start_forkserver()
        machine.start_runtime()
        await machine.connect()
        ours = Ours(machine, await machine.sandbox())
        events: asyncio.Queue[str] = asyncio.Queue()
        tasks = [asyncio.ensure_future(ours.forks.run()), asyncio.ensure_future(follow(machine, events))]
        image = ImageStore(base / "store").resolve(IMAGE)
        assert image is not None
        shutil.copytree(image.layers[0], base / "rootfs", symlinks=True)
        made, namespace = bundle(base, ours.namespaces), mount_namespace_without_unified()
        forks: list[float] = []
        whole: list[float] = []
        peers: list[float] = []
        ways: list[tuple[list[float], Callable[[int], Awaitable[float]]]] = [
            (forks, ours.seconds_of_forks),
            (whole, lambda at: ours.seconds_of_cri(at, events)),
        ]
        for at in range(rounds + 3):
            for times, way in ways:
                times.append(await way(at))
            peers.append(seconds_of_crun(namespace, made, at))
        os.close(namespace)
        forks, whole, peers = forks[3:], whole[3:], peers[3:]
        print(f"crun run, whole process: {quantiles(peers, n=4)[1] * 1e3:.1f} ms")
        report("fork server, start to exit, with cgroup and clean-up", forks, peers)
        report("CRI, create to exit told", whole, peers)
        return 0
    finally:
        for task in tasks:
            task.cancel()
        await machine.close()
        machine.sweep()
        shutil.rmtree(base)
        for parent in Path("/sys/fs/cgroup").glob(f"*/sampan-bench-{os.getpid()}"):
            parent.rmdir()


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100)
    return asyncio.run(measure(parser.parse_args().rounds))


if __name__ == "__main__":
    sys.exit(main())
