"""The few Linux calls that making nodes out of namespaces needs and Python 3.11 does not offer.

Each raises OSError with the whole call in its text.
"""

from __future__ import annotations

import ctypes
import os
from ctypes import c_char_p, c_int, c_long, c_ulong

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_SLAVE = 0x80000
MNT_DETACH = 0x2
UMOUNT_NOFOLLOW = 0x8

PR_SET_NAME = 15
CLOCK_REALTIME = 0
TFD_TIMER_ABSTIME = 0x1
TFD_TIMER_CANCEL_ON_SET = 0x2
SYS_PIDFD_GETFD = 438  # the same number on every architecture

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = (c_char_p, c_char_p, c_char_p, c_ulong, c_char_p)
_libc.umount2.argtypes = (c_char_p, c_int)
_libc.unshare.argtypes = (c_int,)
_libc.setns.argtypes = (c_int, c_int)
_libc.sethostname.argtypes = (c_char_p, ctypes.c_size_t)
_libc.prctl.argtypes = (c_int, c_char_p, c_ulong, c_ulong, c_ulong)


class _Alarm(ctypes.Structure):
    """struct itimerspec: an interval of two longs, then the first expiry."""

    _fields_ = (("interval", c_long * 2), ("seconds", c_long), ("nanoseconds", c_long))


_libc.timerfd_create.argtypes = (c_int, c_int)
_libc.timerfd_settime.argtypes = (c_int, c_int, ctypes.POINTER(_Alarm), ctypes.c_void_p)


def _check(result: int, call: str) -> None:
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, f"{call}: {os.strerror(code)}")


def unshare(flags: int) -> None:
    """unshare(2)."""
    _check(_libc.unshare(flags), f"unshare {flags:#x}")


def setns(descriptor: int, kind: int) -> None:
    """setns(2)."""
    _check(_libc.setns(descriptor, kind), f"setns {kind:#x}")


def mount(source: str, target: str, fstype: str, flags: int = 0, data: str = "") -> None:
    """mount(2)."""
    arguments = [os.fsencode(text) for text in (source, target, fstype)]
    _check(
        _libc.mount(*arguments, flags, os.fsencode(data)),
        f"mount {source!r} on {target!r} ({fstype}, flags {flags:#x})",
    )


def unmount(target: str, flags: int = 0) -> None:
    """umount2(2)."""
    _check(_libc.umount2(os.fsencode(target), flags), f"umount {target!r}")


def set_hostname(name: str) -> None:
    """sethostname(2), in the caller's UTS namespace."""
    data = name.encode()
    _check(_libc.sethostname(data, len(data)), f"sethostname {name!r}")


def set_process_name(name: str) -> None:
    """prctl(2) PR_SET_NAME: what ps and top show, at most 15 bytes."""
    _check(_libc.prctl(PR_SET_NAME, name.encode()[:15], 0, 0, 0), f"prctl PR_SET_NAME {name!r}")


def descriptor_of(pid: int, number: int) -> int:
    """pidfd_getfd(2): a duplicate of descriptor `number` of process `pid`."""
    process = os.pidfd_open(pid)
    try:
        copy: int = _libc.syscall(c_long(SYS_PIDFD_GETFD), process, number, 0)
        _check(copy, f"pidfd_getfd {pid} {number}")
        return copy
    finally:
        os.close(process)


def alarm_clock() -> int:
    """timerfd_create(2): a descriptor that becomes readable at a calendar time, which `set_alarm` sets."""
    made: int = _libc.timerfd_create(CLOCK_REALTIME, os.O_NONBLOCK | os.O_CLOEXEC)
    _check(made, "timerfd_create CLOCK_REALTIME")
    return made


def set_alarm(descriptor: int, moment: float) -> None:
    """timerfd_settime(2): readable at `moment` (seconds since the epoch), or as soon as somebody sets the clock.

    A read then fails with ECANCELED.
    """
    alarm = _Alarm(seconds=int(moment), nanoseconds=int(moment % 1 * 1e9))
    flags = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET
    _check(_libc.timerfd_settime(descriptor, flags, ctypes.byref(alarm), None), f"timerfd_settime {moment}")
