"""One node of a cluster: add, remove, stop, start, reset, disconnect, connect."""

from __future__ import annotations

import time

from kctl.commands.cluster.printing import cluster_flag, machine_flags, machine_shape, most, say
from kctl.commands.cluster.progress import shown
from kctl.errors import UsageError
from kctl.flags import Flags, Values

ACTIONS = ("add", "remove", "stop", "start", "reset", "disconnect", "connect")
VERBS = {"node": f"change one node: {', '.join(ACTIONS[:-1])} or {ACTIONS[-1]}"}


def configure(flags: Flags, verb: str) -> None:
    """Declare the flags."""
    flags.usage = "ACTION [NODE] [flags]"
    cluster_flag(flags)
    machine_flags(flags)


def run(values: Values) -> int:
    """Do what the action says."""
    most(values, 2)
    if not values.words or values.words[0] not in ACTIONS:
        raise UsageError(f"kctl cluster node needs one of {', '.join(ACTIONS)}")
    from deploy import cluster
    from deploy.places import Places

    def tell(text: str) -> None:
        say(values, text)

    action, node = [*values.words, ""][:2]
    if action == "add":
        with shown(values, "node image") as progress:
            added = cluster.add_node(values.cluster, node or None, tell, machine_shape(values), progress)
        tell(f"node {added} added")
        return 0
    if shape := machine_shape(values):
        raise UsageError(f"--{next(iter(shape))} is for kctl cluster node add alone")
    if not node:
        raise UsageError(f"kctl cluster node {action} needs the node's name")
    since = time.time()
    if action == "reset":
        from deploy import resetting

        resetting.reset(values.cluster, node, tell)
    else:
        cluster.node_request(values.cluster, node, action)
    if action in ("start", "reset"):
        cluster.wait_for_node(Places.of(values.cluster), node, since, tell)
    tell(f"node {node}: {action} done")
    return 0
