"""CRI's figures: from cgroups, the container's writable layer and its network devices.

The size of a writable layer is counted file by file in a thread, at most every ten seconds a container; rates need two
looks, so the first answer has none.
"""

import asyncio
import os
import time
from dataclasses import dataclass
from pathlib import Path

from nodeagent.runtime.cgroups.resources import Pressure, Stall, Usage
from nodeagent.runtime.runtime import Runtime
from nodeagent.runtime.state import Container, Sandbox
from sampan.cri import api_pb2 as cri

_RECOUNT_SECONDS = 10.0
_RATE_SECONDS = 0.1


@dataclass
class _Seen:
    counted_at: float = -_RECOUNT_SECONDS
    layer_bytes: int = 0
    layer_inodes: int = 0
    cpu_at: int = 0
    cpu_nanoseconds: int = 0
    nano_cores: int | None = None


class Stats:
    """Reads the figures of a runtime's containers and sandboxes."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._seen: dict[str, _Seen] = {}

    async def container(self, container: Container) -> cri.ContainerStats:
        """One container now."""
        usage = self._runtime.cgroups.usage(container.state.cgroup)
        seen = self._seen.setdefault(container.id, _Seen())
        for gone in self._seen.keys() - self._runtime.containers.keys() - self._runtime.sandboxes.keys():
            del self._seen[gone]
        if time.monotonic() - seen.counted_at >= _RECOUNT_SECONDS:
            seen.counted_at = time.monotonic()
            layer = container.directory / "upper"
            seen.layer_bytes, seen.layer_inodes = await asyncio.to_thread(disk_usage, layer)
        now = self._runtime.now()
        config = container.config
        return cri.ContainerStats(
            attributes=cri.ContainerAttributes(
                id=container.id, metadata=config.metadata, labels=config.labels, annotations=config.annotations
            ),
            cpu=_cpu(seen, usage, now),
            memory=memory_view(usage, now),
            writable_layer=cri.FilesystemUsage(
                timestamp=now,
                fs_id=cri.FilesystemIdentifier(mountpoint=str(self._runtime.config.state_dir)),
                used_bytes=_u64(seen.layer_bytes),
                inodes_used=_u64(seen.layer_inodes),
            ),
            swap=cri.SwapUsage(timestamp=now, swap_usage_bytes=_u64(usage.swap_usage)),
            io=_io(usage, now),
        )

    async def sandbox(self, sandbox: Sandbox) -> cri.PodSandboxStats:
        """One sandbox now: the pod's cgroup if it has one of its own, and its running containers."""
        containers = [c for c in self._runtime.containers_of(sandbox.id) if c.running]
        usage = self._runtime.cgroups.usage(sandbox.state.cgroup_parent)
        now = self._runtime.now()
        config = sandbox.config
        linux = cri.LinuxPodSandboxStats(
            cpu=_cpu(self._seen.setdefault(sandbox.id, _Seen()), usage, now),
            memory=memory_view(usage, now),
            process=cri.ProcessUsage(timestamp=now, process_count=_u64(usage.pids)),
            io=_io(usage, now),
            containers=[await self.container(container) for container in containers],
        )
        if containers and "net" in sandbox.state.namespaces:
            linux.network.CopyFrom(network_view(network_table(containers[0].pid), now))
        attributes = cri.PodSandboxAttributes(
            id=sandbox.id, metadata=config.metadata, labels=config.labels, annotations=config.annotations
        )
        return cri.PodSandboxStats(attributes=attributes, linux=linux)


def _u64(value: int) -> cri.UInt64Value:
    return cri.UInt64Value(value=max(0, value))


def _cpu(seen: _Seen, usage: Usage, now: int) -> cri.CpuUsage:
    elapsed = now - seen.cpu_at
    if seen.cpu_at and elapsed >= _RATE_SECONDS * 1e9:
        seen.nano_cores = int((usage.cpu_nanoseconds - seen.cpu_nanoseconds) * 1e9 / elapsed)
    if not seen.cpu_at or elapsed >= _RATE_SECONDS * 1e9:
        seen.cpu_at, seen.cpu_nanoseconds = now, usage.cpu_nanoseconds
    view = cri.CpuUsage(timestamp=now, usage_core_nano_seconds=_u64(usage.cpu_nanoseconds))
    if seen.nano_cores is not None:
        view.usage_nano_cores.value = max(0, seen.nano_cores)
    if "cpu" in usage.pressure:
        view.psi.CopyFrom(_psi(usage.pressure["cpu"]))
    return view


def _psi(pressure: Pressure) -> cri.PsiStats:
    return cri.PsiStats(Some=_stall(pressure.some), Full=_stall(pressure.full))


def _stall(stall: Stall) -> cri.PsiData:
    return cri.PsiData(Total=stall.total, Avg10=stall.avg10, Avg60=stall.avg60, Avg300=stall.avg300)


def _io(usage: Usage, now: int) -> cri.IoUsage | None:
    return cri.IoUsage(timestamp=now, psi=_psi(usage.pressure["io"])) if "io" in usage.pressure else None


def memory_view(usage: Usage, now: int) -> cri.MemoryUsage:
    """A cgroup's memory. Available is what the limit leaves, and nothing without one."""
    view = cri.MemoryUsage(
        timestamp=now,
        working_set_bytes=_u64(usage.memory_working_set),
        usage_bytes=_u64(usage.memory_usage),
        rss_bytes=_u64(usage.memory_rss),
        page_faults=_u64(usage.page_faults),
        major_page_faults=_u64(usage.major_page_faults),
    )
    if usage.memory_limit:
        view.available_bytes.value = max(0, usage.memory_limit - usage.memory_working_set)
    if "memory" in usage.pressure:
        view.psi.CopyFrom(_psi(usage.pressure["memory"]))
    return view


def disk_usage(directory: Path) -> tuple[int, int]:
    """(bytes on disk, inodes) below a directory; a file with more names counts once. Follows no symlink."""
    total, seen = 0, set()
    for folder, names, files in os.walk(directory):
        for name in (*names, *files):
            try:
                status = os.lstat(os.path.join(folder, name))
            except OSError:
                continue
            if status.st_ino not in seen:
                seen.add(status.st_ino)
                total += status.st_blocks * 512
    return total, len(seen)


def network_table(pid: int) -> str:
    """/proc/PID/net/dev, "" if the process is gone."""
    try:
        with open(f"/proc/{pid}/net/dev", encoding="ascii") as file:
            return file.read()
    except OSError:
        return ""


def network_view(table: str, now: int) -> cri.NetworkUsage:
    """proc(5)'s net/dev as CRI has it: eth0 is the default interface."""
    view = cri.NetworkUsage(timestamp=now)
    for line in table.splitlines():
        name, colon, rest = line.strip().partition(":")
        fields = rest.split()
        if not colon or len(fields) < 11 or name == "lo":
            continue
        usage = cri.NetworkInterfaceUsage(
            name=name,
            rx_bytes=_u64(int(fields[0])),
            rx_errors=_u64(int(fields[2])),
            tx_bytes=_u64(int(fields[8])),
            tx_errors=_u64(int(fields[10])),
        )
        if name == "eth0":
            view.default_interface.CopyFrom(usage)
        else:
            view.interfaces.append(usage)
    return view
