"""A process that outlives its tree is adopted by the next, and ends when it is told to for good."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from deploy.control import ask

TREE = """
import os, sys, time
from pathlib import Path
from deploy.process_tree import ChildSpec, ProcessTree
base = Path(sys.argv[1])
tree = ProcessTree(base / "tree.json", base / "control.sock", lambda request: tree.end(all_of_them=True) or {})
def wait():
    time.sleep(1000)
    return 0
tree.add(ChildSpec("lasting", wait, base / "log", outlives=True))
tree.add(ChildSpec("passing", wait, base / "log"))
(base / "up").touch()
tree.run()
"""


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def start(base: Path) -> subprocess.Popen[bytes]:
    (base / "up").unlink(missing_ok=True)
    process = subprocess.Popen([sys.executable, "-c", TREE, str(base)])
    until((base / "up").exists)
    return process


def pids(base: Path) -> dict[str, int]:
    return {name: pid for name, (pid, _) in json.loads((base / "tree.json").read_text()).items()}


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def test_what_outlives_the_tree_is_adopted_and_ends_with_it_for_good(tmp_path: Path) -> None:
    first = start(tmp_path)
    before = pids(tmp_path)
    first.send_signal(signal.SIGTERM)
    assert first.wait(20) == 0
    until(lambda: gone(before["passing"]))
    assert not gone(before["lasting"])
    second = start(tmp_path)
    try:
        after = pids(tmp_path)
        assert after["lasting"] == before["lasting"]
        assert after["passing"] != before["passing"]
    finally:
        ask(tmp_path / "control.sock", {"do": "stop"})
        assert second.wait(20) == 0
    assert gone(before["lasting"])
    assert not (tmp_path / "tree.json").exists()
