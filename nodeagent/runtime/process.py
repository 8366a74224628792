"""The last steps of a container's process: terminal, identity, rights, and exec.

Runs in the fork server's child, after the operations. Reports over a socket that closes at exec.
"""

import binascii
import errno
import fcntl
import functools
import json
import os
import signal
import socket
import stat
import struct
import time
from typing import Any

from nodeagent.runtime import syscalls as sc
from nodeagent.runtime.followed import mark_executed
from nodeagent.runtime.identity import Identity, UnknownUser, resolve
from nodeagent.runtime.operations import Failed

_TIOCSCTTY, _TIOCGPTPEER, _TIOCSPTLCK, _TIOCSWINSZ = 0x540E, 0x5441, 0x40045431, 0x5414
_PTMX = os.makedev(5, 2)
ALL_CAPABILITIES = (1 << 64) - 1


@functools.cache
def last_capability() -> int:
    """The highest capability that this kernel knows. The fork server asks once, before any child does."""
    with open("/proc/sys/kernel/cap_last_cap", "rb") as file:
        return int(file.read())


@functools.cache
def own_capabilities() -> int:
    """What this machine lets us give at all, as a bit mask: a root in a container or sandbox may lack some."""
    with open("/proc/self/status", "rb") as file:
        held = next((line for line in file if line.startswith(b"CapPrm:")), b"CapPrm:\t0")
    return int(held.split()[1], 16)


def open_terminal(size: tuple[int, int] | None) -> tuple[int, int]:
    """A new pseudo-terminal of the container's own devpts: (master, slave). Size is (rows, columns).

    The container may have put anything at /dev/ptmx, so what was opened is checked before it is used.
    """
    master = os.open("/dev/pts/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_NOFOLLOW | os.O_CLOEXEC)
    status = os.fstat(master)
    if (
        not stat.S_ISCHR(status.st_mode)
        or status.st_rdev != _PTMX
        or sc.filesystem_type(master) != sc.DEVPTS_SUPER_MAGIC
    ):
        raise Failed("open a terminal", "/dev/pts/ptmx", "is not the kernel's terminal multiplexer")
    fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))
    slave = fcntl.ioctl(master, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    if size is not None:
        fcntl.ioctl(master, _TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    return master, slave


def take_stdio(fds: tuple[int, int, int]) -> None:
    """Make fds the standard three. None of them may be below 3."""
    for number, fd in enumerate(fds):
        os.dup2(fd, number, inheritable=True)


def become(process: dict[str, Any], report: socket.socket, record: int) -> None:
    """Exec what `process` describes; returns never. Raises Failed or UnknownUser.

    record: where to note that it comes to exec, or -1. A fork server that has died meanwhile is no reason to stop:
    the next one follows us. But nobody would have the terminal of one that has one.

    process: argv, env (list of NAME=value), cwd, identity (see identity.resolve), capabilities {bounding, effective,
    ambient: bit masks}, no_new_privileges, seccomp (base64 of a BPF program), umask, terminal, die_with_parent,
    mapped (it is in a user namespace of its own, whose root may do there whatever the machine's root may not).
    """
    who = resolve(process.get("identity") or {})
    environment = dict(entry.split("=", 1) for entry in process["env"] if "=" in entry)
    if "HOME" not in environment:
        environment["HOME"] = who.home or "/"
    say(report, {"user": [who.uid, who.gid, list(who.groups)]})
    if process.get("terminal"):
        fcntl.ioctl(0, _TIOCSCTTY, 0)
    _give_stdio(who)
    cwd = process.get("cwd") or "/"
    if not os.path.isdir(cwd) and process.get("make_cwd", True):
        try:
            os.makedirs(cwd, 0o755, exist_ok=True)
        except OSError as error:
            raise Failed("working directory", cwd, os.strerror(error.errno or 0), error.errno or 0) from error
    os.umask(process.get("umask", 0o022))
    seccomp = process.get("seccomp")
    filter_ = binascii.a2b_base64(seccomp) if seccomp else b""
    late = bool(process.get("no_new_privileges"))
    if late:
        sc.prctl(sc.PR_SET_NO_NEW_PRIVS, 1)
    elif filter_:  # needs CAP_SYS_ADMIN, which the next steps may take away
        sc.install_seccomp(filter_)
    _change_identity(who, process["capabilities"], ALL_CAPABILITIES if process.get("mapped") else own_capabilities())
    if process.get("die_with_parent"):
        sc.prctl(sc.PR_SET_PDEATHSIG, signal.SIGKILL)
    _enter(cwd)
    path = _executable(process["argv"][0], environment)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and exec would keep that
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    if not say(report, {"exec": time.time_ns()}) and (process.get("terminal") or process.get("die_with_parent")):
        os._exit(127)
    if record >= 0:
        mark_executed(record)
    if late and filter_:
        sc.install_seccomp(filter_)
    try:
        os.execve(path, process["argv"], environment)
    except OSError as error:
        raise _not_executable(process["argv"][0], error.errno or 0) from error


def say(report: socket.socket, message: dict[str, Any]) -> bool:
    """Tell the fork server something; whether it was there to be told."""
    try:
        report.send(json.dumps(message).encode())
    except OSError:
        return False
    return True


def _give_stdio(who: Identity) -> None:
    """Let the user open /dev/stdout and its like again, which many images do."""
    for fd in (0, 1, 2):
        status = os.fstat(fd)
        if stat.S_ISFIFO(status.st_mode) or (stat.S_ISCHR(status.st_mode) and os.isatty(fd)):
            try:
                os.fchown(fd, who.uid, -1)
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.EROFS, errno.EINVAL):
                    raise


def become_root() -> None:
    """Be root of the user namespace that was just entered; until then one is nobody there, though with all rights."""
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)


def _change_identity(who: Identity, capabilities: dict[str, int], may: int) -> None:
    bounding = capabilities["bounding"]
    last = last_capability()
    for number in range(last + 1):
        if not bounding >> number & 1:
            sc.prctl(sc.PR_CAPBSET_DROP, number)
    held = capabilities["effective"] & may & ((2 << last) - 1)
    ambient = capabilities.get("ambient", 0) & held
    sc.prctl(sc.PR_SET_KEEPCAPS, 1)
    try:
        os.setgroups(list(who.groups))
        os.setresgid(who.gid, who.gid, who.gid)
        os.setresuid(who.uid, who.uid, who.uid)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        ids = f"{who.uid}, groups {', '.join(map(str, who.groups))}"
        raise Failed("become user", ids, "not all of these are in the pod's user namespace", errno.EINVAL) from error
    effective = held if who.uid == 0 else ambient
    permitted = held if who.uid == 0 else ambient
    sc.clear_ambient()
    sc.set_capabilities(effective, permitted, ambient)
    for number in range(last + 1):
        if ambient >> number & 1:
            sc.raise_ambient(number)
    sc.prctl(sc.PR_SET_KEEPCAPS, 0)


def _enter(cwd: str) -> None:
    try:
        os.chdir(cwd)
        inside = os.getcwd().startswith("/")
    except OSError as error:
        raise Failed("working directory", cwd, os.strerror(error.errno or 0), error.errno or 0) from error
    if not inside:
        raise Failed("working directory", cwd, "lies outside the container's root", errno.EPERM)


def _executable(name: str, environment: dict[str, str]) -> str:
    """The file that name stands for, as execvp(3) looks for it. Raises Failed worded as runc's users know it."""
    if not name:
        raise Failed("exec", '""', "no command is given", errno.EINVAL)
    if "/" in name:
        try:
            status = os.stat(name)
        except OSError as error:
            raise _not_executable(name, error.errno or 0) from error
        if stat.S_ISDIR(status.st_mode):
            raise Failed("exec:", f'"{name}"', "is a directory", errno.EISDIR)
        return name
    denied = False
    for directory in environment.get("PATH", "").split(":"):
        candidate = f"{directory or '.'}/{name}"
        try:
            if not stat.S_ISREG(os.stat(candidate).st_mode):
                continue
        except OSError:
            continue
        if os.access(candidate, os.X_OK, effective_ids=os.access in os.supports_effective_ids):
            return candidate
        denied = True
    if denied:
        raise _not_executable(name, errno.EACCES)
    raise Failed("exec:", f'"{name}"', "executable file not found in $PATH", errno.ENOENT)


def _not_executable(name: str, code: int) -> Failed:
    if code == errno.ENOENT:
        return Failed("exec:", f'"{name}"', f"stat {name}: no such file or directory", code)
    return Failed("exec:", f'"{name}"', os.strerror(code).lower(), code)


__all__ = ["Failed", "UnknownUser", "become", "open_terminal", "take_stdio"]
