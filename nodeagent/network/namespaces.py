"""Network namespaces by path: enter one in this thread, and come back."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CLONE_NEWNET = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)
_libc.setns.argtypes = (ctypes.c_int, ctypes.c_int)


def _setns(fd: int, what: str) -> None:
    """setns(2). Raises OSError."""
    if _libc.setns(fd, CLONE_NEWNET) == -1:
        code = ctypes.get_errno()
        raise OSError(code, f"setns to {what}: {os.strerror(code)}")


@contextmanager
def inside(fd: int, name: str) -> Iterator[None]:
    """Let this thread, and no other, be in the network namespace `fd` (called `name` in errors).

    Sockets opened within stay in that namespace. Never await within: another task would run in it.
    """
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _setns(fd, name)
        try:
            yield
        finally:
            _setns(home, "the node's own network namespace")
    finally:
        os.close(home)


def write_sysctl(name: str, value: str) -> None:
    """Set a sysctl of this thread's network namespace, such as net/ipv4/ip_forward, if it differs.

    Raises OSError when it has to be written and /proc/sys is read-only.
    """
    path = Path("/proc/sys") / name
    if path.read_text().strip() != value:
        path.write_text(value)
