"""Short for kctl cluster node: add, remove, stop, start, reset, disconnect or connect a node of a local cluster."""

from __future__ import annotations

from kctl.commands.cluster import nodes
from kctl.flags import Flags, Values

VERBS = {
    "add": "add a node, or fake ones",
    "remove": "remove a node, or fake ones",
    "stop": "end a node's processes",
    "start": "start a node that was stopped",
    "reset": "begin a node anew, without its state",
    "disconnect": "pull a node's cable",
    "connect": "put a node's cable back",
}


def configure(flags: Flags, verb: str) -> None:
    """Declare a verb's flags."""
    flags.switch("quiet", "say nothing but errors", short="q")
    nodes.configure(flags, verb)
    flags.usage = "[NODE] [flags]"


def run(values: Values) -> int:
    """Do what the verb says."""
    values.words.insert(0, values.verb)
    values.verb = "node"
    return nodes.run(values)
