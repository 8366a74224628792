"""The kernel's limits that clusters run into, how near they are, and the setting that raises each.

Sources: proc_sys_fs(5), proc_sys_kernel(5), inotify(7), keyrings(7), arp(7), the kernel's
Documentation/networking/nf_conntrack-sysctl.
Elsewhere: what an error of a limit says when it happens (sampan/limits.py).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deploy.checks import Check, doubtful, failed, good
from sampan.limits import LIMITS, Limit

NEAR = 0.8
"""Used so far, a limit is worth a warning."""


@dataclass(frozen=True)
class Use:
    """How much of a limit is used; `used` is None where the kernel does not tell."""

    limit: Limit
    most: int
    used: int | None


def judge(use: Use) -> Check:
    """Pure."""
    limit = use.limit
    name = limit.sysctl or limit.name
    if use.used is None:
        if use.most < limit.enough:
            return doubtful(name, f"{use.most}, {limit.enough} are advisable", limit.remedy)
        return good(name, str(use.most))
    text = f"{use.used} of {use.most} used"
    if use.used >= use.most:
        return failed(name, text, limit.remedy)
    if use.used > NEAR * use.most:
        return doubtful(name, text, limit.remedy)
    return good(name, text)


def read() -> list[Use]:
    """Those that this machine has."""
    found = []
    for limit in LIMITS:
        if not limit.sysctl:
            continue
        with suppress(OSError, ValueError):
            most = int((Path("/proc/sys") / limit.path).read_text().split()[0])
            used = COUNTERS[limit.name]() if limit.name in COUNTERS else None
            found.append(Use(limit, most, used))
    return found


def checks() -> list[Check]:
    """Of every limit that the machine has."""
    return [judge(one) for one in read()]


def _descriptors(kinds: Sequence[str]) -> int:
    """How many inotify instances root has: open descriptors, each counted once a process."""
    count = 0
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if process.stat().st_uid != os.geteuid():
                continue
            for one in (process / "fd").iterdir():
                with suppress(OSError):
                    count += os.readlink(one) in kinds
    return count


def _watches() -> int:
    count = 0
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if process.stat().st_uid != os.geteuid():
                continue
            for one in (process / "fd").iterdir():
                with suppress(OSError):
                    if os.readlink(one) == "anon_inode:inotify":
                        text = (process / "fdinfo" / one.name).read_text()
                        count += sum(line.startswith("inotify wd:") for line in text.splitlines())
    return count


def _keys() -> int:
    """The calling user's keys (proc_key_users(5))."""
    for line in Path("/proc/key-users").read_text().splitlines():
        user, _, rest = line.partition(":")
        if int(user) == os.geteuid():
            return int(rest.split()[2].partition("/")[0])
    return 0


def _first(path: str) -> Callable[[], int]:
    return lambda: int(Path(path).read_text().split()[0])


def _neighbours() -> int:
    """Of this network namespace; the table is the whole machine's."""
    return max(0, len(Path("/proc/net/arp").read_text().splitlines()) - 1)


def _tasks() -> int:
    """proc_loadavg(5): the second number of the fourth field."""
    return int(Path("/proc/loadavg").read_text().split()[3].partition("/")[2])


COUNTERS: dict[str, Callable[[], int]] = {
    "open files": _first("/proc/sys/fs/file-nr"),
    "inotify instances": lambda: _descriptors(("anon_inode:inotify",)),
    "inotify watches": _watches,
    "process ids": _tasks,
    "threads": _tasks,
    "tracked connections": _first("/proc/sys/net/netfilter/nf_conntrack_count"),
    "neighbours": _neighbours,
    "keys": _keys,
}
