"""Into a virtual machine and back to its past: shell, console, cp, pause, snapshots, reset, directories.

Needs a node image; $SAMPAN_VM_STORE names where one is kept, so that it is built once.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusters import BIN, LocalCluster
from deploy import cgroups
from terminal import Terminal

KCTL = str(BIN / "kctl")
PATIENCE = 420.0


@pytest.fixture(scope="module")
def machine() -> Iterator[LocalCluster]:
    """A node of namespaces, n1, and a machine, v1."""
    with LocalCluster.started(name="access", nodes=1) as cluster:
        cluster.kctl("cluster", "node", "add", "v1", "--driver", "vm", "--cluster", "access", timeout=PATIENCE)
        yield cluster


def shell(cluster: LocalCluster, *words: str, code: int = 0, stdin: str | None = None) -> str:
    return cluster.kctl("cluster", "shell", "v1", "--cluster", "access", "--", *words, code=code, stdin=stdin)


def test_commands_streams_and_exit_codes(machine: LocalCluster) -> None:
    assert shell(machine, "hostname") == "v1\n"
    assert shell(machine, "sh", "-c", "echo out; exit 7", code=7) == "out\n"
    text = "0123456789abcdef" * (1 << 16)
    assert shell(machine, "cat", stdin=text) == text


def test_a_terminal_and_a_second_session_beside_it(machine: LocalCluster) -> None:
    words = [KCTL, "cluster", "shell", "v1", "--cluster", "access"]
    with Terminal(words, machine.environment | {"TERM": "dumb"}, rows=33, columns=97) as terminal:
        terminal.until("# ")
        terminal.type("stty size\n")
        terminal.until("33 97")
        terminal.resize(40, 120)
        terminal.type("sleep 1; stty size\n")
        terminal.until("40 120")
        assert shell(machine, "echo", "beside") == "beside\n"
        terminal.type("exit 5\n")
        assert terminal.wait() == 5


def test_a_killed_kctl_hangs_its_command_up(machine: LocalCluster) -> None:
    words = [KCTL, "cluster", "shell", "v1", "--cluster", "access", "--", "sh", "-c", "echo up; exec sleep 4321"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stdin=subprocess.PIPE, env=machine.environment) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"up\n"
        other.kill()
    machine.eventually(lambda: not shell(machine, "sh", "-c", "ps | grep 'sleep 432[1]' || true"))


def test_files_go_both_ways(machine: LocalCluster, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "run").write_text("#!/bin/sh\necho ran\n")
    (folder / "run").chmod(0o755)
    machine.kctl("cluster", "cp", "--cluster", "access", str(folder), "v1:/root")
    assert shell(machine, "/root/folder/run") == "ran\n"
    machine.kctl("cluster", "cp", "--cluster", "access", "v1:/root/folder", str(tmp_path / "back"))
    assert (tmp_path / "back/run").read_text() == (folder / "run").read_text()


def test_paused_it_costs_nothing_and_its_clock_is_right_afterwards(machine: LocalCluster) -> None:
    pids = cgroups.processes(machine.places.node("v1").cgroup)
    machine.kctl("cluster", "pause", "access")

    def used() -> int:
        lines = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
        return sum(int(line[11]) + int(line[12]) for line in lines)

    before = used()
    time.sleep(8)  # the length of the gap is what is tested
    assert used() == before
    machine.kctl("cluster", "resume", "access")
    machine.eventually(lambda: abs(int(shell(machine, "date", "+%s")) - time.time()) < 3)
    ready = machine.kubectl("get", "node", "v1", "-o", 'jsonpath={.status.conditions[?(@.type=="Ready")].status}')
    assert ready == "True"


def test_a_machine_goes_on_where_its_memory_was_saved(machine: LocalCluster) -> None:
    shell(machine, "sh", "-c", "echo old > /root/file; echo memory > /run/kept")
    booted = shell(machine, "cat", "/proc/sys/kernel/random/boot_id")
    machine.kctl("cluster", "snapshot", "save", "access", "one", timeout=PATIENCE)
    shell(machine, "sh", "-c", "echo new > /root/file; rm /run/kept")
    machine.kctl("cluster", "snapshot", "restore", "access", "one", timeout=PATIENCE)
    assert shell(machine, "cat", "/root/file", "/run/kept") == "old\nmemory\n"
    assert shell(machine, "cat", "/proc/sys/kernel/random/boot_id") == booted
    machine.eventually(lambda: abs(int(shell(machine, "date", "+%s")) - time.time()) < 3)
    machine.kctl("cluster", "snapshot", "delete", "access", "one")


def test_the_console_is_there_after_qemu_was_killed(machine: LocalCluster) -> None:
    log = machine.kctl("cluster", "console", "v1", "--cluster", "access")
    assert "the node's processes start" in log
    words = [KCTL, "cluster", "shell", "v1", "--cluster", "access", "--", "sleep", "1000"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, stdin=subprocess.PIPE, env=machine.environment) as waiting:
        shell(machine, "true")
        for pid in cgroups.processes(machine.places.node("v1").cgroup):
            if Path(f"/proc/{pid}/comm").read_text().startswith("sampan-vm"):
                os.kill(pid, signal.SIGKILL)
        assert waiting.stderr is not None
        said = waiting.stderr.read().decode()
    assert said.startswith("error: node v1: the machine ended (QEMU closed its end); look at: kctl cluster console v1")
    assert "the node's processes start" in machine.kctl("cluster", "console", "v1", "--cluster", "access")


def test_a_machine_that_is_reset_has_a_fresh_disk(machine: LocalCluster) -> None:
    before = machine.eventually(lambda: machine.get("node", "v1")["metadata"]["uid"])
    machine.kctl("cluster", "node", "reset", "v1", "--cluster", "access", timeout=PATIENCE)
    assert machine.get("node", "v1")["metadata"]["uid"] != before
    assert shell(machine, "ls", "/root") == ""
