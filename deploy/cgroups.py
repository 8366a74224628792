"""The cluster's share of the cgroup hierarchies: how every process it ever made is found and ended.

A process cannot leave its cgroup by forking, so a cluster's tree is the one sure list of its processes: no pid is
remembered that the kernel may have given to somebody else. Works on v1, hybrid and v2 (cgroups(7)).
"""

from __future__ import annotations

import itertools
import os
import signal
import time
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


def hierarchies() -> list[Path]:
    """The mount points of all hierarchies: one on v2, one a controller set on v1, and `unified` too on hybrid."""
    found = []
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        for line in mounts:
            _, target, kind, *_ = line.split(" ")
            if kind in ("cgroup", "cgroup2") and target.startswith(str(ROOT)):
                found.append(Path(target))
    return found


def enter(path: str) -> None:
    """Make `path` in every hierarchy and move the calling process there."""
    for hierarchy in hierarchies():
        place = hierarchy / path.lstrip("/")
        _make(hierarchy, place)
        (place / "cgroup.procs").write_text("0")


def _make(hierarchy: Path, place: Path) -> None:
    place.mkdir(parents=True, exist_ok=True)
    if hierarchy.name != "cpuset":
        return
    # A new cpuset of v1 takes no process until it names its CPUs and memory nodes (cpuset(7)).
    chain = [step for step in reversed((place, *place.parents)) if step.is_relative_to(hierarchy)]
    for parent, child in itertools.pairwise(chain):
        for name in ("cpuset.cpus", "cpuset.mems"):
            if not (child / name).read_text().strip():
                (child / name).write_text((parent / name).read_text())


def processes(path: str) -> set[int]:
    """All pids in the tree below `path`, in any hierarchy."""
    pids: set[int] = set()
    for hierarchy in hierarchies():
        top = hierarchy / path.lstrip("/")
        for directory, _, _ in os.walk(top):
            try:
                text = Path(directory, "cgroup.procs").read_text()
            except OSError:  # the cgroup went while we looked
                continue
            pids.update(int(pid) for pid in text.split())
    pids.discard(0)
    return pids


def kill(path: str, patience: float = 10.0) -> None:
    """End every process below `path` by SIGKILL and wait until it is gone. Raises TimeoutError."""
    deadline = time.monotonic() + patience
    _thaw(path)
    while pids := processes(path) - {os.getpid()}:
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if time.monotonic() > deadline:
            raise TimeoutError(f"processes {sorted(pids)} in cgroup {path} do not end by SIGKILL")
        time.sleep(0.02)


def _thaw(path: str) -> None:
    for hierarchy in hierarchies():
        for directory, _, names in os.walk(hierarchy / path.lstrip("/")):
            if "freezer.state" in names:
                Path(directory, "freezer.state").write_text("THAWED")
            if "cgroup.freeze" in names:
                Path(directory, "cgroup.freeze").write_text("0")


def remove(path: str, patience: float = 5.0) -> None:
    """Remove the tree below `path` from every hierarchy; it holds no process any more. Raises OSError."""
    deadline = time.monotonic() + patience
    for hierarchy in hierarchies():
        for directory, _, _ in os.walk(hierarchy / path.lstrip("/"), topdown=False):
            while True:
                try:
                    os.rmdir(directory)
                    break
                except FileNotFoundError:
                    break
                except OSError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.02)  # a dead process leaves its cgroup only once it was reaped


def remove_if_empty(path: str) -> None:
    """Remove one level that other clusters may share; leave it when it is in use."""
    for hierarchy in hierarchies():
        try:
            os.rmdir(hierarchy / path.lstrip("/"))
        except OSError:
            continue


def exists(path: str) -> bool:
    """Whether any hierarchy has `path`."""
    return any((hierarchy / path.lstrip("/")).is_dir() for hierarchy in hierarchies())
