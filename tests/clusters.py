"""Whole clusters for tests: real nodes, real pods, driven by the real command lines.

with LocalCluster.started(directory, nodes=3) as cluster:
    cluster.kubectl("get", "nodes")
    cluster.kctl("apply", "-f", "-", stdin=MANIFEST)
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from deploy.places import Places

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
BUSYBOX = Path("/bin/busybox")
PATIENCE = 60.0


class Failed(AssertionError):
    """A command line ended with another exit code than it was to."""


class LocalCluster:
    """One cluster, in directories of its own."""

    def __init__(self, name: str, home: Path, run: Path) -> None:
        self.name = name
        self.environment = os.environ | {
            "SAMPAN_HOME": str(home),
            "SAMPAN_RUN": str(run),
            "KUBECONFIG": str(home / "kubeconfig"),
            "HOME": str(home),
            "NO_COLOR": "1",
            "PATH": f"{BIN}:{os.environ.get('PATH', '/usr/bin:/bin')}",
        }
        self.environment.pop("SAMPAN_IMAGE_STORE", None)
        self.places = Places(name, home / "clusters" / name, run / name)

    @classmethod
    def running(cls, name: str) -> LocalCluster:
        """A cluster that runs already in $SAMPAN_HOME and $SAMPAN_RUN, for trying a test many times."""
        home, run = Path(os.environ["SAMPAN_HOME"]), Path(os.environ["SAMPAN_RUN"])
        return cls(name, home, run)

    @classmethod
    @contextlib.contextmanager
    def started(
        cls, *, name: str = "e2e", nodes: int = 3, description: str = "", patience: float = 180
    ) -> Iterator[LocalCluster]:
        """Start a cluster; delete it afterwards and see that nothing is left."""
        home = Path(tempfile.mkdtemp(prefix="sampan-test-", dir="/var/tmp"))
        run = Path(tempfile.mkdtemp(prefix="sampan-", dir="/run"))
        cluster = cls(name, home, run)
        try:
            if description:
                (home / "cluster.yaml").write_text(description)
                cluster.kctl("cluster", "start", name, "-f", str(home / "cluster.yaml"), timeout=patience)
            else:
                cluster.kctl("cluster", "start", name, "--nodes", str(nodes), timeout=180)
            yield cluster
        finally:
            if keep := os.environ.get("SAMPAN_TEST_LOGS"):
                shutil.copytree(cluster.places.logs, Path(keep) / home.name, dirs_exist_ok=True)
            cluster.kctl("cluster", "delete", name, timeout=180)
            try:
                cluster.leaves_nothing()
            finally:
                shutil.rmtree(home)
                shutil.rmtree(run)

    def leaves_nothing(self) -> None:
        """See that nothing of the cluster is left on the machine. Raises Failed with what is."""
        self.kctl("cluster", "doctor", "--leftovers", self.name)

    def run(
        self, *words: str, stdin: str | None = None, code: int | None = 0, timeout: float = PATIENCE
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in the cluster's environment. Raises Failed on another exit code than `code`."""
        done = subprocess.run(
            words, input=stdin, capture_output=True, text=True, env=self.environment, timeout=timeout, check=False
        )
        if code is not None and done.returncode != code:
            raise Failed(f"{' '.join(words)}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def kctl(self, *words: str, stdin: str | None = None, code: int | None = 0, timeout: float = PATIENCE) -> str:
        """Standard output of kctl."""
        return self.run(str(BIN / "kctl"), *words, stdin=stdin, code=code, timeout=timeout).stdout

    def kubectl(self, *words: str, stdin: str | None = None, code: int | None = 0, timeout: float = PATIENCE) -> str:
        """Standard output of the real kubectl."""
        return self.run(str(BIN / "kubectl"), *words, stdin=stdin, code=code, timeout=timeout).stdout

    def get(self, *words: str) -> Any:
        """An object, or a list's items, by the real kubectl."""
        value = json.loads(self.kubectl("get", *words, "-o", "json"))
        return value["items"] if value["kind"] == "List" else value

    def eventually(self, question: Callable[[], Any], patience: float = PATIENCE) -> Any:
        """Ask until the answer is true; an assertion or a failed command is a no. Raises AssertionError."""
        deadline = time.monotonic() + patience
        while True:
            reason: object = "the answer was no"
            try:
                if answer := question():
                    return answer
            except AssertionError as error:
                reason = error
            if time.monotonic() > deadline:
                raise AssertionError(f"not so after {patience:.0f} s: {reason}")
            time.sleep(0.2)

    def build_webapp(self, *versions: str) -> None:
        """Build the demo's application into the cluster's image store."""
        with tempfile.TemporaryDirectory() as scratch:
            context = Path(scratch) / "webapp"
            shutil.copytree(ROOT / "manifests" / "webapp", context)
            shutil.copy2(BUSYBOX, context / "busybox")
            for version in versions:
                tag, argument = f"webapp:{version}", f"VERSION={version}"
                self.kctl("image", "build", "-t", tag, "--build-arg", argument, str(context))

    def build_busybox(self) -> None:
        """Build busybox:test, an image that runs as root and has every tool of busybox."""
        with tempfile.TemporaryDirectory() as scratch:
            shutil.copy2(ROOT / "tests" / "e2e" / "busybox" / "Dockerfile", scratch)
            shutil.copy2(BUSYBOX, scratch)
            self.kctl("image", "build", "-t", "busybox:test", scratch)

    def apply(self, namespace: str, manifest: str, *, ready: str = "") -> None:
        """Apply YAML by the real kubectl, and wait until the pod `ready`, if named, is Ready."""
        self.kubectl("apply", "-n", namespace, "-f", "-", stdin=manifest)
        if ready:
            self.kubectl("wait", "-n", namespace, "--for=condition=Ready", f"pod/{ready}", "--timeout=60s")

    def inside(self, namespace: str, pod: str, script: str, *more: str) -> str:
        """What a shell script prints inside a pod."""
        return self.kubectl("exec", "-n", namespace, pod, *more, "--", "sh", "-c", script)

    def component_pid(self, component: str) -> int:
        """The machine's pid of a component such as `apiserver` or `n1/agent`; 0 when it does not run."""
        for line in self.kctl("cluster", "status", self.name, code=None).splitlines():
            words = line.split()
            if words and words[0] == component:
                return int(words[1]) if words[1].isdigit() else 0
        raise AssertionError(f"no component {component}")
