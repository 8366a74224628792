"""The node image: Debian's packages and what Sampan depends on, as one ext4 disk that every VM's own lies over.

Named by its inputs: the versions of all packages, the recipe, and Python. The same inputs give the same bytes. A
build works beside the images and becomes one of them by a rename, so there is never half an image.
Elsewhere: Sampan's own code (code.py), the packages (packages.py, distributions.py), the file system (ext4.py).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import sys
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from deploy.places import home
from deploy.vm import bytecode, distributions, ext4, initramfs, packages
from sampan.errors import ClusterError

RECIPE = (bytecode, distributions, ext4, initramfs, packages)
"""What decides, beside this file, what becomes of the packages: a change of it makes another image."""
Progress = Callable[[str, float], None]
"""Told what is done now, and how much of the whole is behind it: 0 to 1."""
SITE = "usr/lib/sampan"
CODE = "opt/sampan"
STATE = "var/lib/sampan"
DOCUMENTATION = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/info",
    "usr/share/lintian",
    "usr/share/bug",
)
SYSTEM = ("var/cache", "var/log", "var/lib/apt", "var/lib/dpkg", "etc/apt", "usr/share/perl5", "usr/share/perl")
STDLIB = ("test", "idlelib", "tkinter", "lib2to3", "ensurepip", "distutils", "pydoc_data", "turtledemo")
BUILD_BYTES = 2 << 30
"""What a build needs of the disk: the unpacked packages twice, and room."""
FREE_INSIDE = 128 << 20


@dataclass(frozen=True)
class Image:
    """A built image."""

    digest: str
    directory: Path

    @property
    def disk(self) -> Path:
        return self.directory / "disk.raw"

    @property
    def kernel(self) -> Path:
        return self.directory / "vmlinuz"

    @property
    def initrd(self) -> Path:
        return self.directory / "initrd"

    @property
    def contents(self) -> list[str]:
        """`NAME VERSION` of every package."""
        listed: list[str] = json.loads((self.directory / "contents.json").read_text())
        return listed


def store() -> Path:
    """Where images are kept; SAMPAN_VM_STORE lets several homes share one."""
    return Path(os.environ.get("SAMPAN_VM_STORE", home() / "vm" / "images"))


def inputs() -> list[str]:
    """All that an image depends on, one a line. Raises ClusterError."""
    return [
        *(f"recipe {path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in _recipe()),
        f"python {sys.version_info.major}.{sys.version_info.minor} {sysconfig.get_platform()}",
        *(f"python package {name} {one.version}" for name, one in distributions.needed().items()),
        *(f"debian package {one}" for one in packages.versions()),
    ]


def _recipe() -> list[Path]:
    return [Path(__file__), *(Path(str(module.__file__)) for module in RECIPE)]


def digest_of(lines: list[str]) -> str:
    """The name of the image that these inputs make."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:24]


def find(digest: str) -> Image | None:
    """An image that is there."""
    image = Image(digest, store() / digest)
    return image if image.disk.exists() else None


def ensure(progress: Progress) -> Image:
    """The image that today's inputs make, built unless it is there. Raises ClusterError."""
    progress("looking at the packages", 0.0)
    lines = inputs()
    digest = digest_of(lines)
    if (found := find(digest)) is not None:
        return found
    with _locked(progress):
        if (found := find(digest)) is not None:  # somebody else has built it meanwhile
            return found
        _check_room()
        with _scratch(digest) as scratch:
            build(scratch, lines, progress)
            os.rename(scratch, store() / digest)
    progress("the node image is there", 1.0)
    return Image(digest, store() / digest)


def build(directory: Path, lines: list[str], progress: Progress) -> None:
    """Make an image's files in `directory`. Raises ClusterError."""
    tree = directory / "tree"
    progress("unpacking Debian's packages", 0.05)
    packages.extract(tree)
    kernels = sorted((tree / "boot").glob("vmlinuz-*"))
    if not kernels:
        raise ClusterError(where="node image", what="the packages have no kernel")
    release = kernels[-1].name.removeprefix("vmlinuz-")
    shutil.copyfile(kernels[-1], directory / "vmlinuz")
    progress("leaving out what no node needs", 0.6)
    _prune(tree)
    ext4.run("chroot", str(tree), "/sbin/depmod", release, where="node image, kernel modules")
    initramfs.write(tree, release, directory / "initrd")
    progress("adding what Sampan depends on", 0.65)
    distributions.copy(distributions.needed(), tree / SITE)
    _furnish(tree)
    progress("compiling Python's modules", 0.7)
    for library in sorted((tree / "usr/lib").glob("python3*")):
        bytecode.put(library, Path("/") / library.relative_to(tree))
    bytecode.put(tree / SITE, Path("/") / SITE)
    progress("writing the disk", 0.85)
    ext4.make(tree, directory / "disk.raw", "sampan-node", journal=True, room=FREE_INSIDE)
    progress("tidying up", 0.97)
    shutil.rmtree(tree)
    (directory / "contents.json").write_text(json.dumps(lines, indent=1) + "\n")
    for name in ("disk.raw", "vmlinuz", "initrd", "contents.json"):
        with (directory / name).open("rb") as file:
            os.fsync(file.fileno())


def _prune(tree: Path) -> None:
    shutil.rmtree(tree / "boot")
    (tree / "boot").mkdir()
    for name in DOCUMENTATION:
        shutil.rmtree(tree / name, ignore_errors=True)
    for name in SYSTEM:
        shutil.rmtree(tree / name, ignore_errors=True)
        if name.startswith("var/"):
            (tree / name).mkdir(parents=True)
    for library in (tree / "usr/lib").glob("python3*"):
        for name in STDLIB:
            shutil.rmtree(library / name, ignore_errors=True)
    for name in ("etc/machine-id", "etc/hostname", "etc/resolv.conf"):
        (tree / name).unlink(missing_ok=True)


def _furnish(tree: Path) -> None:
    """What packages' scripts would have made, and the way into Sampan."""
    for name in (CODE, STATE, "run", "root", "mnt"):
        (tree / name).mkdir(parents=True, exist_ok=True)
    for name in (
        "bash",
        "awk",
        "grep",
        "sed",
        "ps",
        "top",
        "vi",
        "less",
        "find",
        "xargs",
        "head",
        "tail",
        "ping",
        "poweroff",
        "reboot",
        "hostname",
        "id",
        "env",
        "wc",
        "sort",
        "cut",
        "tr",
        "tee",
        "clear",
        "free",
        "kill",
        "dmesg",
        "du",
        "wget",
        "nc",
        "diff",
        "cmp",
        "md5sum",
        "sha256sum",
        "seq",
        "test",
        "which",
        "uptime",
        "watch",
        "stat",
        "sysctl",
        "time",
        "killall",
        "pidof",
        "printf",
        "basename",
        "dirname",
        "expr",
        "gzip",
        "gunzip",
        "zcat",
        "nslookup",
        "netstat",
        "telnet",
        "traceroute",
    ):
        if not any((tree / place / name).exists() for place in ("bin", "sbin", "usr/bin", "usr/sbin")):
            (tree / "bin" / name).symlink_to("busybox" if name != "bash" else "dash")
    for name, text in {
        "passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
        "group": "root:x:0:\nnogroup:x:65534:\n",
        "hosts": "127.0.0.1 localhost\n::1 localhost\n",
        "resolv.conf": "",
        "machine-id": "",
    }.items():
        (tree / "etc" / name).write_text(text)


def _check_room() -> None:
    place = store()
    free = shutil.disk_usage(place).free
    if free < BUILD_BYTES:
        raise ClusterError(
            where=f"node image in {place}",
            what=f"{free >> 20} MiB are free, and a build needs {BUILD_BYTES >> 20} MiB",
            remedy="make room, or set SAMPAN_VM_STORE to a directory on another disk",
        )


@contextlib.contextmanager
def _locked(progress: Progress) -> Iterator[None]:
    """One builder at a time; the others wait, and find what it built."""
    store().mkdir(parents=True, exist_ok=True)
    with (store() / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another build of the node image", 0.0)
            fcntl.flock(lock, fcntl.LOCK_EX)
        for left in store().glob(".build-*"):  # of a build that was killed
            shutil.rmtree(left)
        yield


@contextlib.contextmanager
def _scratch(digest: str) -> Iterator[Path]:
    """A directory for a build, gone afterwards unless it was renamed."""
    scratch = store() / f".build-{digest}"
    scratch.mkdir()
    try:
        yield scratch
    except OSError as error:
        raise ClusterError(
            where=f"node image in {store()}", what=str(error), remedy="make room and try again"
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
