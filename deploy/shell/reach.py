"""The stream to a node's shell, whatever the node is. Raises ClusterError that says why there is none."""

from __future__ import annotations

import socket
from pathlib import Path

from deploy import control, lookup
from deploy.places import NodePlaces, Places
from deploy.shell import enter
from sampan.errors import ClusterError


def relay_socket(own: NodePlaces) -> Path:
    """Where the relay of a VM listens."""
    return own.run / "shell-mux.sock"


def connect(places: Places, node: str) -> socket.socket:
    """Reach a node of a running cluster."""
    lookup.node_in(places, node)
    answer = control.ask(places.control, {"do": "status"})
    if answer.get("paused"):
        raise ClusterError(
            where=f"cluster {places.name}", what="it is paused", remedy=f"kctl cluster resume {places.name}"
        )
    own = places.node(node)
    child = answer["children"].get(f"node/{node}", {"pid": 0})
    if not child["pid"]:
        raise ClusterError(
            where=f"node {node}",
            what="it does not run",
            remedy=f"kctl cluster node start {node} --cluster {places.name}",
        )
    if relay_socket(own).exists():
        return _relay(own)
    return enter.connect(node, child["pid"], f"{own.cgroup}/system")


def _relay(own: NodePlaces) -> socket.socket:
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        stream.connect(str(relay_socket(own)))
    except OSError as error:
        stream.close()
        raise ClusterError(
            where=f"node {own.name}",
            what=f"its shell can't be reached: {error.strerror}",
            remedy="the supervisor starts the relay again in a moment; see kctl cluster status",
        ) from error
    return stream
