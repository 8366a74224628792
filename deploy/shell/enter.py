"""The way into a node that is namespaces: a process of ours joins them and serves one session there.

As nsenter(1): the namespaces of the node's process 1, and its cgroup, so that whatever is left ends with the node.
"""

from __future__ import annotations

import contextlib
import os
import socket
import traceback

from deploy import cgroups, syscalls
from deploy.shell.guest import Guest
from sampan.errors import ClusterError

NAMESPACES = (
    ("cgroup", syscalls.CLONE_NEWCGROUP),
    ("ipc", syscalls.CLONE_NEWIPC),
    ("uts", syscalls.CLONE_NEWUTS),
    ("net", syscalls.CLONE_NEWNET),
    ("pid", syscalls.CLONE_NEWPID),
    ("mnt", syscalls.CLONE_NEWNS),
)


def connect(node: str, pid: int, cgroup: str) -> socket.socket:
    """A stream to a new process in the node whose process 1 is `pid`. Raises ClusterError."""
    opened: list[tuple[int, int]] = []
    try:
        for name, kind in NAMESPACES:
            opened.append((os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC), kind))
    except FileNotFoundError as error:
        for descriptor, _ in opened:
            os.close(descriptor)
        raise ClusterError(
            where=f"node {node}", what="its process 1 has just ended", remedy=f"kctl cluster node start {node}"
        ) from error
    except PermissionError as error:
        raise ClusterError(where=f"node {node}", what=str(error), remedy="run it as root") from error
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            ours.close()
            os.setsid()
            cgroups.enter(cgroup)
            for descriptor, kind in opened:
                syscalls.setns(descriptor, kind)
                os.close(descriptor)
            # Only a child is in the PID namespace (setns(2)).
            if os.fork() == 0:
                _let_go_of_all_but(theirs.fileno())
                Guest(theirs.fileno(), keep_open=False).run()
            code = 0
        except BaseException:  # the edge of the process
            traceback.print_exc()
        finally:
            os._exit(code)
    theirs.close()
    for descriptor, _ in opened:
        os.close(descriptor)
    os.waitpid(child, 0)
    return ours


def _let_go_of_all_but(kept: int) -> None:
    """A reader of kctl's output must not wait for us."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nothing, descriptor)
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) != kept:
            with contextlib.suppress(OSError):
                os.close(int(name))
