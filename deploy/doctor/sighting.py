"""Looks for everything of ours on this machine: processes, mounts, namespaces, interfaces, rules, cgroups, files.

A cluster whose directory is gone is found by the rest. Homes other than the caller's are known from the environment of
their processes. Raises OSError where the machine can't be read; what vanishes while one looks is passed over.
Elsewhere: what of it is a leftover (leftovers.py).
"""

from __future__ import annotations

import contextlib
import importlib
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from deploy import cgroups, kubeconfig, syscalls
from deploy.doctor.aside import aside
from deploy.doctor.leftovers import Context, Directory, Home, Leftover, Namespace, Owned, Process, Sighted, judge
from deploy.machine.places import MachinePlaces
from deploy.places import DEFAULT_HOME, DEFAULT_RUN, MARK, NAME, Places, home, run_root
from deploy.process_tree import start_time
from sampan.netlink.route import RouteSocket

INTERFACES = ("sampan-",)
"""How the names of a node's interfaces begin (nodeagent/network/config.py)."""
BRIDGE = "nodes"
TABLE = "sampan"


def remains(name: str = "") -> list[Leftover]:
    """What remains of one cluster, or of any. Raises ClusterError for what is no name of a cluster."""
    key = Places.of(name).key if name else ""
    return [one for one in judge(look()) if not name or one.key == key]


def look() -> Sighted:
    """All of it, in some tens of milliseconds."""
    marks = dict(_marks())
    homes = _homes(marks.values())
    owned = list(_owned(homes))
    processes = list(_processes(marks))
    mounts = _mounts()
    signs = _signs(mounts)
    own_namespace = os.stat("/proc/self/ns/net").st_ino
    here = signs.pop(own_namespace, ((), ()))
    members, pinned = _members(), _pinned(mounts)
    return Sighted(
        owned=owned,
        processes=processes,
        mounts=sorted(((point, key) for point, key in _own_mounts(mounts, homes)), reverse=True),
        namespaces=[
            Namespace(inode, tuple(members.get(inode, ())), tuple(pinned.get(inode, ())), (*interfaces, *tables))
            for inode, (interfaces, tables) in signs.items()
            if interfaces or tables
        ],
        interfaces=[one for one in here[0] if one != BRIDGE],
        tables=here[1],
        cgroups=list(_cgroups()),
        directories=list(_directories(homes, owned)),
        contexts=list(_contexts()),
    )


def _numbers() -> Iterator[int]:
    for name in os.listdir("/proc"):
        if name.isdigit():
            yield int(name)


def _marks() -> Iterator[tuple[int, tuple[str, Home]]]:
    """(pid, (cluster, home)) of all that carries a supervisor's mark."""
    wanted = f"{MARK}=".encode()
    for pid in _numbers():
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{pid}/environ").read_bytes()
            if wanted not in text:
                continue
            values = dict(part.partition(b"=")[::2] for part in text.split(b"\0"))
            found = {name: os.fsdecode(values.get(name.encode(), b"")) for name in (MARK, "SAMPAN_HOME", "SAMPAN_RUN")}
            if NAME.fullmatch(found[MARK]):
                where = Home(Path(found["SAMPAN_HOME"] or DEFAULT_HOME), Path(found["SAMPAN_RUN"] or DEFAULT_RUN))
                yield pid, (found[MARK], where)


def _homes(marks: Iterable[tuple[str, Home]]) -> list[Home]:
    """The caller's, the usual one, and those of clusters that run."""
    own = Home(home(), run_root(), usual=True)
    found = {(own.state, own.run): own}
    for one in (Home(DEFAULT_HOME, DEFAULT_RUN), *(where for _, where in marks)):
        found.setdefault((one.state, one.run), one)
    return list(found.values())


def _owned(homes: Iterable[Home]) -> Iterator[Owned]:
    for where in homes:
        for name in _names(where.state / "clusters"):
            places = Places.below(name, where.state, where.run)
            if NAME.fullmatch(name) and places.description.exists():
                yield Owned(places.key, name, where)
        machine = MachinePlaces(where.state / "machine", where.run / "machine")
        if machine.identity.exists() or machine.server.exists():
            yield Owned(machine.cgroup.removeprefix("/sampan/"), "this machine", where, joined=True)


def _names(directory: Path) -> list[str]:
    try:
        return sorted(one.name for one in directory.iterdir() if one.is_dir() and not one.is_symlink())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _processes(marks: dict[int, tuple[str, Home]]) -> Iterator[Process]:
    for pid in sorted(_numbers()):
        with contextlib.suppress(OSError):
            key = _key_of(Path(f"/proc/{pid}/cgroup").read_text())
            if not key and pid in marks:
                name, where = marks[pid]
                key = Places.below(name, where.state, where.run).key
            if key and start_time(pid):  # a zombie is only its parent's to forget
                yield Process(pid, Path(f"/proc/{pid}/comm").read_text(errors="replace").strip(), key)


def _key_of(text: str) -> str:
    """The cluster that a process's cgroups are of (cgroups(7), "/proc/pid/cgroup"); empty for none."""
    for line in text.splitlines():
        _, _, path = line.split(":", 2)
        if path.startswith("/sampan/"):
            return path.split("/")[2]
    return ""


def _cgroups() -> Iterator[tuple[str, tuple[str, ...]]]:
    found: dict[str, list[str]] = defaultdict(list)
    for hierarchy in cgroups.hierarchies():
        for key in _names(hierarchy / "sampan"):
            found[key].append(str(hierarchy / "sampan" / key))
    for key, paths in sorted(found.items()):
        yield key, tuple(paths)


# -- mounts and namespaces -------------------------------------------------------------------------------------------


def _mounts() -> list[tuple[str, str]]:
    """(mount point, what of the file system is mounted) of this mount namespace (proc_pid_mountinfo(5))."""
    found = []
    for line in Path("/proc/self/mountinfo").read_bytes().splitlines():
        words = line.split(b" ")
        found.append((os.fsdecode(words[4].decode("unicode_escape").encode("latin-1")), os.fsdecode(words[3])))
    return found


def _own_mounts(mounts: Iterable[tuple[str, str]], homes: Iterable[Home]) -> Iterator[tuple[str, str]]:
    """(mount point, key) of what is mounted in a cluster's directories."""
    roots = [(os.path.realpath(root), where) for where in homes for root in (where.state / "clusters", where.run)]
    for point, _ in mounts:
        for root, where in roots:
            if point.startswith(root + "/"):
                name = point[len(root) + 1 :].partition("/")[0]
                yield point, Places.below(name, where.state, where.run).key
                break


def _inode(root: str) -> int:
    """Of `net:[4026531840]`; 0 for what is no network namespace."""
    return int(root[5:-1]) if root.startswith("net:[") and root.endswith("]") else 0


def _pinned(mounts: Iterable[tuple[str, str]]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    for point, root in mounts:
        if inode := _inode(root):
            found[inode].append(point)
    return found


def _members() -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for pid in _numbers():
        with contextlib.suppress(OSError):
            found[_inode(os.readlink(f"/proc/{pid}/ns/net"))].append(pid)
    return found


def _signs(mounts: Iterable[tuple[str, str]]) -> dict[int, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Inode of every network namespace -> (interfaces, tables) of ours in it."""
    paths = {inode: f"/proc/{pids[0]}/ns/net" for inode, pids in _members().items() if inode}
    paths |= {inode: points[0] for inode, points in _pinned(mounts).items() if inode not in paths}
    answer = aside(lambda: {str(inode): _signs_in(path) for inode, path in paths.items()})
    return {int(inode): (tuple(one[0]), tuple(one[1])) for inode, one in answer.items() if one is not None}


def _signs_in(path: str) -> tuple[list[str], list[str]] | None:
    """Enter a namespace and look. None when it is gone, or can't be entered."""
    try:
        with open(path, "rb") as namespace:
            syscalls.setns(namespace.fileno(), syscalls.CLONE_NEWNET)
        with RouteSocket() as sock:
            names = [link.name for link in sock.links()]
    except OSError:
        return None
    ours = [name for name in names if name.startswith(INTERFACES) or name == BRIDGE]
    return ours, _tables() if ours or "lo" in names else []


def _tables() -> list[str]:
    try:
        module: Any = importlib.import_module("nodeagent.network.services.nftables")
        rules = module.Nftables()
    except Exception:  # no library, so no rules either
        return []
    try:
        return [f"ip {TABLE}"] if rules.names(TABLE) is not None else []
    except Exception:  # a kernel without nf_tables, or somebody else's table that can't be read
        return []
    finally:
        rules.close()


# -- files -----------------------------------------------------------------------------------------------------------


def _directories(homes: Iterable[Home], owned: Iterable[Owned]) -> Iterator[Directory]:
    """What looks like a cluster's, but for the joined machine's, whose state is elsewhere."""
    for where in homes:
        for root in (where.state / "clusters", where.run):
            for name in _names(root):
                if root == where.run and name == "machine":
                    continue
                yield Directory(str(root / name), name, Places.below(name, where.state, where.run).key, where)


def _contexts() -> Iterator[Context]:
    listed = [Path(part) for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    for path in listed or [kubeconfig.target()]:
        try:
            contexts = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("contexts") or []
        except (OSError, ValueError, AttributeError, yaml.YAMLError):
            continue  # what is no kubeconfig has no context of ours
        for one in contexts:
            name = str(one.get("name", "")) if isinstance(one, dict) else ""
            cluster = name.removeprefix("sampan-")
            if cluster != name and NAME.fullmatch(cluster):
                yield Context(str(path), name, cluster, Places.below(cluster, home(), run_root()).key)
