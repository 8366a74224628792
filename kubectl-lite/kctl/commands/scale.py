"""Set the number of replicas."""

from __future__ import annotations

import sys
from typing import Any

from kctl import flags, targets
from kctl.errors import UsageError, wording
from kctl.flags import Flags, Values
from kctl.session import MERGE_PATCH, Session
from kctl.targets import Found
from kctl.writes import Write, declare
from sampan.api_error import ApiError


def configure(flags: Flags) -> None:
    """Declare the flags."""
    flags.usage = "--replicas=COUNT (-f FILENAME | TYPE NAME | TYPE/NAME)"
    flags.number("replicas", "how many there shall be")
    flags.require("replicas")
    flags.number("current-replicas", "only if there are so many now", default=-1)
    flags.text("resource-version", "only if the object is still at this version")
    flags.duration("timeout", "how long to wait until it is so; 0 to not wait", default="0s")
    targets.declare(flags)
    declare(flags)


def run(values: Values) -> int:
    """Scale each."""
    if values.replicas < 0:
        raise UsageError("The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0")
    if flags.seconds(values.timeout) and values.dry_run == "none":
        raise UsageError("--timeout is not supported by scale yet; use kctl rollout status")
    write = Write(values, "kubectl-scale")
    session = flags.session(values)
    failed = False
    chosen = targets.targets(session, values)
    if not chosen:
        raise UsageError("no objects passed to scale")
    for found in chosen:
        try:
            value = _scale(session, found, values, write)
        except ApiError as error:
            print(wording(error), file=sys.stderr)
            failed = True
            continue
        write.report(found.resource, value, "scaled")
    return 1 if failed else 0


def _scale(session: Session, found: Found, values: Values, write: Write) -> dict[str, Any]:
    """Scale one object; its Scale afterwards, or itself in a dry run. Raises ApiError, UsageError."""
    resource, path = found.resource, found.path("scale")
    if "scale" not in resource.subresources:
        raise ApiError(404, "NotFound", "the server could not find the requested resource")
    if write.pretends:
        live: dict[str, Any] = session.get(path)
        return live
    if values.resource_version:
        version = session.get(path)["metadata"]["resourceVersion"]
        if version != values.resource_version:
            raise UsageError(f"Expected resource version to be {values.resource_version}, was {version}")
    if values.current_replicas >= 0:
        now = session.get(path)["spec"].get("replicas", 0)
        if now != values.current_replicas:
            raise UsageError(f"Expected replicas to be {values.current_replicas}, was {now}")
    metadata = {"resourceVersion": values.resource_version} if values.resource_version else {}
    body = {"metadata": metadata, "spec": {"replicas": values.replicas}}
    answer: dict[str, Any] = session.call("PATCH", path, write.query, body, content_type=MERGE_PATCH)
    return answer
