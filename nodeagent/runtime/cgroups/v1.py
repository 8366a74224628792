"""cgroup v1: a hierarchy for each controller (or few), each with a directory of the same path. Hybrid is this too.

Source: the kernel's Documentation/admin-guide/cgroup-v1.
"""

import os
from collections.abc import Mapping

from nodeagent.runtime.cgroups import files
from nodeagent.runtime.cgroups.resources import CgroupError, DeviceRule, Limits, Usage

_CONTROLLERS = ("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "hugetlb")
_NO_LIMIT = 1 << 62


class CgroupsV1:
    """mounts: controller name to mount point."""

    def __init__(self, mounts: Mapping[str, str]) -> None:
        self.version = "v1"
        self._mounts = {name: mounts[name] for name in _CONTROLLERS if name in mounts}
        self._roots = tuple(dict.fromkeys(self._mounts.values()))

    def create(self, path: str, limits: Limits, devices: tuple[DeviceRule, ...] | None = None) -> list[str]:
        for mount in self._roots:
            directory = files.below(mount, path)
            made = files.make(directory)
            if mount == self._mounts.get("cpuset"):
                for folder in made:
                    self._inherit_cpuset(folder)
        self.update(path, limits)
        if devices is not None and "devices" in self._mounts:
            directory = files.below(self._mounts["devices"], path)
            files.write(directory, "devices.deny", "a")
            for rule in devices:
                files.write(directory, "devices.allow" if rule.allow else "devices.deny", _line(rule))
        return self._warnings(limits)

    def _warnings(self, limits: Limits) -> list[str]:
        missing = []
        if limits.unified:
            missing.append(f"cgroup v2 settings ({', '.join(sorted(limits.unified))}) have no meaning on cgroup v1")
        if any(limits.hugepages.values()) and "hugetlb" not in self._mounts:
            missing.append("hugepage limits are not enforced: this machine has no hugetlb controller on cgroup v1")
        return missing

    @staticmethod
    def _inherit_cpuset(directory: str) -> None:
        """A new cpuset is empty, and nothing can enter it like that."""
        for name in ("cpuset.cpus", "cpuset.mems"):
            if not files.read(directory, name).strip():
                files.write(directory, name, files.read(os.path.dirname(directory), name).strip())

    def update(self, path: str, limits: Limits) -> None:
        if "cpu" in self._mounts:
            directory = files.below(self._mounts["cpu"], path)
            if limits.cpu_shares:
                files.write(directory, "cpu.shares", str(max(2, limits.cpu_shares)))
            if limits.cpu_period:
                files.write(directory, "cpu.cfs_period_us", str(limits.cpu_period))
            if limits.cpu_quota:
                files.write(directory, "cpu.cfs_quota_us", str(max(-1, limits.cpu_quota)))
        if limits.memory_bytes and "memory" in self._mounts:
            self._set_memory(files.below(self._mounts["memory"], path), limits)
        if limits.pids and "pids" in self._mounts:
            files.write(files.below(self._mounts["pids"], path), "pids.max", _pids(limits.pids))
        if "cpuset" in self._mounts:
            directory = files.below(self._mounts["cpuset"], path)
            if limits.cpuset_cpus:
                files.write(directory, "cpuset.cpus", limits.cpuset_cpus)
            if limits.cpuset_mems:
                files.write(directory, "cpuset.mems", limits.cpuset_mems)
        if "hugetlb" in self._mounts:
            directory = files.below(self._mounts["hugetlb"], path)
            for size, most in limits.hugepages.items():
                if most or os.path.exists(f"{directory}/hugetlb.{size}.limit_in_bytes"):
                    files.write(directory, f"hugetlb.{size}.limit_in_bytes", str(most))

    @staticmethod
    def _set_memory(directory: str, limits: Limits) -> None:
        """Memory may never exceed memory and swap together, so which is written first depends on the way it goes."""
        swap = limits.memory_swap_bytes or limits.memory_bytes  # no swap unless asked for, as for Kubernetes' pods
        accounts_swap = os.path.exists(f"{directory}/memory.memsw.limit_in_bytes")
        plain = ("memory.limit_in_bytes", str(limits.memory_bytes))
        total = ("memory.memsw.limit_in_bytes", str(max(swap, limits.memory_bytes)))
        grows = limits.memory_bytes > files.number(directory, "memory.memsw.limit_in_bytes") if accounts_swap else False
        order = [plain] if not accounts_swap else [total, plain] if grows else [plain, total]
        try:
            for name, value in order:
                files.write(directory, name, value)
        except CgroupError as error:
            used = files.number(directory, "memory.usage_in_bytes")
            raise CgroupError(f"{error} ({used} bytes are in use)") from error

    def has(self, path: str, name: str) -> bool:
        return False

    def children(self, path: str) -> list[str]:
        return sorted({name for mount in self._roots for name in files.children(files.below(mount, path))})

    def procs_files(self, path: str) -> list[str]:
        return [f"{files.below(mount, path)}/cgroup.procs" for mount in self._roots]

    def container_mounts(self) -> list[str]:
        together: dict[str, list[str]] = {}
        for name, mount in self._mounts.items():
            together.setdefault(mount, []).append(name)
        return [",".join(names) for names in together.values()]

    def oom_file(self, path: str) -> str:
        return f"{files.below(self._mounts['memory'], path)}/memory.oom_control" if "memory" in self._mounts else ""

    def usage(self, path: str) -> Usage:
        memory = files.below(self._mounts.get("memory", "/nowhere"), path)
        stat = files.table(memory, "memory.stat")
        used = files.number(memory, "memory.usage_in_bytes")
        both = files.number(memory, "memory.memsw.usage_in_bytes")
        limit = files.number(memory, "memory.limit_in_bytes")
        return Usage(
            cpu_nanoseconds=files.number(files.below(self._mounts.get("cpuacct", "/nowhere"), path), "cpuacct.usage"),
            memory_usage=used,
            memory_working_set=max(0, used - stat.get("total_inactive_file", 0)),
            memory_rss=stat.get("total_rss", 0),
            memory_limit=limit if limit < _NO_LIMIT else 0,
            page_faults=stat.get("total_pgfault", 0),
            major_page_faults=stat.get("total_pgmajfault", 0),
            swap_usage=stat.get("total_swap", max(0, both - used)),
            pids=files.number(files.below(self._mounts.get("pids", "/nowhere"), path), "pids.current"),
        )

    def kill(self, path: str) -> None:
        freezer = self._mounts.get("freezer")
        directory = files.below(freezer or self._roots[0], path)
        if not os.path.isdir(directory):
            return
        if freezer:  # what can't run can't fork away from its own killing
            files.write(directory, "freezer.state", "FROZEN")
        try:
            files.kill_all(directory, rounds=1 if freezer else 20)
        finally:
            if freezer:
                files.write(directory, "freezer.state", "THAWED")

    def remove(self, path: str, *, keep_if_used: bool = False) -> bool:
        directories = [files.below(mount, path) for mount in self._roots]
        if keep_if_used and any(files.pids(folder) for top in directories for folder in files.tree(top)):
            return False
        removed = [files.remove_tree(directory) for directory in directories]  # all, even after one that fails
        return all(removed)


def _pids(most: int) -> str:
    return str(most) if most > 0 else "max"


def _line(rule: DeviceRule) -> str:
    major = "*" if rule.major < 0 else str(rule.major)
    minor = "*" if rule.minor < 0 else str(rule.minor)
    return "a" if rule.kind == "a" else f"{rule.kind} {major}:{minor} {rule.access}"
