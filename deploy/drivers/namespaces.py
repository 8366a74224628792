"""Nodes that are namespaces of this machine: a process with a view of its own."""

from __future__ import annotations

from collections.abc import Sequence

from deploy import components, links, mounts, node, pki
from deploy.drivers.driver import node_child
from deploy.places import Places
from deploy.process_tree import ChildSpec
from deploy.spec import Cluster, NodeSpec


class Namespaces:
    """The driver `namespace`."""

    def __init__(self, places: Places) -> None:
        self._places = places

    def children(self, cluster: Cluster, one: NodeSpec) -> Sequence[ChildSpec]:
        """Write the node's certificate; its process 1 is forked from the supervisor.

        A node that an earlier supervisor started keeps the configuration that its code knows until it starts anew.
        """
        places = self._places
        own = places.node(one.name)
        mounts.make_targets(one, places)
        pki.ensure_node(cluster, one, places.pki)
        own.log.mkdir(parents=True, exist_ok=True)

        def prepare(pid: int) -> None:
            components.write_node_configs(cluster, places, one)
            links.plug(one.name, pid)

        return (
            ChildSpec(
                node_child(one.name),
                lambda: node.run(cluster, places, one),
                own.log / "init.log",
                cgroup=f"{own.cgroup}/system",
                namespaces=node.NAMESPACES,
                prepare=prepare,
            ),
        )

    def plug(self, one: NodeSpec, plugged: bool) -> None:
        """Set the node's port on the bridge up or down."""
        links.set_plugged(one.name, plugged)

    def remove(self, one: NodeSpec) -> None:
        """Forget the node's certificate."""
        for path in pki.paths(self._places.pki, f"node-{one.name}"):
            path.unlink(missing_ok=True)
