"""What a cgroup may use and has used, whichever version of cgroups the machine has."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Limits:
    """Zero and "" mean not set. Memory and hugepages are bytes; CPU quota and period microseconds, quota -1 no limit.

    cpu_shares is cgroup v1's weight (2 to 262144, 1024 a CPU).
    """

    cpu_shares: int = 0
    cpu_quota: int = 0
    cpu_period: int = 0
    memory_bytes: int = 0
    memory_swap_bytes: int = 0
    pids: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    hugepages: Mapping[str, int] = field(default_factory=dict)
    unified: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeviceRule:
    """A line of the device list: kind "a", "b" or "c"; -1 is any number; access of the letters rwm."""

    allow: bool
    kind: str
    major: int
    minor: int
    access: str


@dataclass(frozen=True, slots=True)
class Stall:
    """A line of a pressure file: the share of time lost, in percent over the last seconds, and microseconds in all."""

    avg10: float = 0.0
    avg60: float = 0.0
    avg300: float = 0.0
    total: int = 0


@dataclass(frozen=True, slots=True)
class Pressure:
    """Time in which some, or all, of a cgroup's tasks waited for a resource (the kernel's accounting/psi.rst)."""

    some: Stall
    full: Stall


@dataclass(frozen=True, slots=True)
class Usage:
    """Use so far. Bytes, but for what says otherwise; memory_limit is 0 if there is none.

    pressure is by resource ("cpu", "memory", "io"); what the kernel does not account is not in it.
    """

    cpu_nanoseconds: int = 0
    memory_usage: int = 0
    memory_working_set: int = 0
    memory_rss: int = 0
    memory_limit: int = 0
    page_faults: int = 0
    major_page_faults: int = 0
    swap_usage: int = 0
    pids: int = 0
    pressure: Mapping[str, Pressure] = field(default_factory=dict)


class CgroupError(Exception):
    """A limit that could not be set, or a cgroup that could not be made or removed. Names the file and the errno."""


class Cgroups(Protocol):
    """One machine's cgroups. A path is as in CRI's cgroup_parent: absolute, below every hierarchy's mount."""

    version: str

    def create(self, path: str, limits: Limits, devices: tuple[DeviceRule, ...] | None = None) -> list[str]:
        """Make a cgroup with its parents and set its limits; returns warnings. devices None allows every device."""

    def update(self, path: str, limits: Limits) -> None:
        """Set those limits that are given. Raises CgroupError."""

    def has(self, path: str, name: str) -> bool:
        """Whether a cgroup has a setting of cgroup v2's, such as `memory.swap.max`; never on v1."""

    def children(self, path: str) -> list[str]:
        """The names of the cgroups right below one; none if it is not there."""

    def procs_files(self, path: str) -> list[str]:
        """The cgroup.procs files that a process writes itself into."""

    def container_mounts(self) -> list[str]:
        """Options of the v1 cgroup mounts that a container sees, each the controllers of one hierarchy; v2 has none."""

    def oom_file(self, path: str) -> str:
        """The file with an `oom_kill N` line."""

    def usage(self, path: str) -> Usage:
        """What it has used. Zeros where the machine does not say."""

    def kill(self, path: str) -> None:
        """SIGKILL everything in it."""

    def remove(self, path: str, *, keep_if_used: bool = False) -> bool:
        """Remove it and what is below it. False if keep_if_used and something still runs in it or below."""
