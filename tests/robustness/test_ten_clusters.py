"""Ten clusters that are started at the same time all come up, with the limits that a stock machine has.

No deadline of ours: a start waits for as long as its cluster gets on. SAMPAN_ROBUSTNESS=all takes ten, else two.
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import subprocess
import tempfile
from pathlib import Path

from clusters import BIN, LocalCluster

STOCK_FILES = 1024
"""RLIMIT_NOFILE of a login; the hard limit stays what it is, as on a stock machine."""
LONGEST_SECONDS = 3600
COUNT = 10 if os.environ.get("SAMPAN_ROBUSTNESS") == "all" else 2


def _as_a_login_has_it() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (STOCK_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


def test_clusters_that_start_together_all_come_up() -> None:
    home = Path(tempfile.mkdtemp(prefix="sampan-test-", dir="/var/tmp"))
    run = Path(tempfile.mkdtemp(prefix="sampan-", dir="/run"))
    clusters = [LocalCluster(f"ten{number}", home, run) for number in range(COUNT)]
    with contextlib.ExitStack() as ended:
        ended.callback(shutil.rmtree, home)
        ended.callback(shutil.rmtree, run)
        for one in clusters:
            ended.callback(one.leaves_nothing)
            ended.callback(one.kctl, "cluster", "delete", one.name, timeout=LONGEST_SECONDS)
        starts = [
            subprocess.Popen(
                [BIN / "kctl", "cluster", "start", one.name],
                env=one.environment | {"KUBECONFIG": str(home / f"{one.name}.kubeconfig")},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                preexec_fn=_as_a_login_has_it,
            )
            for one in clusters
        ]
        said = [one.communicate(timeout=LONGEST_SECONDS)[0] for one in starts]
        assert [one.returncode for one in starts] == [0] * COUNT, "\n".join(said)
        for one in clusters:
            one.environment["KUBECONFIG"] = str(home / f"{one.name}.kubeconfig")
            nodes = one.get("nodes")
            assert [node["metadata"]["name"] for node in nodes] == ["n1"]
