"""A pod's namespaces: made in one clone, each kept alive by a bind mount on a path of the runtime's, and let go.

A user namespace comes first, so that the kernel makes it the owner of the others (namespaces(7)).
Imports stay as small as the fork server's.
"""

import contextlib
import errno
import json
import os
import signal
import socket
from collections.abc import Callable
from typing import Any, NoReturn

from nodeagent.runtime import syscalls as sc
from nodeagent.runtime.operations import Failed, Scene, loopback, perform
from nodeagent.runtime.process import become_root

_MOST_ANSWER = 64 << 10
_KINDS = {
    "user": sc.CLONE_NEWUSER,
    "net": sc.CLONE_NEWNET,
    "ipc": sc.CLONE_NEWIPC,
    "uts": sc.CLONE_NEWUTS,
    "pid": sc.CLONE_NEWPID,
}

# The first process of a pod's shared PID namespace has only to be there: with SIGCHLD ignored the kernel reaps for it.
_PAUSE_CODE = {
    "x86_64": (62, bytes.fromhex("b8220000000f05ebf7")),  # 1: pause(); jmp 1b
    "aarch64": (183, bytes.fromhex("000080d2010080d2020080d2030080d2280980d2010000d4faffff17")),
}


def hold(request: dict[str, Any], stays: Callable[[int, int], None]) -> list[str]:
    """Make what a hold_sandbox request asks for; returns warnings. Raises Failed, OSError; no namespace is held then.

    stays: called with number and pidfd of a process that is to stay, before it can outlive us.
    """
    paths: dict[str, str] = request["namespaces"]
    warnings: list[str] = []
    if paths:
        warnings = _make(request, paths, stays)
    shm = request.get("shm")
    if shm:
        os.makedirs(shm, 0o755, exist_ok=True)
        uid, gid = request.get("root") or (0, 0)
        options = f"mode=1777,size={request['shm_bytes']},uid={uid},gid={gid}"
        sc.mount("shm", shm, "tmpfs", sc.MS_NOSUID | sc.MS_NODEV | sc.MS_NOEXEC, options)
    return warnings


def _make(request: dict[str, Any], paths: dict[str, str], stays: Callable[[int, int], None]) -> list[str]:
    flags = 0
    for kind in paths:
        flags |= _KINDS[kind]
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid, pidfd = sc.clone(flags)
    if pid == 0:
        ours.close()
        _inside(request, theirs, "pid" in paths)
    theirs.close()
    try:
        for name in ("uid_map", "gid_map") if "user" in paths else ():
            _write_map(pid, name, request[name])
        ours.send(b"go on")
        answer = json.loads(ours.recv(_MOST_ANSWER) or b'{"error": "the sandbox process died"}')
        if "error" in answer:
            raise Failed("sandbox", request.get("id", ""), answer["error"], answer.get("errno", 0))
        for kind, path in paths.items():
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o444))
            sc.mount(f"/proc/{pid}/ns/{kind}", path, "", sc.MS_BIND)
        if "pid" in paths:
            stays(pid, pidfd)
            ours.send(b"stay")
        else:
            _end(pidfd)
    except BaseException:
        let_go(list(paths.values()))
        _end(pidfd)
        raise
    finally:
        ours.close()
    return list(answer["warnings"])


def _write_map(pid: int, name: str, ranges: list[list[int]]) -> None:
    """Write a user namespace's map in one write: lines of first inside, first outside, length (user_namespaces(7))."""
    text = "".join(f"{inside} {outside} {length}\n" for inside, outside, length in ranges)
    fd = os.open(f"/proc/{pid}/{name}", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    except OSError as error:
        raise Failed(f"write {name}", text.strip(), os.strerror(error.errno or 0), error.errno or 0) from error
    finally:
        os.close(fd)


def _end(pidfd: int) -> None:
    sc.pidfd_send_signal(pidfd, signal.SIGKILL)
    os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
    os.close(pidfd)


def _inside(request: dict[str, Any], report: socket.socket, stays: bool) -> NoReturn:
    """The child that is first in the new namespaces. Ends by exit, or becomes the pod's pause process."""
    try:
        os.setsid()
        scene = Scene()
        if not report.recv(16):
            os._exit(1)
        if "user" in request["namespaces"]:
            become_root()
        if "net" in request["namespaces"]:
            loopback(scene)
        if request.get("hostname"):
            perform([["hostname", request["hostname"]]], scene)
        perform([["sysctl", name, value] for name, value in (request.get("sysctls") or {}).items()], scene)
        pause = _pause_program() if stays else -1
        report.send(json.dumps({"warnings": scene.warnings}).encode())
        if not report.recv(16):  # nobody knows of us: the fork server has died, or needs us no more
            os._exit(1)
        if stays:
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            os.dup2(pause, 3, inheritable=False)
            null = os.open("/dev/null", os.O_RDWR)
            for number in (0, 1, 2):
                os.dup2(null, number)
            os.chdir("/")
            sc.close_all_from(4)
            os.execve(3, ["pause"], {})
    except BaseException as error:
        with contextlib.suppress(OSError):
            report.send(json.dumps({"error": str(error)}).encode())
    finally:
        os._exit(1)


def let_go(paths: list[str]) -> None:
    """Unmount and remove what holds namespaces or shared memory. What is gone already is no error."""
    for path in paths:
        for _ in range(8):  # a path may be covered more than once after a crash between mount and record
            try:
                sc.umount(path, sc.MNT_DETACH)
            except OSError as error:
                if error.errno in (errno.EINVAL, errno.ENOENT):
                    break
                raise
        with contextlib.suppress(OSError):
            os.rmdir(path) if os.path.isdir(path) else os.unlink(path)


def _pause_program() -> int:
    """A memfd with an ELF program of two instructions, for the first process of a shared PID namespace."""
    import struct

    machine, code = _PAUSE_CODE[os.uname().machine]
    base, headers = 0x40_0000, 64 + 56
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header = struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, base + headers, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    size = headers + len(code)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 0x1000)
    fd = os.memfd_create("pause", os.MFD_CLOEXEC)
    os.write(fd, ident + header + segment + code)
    return fd
