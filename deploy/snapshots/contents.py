"""What a snapshot of a cluster consists of, and how much room it takes. Certificates are not part of it.

They are made once for a cluster and stay what they are, so kubeconfigs go on working after a restore.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from deploy import removal
from deploy.places import Places
from sampan.errors import ClusterError

ITEMS = ("cluster.yaml", "etcd", "nodes")
"""Names in a cluster's directory: its description, its objects, its nodes' volumes, containers and disks."""
SPARE_BYTES = 256 << 20
"""What a copy has to leave free: the cluster runs on the same disk."""


def present(places: Places) -> list[Path]:
    """The items that the cluster has. Raises ClusterError when somebody has mounted something into them."""
    for name in ITEMS:
        if mounted := removal.mount_points(places.state / name):
            raise ClusterError(
                where=f"cluster {places.name}",
                what=f"something is mounted at {mounted[0]}, which a snapshot would copy or replace",
                remedy=f"umount {mounted[0]}, then try again",
            )
    return [path for name in ITEMS if (path := places.state / name).exists()]


def size(path: Path) -> int:
    """Bytes on disk of a file or tree; a hard link counts once, a hole not at all."""
    seen: set[tuple[int, int]] = set()
    total = 0

    def add(entry: str) -> None:
        nonlocal total
        try:
            found = os.lstat(entry)
        except FileNotFoundError:  # it went while we counted
            return
        if (found.st_dev, found.st_ino) not in seen:
            seen.add((found.st_dev, found.st_ino))
            total += found.st_blocks * 512

    add(str(path))
    for directory, names, files in os.walk(path):
        for name in (*names, *files):
            add(os.path.join(directory, name))
    return total


def check_room(target: Path, needed: int) -> None:
    """Raises ClusterError unless the disk of `target` has that many bytes, and some to spare."""
    free = shutil.disk_usage(target).free
    if needed + SPARE_BYTES > free:
        raise ClusterError(
            where=str(target),
            what=f"{megabytes(needed)} are needed, and {megabytes(SPARE_BYTES)} to spare; {megabytes(free)} are free",
            remedy="make room, for one by: kctl cluster snapshot delete",
        )


def copy(source: Path, target: Path) -> None:
    """Copy a file or tree with all that belongs to it: owners, modes, times, links, attributes, holes, devices.

    Where the file system can share blocks, it does. Raises ClusterError.
    """
    command = ("cp", "--archive", "--reflink=auto", "--no-target-directory", "--", str(source), str(target))
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"cp ended with exit code {done.returncode}"]
        raise ClusterError(where=str(source), what=f"can't be copied: {lines[0]}", remedy="nothing half made is kept")


def megabytes(count: int) -> str:
    """For people."""
    return f"{count / (1 << 20):,.1f} MiB"
