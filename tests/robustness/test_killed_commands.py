"""`kctl cluster start` and `delete`, ended by SIGKILL at any of their steps: delete then still leaves nothing."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pytest

from clusters import BIN, LocalCluster
from deploy import cgroups

NAME = "killed"
STEP_KILLER = Path(__file__).parent / "step_killer"


class Sample(Protocol):
    """See conftest.py."""

    def __call__(self, cases: Sequence[int], few: int) -> list[int]: ...


@contextlib.contextmanager
def a_home() -> Iterator[LocalCluster]:
    """A home without a cluster in it yet. Afterwards nothing of the cluster is left, on the machine or in the home."""
    home = Path(tempfile.mkdtemp(prefix="sampan-test-", dir="/var/tmp"))
    run = Path(tempfile.mkdtemp(prefix="sampan-", dir="/run"))
    cluster = LocalCluster(NAME, home, run)
    try:
        yield cluster
        assert not cgroups.processes(cluster.places.cgroup)
        assert not [one for one in cgroups.hierarchies() if Path(f"{one}{cluster.places.cgroup}").exists()]
        assert not cluster.places.state.exists()
        assert not cluster.places.run.exists()
        assert f"sampan-{NAME}" not in cluster.kubectl("config", "get-contexts", "-o", "name")
    finally:
        cluster.kctl("cluster", "delete", NAME, code=None)
        shutil.rmtree(home)
        shutil.rmtree(run)


def killed(cluster: LocalCluster, program: str, step: int, *words: str) -> bool:
    """Run kctl while `program` is killed at its step; whether it got that far."""
    record = cluster.places.state.parent.parent / "steps"
    environment = cluster.environment | {
        "PYTHONPATH": str(STEP_KILLER),
        "PYTHONDONTWRITEBYTECODE": "1",
        "SAMPAN_KILL": f"{program}:{step}:{record}",
    }
    subprocess.run([BIN / "kctl", *words], env=environment, capture_output=True, timeout=120, check=False)
    return int(record.read_text()) >= step


@pytest.fixture(scope="module")
def steps() -> dict[str, int]:
    """How many steps a start takes in each program, and a delete, when nobody is killed."""
    with a_home() as cluster:
        counts = {}
        for key, program, words in (
            ("start", "bin/kctl", ("cluster", "start", NAME)),
            ("delete", "bin/kctl", ("cluster", "delete", NAME)),
        ):
            assert not killed(cluster, program, 1 << 20, *words)
            counts[key] = int((cluster.places.state.parent.parent / "steps").read_text())
        killed(cluster, "deploy.supervisor", 1 << 20, "cluster", "start", NAME)
        counts["supervisor"] = int((cluster.places.state.parent.parent / "steps").read_text())
        cluster.kctl("cluster", "delete", NAME)
    print(json.dumps(counts))
    return counts


def test_delete_leaves_nothing_of_a_start_that_was_killed(steps: dict[str, int], sample: Sample) -> None:
    for step in sample(range(1, steps["start"] + 1), 2):
        with a_home() as cluster:
            assert killed(cluster, "bin/kctl", step, "cluster", "start", NAME), f"step {step}"
            cluster.kctl("cluster", "delete", NAME)


def test_a_start_that_was_killed_is_made_good_by_another(steps: dict[str, int], sample: Sample) -> None:
    for step in sample(range(1, steps["start"] + 1), 2):
        with a_home() as cluster:
            assert killed(cluster, "bin/kctl", step, "cluster", "start", NAME), f"step {step}"
            cluster.kctl("cluster", "start", NAME, timeout=120)
            cluster.kubectl("wait", "--for=create", "node/n1", "--timeout=30s")
            cluster.kubectl("wait", "--for=condition=Ready", "node/n1", "--timeout=30s")
            cluster.kctl("cluster", "delete", NAME)


def test_a_supervisor_that_was_killed_while_it_started_is_succeeded(steps: dict[str, int], sample: Sample) -> None:
    for step in sample(range(1, steps["supervisor"] + 1), 2):
        with a_home() as cluster:
            reached = killed(cluster, "deploy.supervisor", step, "cluster", "start", NAME)
            # its last steps may come after the start has returned
            assert reached or step > steps["supervisor"] * 9 // 10, f"step {step}"
            cluster.kctl("cluster", "start", NAME, timeout=120)
            cluster.kubectl("wait", "--for=create", "node/n1", "--timeout=30s")
            cluster.kubectl("wait", "--for=condition=Ready", "node/n1", "--timeout=30s")
            cluster.kctl("cluster", "delete", NAME)


def test_a_delete_that_was_killed_can_be_repeated_and_spares_what_is_mine(
    steps: dict[str, int], sample: Sample, tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "precious").write_text("data")
    for step in sample(range(1, steps["delete"] + 1), 2):
        with a_home() as cluster:
            cluster.kctl("cluster", "start", NAME, timeout=120)
            point = cluster.places.state / "my folder"
            point.mkdir()
            subprocess.run(["mount", "--bind", mine, point], check=True)
            try:
                reached = killed(cluster, "bin/kctl", step, "cluster", "delete", NAME)
                # how many files there are to remove is not always the same
                assert reached or step > steps["delete"] * 9 // 10, f"step {step}"
                done = cluster.run("kctl", "cluster", "delete", NAME, code=1)
                assert f"left alone what is mounted at {point}" in done.stderr
                assert not cgroups.processes(cluster.places.cgroup)
                assert os.listdir(point) == ["precious"]
            finally:
                subprocess.run(["umount", point], check=True)
            cluster.kctl("cluster", "delete", NAME)
        assert (mine / "precious").read_text() == "data"
