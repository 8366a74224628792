"""Start, stop and look at local clusters, whose nodes are namespaces or virtual machines of this machine."""

from __future__ import annotations

from kctl.commands.cluster import copy, doctor, lifecycle, nodes, pause, shell, snapshot, upgrade
from kctl.flags import Flags, Values

GROUPS = (lifecycle, doctor, nodes, pause, shell, copy, snapshot, upgrade)
"""A module a group of verbs: VERBS, `configure(flags, verb)`, `run(values) -> int`."""

VERBS = {verb: text for group in GROUPS for verb, text in group.VERBS.items()}


def configure(flags: Flags, verb: str) -> None:
    """Declare a verb's flags."""
    flags.switch("quiet", "say nothing but errors", short="q")
    for group in GROUPS:
        if verb in group.VERBS:
            group.configure(flags, verb)


def run(values: Values) -> int:
    """Do what the verb says."""
    group = next(group for group in GROUPS if values.verb in group.VERBS)
    code: int = group.run(values)
    return code
