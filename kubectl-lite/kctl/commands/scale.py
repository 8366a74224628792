"""Set the number of replicas."""

from __future__ import annotations

import sys

from kctl import flags, manifests, references
from kctl.discovery import ApiResource
from kctl.errors import UsageError, wording
from kctl.flags import Flags, Values
from kctl.session import MERGE_PATCH, Session
from kctl.urls import quote
from kctl.writes import Write, declare
from sampan.api_error import ApiError


def configure(flags: Flags) -> None:
    """Declare the flags."""
    flags.usage = "--replicas=COUNT (-f FILENAME | TYPE NAME | TYPE/NAME)"
    flags.number("replicas", "how many there shall be")
    flags.require("replicas")
    flags.number("current-replicas", "only if there are so many now", default=-1)
    flags.text("resource-version", "only if the object is still at this version")
    flags.text("selector", "all objects with these labels", short="l")
    flags.switch("all", "all objects of the kind in the namespace")
    flags.text("timeout", "how long to wait until it is so; 0 to not wait", default="0s")
    flags.texts("filename", "files that name the objects", short="f")
    flags.switch("recursive", "folders with all that is below them", short="R")
    declare(flags)


def run(values: Values) -> int:
    """Scale each."""
    if values.replicas < 0:
        raise UsageError("The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0")
    if flags.seconds(values.timeout):
        raise UsageError("--timeout is not supported by scale yet; use kctl rollout status")
    write = Write(values, "kubectl-scale")
    session = flags.session(values)
    failed = False
    for resource, namespace, name in _targets(session, values):
        try:
            value = _scale(session, resource, resource.path(quote(namespace), quote(name), "scale"), values, write)
        except ApiError as error:
            print(wording(error), file=sys.stderr)
            failed = True
            continue
        value.setdefault("metadata", {})["name"] = name
        write.report(resource, value, "scaled")
    return 1 if failed else 0


def _targets(session: Session, values: Values) -> list[tuple[ApiResource, str, str]]:
    if values.filename:
        found = []
        for one in manifests.load(values.filename, recursive=values.recursive):
            resource = session.discovery.of_kind(one.value["apiVersion"], one.value["kind"])
            found.append((resource, one.namespace or session.namespace, one.name))
        return found
    return [(resource, session.namespace, name) for resource, name in references.chosen(session, values)]


def _scale(session: Session, resource: ApiResource, path: str, values: Values, write: Write) -> dict[str, object]:
    if "scale" not in resource.subresources:
        raise UsageError(f"{resource.plural} can't be scaled: the server has no scale subresource for {resource.kind}")
    if values.current_replicas >= 0:
        now = session.get(path)["spec"].get("replicas", 0)
        if now != values.current_replicas:
            raise UsageError(f"Expected replicas to be {values.current_replicas}, was {now}")
    if write.pretends:
        live: dict[str, object] = session.get(path)
        return live
    metadata = {"resourceVersion": values.resource_version} if values.resource_version else {}
    body = {"metadata": metadata, "spec": {"replicas": values.replicas}}
    answer: dict[str, object] = session.call("PATCH", path, write.query, body, content_type=MERGE_PATCH)
    return answer
