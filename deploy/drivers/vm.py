"""Nodes that are virtual machines: they boot their own kernel and join as a real machine does."""

from __future__ import annotations

from collections.abc import Sequence

from deploy import links
from deploy.drivers.driver import node_child
from deploy.places import Places
from deploy.process_tree import ChildSpec
from deploy.shell import relay
from deploy.shell.reach import relay_socket
from deploy.spec import Cluster, NodeSpec
from deploy.vm import keeper


class Machines:
    """The driver `vm`."""

    def __init__(self, places: Places) -> None:
        self._places = places

    def children(self, cluster: Cluster, node: NodeSpec) -> Sequence[ChildSpec]:
        """The keeper, whose child is QEMU; and the relay of its shell, which is awake while the machine is not."""
        places = self._places
        own = places.node(node.name)
        for directory in (own.state, own.run, own.log):
            directory.mkdir(parents=True, exist_ok=True, mode=0o755)
        name = node_child(node.name)
        return (
            ChildSpec(
                name,
                lambda: keeper.run(cluster, places, node),
                own.log / "machine.log",
                cgroup=f"{own.cgroup}/system",
                group="machines",
                stop_seconds=keeper.STOP_SECONDS + 5,
            ),
            ChildSpec(
                f"{name}/shell",
                lambda: relay.run(own.run / "shell.sock", relay_socket(own)),
                own.log / "shell.log",
                cgroup=f"{places.cgroup}/system",
                group="machines",
            ),
        )

    def plug(self, node: NodeSpec, plugged: bool) -> None:
        """Set the machine's port on the bridge up or down."""
        links.set_plugged(node.name, plugged)

    def remove(self, node: NodeSpec) -> None:
        """Nothing is elsewhere: the disk lies in the node's own directory."""
