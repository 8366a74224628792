"""Let no new pods come to a node (cordon), or let them again (uncordon)."""

from __future__ import annotations

import sys

from kctl import flags, targets
from kctl.errors import UsageError, wording
from kctl.flags import Flags, Values
from kctl.session import STRATEGIC_PATCH, Session
from kctl.targets import Found
from kctl.writes import SUFFIXES, Write, declare
from sampan.api_error import ApiError


def configure(flags: Flags) -> None:
    """Declare the flags."""
    flags.usage = "NODE ..."
    flags.text("selector", "all nodes with these labels", short="l")
    declare(flags, output=False)


def run(values: Values) -> int:
    """Mark each node."""
    write = Write(values, f"kubectl-{values.invoked_as}")
    session = flags.session(values)
    failed = False
    chosen = nodes(session, values)
    for found in chosen:
        session.read(found.resource, found.name, "")  # a name that is not there stops it before anything is changed
    for found in chosen:
        try:
            mark(session, found, values.invoked_as == "cordon", write)
        except ApiError as error:
            print(wording(error), file=sys.stderr)
            failed = True
    return 1 if failed else 0


def nodes(session: Session, values: Values) -> list[Found]:
    """The nodes that are named or chosen. Raises UsageError when none are."""
    if values.words and values.selector:
        raise UsageError(
            "cannot specify both a node name and a --selector option\n"
            f"See 'kctl {values.invoked_as} -h' for help and examples"
        )
    if not values.words and not values.selector:
        raise UsageError(
            f"USAGE: {values.invoked_as} NODE [flags]\nSee 'kctl {values.invoked_as} -h' for help and examples"
        )
    words = [word.removeprefix("nodes/").removeprefix("node/") for word in values.words]
    if not words:
        items = session.get("/api/v1/nodes", {"labelSelector": values.selector}).get("items") or ()
        words = [item["metadata"]["name"] for item in items]
    kind = session.discovery.named("nodes")
    return [Found(kind, "", word) for word in words]


def mark(session: Session, found: Found, unschedulable: bool, write: Write) -> None:
    """Set spec.unschedulable, and say so. Raises ApiError."""
    done = "cordoned" if unschedulable else "uncordoned"
    live = targets.read(session, found)
    if bool(live.get("spec", {}).get("unschedulable")) == unschedulable:
        print(f"node/{found.name} already {done}{SUFFIXES[write.dry_run]}", flush=True)
        return
    if not write.pretends:
        patch = {"spec": {"unschedulable": True if unschedulable else None}}
        session.call("PATCH", found.path(), write.query, patch, content_type=STRATEGIC_PATCH)
    print(f"node/{found.name} {done}{SUFFIXES[write.dry_run]}", flush=True)
