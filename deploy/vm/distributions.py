"""What the guest's Python needs besides Sampan: the files of the packages that pyproject.toml depends on."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path, PurePosixPath

from sampan.errors import ClusterError

NEVER = frozenset(
    {"tests", "test", "testing", "f2py", "include", "distutils", "__pycache__", "benchmarks", "_pyinstaller"}
)
"""Directories of packages that nothing of ours imports."""
SUFFIXES = frozenset({".pyi", ".h", ".c", ".pyx", ".pxd", ".pxi", ".a", ".pyc", ".typed", ".hpp", ".cpp", ".pem"})
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def needed() -> dict[str, metadata.Distribution]:
    """Sampan's dependencies and theirs, by name, in order. Raises ClusterError when one is not installed."""
    found: dict[str, metadata.Distribution] = {}
    waiting = list(_requirements("sampan"))
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # a marker says that this Python does not need it
        waiting.extend(_requirements(name))
    if "aiohttp" not in found:
        raise ClusterError(
            where="node image", what="the packages that Sampan depends on are not installed", remedy="make setup"
        )
    return dict(sorted(found.items()))


def _requirements(name: str) -> Iterator[str]:
    for line in metadata.requires(name) or ():
        requirement, _, marker = line.partition(";")
        if "extra" in marker:
            continue
        if match := NAME.match(requirement):
            yield re.sub(r"[-_.]+", "-", match.group()).lower()


def is_needed(path: PurePosixPath) -> bool:
    """Whether a file of a package is to be in the image."""
    if path.is_absolute() or ".." in path.parts or path.parts[0].endswith((".dist-info", ".pth")):
        return False
    return not NEVER.intersection(path.parts[:-1]) and path.suffix not in SUFFIXES


def copy(distributions: dict[str, metadata.Distribution], target: Path) -> None:
    """Put the packages' files below `target`."""
    for one in distributions.values():
        for file in one.files or ():
            if not is_needed(PurePosixPath(file)):
                continue
            source, place = Path(str(one.locate_file(file))), target / file
            if source.is_file():
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, place)
