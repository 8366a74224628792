"""How long is `kctl get pods`, whole process, against kubectl's on the same server? The two take turns.

CPU time (user and system) is what is compared, because other work on the machine does not change it; wall time is told
too. Bytecode is compiled before anything is measured, as it is after a user's first call.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median, quantiles

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from servers import KUBECTL, Servers

ROUNDS = 40
GOAL_SECONDS = 0.10


def spent(words: Sequence[str], environment: Mapping[str, str]) -> tuple[float, float]:
    """(CPU seconds, wall seconds) of one call."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as scratch, Servers(Path(scratch)) as servers:
        environment = dict(os.environ) | {
            "KUBECONFIG": str(servers.kubeconfig),
            "HOME": scratch,
            "PYTHONPYCACHEPREFIX": f"{scratch}/bytecode",
        }
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        ours = [str(Path(sys.executable).parent / "kctl"), "get", "pods"]
        theirs = [str(KUBECTL), "get", "pods"]
        bare = [sys.executable, "-c", "pass"]
        for words in (ours, theirs, bare):
            spent(words, environment)
        rows = [(spent(ours, environment), spent(theirs, environment), spent(bare, environment)) for _ in range(ROUNDS)]
    for at, name in enumerate(("CPU", "wall")):
        low, middle, high = quantiles([a[at] / b[at] for a, b, _ in rows], n=4)
        figures = [1000 * median(row[who][at] for row in rows) for who in range(3)]
        print(
            f"kctl get pods, {name}: {middle:.2f} of kubectl's ({low:.2f} to {high:.2f}; goal 1.00):"
            f" {figures[0]:.0f} ms against {figures[1]:.0f} ms; bare Python {figures[2]:.0f} ms"
        )
    best = min(row[0][1] for row in rows)
    print(f"kctl get pods, the fastest of {ROUNDS} calls: {best:.3f} s (goal {GOAL_SECONDS:.2f} s)")


if __name__ == "__main__":
    main()
