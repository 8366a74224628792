"""mount(2), umount2(2), openat2(2), and what is mounted where (proc_pid_mountinfo(5))."""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Iterator
from ctypes import c_char_p, c_int, c_long, c_size_t, c_uint64, c_ulong, c_void_p
from dataclasses import dataclass
from pathlib import Path

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_BIND, MS_REC = 0x1000, 0x4000
MNT_DETACH, UMOUNT_NOFOLLOW = 2, 8
SYS_OPENAT2 = 437
RESOLVE_NO_MAGICLINKS, RESOLVE_BENEATH = 0x02, 0x08
O_PATH = os.O_PATH

libc = ctypes.CDLL(None, use_errno=True)
libc.mount.argtypes = (c_char_p, c_char_p, c_char_p, c_ulong, c_char_p)
libc.umount2.argtypes = (c_char_p, c_int)
libc.syscall.argtypes = (c_long, c_int, c_char_p, c_void_p, c_size_t)
libc.syscall.restype = c_long

OCTAL = re.compile(r"\\([0-7]{3})")


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", c_uint64), ("mode", c_uint64), ("resolve", c_uint64))


def _c_text(text: str | Path) -> bytes:
    data = os.fsencode(text)
    if b"\0" in data:
        raise ValueError(f"{text!r} has a NUL byte, at which C would cut it short")
    return data


def _check(result: int, what: str) -> int:
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def mount(source: str | Path, target: str | Path, fstype: str = "", flags: int = 0, data: str = "") -> None:
    """mount(2). Raises OSError."""
    _check(
        libc.mount(_c_text(source), _c_text(target), _c_text(fstype), flags, _c_text(data)),
        f"mount {str(source)!r} on {str(target)!r} ({fstype or 'bind'}, flags {flags:#x})",
    )


def unmount(target: str | Path) -> None:
    """umount2(2), lazily, never through a symlink. Raises OSError."""
    _check(libc.umount2(_c_text(target), MNT_DETACH | UMOUNT_NOFOLLOW), f"unmount {str(target)!r}")


def open_beneath(directory: int, path: str, flags: int) -> int:
    """Open `path` so that no `..` and no symlink leads out of `directory`. Raises OSError (EXDEV: it would).

    Source: openat2(2), RESOLVE_BENEATH.
    """
    how = _OpenHow(flags=flags | os.O_CLOEXEC, mode=0, resolve=RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)
    result = libc.syscall(SYS_OPENAT2, directory, _c_text(path), ctypes.byref(how), ctypes.sizeof(how))
    return int(_check(result, f"open {path!r} beneath its volume"))


@dataclass(frozen=True, slots=True)
class Mounted:
    """One line of mountinfo."""

    target: str
    fstype: str


def parse_mountinfo(text: str) -> Iterator[Mounted]:
    """The mounts of a mountinfo text, in its order."""
    for line in text.splitlines():
        before, dash, after = line.partition(" - ")
        fields = before.split(" ")
        if dash and len(fields) >= 6 and after:
            yield Mounted(OCTAL.sub(lambda m: chr(int(m.group(1), 8)), fields[4]), after.split(" ")[0])


def mounts_under(root: Path) -> list[str]:
    """Mount points at or under a directory, the innermost and latest first."""
    real = os.path.realpath(root)
    text = Path("/proc/self/mountinfo").read_bytes().decode("utf-8", "surrogateescape")
    found = [one.target for one in parse_mountinfo(text) if one.target == real or one.target.startswith(real + "/")]
    found.reverse()
    return sorted(found, key=lambda path: path.count("/"), reverse=True)
