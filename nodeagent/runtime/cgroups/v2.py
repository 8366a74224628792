"""cgroup v2: one hierarchy, controllers enabled downwards. Source: Documentation/admin-guide/cgroup-v2.rst."""

import math
import os

from nodeagent.runtime.cgroups import devices as device_program
from nodeagent.runtime.cgroups import files
from nodeagent.runtime.cgroups.resources import CgroupError, DeviceRule, Limits, Usage

_WANTED = ("cpu", "cpuset", "memory", "pids", "hugetlb", "io")
_SAFE_UNIFIED = ("memory.", "cpu.", "cpuset.", "io.", "pids.", "hugetlb.", "misc.", "rdma.")


def weight_of(shares: int) -> int:
    """v2's cpu.weight (1 to 10000) for v1's cpu.shares (2 to 262144): a CPU's 1024 shares are the default weight 100.

    Source: KEP-2254's curve through (2, 1), (1024, 100) and (262144, 10000), which runc has since 1.3.2.
    """
    doublings = math.log2(min(max(shares, 2), 262144))
    return math.ceil(10 ** ((doublings**2 + 125 * doublings) / 612 - 7 / 34))


class CgroupsV2:
    """mount: where cgroup2 is."""

    def __init__(self, mount: str) -> None:
        self.version = "v2"
        self._mount = mount

    def create(self, path: str, limits: Limits, devices: tuple[DeviceRule, ...] | None = None) -> list[str]:
        directory = files.below(self._mount, path)
        self._enable_down_to(os.path.dirname(directory))
        files.make(directory)
        self.update(path, limits)
        if devices is not None:
            try:
                device_program.attach(directory, device_program.assemble(devices))
            except OSError as error:
                return [f"devices are not restricted: the kernel refuses the device program ({error})"]
        return []

    def _enable_down_to(self, parent: str) -> None:
        """Make the parents, and let each give its children the controllers it has."""
        files.make(parent)
        current = self._mount
        for part in ["", *os.path.relpath(parent, self._mount).split("/")]:
            current = f"{current}/{part}" if part else current
            offered = set(files.read(current, "cgroup.controllers").split())
            given = set(files.read(current, "cgroup.subtree_control").split())
            for controller in _WANTED:
                if controller in offered - given:
                    try:
                        files.write(current, "cgroup.subtree_control", f"+{controller}")
                    except CgroupError:  # processes sit here, or a parent keeps it: a limit that needs it will say so
                        continue

    def update(self, path: str, limits: Limits) -> None:
        directory = files.below(self._mount, path)
        if limits.cpu_shares:
            self._set(directory, "cpu.weight", str(weight_of(limits.cpu_shares)))
        if limits.cpu_quota or limits.cpu_period:
            quota = str(limits.cpu_quota) if limits.cpu_quota > 0 else "max"
            self._set(directory, "cpu.max", f"{quota} {limits.cpu_period or 100_000}")
        if limits.memory_bytes:
            self._set(directory, "memory.max", str(limits.memory_bytes) if limits.memory_bytes > 0 else "max")
            swap = max(0, (limits.memory_swap_bytes or limits.memory_bytes) - limits.memory_bytes)
            if os.path.exists(f"{directory}/memory.swap.max"):
                self._set(directory, "memory.swap.max", str(swap))
        if limits.pids:
            self._set(directory, "pids.max", str(limits.pids) if limits.pids > 0 else "max")
        if limits.cpuset_cpus:
            self._set(directory, "cpuset.cpus", limits.cpuset_cpus)
        if limits.cpuset_mems:
            self._set(directory, "cpuset.mems", limits.cpuset_mems)
        for size, most in limits.hugepages.items():
            if most or os.path.exists(f"{directory}/hugetlb.{size}.max"):
                self._set(directory, f"hugetlb.{size}.max", str(most))
        for name, value in limits.unified.items():
            if "/" in name or not name.startswith(_SAFE_UNIFIED):
                raise CgroupError(f"cgroup {path}: {name!r} is not the name of a resource setting")
            self._set(directory, name, value)

    @staticmethod
    def _set(directory: str, name: str, value: str) -> None:
        if not os.path.exists(f"{directory}/{name}"):
            controller = name.partition(".")[0]
            raise CgroupError(
                f"cgroup {directory}: {name} can't be set, the {controller} controller is not enabled here; see "
                f"cgroup.subtree_control of its parents"
            )
        files.write(directory, name, value)

    def has(self, path: str, name: str) -> bool:
        return os.path.exists(f"{files.below(self._mount, path)}/{name}")

    def children(self, path: str) -> list[str]:
        return files.children(files.below(self._mount, path))

    def procs_files(self, path: str) -> list[str]:
        return [f"{files.below(self._mount, path)}/cgroup.procs"]

    def container_mounts(self) -> list[str]:
        return []

    def oom_file(self, path: str) -> str:
        return f"{files.below(self._mount, path)}/memory.events"

    def usage(self, path: str) -> Usage:
        directory = files.below(self._mount, path)
        stat = files.table(directory, "memory.stat")
        used = files.number(directory, "memory.current")
        return Usage(
            cpu_nanoseconds=files.table(directory, "cpu.stat").get("usage_usec", 0) * 1000,
            memory_usage=used,
            memory_working_set=max(0, used - stat.get("inactive_file", 0)),
            memory_rss=stat.get("anon", 0),
            memory_limit=files.number(directory, "memory.max"),
            page_faults=stat.get("pgfault", 0),
            major_page_faults=stat.get("pgmajfault", 0),
            swap_usage=files.number(directory, "memory.swap.current"),
            pids=files.number(directory, "pids.current"),
            pressure={
                resource: found
                for resource in ("cpu", "memory", "io")
                if (found := files.pressure(directory, f"{resource}.pressure")) is not None
            },
        )

    def kill(self, path: str) -> None:
        directory = files.below(self._mount, path)
        if os.path.exists(f"{directory}/cgroup.kill"):
            files.write(directory, "cgroup.kill", "1")
        elif os.path.isdir(directory):
            files.kill_all(directory)

    def remove(self, path: str, *, keep_if_used: bool = False) -> bool:
        directory = files.below(self._mount, path)
        if keep_if_used and files.table(directory, "cgroup.events").get("populated"):
            return False
        return files.remove_tree(directory)
