"""Directories of this machine that a node sees (`--mount HOST:GUEST[:ro]`).

A machine gets them by virtio-fs. A node of namespaces gets a bind mount in its own mount namespace, so nothing of it is
seen outside and it goes with the node; only the directory it is mounted on is the machine's, and one that had to be
made is noted in the ledger and removed again when it is empty. What is in the user's directory is never touched.
"""

from __future__ import annotations

import os
from pathlib import Path

from deploy import ledger, syscalls
from deploy.ledger import Entry, Made
from deploy.places import Places, home
from deploy.spec import Cluster, Mount, NodeSpec
from sampan.errors import ClusterError

WHOLE = ("/", "/boot", "/dev", "/etc", "/home", "/lib", "/proc", "/root", "/run", "/sys", "/tmp", "/usr", "/var")
"""Hiding one of these would take the node's own files away."""
INSIDE = ("/bin", "/boot", "/dev", "/lib", "/lib32", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr")
"""Nothing below these may be hidden, either."""


def check_all(cluster: Cluster | None, places: Places) -> None:
    """`check` every node of a cluster."""
    for node in cluster.spec.nodes if cluster is not None else ():
        check(node.name, node.mounts, places)


def check(node: str, mounts: list[Mount], places: Places) -> None:
    """Raises ClusterError for a mount that could not work, or would hide what the node needs."""
    own = (str(home()), str(places.state), str(places.run))
    for index, one in enumerate(mounts):
        where = f"node {node}, mount {one.host}:{one.guest}"
        if not os.path.isdir(one.host):
            there = os.path.exists(one.host)
            what = f"{one.host} is not a directory" if there else f"there is no {one.host} on this machine"
            raise ClusterError(where=where, what=what, remedy="" if there else f"mkdir -p {one.host}")
        if inside := [path for path in own[1:] if _within(os.path.realpath(one.host), path)]:
            raise ClusterError(where=where, what=f"what lies in {inside[0]} goes with the cluster when it is deleted")
        guest = os.path.normpath(one.guest)
        if hidden := [*_hidden(guest, own), *_hidden(os.path.realpath(guest), own)]:
            raise ClusterError(
                where=where,
                what=f"it would hide {hidden[0]}, which the node needs",
                remedy="mount it elsewhere, such as /mnt/NAME",
            )
        for other in mounts[:index]:
            if _within(guest, os.path.normpath(other.guest)) or _within(os.path.normpath(other.guest), guest):
                raise ClusterError(where=where, what=f"it overlaps the mount at {other.guest}")


def _hidden(guest: str, own: tuple[str, ...]) -> list[str]:
    """What of the node's a mount at `guest` would take out of its sight."""
    hidden = [path for path in WHOLE if _within(path, guest)]
    hidden += [path for path in INSIDE if _within(guest, path)]
    return hidden + [path for path in own if _within(guest, path) or _within(path, guest)]


def _within(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def make_targets(node: NodeSpec, places: Places) -> None:
    """In the supervisor: make the directories to mount on, noted first so that delete finds them after any crash."""
    for one in node.mounts:
        target = Path(os.path.normpath(one.guest))
        missing = [path for path in (target, *target.parents) if not path.exists()]
        for path in reversed(missing):
            ledger.note(places.ledger, Entry(Made.MOUNT_POINT, str(path)))
            path.mkdir(exist_ok=True)


def bind(node: NodeSpec) -> None:
    """In the node's mount namespace: mount them. Raises OSError."""
    for one in node.mounts:
        syscalls.mount(one.host, one.guest, "", syscalls.MS_BIND | syscalls.MS_REC)
        if one.read_only:
            flags = syscalls.MS_BIND | syscalls.MS_REMOUNT | syscalls.MS_RDONLY
            syscalls.mount("none", one.guest, "", flags)


def remove_targets(places: Places) -> None:
    """At delete: remove the directories that were made, unless they are used or something lies in them."""
    made = [Path(entry.what) for entry in ledger.read(places.ledger) if entry.kind is Made.MOUNT_POINT]
    used = _mounted_anywhere() if made else set()
    for path in sorted(made, key=lambda one: len(one.parts), reverse=True):
        if not any(_within(one, str(path)) for one in used):
            try:
                path.rmdir()
            except OSError:  # it is gone, or somebody has put something there
                continue


def _mounted_anywhere() -> set[str]:
    """Mount points of all mount namespaces: removing a directory would unmount it in another cluster's node."""
    seen: set[str] = set()
    found: set[str] = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            namespace = os.readlink(process / "ns/mnt")
            if namespace in seen:
                continue
            seen.add(namespace)
            lines = (process / "mountinfo").read_bytes().splitlines()
        except OSError:
            continue
        found |= {line.split(b" ")[4].decode("unicode_escape", "replace") for line in lines}
    return found
