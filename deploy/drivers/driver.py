"""What a supervisor asks of a driver. Elsewhere: which driver a node has (deploy.spec), the drivers themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from deploy.process_tree import ChildSpec
from deploy.spec import Cluster, NodeSpec


class Driver(Protocol):
    """Makes nodes of one kind. All of it runs in the supervisor, in the cluster's network namespace."""

    def children(self, cluster: Cluster, node: NodeSpec) -> Sequence[ChildSpec]:
        """Write what the node needs (identity, configuration) and return its processes, the node itself first.

        The first is called `node_child(name)`, others have that name and a slash before theirs. Called at every
        start of the node, so it is repeatable. Raises ClusterError and OSError.
        """
        ...

    def plug(self, node: NodeSpec, plugged: bool) -> None:
        """Pull the node's cable, or put it back. Raises ClusterError when the node has none."""
        ...

    def remove(self, node: NodeSpec) -> None:
        """Take away what the node has outside its own directories and cgroup. Its process has ended."""
        ...


def node_child(name: str) -> str:
    """The name of a node among the supervisor's children."""
    return f"node/{name}"
