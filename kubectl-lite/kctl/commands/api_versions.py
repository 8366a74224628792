"""List the groups and versions that the server has."""

from __future__ import annotations

from kctl import flags
from kctl.flags import Flags, Values


def configure(flags: Flags) -> None:
    """There are no flags of its own."""
    flags.usage = ""
    flags.at_most(0, "unexpected arguments: [{words}]\nSee '{command} -h' for help and examples")


def run(values: Values) -> int:
    """Print them, sorted."""
    session = flags.session(values)
    found = set(session.get("/api").get("versions") or ())
    for group in session.get("/apis").get("groups") or ():
        found |= {version["groupVersion"] for version in group["versions"]}
    print("\n".join(sorted(found)))
    return 0
