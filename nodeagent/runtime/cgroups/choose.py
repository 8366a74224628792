"""Which cgroups this machine has: read from what is mounted, never assumed."""

from nodeagent.runtime.cgroups.resources import CgroupError, Cgroups
from nodeagent.runtime.cgroups.v1 import CgroupsV1
from nodeagent.runtime.cgroups.v2 import CgroupsV2

_V1_CONTROLLERS = frozenset(("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "hugetlb"))


def mounted(mountinfo: str) -> tuple[dict[str, str], str]:
    """The mount point of every v1 controller, and of cgroup2 ("" if none), from /proc/self/mountinfo (proc(5))."""
    v1: dict[str, str] = {}
    v2 = ""
    for line in mountinfo.splitlines():
        fields, _, rest = line.partition(" - ")
        kinds = rest.split(" ", 2)
        point = fields.split(" ")[4] if len(fields.split(" ")) > 4 else ""
        if not point or len(kinds) < 3:
            continue
        if kinds[0] == "cgroup2" and not v2:
            v2 = point
        elif kinds[0] == "cgroup":
            for option in kinds[2].split(","):
                if option in _V1_CONTROLLERS:
                    v1.setdefault(option, point)
    return v1, v2


def cgroups() -> Cgroups:
    """This machine's. v1 where the memory controller is there (hybrid too), else v2. Raises CgroupError for neither."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        v1, v2 = mounted(file.read())
    if "memory" in v1:
        return CgroupsV1(v1)
    if v2:
        return CgroupsV2(v2)
    raise CgroupError("cgroups: neither version is mounted; mount cgroup2 on /sys/fs/cgroup")
