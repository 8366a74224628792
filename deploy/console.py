"""What a node said while it started: a machine's serial console, or what process 1 of a namespace node printed.

The file outlives the node's processes, so that it can be read after a crash.
"""

from __future__ import annotations

from pathlib import Path

from deploy import lookup
from sampan.errors import ClusterError

LOG_NAMES = {"vm": "console.log", "namespace": "init.log"}


def log_of(cluster: str, node: str) -> Path:
    """The node's log. Raises ClusterError when there is no such node, or it never started."""
    places = lookup.cluster_places(cluster)
    path = places.node(node).log / LOG_NAMES[lookup.node_in(places, node).driver]
    if not path.exists():
        raise ClusterError(where=f"node {node}", what="it has not started yet", remedy=f"there will be {path}")
    return path
