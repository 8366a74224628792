"""Limits that are really reached: the error names the setting, and what was refused is made good when there is room."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy import cgroups
from deploy.control import ask

pytestmark = pytest.mark.root

TREE = """
import os, sys, time
from pathlib import Path
from deploy.process_tree import ChildSpec, ProcessTree
base = Path(sys.argv[1])
def answer(request):
    if request["do"] == "end":
        tree.end()
    return tree.status()
def wait():
    time.sleep(1000)
    return 0
tree = ProcessTree(base / "tree.json", base / "control.sock", answer)
if sys.argv[2]:
    (Path(sys.argv[2]) / "cgroup.procs").write_text("0")
for number in range(4):
    tree.add(ChildSpec(str(number), wait, base / "log"))
tree.run()
"""
WATCH = """
import asyncio, sys
from pathlib import Path
from nodeagent.server.logs import Watch
limit, most = sys.argv[1].split("=")
Path("/proc/sys/user", limit).write_text(most)
async def main():
    Watch(Path("/tmp"))
asyncio.run(main())
"""


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def pids() -> Iterator[Path]:
    """A cgroup of the pids controller that may have 3 processes."""
    name = f"sampan-limits-{os.getpid()}"
    for hierarchy in cgroups.hierarchies():
        place = hierarchy / name
        place.mkdir()
        if (place / "pids.max").exists():
            (place / "pids.max").write_text("3")
            yield place
            place.rmdir()
            return
        place.rmdir()
    pytest.skip("this machine has no pids controller to give away")


def running(base: Path) -> int:
    return sum(bool(one["pid"]) for one in ask(base / "control.sock", {"do": "status"}).values())


def test_a_supervisor_that_may_not_fork_says_which_limits_and_goes_on_when_it_may(tmp_path: Path, pids: Path) -> None:
    errors = tmp_path / "errors"
    with errors.open("wb") as out:
        tree = subprocess.Popen([sys.executable, "-c", TREE, str(tmp_path), str(pids)], stderr=out)
    try:
        until(lambda: "can't start" in errors.read_text())
        until((tmp_path / "control.sock").exists)
        assert running(tmp_path) == 2
        said = errors.read_text()
        assert "Resource temporarily unavailable; a limit of this machine is reached: process ids (sysctl -w " in said
        assert "kernel.pid_max=4194304" in said
        assert "pids.max" in said
        (pids / "pids.max").write_text("max")
        until(lambda: running(tmp_path) == 4)
    finally:
        ask(tmp_path / "control.sock", {"do": "end"})
        assert tree.wait(30) == 0


def test_a_supervisor_without_a_free_descriptor_says_which_limit(tmp_path: Path) -> None:
    errors = tmp_path / "errors"
    with errors.open("wb") as out:
        command = ["prlimit", "--nofile=10:10", sys.executable, "-c", TREE, str(tmp_path), ""]
        tree = subprocess.Popen(command, stderr=out)
    try:
        until(lambda: "can't start" in errors.read_text() or tree.poll() is not None)
        assert tree.poll() is None, errors.read_text()
        assert "Too many open files; a limit of this machine is reached: open files of a process (ulimit -n" in (
            errors.read_text()
        )
    finally:
        tree.terminate()
        tree.wait(30)


@pytest.mark.parametrize(
    ("limit", "setting"),
    [
        ("max_inotify_instances=0", "fs.inotify.max_user_instances=1024"),
        ("max_inotify_watches=0", "fs.inotify.max_user_watches=524288"),
    ],
)
def test_inotify_in_a_user_namespace_of_its_own(limit: str, setting: str) -> None:
    command = ["unshare", "--user", "--map-root-user", sys.executable, "-c", WATCH, limit]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"sysctl -w {setting}" in done.stderr.splitlines()[-1]
