"""One node of a cluster: add, remove, stop, start, reset, disconnect, connect."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

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
    flags.number("fake", "add (or remove) so many nodes without a machine, for trials of scale", default=None)
    flags.number("zones", "fake nodes: so many zones, in turn", default=None)
    flags.switch("taint", "fake nodes: with the taint sampan.dev/fake=true:NoSchedule")
    flags.texts("label", "fake nodes: a label, as KEY=VALUE")
    flags.texts("capacity", "fake nodes: what each offers, as cpu=64, memory=1Ti or pods=250")


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
    if values.fake is not None:
        return _fake(values, action, node, tell)
    if shape := _fake_shape(values):
        raise UsageError(f"--{FLAGS[next(iter(shape))]} is for kctl cluster node add --fake alone")
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


FLAGS = {"zones": "zones", "taint": "taint", "labels": "label", "capacity": "capacity"}
"""Field of all fake nodes -> the flag that says it."""


def _fake(values: Values, action: str, node: str, tell: Callable[[str], None]) -> int:
    """Add or remove a number of fake nodes."""
    from deploy import cluster

    if action not in ("add", "remove") or node:
        raise UsageError("--fake N is for kctl cluster node add and remove, without a node's name")
    if values.fake < 1:
        raise UsageError(f"--fake {values.fake}: not a number of nodes")
    if shape := machine_shape(values):
        raise UsageError(f"--{next(iter(shape))} is not for fake nodes")
    if action == "add":
        cluster.add_fake_nodes(values.cluster, values.fake, tell, _fake_shape(values))
        return 0
    if shape := _fake_shape(values):
        raise UsageError(f"--{FLAGS[next(iter(shape))]} is for kctl cluster node add --fake alone")
    removed = cluster.remove_fake_nodes(values.cluster, values.fake)
    tell(f"{len(removed)} fake nodes removed")
    return 0


def _fake_shape(values: Values) -> dict[str, Any]:
    shape: dict[str, Any] = {}
    if values.zones is not None:
        shape["zones"] = values.zones
    if values.taint:
        shape["taint"] = True
    for field, flag in (("labels", "label"), ("capacity", "capacity")):
        if said := getattr(values, flag):
            shape[field] = dict(_pair(flag, one) for one in said)
    return shape


def _pair(flag: str, text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise UsageError(f"--{flag} {text!r} is not KEY=VALUE")
    return key, value
