"""What a clone of the fork server does until it is a container's process: operations, then exec.

A container in a user namespace takes three clones. The usher enters the cgroups and namespaces that are there and ends
with one clone more: the container's first process, in the pod's user namespace and a PID namespace that is the pod's
own. It has no rights over the machine, so the stagehand, with all of them and in that same PID namespace, builds the
root and mounts; at last it enters the user namespace too, leaves for a mount namespace that belongs to it (in which
what is mounted can't be taken apart, mount_namespaces(7)), hands that over and ends. The first process takes it and
execs.
Always: none of them can be looked into by processes of the pod, for they are not dumpable until they exec.
Imports stay as small as the fork server's.
"""

import contextlib
import fcntl
import json
import os
import resource
import socket
from typing import Any, NoReturn

from nodeagent.runtime import syscalls as sc
from nodeagent.runtime.identity import UnknownUser
from nodeagent.runtime.operations import Failed, Scene, perform
from nodeagent.runtime.process import become, become_root, open_terminal, say, take_stdio

_ALL_JOINED = sc.CLONE_NEWNS | sc.CLONE_NEWNET | sc.CLONE_NEWIPC | sc.CLONE_NEWUTS | sc.CLONE_NEWCGROUP
_open_files = (1024, 4096)


def remember_open_files(limits: tuple[int, int]) -> None:
    """What containers get for RLIMIT_NOFILE: the fork server's own soft limit is raised for what it holds."""
    global _open_files
    _open_files = limits


def container(
    request: dict[str, Any], fds: list[int], report: socket.socket, join: int | None, record: int
) -> NoReturn:
    """A container's first process, or with join (a pidfd) one more in a running container.

    record: of a container, where it is to note that it comes to exec.
    """
    try:
        os.setsid()
        stdio = _stdio(fds)
        scene = Scene()
        if join is None:
            perform(request["setup"], scene)
        else:
            perform(request.get("setup") or (), scene)  # cgroups, while they can be seen
            if request.get("user"):
                sc.prctl(sc.PR_SET_DUMPABLE, 0)
                sc.setns(join, _ALL_JOINED | sc.CLONE_NEWUSER)
                become_root()
            else:
                sc.setns(join, _ALL_JOINED)
        _exec(request["process"], stdio, report, scene, record)
    except BaseException as error:
        _tell(report, error)
    finally:
        os._exit(127)


def usher(
    request: dict[str, Any],
    fds: list[int],
    report: socket.socket,
    stage: socket.socket,
    told: socket.socket,
    pid_namespace: int | None,
    record: int,
) -> NoReturn:
    """Clone the first process of a container in a user namespace, and say which it is: {"pid": N} and its pidfd."""
    try:
        os.setsid()
        sc.prctl(sc.PR_SET_DUMPABLE, 0)
        perform(request["usher"], Scene())
        if pid_namespace is not None:
            sc.setns(pid_namespace, sc.CLONE_NEWPID)  # moves only the children to come
        user = os.open(request["user"], os.O_RDONLY | os.O_CLOEXEC)
        sc.setns(user, sc.CLONE_NEWUSER)
        become_root()
        new = sc.CLONE_PARENT | sc.CLONE_NEWCGROUP | (sc.CLONE_NEWPID if pid_namespace is None else 0)
        pid, pidfd = sc.clone(new)
        if pid == 0:
            told.close()
            _first(request, fds, report, stage, record)
        socket.send_fds(told, [json.dumps({"pid": pid}).encode()], [pidfd])
    except BaseException as error:
        _tell(told, error)
    finally:
        os._exit(0)


def _first(
    request: dict[str, Any], fds: list[int], report: socket.socket, stage: socket.socket, record: int
) -> NoReturn:
    try:
        os.setsid()
        stdio = _stdio(fds)
        _, passed, _, _ = socket.recv_fds(stage, 16, 1, socket.MSG_CMSG_CLOEXEC)
        if not passed:  # the stagehand has failed and said so
            os._exit(127)
        sc.setns(passed[0], sc.CLONE_NEWNS)
        _exec(request["process"], stdio, report, Scene(), record)
    except BaseException as error:
        _tell(report, error)
    finally:
        os._exit(127)


def stagehand(request: dict[str, Any], report: socket.socket, stage: socket.socket) -> NoReturn:
    """Build the mounts of a container in a user namespace, and hand their namespace to its first process."""
    try:
        os.setsid()
        sc.prctl(sc.PR_SET_DUMPABLE, 0)
        own = os.open("/proc/self/ns", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)  # the machine's /proc
        scene = Scene()
        perform(request["setup"], scene)
        sc.setns(scene.user_namespace, sc.CLONE_NEWUSER)
        sc.unshare(sc.CLONE_NEWNS)
        mounts = os.open("mnt", os.O_RDONLY | os.O_CLOEXEC, dir_fd=own)
        report.send(json.dumps({"warnings": scene.warnings}).encode())
        socket.send_fds(stage, [b"ready"], [mounts])
    except BaseException as error:
        _tell(report, error)
    finally:
        os._exit(0)


def _stdio(fds: list[int]) -> tuple[int, int, int]:
    if fds:
        first, second, third = (os.dup(fd) for fd in fds[:3])
        return first, second, third
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    return null, null, null


def _exec(
    process: dict[str, Any], stdio: tuple[int, int, int], report: socket.socket, scene: Scene, record: int
) -> None:
    """The rest of the way, once all namespaces are the container's. Returns never, or raises."""
    if process.get("terminal"):
        size = process.get("size")
        master, slave = open_terminal(tuple(size) if size else None)
        socket.send_fds(report, [b'{"console": true}'], [master])
        os.close(master)
        stdio = (slave, slave, slave)
    take_stdio(stdio)
    if record >= 0:
        record = fcntl.fcntl(record, fcntl.F_DUPFD_CLOEXEC, 5)  # out of the way of the two to come
    os.dup2(report.fileno(), 3, inheritable=False)
    if record >= 0:
        record = os.dup2(record, 4, inheritable=False)
    sc.close_all_from(4 if record < 0 else 5)
    quiet = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, fileno=3)
    report.detach()
    try:
        say(quiet, {"warnings": scene.warnings})
        resource.setrlimit(resource.RLIMIT_NOFILE, _open_files)
        if not quiet.recv(16):  # the fork server died before it had written down that there is such a process
            os._exit(127)
        become(process, quiet, record)
    except BaseException as error:
        _tell(quiet, error)
        os._exit(127)


def _tell(report: socket.socket, error: BaseException) -> None:
    known = isinstance(error, Failed | UnknownUser)
    text = str(error) if known else f"{type(error).__name__}: {error}"
    code = getattr(error, "code" if known else "errno", 0) or 0
    with contextlib.suppress(OSError):
        report.send(json.dumps({"error": text[:4000], "errno": code}).encode())
