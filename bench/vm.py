"""How soon a virtual machine is a Ready node, and what an idle one takes: `python -m bench.vm`.

Wall time depends on what else the machine does, so the processor time that QEMU took is printed beside it: on a quiet
machine of one processor for each guest the two are about the same. Goals: Ready within 35 s by emulation, at most
220 MB of the guest's memory, at most 120 MB of it the agent's and the runtime's.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from deploy import cgroups, cluster, spec
from deploy.places import NodePlaces, Places

NAME = "bench-vm"
IDLE_SECONDS = 15.0
TICKS = os.sysconf("SC_CLK_TCK")


def qemu_pid(own: NodePlaces) -> int:
    """The machine's QEMU; 0 when it does not run."""
    for pid in cgroups.processes(f"{own.cgroup}/system"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if Path(f"/proc/{pid}/comm").read_text().strip() == "sampan-vm":
                return pid
    return 0


def cpu_seconds(pid: int) -> float:
    """The processor time of a process (proc_pid_stat(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def guest_memory(own: NodePlaces) -> dict[str, int]:
    """What process 1 of the guest says about its memory, in KiB."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(60)
        asking.connect(str(own.run / "control.sock"))
        asking.sendall(b'{"do": "status"}\n')
        answer: dict[str, dict[str, int]] = json.loads(asking.makefile().readline())
        return answer["memory"]


def steps(where: Places) -> Iterator[str]:
    """Start a node; a line for each step with wall and processor time."""
    own = where.node("n1")
    began = time.monotonic()
    lines: list[str] = []

    def said(text: str) -> None:
        lines.append(text)

    described = spec.compose(NAME, 1, {"driver": "vm"})
    cluster.start(NAME, described, said)
    pid = qemu_pid(own)
    born = time.clock_gettime(time.CLOCK_BOOTTIME) - _started(pid)
    yield f"Ready {born:.1f} s after QEMU's start (cluster from nothing: {time.monotonic() - began:.1f} s)"
    yield f"processor time of QEMU until then: {cpu_seconds(pid):.1f} s"
    yield from (line.strip() for line in (own.log / "console.log").read_text().splitlines() if line.startswith("["))
    time.sleep(IDLE_SECONDS)
    before = cpu_seconds(pid)
    time.sleep(IDLE_SECONDS)
    yield f"idle: {(cpu_seconds(pid) - before) / IDLE_SECONDS:.1%} of a processor"
    memory = guest_memory(own)
    used = memory["MemTotal"] - memory["MemAvailable"]
    pods = memory.get("sampan-agent", 0) + memory.get("sampan-runtime", 0)
    yield f"guest memory used: {used / 1000:.0f} MB (goal 220), agent and runtime {pods / 1000:.0f} MB (goal 120)"
    yield json.dumps(memory)


def _started(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[19]) / TICKS


def main() -> int:
    """Print the figures."""
    store = os.environ.get("SAMPAN_VM_STORE", str(Path(__file__).resolve().parent.parent / ".tools" / "vm-images"))
    with tempfile.TemporaryDirectory(dir="/var/tmp") as home, tempfile.TemporaryDirectory(dir="/run") as run:
        os.environ.update(SAMPAN_HOME=home, SAMPAN_RUN=run, KUBECONFIG=f"{home}/kubeconfig", SAMPAN_VM_STORE=store)
        try:
            for line in steps(Places.of(NAME)):
                print(line, flush=True)
        finally:
            cluster.delete(NAME, lambda text: None)
    return 0


if __name__ == "__main__":
    sys.exit(main())
