"""Cloning the processes of a container, from the fork server's side (children.py is theirs).

Imports stay as small as the fork server's.
"""

import json
import os
import signal
import socket
from typing import Any

from nodeagent.runtime import children
from nodeagent.runtime import syscalls as sc
from nodeagent.runtime.operations import Failed

_MOST_ANSWER = 64 << 10
_own_pid_namespace = -1


def remember_own_pid_namespace() -> None:
    """To come back to after a clone into another one. Before the first clone."""
    global _own_pid_namespace
    _own_pid_namespace = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)


def clone(flags: int, pid_namespace: int | None) -> tuple[int, int]:
    """clone(2) into a PID namespace held by descriptor, or our own: (0, -1) in the child, else its number and pidfd."""
    if pid_namespace is None:
        return sc.clone(flags)
    sc.setns(pid_namespace, sc.CLONE_NEWPID)  # moves only the children to come
    pid = -1
    try:
        pid, pidfd = sc.clone(flags)
        return pid, pidfd
    finally:
        if pid != 0:
            sc.setns(_own_pid_namespace, sc.CLONE_NEWPID)


def clone_mapped(
    request: dict[str, Any],
    fds: list[int],
    report: socket.socket,
    flags: int,
    pid_namespace: int | None,
    record: int,
) -> tuple[int, int, int]:
    """Clone the first process of a container in a user namespace, and who builds its mounts (children.py)."""
    told, tell = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    hands, first = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with told, tell, hands, first:
        usher, usher_fd = sc.clone(0)
        if usher == 0:
            hands.close()
            children.usher(request, fds, report, first, tell, pid_namespace, record)
        tell.close()
        data, passed, _, _ = socket.recv_fds(told, _MOST_ANSWER, 1, socket.MSG_CMSG_CLOEXEC)
        os.waitid(os.P_PIDFD, usher_fd, os.WEXITED)
        os.close(usher_fd)
        answer = json.loads(data or b'{"error": "the process that makes the first one died"}')
        if not passed:
            raise Failed("user namespace", request["user"], answer["error"], answer.get("errno", 0))
        pidfd = passed[0]
        try:
            hand, hand_fd = clone(flags & ~sc.CLONE_NEWPID, pidfd)
        except OSError:
            sc.pidfd_send_signal(pidfd, signal.SIGKILL)
            os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
            os.close(pidfd)
            raise
        if hand == 0:
            first.close()
            children.stagehand(request, report, hands)
        return answer["pid"], pidfd, hand_fd
