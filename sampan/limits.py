"""The machine's limits that a component can run into, and an error that names the setting to raise. Pure.

A limit shows as an errno that says little: "No space left on device" may be inotify watches, and "Resource
temporarily unavailable" process ids. `named` turns such an error, and what was being done, into a sentence with the
setting and a value. Sources: inotify(7), fork(2), open(2), clone(2), add_key(2), proc_sys_fs(5), arp(7).
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from enum import StrEnum


class Doing(StrEnum):
    """What was being done when the kernel refused."""

    OPEN = "open a file or socket"
    WATCH_START = "make an inotify instance"
    WATCH_ADD = "watch a file with inotify"
    FORK = "start a process"
    KEY = "add a key"
    NEIGHBOUR = "add a neighbour"
    NAMESPACE = "make a namespace"


@dataclass(frozen=True)
class Limit:
    """One limit. `sysctl` is its name for sysctl(8), empty for one of a process; `enough` is a value to set."""

    name: str
    sysctl: str
    enough: int
    command: str = ""

    @property
    def path(self) -> str:
        """Below /proc/sys."""
        return self.sysctl.replace(".", "/")

    @property
    def remedy(self) -> str:
        """What raises it."""
        return self.command or f"sysctl -w {self.sysctl}={self.enough}"


OPEN_FILES = Limit("open files", "fs.file-max", 1_000_000)
PROCESS_FILES = Limit(
    "open files of a process", "", 65536, "ulimit -n 65536, or LimitNOFILE=65536 in the service's unit"
)
INSTANCES = Limit("inotify instances", "fs.inotify.max_user_instances", 1024)
WATCHES = Limit("inotify watches", "fs.inotify.max_user_watches", 524_288)
PROCESS_IDS = Limit("process ids", "kernel.pid_max", 4_194_304)
THREADS = Limit("threads", "kernel.threads-max", 1_000_000)
CGROUP_PROCESSES = Limit("processes of a cgroup", "", 65536, "a higher pids.max, or TasksMax= in the service's unit")
CONNECTIONS = Limit("tracked connections", "net.netfilter.nf_conntrack_max", 262_144)
NEIGHBOURS = Limit("neighbours", "net.ipv4.neigh.default.gc_thresh3", 8192)
KEYS = Limit("keys", "kernel.keys.root_maxkeys", 1_000_000)
KEY_BYTES = Limit("bytes of keys", "kernel.keys.root_maxbytes", 25_000_000)
NETWORKS = Limit("network namespaces", "user.max_net_namespaces", 10_000)
MOUNT_NAMESPACES = Limit("mount namespaces", "user.max_mnt_namespaces", 10_000)
LIMITS = (
    OPEN_FILES,
    PROCESS_FILES,
    INSTANCES,
    WATCHES,
    PROCESS_IDS,
    THREADS,
    CGROUP_PROCESSES,
    CONNECTIONS,
    NEIGHBOURS,
    KEYS,
    KEY_BYTES,
    NETWORKS,
    MOUNT_NAMESPACES,
)

_BEHIND: dict[tuple[int, Doing | None], tuple[Limit, ...]] = {
    (errno.EMFILE, None): (PROCESS_FILES,),
    (errno.ENFILE, None): (OPEN_FILES,),
    (errno.EMFILE, Doing.WATCH_START): (INSTANCES, PROCESS_FILES),
    (errno.ENOSPC, Doing.WATCH_ADD): (WATCHES,),
    (errno.EAGAIN, Doing.FORK): (PROCESS_IDS, THREADS, CGROUP_PROCESSES),
    (errno.ENOMEM, Doing.NEIGHBOUR): (NEIGHBOURS,),
    (errno.ENOBUFS, Doing.NEIGHBOUR): (NEIGHBOURS,),
    (errno.EDQUOT, Doing.KEY): (KEYS, KEY_BYTES),
    (errno.ENOSPC, Doing.KEY): (KEYS, KEY_BYTES),
    (errno.ENOSPC, Doing.NAMESPACE): (NETWORKS, MOUNT_NAMESPACES),
    (errno.EUSERS, Doing.NAMESPACE): (NETWORKS, MOUNT_NAMESPACES),
}


def behind(code: int, doing: Doing | None = None) -> tuple[Limit, ...]:
    """The limits that an errno may come from; none for another error."""
    return _BEHIND.get((code, doing)) or _BEHIND.get((code, None), ())


def told(text: str, code: int, doing: Doing | None = None) -> str:
    """What an error says, with the limit that may be behind it and the value to set; without one it stays as it is."""
    found = behind(code, doing)
    if not found:
        return text
    how = ", or ".join(f"{one.name} ({one.remedy})" for one in found)
    return f"{text}; a limit of this machine is reached: {how}"


def named(error: OSError, doing: Doing | None = None) -> OSError:
    """The same error, whose text names the limit."""
    code = error.errno or 0
    return OSError(code, told(error.strerror or str(error), code, doing)) if behind(code, doing) else error
