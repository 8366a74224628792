"""Put the objects of files in place of those that are there."""

from __future__ import annotations

import sys
import time
from typing import Any

from kctl import flags, manifests
from kctl.commands.apply import namespace_of
from kctl.commands.create import wrapped
from kctl.commands.delete import PROPAGATION, until_gone
from kctl.discovery import ApiResource
from kctl.errors import UsageError
from kctl.flags import Flags, Values
from kctl.last_applied import annotated
from kctl.session import Session
from kctl.targets import Found
from kctl.urls import quote
from kctl.writes import Write, declare, declare_validation, validation
from sampan.api_error import ApiError


def configure(flags: Flags) -> None:
    """Declare the flags."""
    flags.usage = "-f FILENAME [flags]"
    flags.texts("filename", "file, folder or - for standard input", short="f")
    flags.switch("recursive", "folders with all that is below them", short="R")
    flags.switch("force", "delete the objects, then create them anew")
    flags.number("grace-period", "with --force: seconds a pod may take to end", default=-1)
    flags.duration("timeout", "with --force: how long to wait for the deletion; 0 for ever", default="0s")
    flags.text("cascade", "with --force: background, foreground or orphan", default="background", bare="background")
    flags.at_most(0)
    flags.switch("save-config", "record the object in its annotation, as apply does")
    flags.text("subresource", "replace this subresource: status or scale")
    declare(flags)
    declare_validation(flags)


def run(values: Values) -> int:
    """Replace each object."""
    if not values.filename:
        raise UsageError("must specify one of -f and -k")
    if values.grace_period >= 0 and not values.force:
        raise UsageError("--grace-period must have --force specified")
    if values.timeout != "0s" and not values.force:
        raise UsageError("--timeout must have --force specified")
    if values.force and values.dry_run != "none":
        raise UsageError("--dry-run can not be used when --force is set")
    if values.cascade not in PROPAGATION:
        raise UsageError(f'invalid cascade value ({values.cascade}). Must be "background", "foreground", or "orphan"')
    limit = flags.seconds(values.timeout)
    write = Write(values, "kubectl-replace")
    query = write.query | {"fieldValidation": validation(values)}
    session = flags.session(values)
    failed = False
    for manifest in manifests.load(values.filename, recursive=values.recursive):
        resource = session.discovery.of_kind(manifest.value["apiVersion"], manifest.value["kind"])
        namespace = namespace_of(session, resource, manifest, values)
        if not manifest.name:
            raise UsageError(f"{manifest.source}: resource name may not be empty")
        found = Found(resource, namespace, manifest.name)
        value = annotated(manifest.value) if values.save_config else manifest.value
        if resource.namespaced:
            value["metadata"]["namespace"] = namespace
        try:
            if values.force and not write.pretends:
                value = _anew(session, found, value, values, query, limit)
            elif not write.pretends:
                value = session.call("PUT", found.path(values.subresource), query, _versioned(session, found, value))
        except ApiError as error:
            print(wrapped(error, f'error when replacing "{manifest.source}"'), file=sys.stderr)
            failed = True
            continue
        write.report(resource, value, "replaced")
    return 1 if failed else 0


def _versioned(session: Session, found: Found, value: dict[str, Any]) -> dict[str, Any]:
    """The object with the live one's version if it has none: whatever is there is to be replaced."""
    metadata = value["metadata"]
    if metadata.get("resourceVersion"):
        return value
    live = session.get(found.path())["metadata"]
    return value | {"metadata": metadata | {"resourceVersion": live["resourceVersion"]}}


def _anew(
    session: Session, found: Found, value: dict[str, Any], values: Values, query: dict[str, str], limit: float
) -> dict[str, Any]:
    options: dict[str, Any] = {
        "kind": "DeleteOptions",
        "apiVersion": "v1",
        "propagationPolicy": PROPAGATION[values.cascade],
    }
    if values.grace_period >= 0:
        options["gracePeriodSeconds"] = values.grace_period
    try:
        session.call("DELETE", found.path(), None, options)
        print(
            f'{_kind(found.resource)} "{found.name}" deleted'
            + (f" from {found.namespace} namespace" if found.namespace else ""),
            flush=True,
        )
        until_gone(
            session, found.resource, found.namespace, found.name, "", time.monotonic() + limit if limit else None
        )
    except ApiError as error:
        if not error.is_not_found:
            raise
    except TimeoutError as error:
        raise UsageError(f"timed out waiting for the deletion of {found.resource.label(found.name)}") from error
    made: dict[str, Any] = session.call("POST", found.resource.path(quote(found.namespace)), query, value)
    return made


def _kind(resource: ApiResource) -> str:
    return f"{resource.singular}.{resource.group}" if resource.group else resource.singular
