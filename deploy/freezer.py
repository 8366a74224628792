"""The cgroup freezer: processes that keep everything and take no processor time.

cgroup v1's freezer hierarchy where there is one, `cgroup.freeze` of v2 elsewhere (cgroups(7), "freezer" and
"cgroup.freeze"). A frozen tree can't be killed on v1 before it is thawed.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from deploy import cgroups
from sampan.errors import ClusterError

FREEZE_SECONDS = 10.0
"""A process in the middle of a write to a slow disk freezes only afterwards."""
LOOK_SECONDS = 0.01


def freeze(paths: Iterable[str], patience: float = FREEZE_SECONDS) -> None:
    """Freeze the trees below these cgroups and wait until all are. Raises ClusterError, and then none is frozen."""
    chosen = list(paths)
    deadline = time.monotonic() + patience
    try:
        for path in chosen:
            for place in _places(path):
                _set(place, frozen=True)
        for path in chosen:
            for place in _places(path):
                while not _is_still(place):
                    if time.monotonic() > deadline:
                        raise ClusterError(
                            where=f"cgroup {path}",
                            what=f"its processes are not frozen after {patience:.0f} s; one waits for a disk, perhaps",
                            remedy="try again when the machine is less busy",
                        )
                    time.sleep(LOOK_SECONDS)
                    _set(place, frozen=True)  # v1 may give up on a busy process and wants to be asked again
    except BaseException:
        thaw(chosen)
        raise


def thaw(paths: Iterable[str]) -> None:
    """Let the trees below these cgroups go on. Repeatable; a cgroup that is not there is no error."""
    for path in paths:
        for place in _places(path):
            _set(place, frozen=False)


def is_frozen(path: str) -> bool:
    """Whether a cgroup is frozen, or being frozen."""
    return any(_asked(place) for place in _places(path))


def _places(path: str) -> list[Path]:
    """The freezer's file of a cgroup: one, or none where the cgroup or a freezer is missing."""
    v1, v2 = [], []
    for hierarchy in cgroups.hierarchies():
        directory = hierarchy / path.lstrip("/")
        if (state := directory / "freezer.state").exists():
            v1.append(state)
        elif (switch := directory / "cgroup.freeze").exists():
            v2.append(switch)
    return v1 or v2


def _set(place: Path, *, frozen: bool) -> None:
    words = ("THAWED", "FROZEN") if place.name == "freezer.state" else ("0", "1")
    place.write_text(words[frozen])


def _asked(place: Path) -> bool:
    return place.read_text().strip() in ("FROZEN", "FREEZING", "1")


def _is_still(place: Path) -> bool:
    if place.name == "freezer.state":
        return place.read_text().strip() == "FROZEN"
    return "frozen 1" in (place.parent / "cgroup.events").read_text().splitlines()
