"""What a new container process does to itself between clone and exec: a list of named operations, performed in order.

The planner (plan.py) writes the list, the fork server's child performs it; nothing that is not in OPERATIONS happens.
The order that keeps an image's symlinks harmless: first every source is opened as a detached mount, then the root is
built and pivoted into and the old root let go, and only then is any path of the container looked up.
A failure is a Failed with the operation, its path and the errno; what may be refused on a machine with fewer rights
(a lower oom score, a higher rlimit) becomes a warning.
Imports stay as small as the fork server's.
"""

import errno
import os
import stat
from collections.abc import Callable, Sequence
from typing import Any

from nodeagent.runtime import syscalls as sc

_PROPAGATION = {"private": sc.MS_PRIVATE, "slave": sc.MS_SLAVE, "shared": sc.MS_SHARED}
_MOUNT_FLAGS = {
    "ro": sc.MS_RDONLY,
    "nosuid": sc.MS_NOSUID,
    "nodev": sc.MS_NODEV,
    "noexec": sc.MS_NOEXEC,
    "relatime": sc.MS_RELATIME,
    "strictatime": sc.MS_STRICTATIME,
}
# Filesystems through which a container may be given anything by mount; a bind needs no type.
FILESYSTEMS = frozenset(("proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2"))


class Failed(Exception):
    """An operation that could not be done: which, on what, and the kernel's reason."""

    def __init__(self, operation: str, subject: str, reason: str, code: int = 0) -> None:
        super().__init__(f"{operation} {subject}: {reason}" if subject else f"{operation}: {reason}")
        self.code = code


class Scene:
    """What operations of one list share: detached mounts by slot, a user namespace, and the warnings so far."""

    def __init__(self) -> None:
        self.trees: dict[str, int] = {}
        self.user_namespace = -1
        self.warnings: list[str] = []


def perform(operations: Sequence[Sequence[Any]], scene: Scene) -> None:
    """Do all of them in order. Raises Failed at the first that cannot be done."""
    for name, *arguments in operations:
        operation = OPERATIONS.get(name)
        if operation is None:
            raise Failed(str(name), "", "there is no such operation")
        try:
            operation(scene, *arguments)
        except Failed:
            raise
        except (OSError, ValueError) as error:
            subject = next((a for a in arguments if isinstance(a, str)), "")
            code = error.errno or 0 if isinstance(error, OSError) else 0
            raise Failed(name, subject, _reason(error), code) from error


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno:
        name = errno.errorcode.get(error.errno, str(error.errno))
        told = str(error.args[1]) if len(error.args) > 1 else os.strerror(error.errno)
        return f"{told} ({name})"
    return str(error)


def join_cgroups(scene: Scene, procs_files: Sequence[str]) -> None:
    """Move the caller into each cgroup whose cgroup.procs is named."""
    for path in procs_files:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, b"0")
        finally:
            os.close(fd)


def join_namespaces(scene: Scene, files: Sequence[Sequence[Any]]) -> None:
    """Enter the namespaces held at the given paths: pairs of a path and its CLONE_NEW* kind."""
    for path, kind in files:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            sc.setns(fd, kind)
        except OSError as error:
            raise Failed("join_namespaces", path, _reason(error), error.errno or 0) from error
        finally:
            os.close(fd)


def new_namespaces(scene: Scene, kinds: int) -> None:
    """Leave for new namespaces. The cgroup one has its root where the caller is now."""
    sc.unshare(kinds)


def oom_score_adj(scene: Scene, value: int) -> None:
    """Set the score; a machine that may not lower it warns and goes on."""
    try:
        _write("/proc/self/oom_score_adj", str(value))
    except PermissionError:
        scene.warnings.append(f"oom_score_adj stays as it was: {value} is refused without CAP_SYS_RESOURCE")


def open_tree(scene: Scene, slot: str, source: str, recursive: bool = True, root: str = "") -> None:
    """Take a detached copy of the mounts at source. With root, source is looked up inside it and cannot leave."""
    if not root:
        scene.trees[slot] = sc.open_tree(source, recursive=recursive)
        return
    base = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        inner = sc.openat2(base, source.lstrip("/") or ".", os.O_PATH, sc.RESOLVE_IN_ROOT | sc.RESOLVE_NO_MAGICLINKS)
    finally:
        os.close(base)
    try:
        scene.trees[slot] = sc.open_tree("", at=inner, recursive=recursive)
    finally:
        os.close(inner)


def leave_host(scene: Scene) -> None:
    """Stop our mounts from reaching the machine, and let the machine's still reach us until the pivot."""
    sc.mount("", "/", "", sc.MS_REC | sc.MS_SLAVE)


def open_user_namespace(scene: Scene, path: str) -> None:
    """Take hold of the user namespace through whose map mounts are shown from now on."""
    scene.user_namespace = os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def act_as(scene: Scene, uid: int, gid: int) -> None:
    """Own what is made from now on as the root of a user namespace, with the rights of the machine's root."""
    sc.set_file_ids(uid, gid)


def _map(scene: Scene, tree: int, source: str) -> None:
    """Show a detached mount through the map of the scene's user namespace."""
    try:
        sc.map_mount(tree, scene.user_namespace)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        kind = f"the filesystem of {source} (type {sc.filesystem_type(tree):#x})"
        why = f"{kind} can't be shown to a user namespace: this kernel has no idmapped mounts for it"
        raise Failed("map users", source, why, errno.EINVAL) from error


def _mapped_directories(scene: Scene, target: str, lowers: Sequence[str], upper: str, work: str) -> list[int]:
    """Layers, upper and work directory, each seen through the user namespace's map, by descriptor.

    Older kernels (before 6.15) take no detached mount for a layer, so all hang in a tmpfs that the overlay covers.
    """
    sc.mount("tmpfs", target, "tmpfs", sc.MS_NOSUID | sc.MS_NODEV, "mode=700")
    flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
    above, names = os.path.dirname(upper), (os.path.basename(upper), os.path.basename(work))
    if os.path.dirname(work) != above:
        raise Failed("overlay", work, f"does not lie beside {upper}", errno.EINVAL)
    fds = []
    for number, path in enumerate((*lowers, above)):
        place = f"{target}/{number}"
        os.mkdir(place, 0o700)
        tree = sc.open_tree(path, recursive=False)
        try:
            _map(scene, tree, path)
            at = os.open(place, flags)
            try:
                sc.move_mount(tree, at)
            finally:
                os.close(at)
        finally:
            os.close(tree)
        inside = [place] if number < len(lowers) else [f"{place}/{name}" for name in names]
        fds += [os.open(one, flags) for one in inside]
    return fds


def overlay(scene: Scene, target: str, lowers: Sequence[str], upper: str, work: str, mapped: bool = False) -> None:
    """Mount the layers (topmost first) with a writable one above them; mapped: as the user namespace sees them.

    Each layer is named by descriptor, so neither colons in a path nor the kernel's one page of options matter.
    Volatile: a container is never started twice from one upper directory, so its unmount need not sync the disk.
    """
    flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
    fds = []
    try:
        if mapped:
            fds = _mapped_directories(scene, target, lowers, upper, work)
        else:
            for path in (*lowers, upper, work):
                fds.append(os.open(path, flags))
        *low, up, at = (f"/proc/self/fd/{fd}" for fd in fds)
        data = f"lowerdir={':'.join(low)},upperdir={up},workdir={at}"
        try:
            sc.mount("overlay", target, "overlay", 0, data + ",volatile")
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            sc.mount("overlay", target, "overlay", 0, data)
    finally:
        for fd in fds:
            os.close(fd)


def bind_root(scene: Scene, target: str, source: str, mapped: bool = False) -> None:
    """Make a plain directory the root: an image without layers has nothing to overlay."""
    if not mapped:
        sc.mount(source, target, "", sc.MS_BIND | sc.MS_REC)
        return
    tree = sc.open_tree(source, recursive=False)
    at = os.open(target, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _map(scene, tree, source)
        sc.move_mount(tree, at)
    finally:
        os.close(at)
        os.close(tree)


def pivot(scene: Scene, root: str) -> None:
    """Make root the root, and let go of everything that was mounted before."""
    os.chdir(root)
    sc.pivot_root(".", ".")  # stacks the old root over the new one, so no directory for it is needed
    sc.umount(".", sc.MNT_DETACH)
    os.chdir("/")


def _target(path: str, *, directory: bool) -> int:
    """Open (make first, if missing) a mount point; never one inside a proc filesystem, where a hostile volume's
    symlink could point."""
    if not path.startswith("/"):
        raise Failed("mount point", path, "must be an absolute path", errno.EINVAL)
    if not os.path.exists(path):
        path = os.path.realpath(path)  # a symlink to nowhere: make what it means, still inside this root
        if directory:
            os.makedirs(path, 0o755, exist_ok=True)
        else:
            os.makedirs(os.path.dirname(path) or "/", 0o755, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    if sc.filesystem_type(fd) == sc.PROC_SUPER_MAGIC:
        os.close(fd)
        raise Failed("mount point", path, "lies in a proc filesystem", errno.EPERM)
    if stat.S_ISDIR(os.fstat(fd).st_mode) != directory:
        os.close(fd)
        kind = "not a directory, and what is mounted there is" if directory else "a directory, and a file is mounted"
        raise Failed("mount point", path, f"is {kind}", errno.ENOTDIR if directory else errno.EISDIR)
    return fd


def attach(
    scene: Scene,
    target: str,
    slot: str,
    attributes: int = 0,
    recursive: bool = False,
    propagation: str = "private",
    mapped: bool = False,
) -> None:
    """Put a tree from open_tree at target. attributes are MOUNT_ATTR_* flags, on all of its mounts if recursive.

    mapped: its own mount, not those below it, is shown through the scene's user namespace.
    """
    tree = scene.trees.pop(slot)
    try:
        if mapped:
            _map(scene, tree, target)
        if attributes:
            sc.mount_setattr(tree, attributes, recursive=recursive)
        if propagation != "shared":  # a shared tree is a peer of its source already, or the source is not shared
            sc.mount_setattr(tree, 0, propagation=_PROPAGATION[propagation], recursive=True)
        at = _target(target, directory=stat.S_ISDIR(os.fstat(tree).st_mode))
        try:
            sc.move_mount(tree, at)
        finally:
            os.close(at)
    finally:
        os.close(tree)


def mount(scene: Scene, target: str, fstype: str, flags: Sequence[str] = (), data: str = "", source: str = "") -> None:
    """Mount a filesystem of the kernel's own on a directory that is no symlink."""
    if fstype not in FILESYSTEMS:
        raise Failed("mount", target, f"filesystem {fstype!r} is not one of {', '.join(sorted(FILESYSTEMS))}")
    try:
        if not stat.S_ISDIR(os.lstat(target).st_mode):
            raise Failed("mount", target, "is not a directory in this image", errno.ENOTDIR)
    except FileNotFoundError:
        os.makedirs(target, 0o755)
    bits = 0
    for flag in flags:
        bits |= _MOUNT_FLAGS[flag]
    sc.mount(source or fstype, target, fstype, bits, data)


def try_mount(
    scene: Scene, target: str, fstype: str, flags: Sequence[str] = (), data: str = "", source: str = ""
) -> None:
    """As mount, but a refusal is a warning."""
    try:
        mount(scene, target, fstype, flags, data, source)
    except (OSError, Failed) as error:
        scene.warnings.append(f"{fstype} is not mounted on {target}: {error}")


def make_directory(scene: Scene, path: str, mode: int = 0o755) -> None:
    """Make a directory and its parents if they are not there."""
    os.makedirs(path, mode, exist_ok=True)


def node(scene: Scene, path: str, kind: str, major: int, minor: int, mode: int, uid: int = -1, gid: int = -1) -> None:
    """Make a device node: kind is "c" or "b". Its owner is the machine's uid and gid, or who makes it."""
    os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
    if os.path.lexists(path):
        os.unlink(path)
    os.mknod(path, mode | (stat.S_IFCHR if kind == "c" else stat.S_IFBLK), os.makedev(major, minor))
    os.chmod(path, mode)  # mknod's mode went through the umask
    if (uid, gid) != (-1, -1):
        os.chown(path, uid, gid)


def symlink(scene: Scene, path: str, target: str) -> None:
    """Make a symbolic link, unless something has the name."""
    if not os.path.lexists(path):
        os.symlink(target, path)


def mask(scene: Scene, path: str) -> None:
    """Hide a path: a file behind /dev/null, a directory behind an empty read-only tmpfs. A missing one stays so."""
    try:
        directory = os.path.isdir(path)
        if directory:
            sc.mount("tmpfs", path, "tmpfs", sc.MS_RDONLY, "size=0k,nr_inodes=2")
        elif os.path.lexists(path):
            null = os.lstat("/dev/null")
            if not stat.S_ISCHR(null.st_mode) or null.st_rdev != os.makedev(1, 3):
                raise Failed("mask", path, "a mount has replaced the container's /dev/null", errno.EPERM)
            sc.mount("/dev/null", path, "", sc.MS_BIND)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR):
            raise


def read_only(scene: Scene, path: str) -> None:
    """Make what is at path read-only in place. A missing path stays so."""
    try:
        tree = sc.open_tree(path)
        at = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return
        raise
    try:
        sc.mount_setattr(tree, sc.MOUNT_ATTR_RDONLY, recursive=True)
        sc.move_mount(tree, at)
    finally:
        os.close(tree)
        os.close(at)


def read_only_root(scene: Scene) -> None:
    """Make the root mount read-only; what is mounted below it keeps its own way."""
    sc.mount("", "/", "", sc.MS_REMOUNT | sc.MS_BIND | sc.MS_RDONLY)


def hostname(scene: Scene, name: str) -> None:
    """Name the UTS namespace."""
    sc.sethostname(name)


def loopback(scene: Scene) -> None:
    """Bring lo up, in whose network namespace the caller is."""
    import fcntl
    import socket
    import struct

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        siocsifflags, iff_up = 0x8914, 1
        fcntl.ioctl(probe, siocsifflags, struct.pack("16sh22x", b"lo", iff_up))


def sysctl(scene: Scene, name: str, value: str) -> None:
    """Write a kernel parameter: dots in its name are slashes, and a slash is a dot (sysctl.d(5))."""
    path = "/proc/sys/" + name.translate({ord("."): "/", ord("/"): "."})
    if ".." in path.split("/"):
        raise Failed("sysctl", name, "is no name of a kernel parameter", errno.EINVAL)
    _write(path, value)


def rlimit(scene: Scene, kind: int, soft: int, hard: int) -> None:
    """setrlimit(2); a machine that may not raise the hard limit warns and goes on."""
    import resource

    try:
        resource.setrlimit(kind, (soft, hard))
    except (PermissionError, ValueError):
        scene.warnings.append(f"rlimit {kind} stays as it was: {soft}:{hard} is refused without CAP_SYS_RESOURCE")


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


OPERATIONS: dict[str, Callable[..., None]] = {
    operation.__name__: operation
    for operation in (
        join_cgroups,
        join_namespaces,
        new_namespaces,
        oom_score_adj,
        open_tree,
        leave_host,
        open_user_namespace,
        act_as,
        overlay,
        bind_root,
        pivot,
        attach,
        mount,
        try_mount,
        make_directory,
        node,
        symlink,
        mask,
        read_only,
        read_only_root,
        hostname,
        loopback,
        sysctl,
        rlimit,
    )
}
