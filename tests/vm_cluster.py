"""A cluster with virtual machines, for tests/vm."""

from __future__ import annotations

from clusters import LocalCluster


class Machines(LocalCluster):
    """The cluster, and what it took to start it."""

    qemu_seconds = 0.0
    """Processor time of the machine until its node was Ready."""

    def wait_ready(self, node: str, ready: str = "True", patience: float = 240) -> None:
        """Wait for a node's Ready condition."""
        self.kubectl(
            "wait", f"--for=condition=Ready={ready}", f"node/{node}", f"--timeout={patience:.0f}s", timeout=patience + 9
        )

    def on_node(self, node: str, script: str) -> str:
        """What a shell script prints on a node."""
        return self.kctl("cluster", "shell", node, "--cluster", self.name, "--", "sh", "-c", script, timeout=90)
