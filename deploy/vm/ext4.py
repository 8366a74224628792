"""File systems made of directories, byte for byte the same each time (mke2fs(8), debugfs(8))."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

from sampan.errors import ClusterError

EPOCH = 1_700_000_000
"""The time of every file of an image: what SOURCE_DATE_EPOCH is for. Unix seconds."""
SBIN = "/usr/sbin:/sbin"


def level(tree: Path) -> None:
    """Give every file of a tree the same time, and root as its owner unless it has another."""
    for directory, names, files in os.walk(tree, topdown=False):
        for name in (*files, *names):
            os.utime(os.path.join(directory, name), (EPOCH, EPOCH), follow_symlinks=False)
    os.utime(tree, (EPOCH, EPOCH))


def tree_bytes(tree: Path) -> tuple[int, int]:
    """(bytes, files) that a tree takes, in whole blocks."""
    size = count = 0
    for directory, names, files in os.walk(tree):
        count += len(names) + len(files)
        size += 4096 * len(names)
        for name in files:
            size += (os.lstat(os.path.join(directory, name)).st_size + 4095) // 4096 * 4096
    return size, count


def make(tree: Path, image: Path, label: str, *, journal: bool, room: int) -> None:
    """Write `image`, an ext4 of the tree with `room` bytes to spare. Raises ClusterError.

    The times of inodes are set afterwards: mke2fs takes a file's ctime from the tree, where nobody can set it.
    """
    level(tree)
    size, count = tree_bytes(tree)
    blocks = (size + room + (64 << 20 if journal else 1 << 20) + count * 320) // 4096
    identity = str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{label}.sampan.dev"))
    image.unlink(missing_ok=True)
    run(
        "mke2fs",
        "-q",
        "-F",
        *("-t", "ext4"),
        *("-b", "4096"),
        *("-m", "0"),
        *("-L", label),
        *("-U", identity),
        *("-O", f"^metadata_csum,{'' if journal else '^'}has_journal"),
        *("-N", str(count + (65536 if journal else 16))),
        *(("-J", "size=16") if journal else ()),
        *("-E", f"hash_seed={identity},lazy_itable_init=1,lazy_journal_init=1,root_owner=0:0,nodiscard"),
        *("-d", str(tree)),
        str(image),
        str(blocks),
        where=f"disk {image.name}",
    )
    run("debugfs", "-w", "-f", "-", str(image), where=f"disk {image.name}", stdin="\n".join(_times(count)) + "\n")


def _times(files: int) -> Iterator[str]:
    """Commands of debugfs that level the times of all inodes: 11 is the first that is not reserved, 2 the root."""
    for number in (2, *range(7, 12 + files)):
        for name in ("ctime", "crtime", "atime", "mtime"):
            yield f"sif <{number}> {name} @{EPOCH}"
            yield f"sif <{number}> {name}_extra 0"
    yield f"ssv wtime @{EPOCH}"
    yield f"ssv mkfs_time @{EPOCH}"
    yield f"ssv lastcheck @{EPOCH}"


def find(program: str) -> str | None:
    """Where a program is, also one that only root's PATH has."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '/usr/bin:/bin')}:{SBIN}")


def run(program: str, *words: str, where: str, stdin: str | None = None, env: Mapping[str, str] | None = None) -> str:
    """Run a program and return what it prints. Raises ClusterError with its last words."""
    path = find(program)
    if path is None:
        raise ClusterError(where=where, what=f"program {program} is not installed", remedy="install its package")
    done = subprocess.run(
        (path, *words),
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env={
            "PATH": f"/usr/bin:/bin:{SBIN}",
            "LC_ALL": "C.UTF-8",
            "SOURCE_DATE_EPOCH": str(EPOCH),
            "E2FSPROGS_FAKE_TIME": str(EPOCH),
        }
        | dict(env or {}),
    )
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise ClusterError(where=where, what=f"{program} ended with code {done.returncode}: {' / '.join(said[-3:])}")
    return done.stdout
