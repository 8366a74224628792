"""`sampan node`: the processes of this machine's node, in the foreground."""

from __future__ import annotations

from deploy.machine.places import MachinePlaces


def run(places: MachinePlaces) -> int:
    """Keep fork server, runtime and agent running until SIGTERM; usable as process 1. Raises ClusterError."""
    raise NotImplementedError
