"""What the first process of a node does for processes that have lost their parent."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nodeagent.runtime.forkserver import zombie_status

pytestmark = pytest.mark.root


def test_an_orphans_exit_status_can_be_read_for_a_while_and_then_it_is_gone(tmp_path: Path) -> None:
    """Kernels before 6.15 show it until somebody reaps it: the next fork server needs that time."""
    program = """
import ctypes, os, sys, time
from pathlib import Path
from deploy import process_tree
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
process_tree.ORPHAN_SECONDS = 1.0
base = Path(sys.argv[1])
tree = process_tree.ProcessTree(base / "tree.json", base / "control.sock", lambda request: {})
parent = os.fork()
if parent == 0:
    if (orphan := os.fork()) == 0:
        time.sleep(0.2)
        os._exit(17)
    (base / "orphan").write_text(str(orphan))
    os._exit(0)
tree.run()
"""
    tree = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)])
    try:
        statuses = set()
        deadline = time.monotonic() + 10
        pid = 0
        while time.monotonic() < deadline:
            if not pid and (tmp_path / "orphan").exists():
                pid = int((tmp_path / "orphan").read_text() or "0")
            if pid:
                try:
                    with open(f"/proc/{pid}/stat", "rb") as file:
                        started = int(file.read().rpartition(b")")[2].split()[19])
                except OSError:
                    break
                statuses.add(zombie_status(pid, started))
            time.sleep(0.05)
        assert pid
        assert not os.path.exists(f"/proc/{pid}")
        assert 17 << 8 in statuses
    finally:
        tree.terminate()
        tree.wait(10)
