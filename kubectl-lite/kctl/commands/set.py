"""Change one part of an object: `kctl set image TYPE/NAME CONTAINER=IMAGE ...`."""

from __future__ import annotations

import sys
from typing import Any

from kctl import flags, references, targets
from kctl.errors import UsageError, wording
from kctl.flags import Flags, Values
from kctl.session import STRATEGIC_PATCH, Session
from kctl.targets import Found
from kctl.writes import Write, declare
from sampan.api_error import ApiError

VERBS = {"image": "change the image of containers"}


def configure(flags: Flags, verb: str) -> None:
    """Declare the flags."""
    flags.usage = "(-f FILENAME | TYPE NAME | TYPE/NAME) CONTAINER=IMAGE ..."
    targets.declare(flags)
    declare(flags)


def run(values: Values) -> int:
    """Set images."""
    images = dict(word.split("=", 1) for word in values.words if "=" in word)
    values.words = [word for word in values.words if "=" not in word]
    if not values.words and not values.filename:
        raise UsageError(references.NOTHING_NAMED)
    if not images:
        raise UsageError("at least one image update is required")
    if "*" in images and len(images) > 1:
        raise UsageError("all containers are already specified by *, but saw more than one container_name=image pairs")
    write = Write(values, "kubectl-set")
    session = flags.session(values)
    failed = False
    for found in targets.targets(session, values):
        try:
            _set(session, found, images, write)
        except ApiError as error:
            print(wording(error), file=sys.stderr)
            failed = True
    return 1 if failed else 0


def _set(session: Session, found: Found, images: dict[str, str], write: Write) -> None:
    live = targets.read(session, found)
    if not pod_spec(live):
        name, kind = f"{found.resource.plural}/{found.name}", found.resource.kind
        raise UsageError(
            f"{name} the object is not a pod or does not have a pod template: *{found.resource.version}.{kind}"
        )
    patch = _patch(live, images)
    if not patch:
        return
    if not write.pretends:
        live = session.call("PATCH", found.path(), write.query, patch, content_type=STRATEGIC_PATCH)
    write.report(found.resource, live, "image updated")


def _patch(live: dict[str, Any], images: dict[str, str]) -> dict[str, Any]:
    """The strategic patch; empty when nothing changes. Raises UsageError when a container is not there."""
    spec = pod_spec(live)
    changes: dict[str, list[dict[str, str]]] = {}
    known: set[str] = set()
    for key in ("initContainers", "containers"):
        for container in spec.get(key) or ():
            name = container["name"]
            known.add(name)
            image = images.get(name, images.get("*", container.get("image")))
            if image != container.get("image"):
                changes.setdefault(key, []).append({"name": name, "image": str(image)})
    for name in images:
        if name != "*" and name not in known:
            raise UsageError(f'unable to find container named "{name}"')
    return within_template(live, changes) if changes else {}


def within_template(live: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Changes of a pod's spec, where the object has its pod's spec."""
    if live["kind"] == "Pod":
        return {"spec": changes}
    if live["kind"] == "CronJob":
        return {"spec": {"jobTemplate": {"spec": {"template": {"spec": changes}}}}}
    return {"spec": {"template": {"spec": changes}}}


def pod_spec(value: dict[str, Any]) -> dict[str, Any]:
    """The pod spec of a pod or of a workload's template; empty if it has none."""
    spec: dict[str, Any] = value.get("spec") or {}
    if value.get("kind") == "Pod":
        return spec
    if value.get("kind") == "CronJob":
        spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    return (spec.get("template") or {}).get("spec") or {}
