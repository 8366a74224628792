"""What remains of clusters on this machine, and the command that removes each thing. Pure.

Everything that a cluster makes is of one of these kinds (ledger.py says which outlive its processes, and why). A thing
belongs to a cluster by its *key*, the name of the cluster's cgroup: processes by cgroup or by the mark that the
supervisor gives all that it starts, files by their place. Images, and the node images of virtual machines, are the
machine's and no leftovers.
Elsewhere: looking (sighting.py).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from deploy.places import NAME


class Kind(StrEnum):
    """The kinds of things that can remain."""

    CLUSTER = "cluster"
    NODE = "joined machine"
    PROCESS = "process"
    MOUNT = "mount"
    NAMESPACE = "network namespace"
    INTERFACE = "interface"
    TABLE = "nftables table"
    CGROUP = "cgroup"
    DIRECTORY = "directory"
    CONTEXT = "kubeconfig context"


@dataclass(frozen=True)
class Home:
    """Where clusters lie: $SAMPAN_HOME and $SAMPAN_RUN of whoever started them."""

    state: Path
    run: Path
    usual: bool = False
    """Whether these are the caller's own, so that commands need not say so."""

    @property
    def prefix(self) -> str:
        """What a command begins with so that it means this home."""
        if self.usual:
            return ""
        return f"SAMPAN_HOME={shlex.quote(str(self.state))} SAMPAN_RUN={shlex.quote(str(self.run))} "


@dataclass(frozen=True)
class Owned:
    """A cluster that is described, or a machine that joined one: what it has is no leftover of a dead one."""

    key: str
    name: str
    home: Home
    joined: bool = False


@dataclass(frozen=True)
class Process:
    """A process of a cluster."""

    pid: int
    name: str
    key: str


@dataclass(frozen=True)
class Namespace:
    """A network namespace that has something of ours in it, which `signs` name."""

    inode: int
    processes: tuple[int, ...]
    mounts: tuple[str, ...]
    signs: tuple[str, ...]


@dataclass(frozen=True)
class Directory:
    """A directory of a cluster, in one of the homes."""

    path: str
    name: str
    key: str
    home: Home


@dataclass(frozen=True)
class Context:
    """A context of a kubeconfig that `start` wrote. `key` is that of the caller's cluster of that name."""

    file: str
    name: str
    cluster: str
    key: str


@dataclass(frozen=True)
class Sighted:
    """All of it that is on this machine, whoever it belongs to."""

    owned: Sequence[Owned] = ()
    processes: Sequence[Process] = ()
    mounts: Sequence[tuple[str, str]] = ()
    """(mount point, key)"""
    namespaces: Sequence[Namespace] = ()
    interfaces: Sequence[str] = ()
    """In the machine's own network namespace, as are the tables."""
    tables: Sequence[str] = ()
    cgroups: Sequence[tuple[str, tuple[str, ...]]] = ()
    """(key, directories)"""
    directories: Sequence[Directory] = ()
    contexts: Sequence[Context] = ()


@dataclass(frozen=True)
class Leftover:
    """One thing that remains. `key` is the cluster's, empty where none can be told."""

    kind: Kind
    what: str
    remedy: str
    key: str = ""


def judge(seen: Sighted) -> list[Leftover]:
    """Everything that remains: a line for a cluster that exists, a line for each thing of those that do not."""
    living = {one.key for one in seen.owned}
    there = [_whole(one) for one in seen.owned]
    dead = [one for one in seen.processes if one.key not in living]
    pids = {one.pid for one in dead}
    joined = any(one.joined for one in seen.owned)
    return [
        *there,
        *(Leftover(Kind.PROCESS, f"{one.pid} ({one.name})", f"kill -9 {one.pid}", one.key) for one in dead),
        *(_mount(point, key) for point, key in seen.mounts if key not in living),
        *_namespaces(seen, pids),
        *(() if joined else (Leftover(Kind.INTERFACE, one, f"ip link delete {one}") for one in seen.interfaces)),
        *(() if joined else (Leftover(Kind.TABLE, one, f"nft delete table {one}") for one in seen.tables)),
        *(_cgroup(key, paths) for key, paths in seen.cgroups if key not in living),
        *(_directory(one) for one in seen.directories if one.key not in living),
        *_contexts(seen.contexts, {one.name for one in seen.owned}),
    ]


def _whole(one: Owned) -> Leftover:
    if one.joined:
        return Leftover(Kind.NODE, f"{one.name} in {one.home.state}", f"{one.home.prefix}sampan leave", one.key)
    where = "" if one.home.usual else f" in {one.home.state}"
    return Leftover(Kind.CLUSTER, f"{one.name}{where}", f"{one.home.prefix}kctl cluster delete {one.name}", one.key)


def _mount(point: str, key: str) -> Leftover:
    return Leftover(Kind.MOUNT, point, f"umount {shlex.quote(point)}", key)


def _namespaces(seen: Sighted, dead: set[int]) -> Iterable[Leftover]:
    """Namespaces that dead clusters' processes or a mount hold. Those of strangers' processes are not ours to judge."""
    for one in seen.namespaces:
        held = [pid for pid in one.processes if pid in dead]
        if not held and not one.mounts:
            continue
        key = next((process.key for process in seen.processes if process.pid in held), "")
        commands = [f"umount {shlex.quote(path)}" for path in one.mounts]
        if held:
            commands.append(f"kill -9 {' '.join(map(str, held))}")
        what = f"net:[{one.inode}]{''.join(f' at {path}' for path in one.mounts)} with {', '.join(one.signs)}"
        yield Leftover(Kind.NAMESPACE, what, " && ".join(commands), key)


def _cgroup(key: str, paths: Sequence[str]) -> Leftover:
    below = {path.split("/sys/fs/cgroup/", 1)[-1].partition("/")[2] for path in paths}
    # With v1 each controller has a directory of its own.
    where = f"/sys/fs/cgroup/*/sampan/{key}" if below == {f"sampan/{key}"} else " ".join(map(shlex.quote, paths))
    return Leftover(Kind.CGROUP, f"/sampan/{key}", f"find {where} -depth -type d -delete", key)


def _directory(one: Directory) -> Leftover:
    if NAME.fullmatch(one.name):
        remedy = f"{one.home.prefix}kctl cluster delete {one.name}"
    else:
        remedy = f"rm -r --one-file-system {shlex.quote(one.path)}"
    return Leftover(Kind.DIRECTORY, one.path, remedy, one.key)


def _contexts(contexts: Iterable[Context], living: set[str]) -> Iterable[Leftover]:
    for one in contexts:
        if one.cluster not in living:
            kctl = f"kctl --kubeconfig {shlex.quote(one.file)} config"
            remedy = " && ".join(f"{kctl} delete-{what} {one.name}" for what in ("context", "cluster", "user"))
            yield Leftover(Kind.CONTEXT, f"{one.name} in {one.file}", remedy, one.key)
