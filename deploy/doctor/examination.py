"""What the doctor finds wrong. Elsewhere: what remains (sighting.py)."""

from __future__ import annotations

from deploy import places
from deploy.checks import Check
from deploy.doctor import cluster, machine


def examine(name: str = "") -> list[Check]:
    """The checks of a cluster; without a name those of the machine and of all its clusters. Raises ClusterError."""
    if name:
        return cluster.checks(name)
    return [*machine.checks(), *(check for one in places.existing() for check in cluster.checks(one))]
