"""What a process has cost so far, read from /proc."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def cpu_seconds(pid: int) -> float:
    """CPU time of all threads of a process (proc(5), schedstat): finer than the ticks in its stat file.

    Threads that have ended are not counted. 0.0 for a process that is gone.
    """
    total = 0
    for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            total += int(thread.read_text().split()[0])
        except OSError:
            continue
    return total / 1e9


def cpu_of(pids: Iterable[int]) -> dict[int, float]:
    """CPU seconds of each process."""
    return {pid: cpu_seconds(pid) for pid in pids}
