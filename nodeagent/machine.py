"""What the agent reads of its machine: processors, memory, disk, and which system this is."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

MEBI = 1024 * 1024
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "riscv64": "riscv64", "s390x": "s390x"}


@dataclass(frozen=True, slots=True)
class System:
    """What does not change while the machine runs."""

    machine_id: str
    system_uuid: str
    boot_id: str
    kernel: str
    os_image: str
    architecture: str
    cpus: int
    memory: int
    hostname: str


@dataclass(frozen=True, slots=True)
class Load:
    """What does. Bytes and counts."""

    memory_available: int
    disk_size: int
    disk_free: int
    pids_free: int


def system() -> System:
    """This machine."""
    return System(
        machine_id=_text("/etc/machine-id"),
        system_uuid=_text("/sys/class/dmi/id/product_uuid") or _text("/etc/machine-id"),
        boot_id=_text("/proc/sys/kernel/random/boot_id"),
        kernel=platform.release(),
        os_image=_os_image(),
        architecture=ARCHITECTURES.get(platform.machine(), platform.machine()),
        cpus=len(os.sched_getaffinity(0)),
        memory=_meminfo().get("MemTotal", 0),
        hostname=platform.node(),
    )


def load(state_dir: Path) -> Load:
    """This machine now; the disk is the one that holds the agent's state."""
    disk = os.statvfs(state_dir)
    most = int(_text("/proc/sys/kernel/pid_max") or "32768")
    running = _text("/proc/loadavg").split(" ")
    count = int(running[3].partition("/")[2]) if len(running) > 3 else 0
    return Load(
        memory_available=_meminfo().get("MemAvailable", 0),
        disk_size=disk.f_blocks * disk.f_frsize,
        disk_free=disk.f_bavail * disk.f_frsize,
        pids_free=max(0, most - count),
    )


def _text(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _meminfo() -> dict[str, int]:
    found = {}
    for line in _text("/proc/meminfo").splitlines():
        name, _, rest = line.partition(":")
        amount = rest.split()
        if amount and amount[0].isdigit():
            found[name] = int(amount[0]) * 1024
    return found


def _os_image() -> str:
    for line in _text("/etc/os-release").splitlines():
        name, _, value = line.partition("=")
        if name == "PRETTY_NAME":
            return value.strip('"')
    return "Linux"


def cpu_nanoseconds() -> int:
    """CPU time that the machine has spent since it started (proc_stat(5): all but idle and iowait)."""
    first = _text("/proc/stat").partition("\n")[0].split()[1:]
    numbers = [int(text) for text in first]
    if len(numbers) < 8:
        return 0
    busy = numbers[0] + numbers[1] + numbers[2] + sum(numbers[5:8])
    return busy * 10**9 // os.sysconf("SC_CLK_TCK")
