"""Sampan's own code as a small disk of its own, so that a change of it does not touch the node image.

Named by the sources and by how they are made into a disk; what was compiled once is kept.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from deploy.vm import bytecode, ext4, image

PACKAGES = ("sampan", "apiserver", "scheduler", "controllers", "nodeagent", "deploy")
SUFFIXES = frozenset({".py", ".sh", ".json", ".txt", ".yaml", ".service", ".conf"})
FORM = 1
"""Raised whenever this file makes something else of the same sources."""
KEPT = 4
"""Disks of earlier code that stay: nodes that run have them open."""


def _files() -> Iterator[tuple[str, Path]]:
    """(path inside, file) of all sources, in order."""
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        for location in spec.submodule_search_locations or () if spec else ():
            root = Path(location)
            for file in sorted(root.rglob("*")):
                if file.suffix in SUFFIXES and file.is_file() and "__pycache__" not in file.parts:
                    yield f"{package}/{file.relative_to(root)}", file


def ensure() -> Path:
    """The disk of the code that runs here. Raises ClusterError, OSError."""
    contents = [(name, file.read_bytes()) for name, file in _files()]
    digest = hashlib.sha256(f"{FORM} {sys.implementation.cache_tag}".encode())
    for name, data in contents:
        digest.update(b"%s\0%d\0" % (name.encode(), len(data)) + data)
    place = image.store() / f"code-{digest.hexdigest()[:24]}.raw"
    if place.exists():
        os.utime(place)
        return place
    store = image.store() / "bytecode"
    store.mkdir(parents=True, exist_ok=True)
    scratch = image.store() / f".code-{os.getpid()}"
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        for name, data in contents:
            target = scratch / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        bytecode.put(scratch, Path("/") / image.CODE, store)
        fresh = place.with_suffix(f".{os.getpid()}")
        ext4.make(scratch, fresh, "sampan-code", journal=False, room=0)
        fresh.replace(place)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    _forget_old(place)
    return place


def _forget_old(current: Path) -> None:
    """Remove the disks of code that was replaced long ago. A node that has one open keeps it until it restarts."""
    disks = sorted(current.parent.glob("code-*.raw"), key=lambda one: one.stat().st_mtime, reverse=True)
    for old in disks[KEPT:]:
        old.unlink(missing_ok=True)
