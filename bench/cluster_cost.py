"""How long a three-node cluster takes to start, and what it costs while nobody uses it.

    python -m bench.cluster_cost [SECONDS]

Start is counted from the command to three nodes Ready and a first pod Running, set-up done before. Idle is CPU time and
proportional memory (PSS) of all of the cluster's processes, etcd included. No peer runs on this machine without Docker
or a VM, so the figures stand beside what the peers publish (docs/benchmarks.md).
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from bench.cluster import IMAGE, NAME, a_home, kctl
from deploy import cgroups
from deploy.places import Places

NODES = 3
POD = f"""
apiVersion: v1
kind: Pod
metadata: {{name: first}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{{name: main, image: "{IMAGE}", command: [/bin/busybox, sleep, "1000000"]}}]
"""


def ticks(pids: set[int]) -> dict[int, int]:
    """CPU time of each process in clock ticks (proc_pid_stat(5), fields 14 and 15)."""
    found = {}
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        found[pid] = int(fields[11]) + int(fields[12])
    return found


def memory(pids: set[int]) -> float:
    """PSS of all processes together, in MB."""
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def main() -> None:
    """Start, measure, delete."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    with a_home():
        try:
            began = time.monotonic()
            kctl("cluster", "start", NAME, "--nodes", str(NODES), "-q")
            ready = time.monotonic() - began
            kctl("create", "-f", "-", stdin=POD)
            kctl("wait", "--for=condition=Ready", "pod/first", "--timeout=60s")
            running = time.monotonic() - began
            print(f"start: three nodes Ready after {ready:.2f} s, a first pod Running after {running:.2f} s (goal 3)")
            time.sleep(10)  # what start-up left to do is not idleness
            pids = cgroups.processes(Places.of(NAME).cgroup)
            before = ticks(pids)
            time.sleep(seconds)
            after = ticks(pids)
            spent = sum(after[pid] - before.get(pid, 0) for pid in after) / os.sysconf("SC_CLK_TCK")
            share = 100 * spent / seconds
            print(f"idle for {seconds:.0f} s: {share:.2f} % of a core (goal 2), {memory(pids):.0f} MB (goal 600)")
        finally:
            kctl("cluster", "delete", NAME, "-q")


if __name__ == "__main__":
    main()
