"""The system calls that Python 3.11 has no door to, each declared once.

Always: a failure is an OSError with the kernel's errno and the whole call in its text; a NUL in a path is a
ValueError, for C would cut the path short there.
Imports stay at os, ctypes and struct: the fork server is made of this and must start fast and stay small.
"""

import ctypes
import os
import struct

# PyDLL keeps the GIL through the call: clone must not come back in a child that waits for it, and it is faster.
_libc = ctypes.PyDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)
_libc.umount2.argtypes = (ctypes.c_char_p, ctypes.c_int)
_libc.setns.argtypes = (ctypes.c_int, ctypes.c_int)
_libc.unshare.argtypes = (ctypes.c_int,)
_libc.sethostname.argtypes = (ctypes.c_char_p, ctypes.c_size_t)
_libc.prctl.argtypes = (ctypes.c_int, *(ctypes.c_ulong,) * 4)

_MACHINE = os.uname().machine
_NUMBERS = {  # those of the newer calls are the same on every machine
    "x86_64": {"clone": 56, "pivot_root": 155, "capset": 126, "seccomp": 317, "bpf": 321},
    "aarch64": {"clone": 220, "pivot_root": 41, "capset": 91, "seccomp": 277, "bpf": 280},
}.get(_MACHINE, {})
_OPEN_TREE, _MOVE_MOUNT, _PIDFD_SEND_SIGNAL = 428, 429, 424
_CLOSE_RANGE, _OPENAT2, _MOUNT_SETATTR = 436, 437, 442

CLONE_NEWNS = 0x0002_0000
CLONE_NEWCGROUP = 0x0200_0000
CLONE_NEWUTS = 0x0400_0000
CLONE_NEWIPC = 0x0800_0000
CLONE_NEWUSER = 0x1000_0000
CLONE_NEWPID = 0x2000_0000
CLONE_NEWNET = 0x4000_0000
CLONE_PARENT = 0x8000
_CLONE_PIDFD = 0x1000
_SIGCHLD = 17

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE, MS_SLAVE, MS_SHARED = 4096, 16384, 1 << 18, 1 << 19, 1 << 20
MS_RELATIME, MS_STRICTATIME = 1 << 21, 1 << 24
MNT_DETACH = 2

MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC = 1, 2, 4, 8
_MOUNT_ATTR_IDMAP = 0x0010_0000

AT_FDCWD = -100
_AT_EMPTY_PATH, _AT_RECURSIVE, _AT_SYMLINK_NOFOLLOW = 0x1000, 0x8000, 0x100
_OPEN_TREE_CLONE, _OPEN_TREE_CLOEXEC = 1, os.O_CLOEXEC
_MOVE_MOUNT_F_EMPTY_PATH, _MOVE_MOUNT_T_EMPTY_PATH = 0x4, 0x40

RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH, RESOLVE_IN_ROOT = 0x02, 0x04, 0x08, 0x10

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_KEEPCAPS = 1, 4, 8
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 24, 38, 47
PR_SET_CHILD_SUBREAPER = 36
_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP = 28, 1 << 2
_PR_CAP_AMBIENT_RAISE, _PR_CAP_AMBIENT_CLEAR_ALL = 2, 4

PROC_SUPER_MAGIC, NSFS_MAGIC, DEVPTS_SUPER_MAGIC = 0x9FA0, 0x6E73_6673, 0x1CD1


def c_text(text: str) -> bytes:
    """The bytes that C sees of text. Raises ValueError if they hold a NUL."""
    encoded = os.fsencode(text)
    if b"\0" in encoded:
        raise ValueError(f"{text!r} has a NUL in it")
    return encoded


def _checked(result: int, call: str) -> int:
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, f"{call}: {os.strerror(code)}")
    return result


def _syscall(call: str, number: int, *arguments: int | bytes | ctypes.Array[ctypes.c_char] | None) -> int:
    converted = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return _checked(_libc.syscall(ctypes.c_long(number), *converted), call)


def _numbered(name: str) -> int:
    try:
        return _NUMBERS[name]
    except KeyError:
        raise OSError(38, f"{name}: no system call number is known for {_MACHINE}") from None


def clone(flags: int) -> tuple[int, int]:
    """clone(2) as fork does, with flags for new namespaces. (0, -1) in the child, (pid, pidfd) in the parent."""
    pidfd = ctypes.c_int(-1)
    address = ctypes.addressof(pidfd)
    pid = _syscall(
        f"clone with flags {flags:#x}", _numbered("clone"), flags | _CLONE_PIDFD | _SIGCHLD, 0, address, 0, 0
    )
    return (0, -1) if pid == 0 else (pid, pidfd.value)


def setns(fd: int, kinds: int) -> None:
    """setns(2). fd is a namespace file or a pidfd."""
    _checked(_libc.setns(fd, kinds), f"setns of kinds {kinds:#x}")


def unshare(flags: int) -> None:
    """unshare(2)."""
    _checked(_libc.unshare(flags), f"unshare {flags:#x}")


def sethostname(name: str) -> None:
    """sethostname(2), for the caller's UTS namespace."""
    encoded = c_text(name)
    _checked(_libc.sethostname(encoded, len(encoded)), f"sethostname {name!r}")


def mount(source: str, target: str, fstype: str, flags: int = 0, data: str = "") -> None:
    """mount(2)."""
    result = _libc.mount(c_text(source), c_text(target), c_text(fstype), flags, c_text(data) or None)
    _checked(result, f"mount {source!r} on {target!r} ({fstype}, flags {flags:#x}, {data!r})")


def umount(target: str, flags: int = 0) -> None:
    """umount2(2)."""
    _checked(_libc.umount2(c_text(target), flags), f"umount {target!r}")


def pivot_root(new: str, old: str) -> None:
    """pivot_root(2)."""
    _syscall(f"pivot_root to {new!r}", _numbered("pivot_root"), c_text(new), c_text(old))


def open_tree(path: str, *, at: int = AT_FDCWD, recursive: bool = True) -> int:
    """A detached copy of the mounts at path, as a descriptor. With path "" the copy is of what `at` refers to."""
    flags = _OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC
    flags |= (_AT_RECURSIVE if recursive else 0) | (0 if path else _AT_EMPTY_PATH)
    return _syscall(f"open_tree of {path!r}", _OPEN_TREE, at, c_text(path), flags)


def move_mount(tree: int, target: int) -> None:
    """Attach a detached mount where the descriptor `target` (O_PATH) points."""
    flags = _MOVE_MOUNT_F_EMPTY_PATH | _MOVE_MOUNT_T_EMPTY_PATH
    _syscall("move_mount", _MOVE_MOUNT, tree, b"", target, b"", flags)


def mount_setattr(mount_fd: int, set_flags: int, *, propagation: int = 0, recursive: bool = False) -> None:
    """mount_setattr(2) on a mount that is held by descriptor."""
    attributes = ctypes.create_string_buffer(struct.pack("=QQQQ", set_flags, 0, propagation, 0), 32)
    flags = _AT_EMPTY_PATH | (_AT_RECURSIVE if recursive else 0)
    _syscall(f"mount_setattr {set_flags:#x}", _MOUNT_SETATTR, mount_fd, b"", flags, attributes, 32)


def map_mount(mount_fd: int, user_namespace: int) -> None:
    """Show a detached mount's owners through the map of a user namespace (mount_setattr(2), MOUNT_ATTR_IDMAP).

    Its own mount alone, not those below it. OSError EINVAL: its filesystem can't.
    """
    attributes = ctypes.create_string_buffer(struct.pack("=QQQQ", _MOUNT_ATTR_IDMAP, 0, 0, user_namespace), 32)
    _syscall("mount_setattr of an ID map", _MOUNT_SETATTR, mount_fd, b"", _AT_EMPTY_PATH, attributes, 32)


def set_file_ids(uid: int, gid: int) -> None:
    """Own what is made from now on as another user, keeping every capability (setfsuid(2), setfsgid(2))."""
    prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP)
    for name, call, value in (("setfsgid", _libc.setfsgid, gid), ("setfsuid", _libc.setfsuid, uid)):
        call(ctypes.c_uint(value))
        if ctypes.c_uint(call(ctypes.c_uint(0xFFFF_FFFF))).value != value:  # the only way to learn of a failure
            raise OSError(22, f"{name} {value}: Invalid argument")


def has_user_namespaces() -> bool:
    """Whether this kernel makes user namespaces, and this machine lets it (namespaces(7), /proc/sys/user)."""
    try:
        with open("/proc/sys/user/max_user_namespaces", "rb") as file:
            return int(file.read()) > 0
    except (OSError, ValueError):
        return False


def openat2(at: int, path: str, flags: int, resolve: int, mode: int = 0) -> int:
    """openat2(2), for a path that must not leave the directory `at`."""
    how = ctypes.create_string_buffer(struct.pack("=QQQ", flags | os.O_CLOEXEC, mode, resolve), 24)
    return _syscall(f"openat2 {path!r}", _OPENAT2, at, c_text(path), how, 24)


def close_all_from(first: int) -> None:
    """Close every descriptor from `first` on."""
    _syscall("close_range", _CLOSE_RANGE, first, 0x7FFF_FFFF, 0)


def pidfd_send_signal(pidfd: int, signal: int) -> None:
    """pidfd_send_signal(2): ProcessLookupError once the process is gone, whatever has its number now."""
    _syscall(f"pidfd_send_signal {signal}", _PIDFD_SEND_SIGNAL, pidfd, signal, 0, 0)


def prctl(option: int, argument: int = 0, *more: int) -> None:
    """prctl(2)."""
    arguments = (*more, 0, 0, 0)[:3]
    _checked(_libc.prctl(option, argument, *arguments), f"prctl {option} {argument}")


def set_capabilities(effective: int, permitted: int, inheritable: int) -> None:
    """capset(2) with bit masks of capability numbers."""
    header = ctypes.create_string_buffer(struct.pack("=Ii", 0x2008_0522, 0), 8)
    low = (effective & 0xFFFF_FFFF, permitted & 0xFFFF_FFFF, inheritable & 0xFFFF_FFFF)
    high = (effective >> 32, permitted >> 32, inheritable >> 32)
    data = ctypes.create_string_buffer(struct.pack("=6I", *low, *high), 24)
    _syscall(f"capset {permitted:#x}", _numbered("capset"), header, data)


def raise_ambient(capability: int) -> None:
    """Put one capability into the ambient set."""
    prctl(PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability)


def clear_ambient() -> None:
    """Empty the ambient set."""
    prctl(PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)


def install_seccomp(program: bytes) -> None:
    """seccomp(2) with a classic BPF filter: 8 bytes an instruction."""
    code = ctypes.create_string_buffer(program, len(program))
    packed = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    fprog = ctypes.create_string_buffer(packed, len(packed))
    _syscall(f"seccomp filter of {len(program) // 8} instructions", _numbered("seccomp"), 1, 0, fprog)


def bpf(command: int, attributes: bytes) -> int:
    """bpf(2): a descriptor for what makes one, else 0."""
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    return _syscall(f"bpf command {command}", _numbered("bpf"), command, buffer, len(attributes))


def filesystem_type(fd: int) -> int:
    """The magic number of the filesystem under a descriptor, as statfs(2) has it."""
    buffer = ctypes.create_string_buffer(256)
    _checked(_libc.fstatfs(fd, buffer), "fstatfs")
    return int(struct.unpack_from("@l", buffer)[0])


_PIDFD_GET_INFO_SIZE = 64
_PIDFD_GET_INFO = (3 << 30) | (_PIDFD_GET_INFO_SIZE << 16) | (0xFF << 8) | 11
_PIDFD_INFO_EXIT = 1 << 3


def exit_status_of_orphan(pidfd: int) -> int | None:
    """The wait status of a process that someone else has reaped, as Linux 6.15 and newer keep it; else None."""
    import fcntl

    request = bytearray(struct.pack("=Q", _PIDFD_INFO_EXIT).ljust(_PIDFD_GET_INFO_SIZE, b"\0"))
    try:
        fcntl.ioctl(pidfd, _PIDFD_GET_INFO, request)
    except OSError:
        return None
    (mask,) = struct.unpack_from("=Q", request)
    return int(struct.unpack_from("=i", request, 60)[0]) if mask & _PIDFD_INFO_EXIT else None
