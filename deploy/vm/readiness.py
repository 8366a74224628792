"""Whether this machine can have virtual machines, and what they need from it before they start.

Everything that can be known beforehand is checked before anything is made: packages, memory, disk.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from deploy.places import Places, home
from deploy.spec import NodeSpec
from deploy.vm import acceleration, image, packages
from sampan.errors import ClusterError

KEPT_MEMORY = 256 << 20
"""What this machine keeps for itself and the control plane."""
OVERHEAD = 64 << 20
"""What QEMU needs beside the guest's memory, but for translated code, which is part of it for small guests only."""
DISK_BYTES = 512 << 20
"""What a node writes to its disk before anything runs on it, and some room."""


def prepare(nodes: Sequence[NodeSpec], run: Path, say: Callable[[str], None], progress: image.Progress) -> str:
    """Ready this machine for these nodes. Returns the digest of their image. Raises ClusterError."""
    if lacking := packages.missing():
        raise ClusterError(
            where="virtual machines",
            what=f"{', '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} not installed",
            remedy=f"apt-get install {' '.join(lacking)}",
        )
    check_memory(nodes, memory_available())
    check_disk(nodes, shutil.disk_usage(_existing(home())).free)
    built = image.ensure(progress)
    found = acceleration.find(run, built.kernel)
    say(f"virtual machines run by {found.told}")
    return built.digest


def note(places: Places, digest: str) -> None:
    """Say which image new nodes of a cluster get."""
    (places.state / "vm-image").write_text(digest + "\n")


def check_memory(nodes: Sequence[NodeSpec], available: int) -> None:
    """Raises ClusterError when the nodes would not fit into `available` bytes."""
    wanted = sum(node.machine_memory + OVERHEAD for node in nodes)
    if wanted + KEPT_MEMORY > available:
        raise ClusterError(
            where=f"virtual machine{'s' if len(nodes) > 1 else ''} {', '.join(node.name for node in nodes)}",
            what=f"would take {wanted >> 20} MiB of memory, and {max(0, available - KEPT_MEMORY) >> 20} MiB are free",
            remedy="choose less by --memory, or fewer nodes",
        )


def check_disk(nodes: Sequence[NodeSpec], free: int) -> None:
    """Raises ClusterError when the nodes could not even start. Their disks take room only as they are written."""
    wanted = DISK_BYTES * len(nodes)
    if wanted > free:
        raise ClusterError(
            where=f"disks of {', '.join(node.name for node in nodes)} in {home()}",
            what=f"need {wanted >> 20} MiB to begin with, and {free >> 20} MiB are free",
            remedy="make room, or set SAMPAN_HOME to a directory on another disk",
        )


def memory_available() -> int:
    """Bytes that this machine could give to new processes (proc_meminfo(5), MemAvailable)."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return 0


def _existing(path: Path) -> Path:
    return next(one for one in (path, *path.parents) if one.exists())
