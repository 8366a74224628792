"""A local cluster for a benchmark: in directories of its own, with a small image, deleted at the end."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAME = "bench"
DOCKERFILE = "FROM scratch\nCOPY busybox /bin/busybox\n"
IMAGE = "bench:1"


def kctl(*words: str, stdin: str | None = None) -> str:
    """Run kctl; its standard output. Raises CalledProcessError."""
    command = [sys.executable, "-m", "kctl", *words]
    return subprocess.run(command, input=stdin, text=True, check=True, stdout=subprocess.PIPE).stdout


@contextmanager
def a_home() -> Iterator[Path]:
    """Directories for clusters, where the image `bench:1` is built already. Nothing of it stays."""
    with (
        tempfile.TemporaryDirectory(prefix="sampan-bench-", dir="/var/tmp") as home,
        tempfile.TemporaryDirectory(prefix="sampan-", dir="/run") as run,
    ):
        os.environ.update(SAMPAN_HOME=home, SAMPAN_RUN=run, KUBECONFIG=f"{home}/kubeconfig", HOME=home)
        context = Path(home, "image")
        context.mkdir()
        (context / "Dockerfile").write_text(DOCKERFILE)
        (context / "busybox").write_bytes(Path("/bin/busybox").read_bytes())
        (context / "busybox").chmod(0o755)
        kctl("image", "build", "-t", IMAGE, str(context))
        yield Path(home)


@contextmanager
def a_cluster(nodes: int) -> Iterator[str]:
    """The name of a running cluster, whose kubeconfig is $KUBECONFIG."""
    with a_home():
        try:
            kctl("cluster", "start", NAME, "--nodes", str(nodes), "-q")
            yield NAME
        finally:
            kctl("cluster", "delete", NAME, "-q")
