"""A cluster that takes no processor time: pause, resume."""

from __future__ import annotations

from kctl.commands.cluster.printing import DEFAULT_NAME, only_name, say
from kctl.flags import Flags, Values

VERBS = {
    "pause": "freeze all processes of a cluster; a request to its API wakes it",
    "resume": "let a paused cluster go on",
}


def configure(flags: Flags, verb: str) -> None:
    """Declare a verb's flags: none of its own."""
    flags.usage = f"[NAME, by default {DEFAULT_NAME}]"


def run(values: Values) -> int:
    """Pause or resume."""
    from deploy import pausing

    name = only_name(values)
    pausing_it = values.verb == "pause"
    changed = pausing.pause(name) if pausing_it else pausing.resume(name)
    how = "paused" if pausing_it else "running again"
    say(values, f"cluster {name} is {how}" if changed else f"cluster {name} was {how.split()[0]} already")
    return 0
