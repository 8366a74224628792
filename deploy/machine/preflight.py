"""`sampan preflight`: whether this machine can be a node, as a table of checks with what to do about each failure.

What the kernel can do is tried, in a child process whose namespaces go with it, rather than guessed from versions.
Judgements are pure functions over what was read (judge_*); nothing on the machine is changed.
Elsewhere: the attempts (attempts.py).
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import shutil
import socket
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from deploy import cgroups
from deploy.checks import Check, State, failed, good, passed, table
from deploy.machine import attempts, trust
from deploy.machine.connection import Connection
from deploy.machine.join import SET_CLOCK, clock_trouble
from deploy.machine.places import MachinePlaces
from deploy.machine.request import NODE_NAME
from sampan.errors import ClusterError

MEBI = 1 << 20
LEAST_MEMORY, GOOD_MEMORY = 256 * MEBI, 512 * MEBI
LEAST_DISK, GOOD_DISK = 512 * MEBI, 4096 * MEBI
PORTS = (("tcp", 10250, "the kubelet API"), ("udp", 8472, "VXLAN"))
CAPABILITIES = {
    "CAP_KILL": 5, "CAP_NET_BIND_SERVICE": 10, "CAP_NET_ADMIN": 12, "CAP_SYS_CHROOT": 18, "CAP_SYS_ADMIN": 21,
    "CAP_MKNOD": 27,
}  # fmt: skip
"""linux/capability.h"""
V1_CONTROLLERS = ("cpu", "cpuacct", "memory", "pids", "devices", "freezer")
V2_CONTROLLERS = ("cpu", "memory", "pids")
MODULES = (
    "aiohttp",
    "cryptography",
    "grpc",
    "google",
    "orjson",
    "prometheus_client",
    "pydantic",
    "uvloop",
    "yaml",
)
REMEDIES = {
    "namespaces": "use a kernel with CONFIG_NAMESPACES, and let this process unshare them (not inside a container)",
    "overlayfs": "modprobe overlay, or put SAMPAN_HOME on a filesystem that overlays can use, such as ext4",
    "bridge": "modprobe bridge",
    "veth": "modprobe veth",
    "vxlan": "modprobe vxlan, or use the cluster's direct network mode",
    "nftables": "apt-get install libnftables1, and modprobe nf_tables nft_chain_nat",
}


def judge_root(user: int, capabilities: int) -> Check:
    """Pure; `capabilities` is CapEff of proc_pid_status(5)."""
    if user != 0:
        return failed("root", f"running as user {user}", "run it as root: sudo sampan ...")
    missing = [name for name, bit in CAPABILITIES.items() if not capabilities >> bit & 1]
    if missing:
        return failed("root", f"without {', '.join(missing)}", "run it outside of a container, with all capabilities")
    return good("root", "with the capabilities needed")


def judge_cgroups(v1: Iterable[str], v2: Iterable[str] | None) -> Check:
    """Pure. `v1` are the controllers that have a hierarchy, `v2` those of the unified one, None without it."""
    old, new = set(v1), None if v2 is None else set(v2)
    if "memory" in old:
        missing = [one for one in V1_CONTROLLERS if one not in old]
        kind = "v1" if new is None else "hybrid (v1 is used)"
        if missing:
            return failed("cgroups", f"{kind} without {', '.join(missing)}", "mount the missing v1 controllers")
        return good("cgroups", kind)
    if new is None:
        return failed("cgroups", "none are mounted", "mount -t cgroup2 cgroup2 /sys/fs/cgroup")
    missing = [one for one in V2_CONTROLLERS if one not in new]
    if missing:
        return failed(
            "cgroups",
            f"v2 without {', '.join(missing)}",
            "boot with cgroup_enable=memory, or let the service manager delegate the controllers",
        )
    return good("cgroups", "v2")


def judge_amount(name: str, amount: int, least: int, fine: int, remedy: str) -> Check:
    """Pure; bytes."""
    text = f"{amount // MEBI} MiB"
    if amount < least:
        return failed(name, f"{text}, at least {least // MEBI} MiB are needed", remedy)
    if amount < fine:
        return Check(name, State.WARNING, f"{text}, {fine // MEBI} MiB are advisable", remedy)
    return good(name, text)


def judge_hostname(name: str) -> Check:
    """Pure."""
    if NODE_NAME.fullmatch(name.lower()):
        return good("hostname", name)
    return Check(
        "hostname", State.WARNING, f"{name!r} is no DNS name", "give --node-name, or: hostnamectl set-hostname"
    )


def judge_kernel(name: str, trouble: str | None) -> Check:
    """Pure; `trouble` is "" when the attempt went well, None when it could not be made."""
    if trouble:
        return failed(name, trouble, REMEDIES[name])
    if trouble is None:
        return Check(name, State.WARNING, "could not be tried", REMEDIES[name])
    return good(name, "tried")


def judge_remains(found: Sequence[str]) -> Check:
    """Pure; `found` is what an earlier node left."""
    if found:
        return failed("old state", f"left: {', '.join(found)}", "run: sampan leave --force")
    return good("old state", "none")


def _capabilities() -> int:
    found = re.search(r"^CapEff:\s*([0-9a-f]+)", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found[1], 16) if found else 0


def _cgroups() -> Check:
    old: set[str] = set()
    new: set[str] | None = None
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        for line in mounts:
            _, target, kind, options, *_ = line.split(" ")
            if kind == "cgroup":
                old.update(options.split(","))
            elif kind == "cgroup2" and new is None:
                new = set(Path(target, "cgroup.controllers").read_text().split())
    return judge_cgroups(old & {*V1_CONTROLLERS, "cpuset", "blkio", "hugetlb"}, new)


def _port(kind: str, port: int, purpose: str) -> Check:
    name = f"port {port}/{kind}"
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1 if kind == "tcp" else 0)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError as error:
            return failed(
                name, f"is taken ({error.strerror}); {purpose} needs it", f"find who has it: ss -lnp | grep {port}"
            )
    return good(name, f"free for {purpose}")


def _modules() -> Check:
    missing = [name for name in MODULES if importlib.util.find_spec(name) is None]
    if missing:
        return failed("packages", f"Python does not find {', '.join(missing)}", "pip install sampan")
    return good("packages", "complete")


def _existing(directory: Path) -> Path:
    """It, or what it will be made in."""
    return next(one for one in (directory, *directory.parents) if one.exists())


def _disk(directory: Path) -> Check:
    there = _existing(directory)
    free = shutil.disk_usage(there).free
    return judge_amount("disk", free, LEAST_DISK, GOOD_DISK, f"make room below {there}, or set SAMPAN_HOME")


def _memory() -> Check:
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return judge_amount("memory", total, LEAST_MEMORY, GOOD_MEMORY, "give the machine more memory")


def _writable_sysctls() -> Check:
    if os.access("/proc/sys/net/ipv4/ip_forward", os.W_OK) and not os.statvfs("/proc/sys").f_flag & os.ST_RDONLY:
        return good("sysctl", "/proc/sys can be written")
    return failed("sysctl", "/proc/sys is read-only", "run it outside of a container")


def _clock(server: str, ca_hash: str) -> Check:
    address = trust.address_of(server)
    try:
        theirs = Connection(address, trust.pinned_ca(address, trust.checked_hash(ca_hash))).time()
    except ClusterError as error:
        return failed("server", f"{error.where}: {error.what}", error.remedy)
    trouble = clock_trouble(datetime.now(UTC), theirs)
    return failed("clock", trouble, SET_CLOCK) if trouble else good("clock", f"agrees with {address.url}'s")


def _remains(places: MachinePlaces) -> Check:
    found = [str(one) for one in (places.node_state,) if one.exists()]
    if cgroups.exists(places.cgroup):
        found.append(f"cgroup {places.cgroup}")
    found += [f"interface {name}" for name in attempts.DEVICES if Path("/sys/class/net", name).exists()]
    return judge_remains(found)


def machine_checks(directory: Path) -> list[Check]:
    """What any node needs of the kernel and the machine, whose files will lie in a directory that need not be there."""
    root = judge_root(os.geteuid(), _capabilities())
    tried: Mapping[str, str] = attempts.attempt_all(_existing(directory)) if root.state is State.OK else {}
    return [
        root,
        *(judge_kernel(name, tried.get(name)) for name in attempts.ATTEMPTS),
        _cgroups(),
        _writable_sysctls(),
        _modules(),
        _memory(),
        _disk(directory),
    ]


def checks(places: MachinePlaces) -> list[Check]:
    """All of them. Takes about a tenth of a second."""
    return [
        *machine_checks(places.state),
        *(_port(*one) for one in PORTS),
        judge_hostname(socket.gethostname()),
        _remains(places),
    ]


def main(argv: Sequence[str]) -> int:
    """`sampan preflight`: 0 when the machine is fit."""
    parser = argparse.ArgumentParser(prog="sampan preflight", description="Check whether this machine can be a node.")
    parser.add_argument("server", nargs="?", metavar="https://HOST:PORT", help="compare the clock with this server's")
    parser.add_argument("--ca-hash", default="", help="the fingerprint of the server's CA: sha256:HEX")
    parser.add_argument("--ignore", default="", metavar="NAMES", help="failed checks to pass over; all for every one")
    options = parser.parse_args(argv)
    found = checks(MachinePlaces.here())
    if options.server:
        found.append(_clock(options.server, options.ca_hash))
    print(table(found))
    return 0 if passed(found, options.ignore.split(",")) else 1
