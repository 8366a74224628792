"""A cluster's past states: snapshot save, restore, list, delete."""

from __future__ import annotations

from kctl.commands.cluster.printing import DEFAULT_NAME, most, say, table
from kctl.errors import UsageError
from kctl.flags import Flags, Values

ACTIONS = ("save", "restore", "list", "delete")
VERBS = {"snapshot": "save a whole cluster, restore, list and delete what was saved"}


def configure(flags: Flags, verb: str) -> None:
    """Declare the flags."""
    flags.usage = f"save|restore|list|delete [NAME, by default {DEFAULT_NAME}] [TAG]"


def run(values: Values) -> int:
    """Do what the action says."""
    most(values, 3)
    if not values.words or values.words[0] not in ACTIONS:
        raise UsageError(f"kctl cluster snapshot needs one of {', '.join(ACTIONS)}")
    action, rest = values.words[0], values.words[1:]
    name = rest[0] if rest else DEFAULT_NAME
    tag = rest[1] if len(rest) > 1 else None
    from deploy.snapshots.contents import megabytes

    def tell(text: str) -> None:
        say(values, text)

    match action:
        case "save":
            from deploy.snapshots import saving

            made = saving.save(name, tag, tell)
            tell(f"snapshot {made.tag} of cluster {name}: {megabytes(made.size)}")
            for note in made.notes:
                tell(f"note: {note}")
        case "restore":
            from deploy.snapshots import restoring

            made = restoring.restore(name, tag, tell)
            tell(f"cluster {name} is as it was at {_when(made.created)} ({made.tag})")
        case "list":
            if tag is not None:
                raise UsageError("kctl cluster snapshot list takes a cluster's name and no tag")
            _list(name)
        case _:
            from deploy import lookup
            from deploy.snapshots import store

            if tag is None:
                raise UsageError("kctl cluster snapshot delete needs the cluster's name and the tag")
            store.delete(lookup.cluster_places(name), tag)
            tell(f"snapshot {tag} of cluster {name} deleted")
    return 0


def _list(name: str) -> None:
    import sys

    from deploy import lookup
    from deploy.snapshots import store
    from deploy.snapshots.contents import megabytes

    rows = [
        (one.tag, _when(one.created), megabytes(one.size), ",".join(one.nodes), "; ".join(one.notes) or "-")
        for one in store.every(lookup.cluster_places(name))
    ]
    if rows:
        table(("TAG", "CREATED", "SIZE", "NODES", "NOTES"), rows)
    else:
        print(f"No snapshots of cluster {name}.", file=sys.stderr)


def _when(seconds: float) -> str:
    import time

    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
