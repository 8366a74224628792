"""Delete objects by file, by name or by selector, and wait until they are gone."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any

from kctl import flags, manifests, references
from kctl.discovery import ApiResource
from kctl.errors import UsageError, wording
from kctl.flags import Flags, Values
from kctl.session import Session
from kctl.urls import quote
from kctl.writes import SUFFIXES, Write, declare
from sampan.api_error import ApiError

PROPAGATION = {"background": "Background", "foreground": "Foreground", "orphan": "Orphan"}

Found = tuple[ApiResource, str, str]
"""A kind, a namespace (or nothing) and a name."""


def configure(flags: Flags) -> None:
    """Declare the flags."""
    flags.usage = "([-f FILENAME] | TYPE [(NAME | -l label | --all)]) [flags]"
    flags.texts("filename", "files that name the objects", short="f")
    flags.switch("recursive", "folders with all that is below them", short="R")
    flags.text("selector", "label selector", short="l")
    flags.text("field-selector", "field selector")
    flags.switch("all", "all objects of the kind in the namespace")
    flags.switch("all-namespaces", "in all namespaces", short="A")
    flags.text("cascade", "background, foreground or orphan", default="background", bare="background")
    flags.number("grace-period", "seconds a pod may take to end; 1 with --now", default=-1)
    flags.switch("now", "grace period of one second")
    flags.switch("force", "with --grace-period=0: forget the object at once")
    flags.switch("ignore-not-found", "an object that is not there is no error")
    flags.switch("wait", "wait until the objects are gone", default=True)
    flags.duration("timeout", "how long to wait; 0 for ever", default="0s")
    flags.text("output", "name", short="o")
    declare(flags, output=False)


def run(values: Values) -> int:
    """Delete, then wait."""
    if values.cascade in ("true", "false"):
        instead = "background" if values.cascade == "true" else "orphan"
        print(
            f"warning: --cascade={values.cascade} is deprecated (boolean value) and can be replaced with"
            f" --cascade={instead}.",
            file=sys.stderr,
        )
        values.cascade = instead
    if values.cascade not in PROPAGATION:
        raise UsageError(f'invalid cascade value ({values.cascade}). Must be "background", "foreground", or "orphan"')
    if values.output not in ("", "name"):
        raise UsageError(f"unexpected -o output mode: {values.output}. We only support '-o name'")
    write = Write(values, "kubectl-delete")
    limit = flags.seconds(values.timeout)
    options = _options(values)
    session = flags.session(values)
    targets = list(_targets(session, values))
    if not targets and not values.ignore_not_found:
        print("No resources found")
        return 0
    if values.namespace and any(not namespace for _, namespace, _ in targets):
        print("Warning: deleting cluster-scoped resources, not scoped to the provided namespace", file=sys.stderr)
    waiting: list[tuple[Found, str]] = []
    failed = False
    for target in targets:
        resource, namespace, name = target
        try:
            if not write.pretends:
                path = resource.path(quote(namespace), quote(name))
                query = {"dryRun": "All"} if write.dry_run == "server" else None
                waiting.append((target, _uid(session.call("DELETE", path, query, options))))
        except ApiError as error:
            if error.is_not_found and (values.ignore_not_found or values.all or values.selector):
                continue
            print(_wording(error, values), file=sys.stderr)
            failed = True
            continue
        _tell(target, values, write)
    if values.wait and write.dry_run == "none":
        deadline = time.monotonic() + limit if limit > 0 else None
        for (resource, namespace, name), uid in waiting:
            try:
                until_gone(session, resource, namespace, name, uid, deadline)
            except TimeoutError:
                print(f"error: timed out waiting for the condition on {resource.plural}/{name}", file=sys.stderr)
                failed = True
    return 1 if failed else 0


def _wording(error: ApiError, values: Values) -> str:
    said = wording(error)
    if values.filename and said.startswith("Error from server"):
        head, _, rest = said.partition(": ")
        return f'{head}: error when deleting "{values.filename[0]}": {rest}'
    return said


def _options(values: Values) -> dict[str, Any]:
    options: dict[str, Any] = {"kind": "DeleteOptions", "apiVersion": "v1"}
    options["propagationPolicy"] = PROPAGATION[values.cascade]
    grace = values.grace_period
    if values.force and grace > 0:
        raise UsageError("--force and --grace-period greater than 0 cannot be specified together")
    if values.now:
        if grace != -1:
            raise UsageError("--now and --grace-period cannot be specified together")
        grace = 1
    if values.force and grace < 0:
        grace = 0
    if grace == 0 and not values.force:
        grace = 1  # as kubectl does: forgetting a pod at once takes --force as well
    if values.force and grace == 0:
        print(
            "Warning: Immediate deletion does not wait for confirmation that the running resource has been terminated."
            " The resource may continue to run on the cluster indefinitely.",
            file=sys.stderr,
        )
    if grace >= 0:
        options["gracePeriodSeconds"] = grace
    return options


def _targets(session: Session, values: Values) -> Iterator[Found]:
    if values.all and (values.selector or values.field_selector):
        raise UsageError("setting 'all' parameter but found a non empty selector. ")
    if values.filename:
        if values.words:
            raise UsageError(
                "when paths, URLs, or stdin is provided as input, you may not specify resource arguments as well"
            )
        for manifest in manifests.load(values.filename, recursive=values.recursive):
            resource = session.discovery.of_kind(manifest.value["apiVersion"], manifest.value["kind"])
            if not manifest.name:
                raise UsageError(f"{manifest.source}: resource name may not be empty")
            yield resource, (manifest.namespace or session.namespace) if resource.namespaced else "", manifest.name
        return
    if not values.words:
        raise UsageError(references.NOTHING_NAMED)
    if any("/" in word for word in values.words) and (values.all or values.selector or values.field_selector):
        raise UsageError("selectors and the all flag cannot be used when passing resource/name arguments")
    for one in references.references(session, values.words):
        if one.name and (values.selector or values.field_selector):
            raise UsageError("name cannot be provided when a selector is specified")
        if one.name and values.all:
            raise UsageError("resource(s) were provided by name and by --all: which is it?")
        namespace = session.namespace if one.resource.namespaced else ""
        if one.name:
            if values.all_namespaces:
                raise UsageError("a resource cannot be retrieved by name across all namespaces")
            yield one.resource, namespace, one.name
            continue
        if not (values.all or values.selector or values.field_selector):
            raise UsageError(references.NO_NAME)
        query = {"labelSelector": values.selector, "fieldSelector": values.field_selector}
        where = one.resource.path("" if values.all_namespaces else quote(namespace))
        try:
            found = session.get(where, {key: value for key, value in query.items() if value})
        except ApiError as error:
            raise references.unmatched(error, one.resource, values.selector, values.field_selector) from error
        for item in found.get("items") or ():
            yield one.resource, item["metadata"].get("namespace", ""), item["metadata"]["name"]


def _uid(answer: Any) -> str:
    if answer.get("kind") == "Status":
        return str((answer.get("details") or {}).get("uid") or "")
    return str((answer.get("metadata") or {}).get("uid") or "")


def _tell(target: Found, values: Values, write: Write) -> None:
    resource, namespace, name = target
    if values.output == "name":
        print(resource.label(name), flush=True)
        return
    kind = f"{resource.singular}.{resource.group}" if resource.group else resource.singular
    where = f" from {namespace} namespace" if namespace else ""
    verb = "force deleted" if values.force and values.grace_period <= 0 else "deleted"
    print(f'{kind} "{name}" {verb}{where}{SUFFIXES[write.dry_run]}', flush=True)


def until_gone(
    session: Session, resource: ApiResource, namespace: str, name: str, uid: str, deadline: float | None
) -> None:
    """Wait until the object of that uid is no longer there. Raises TimeoutError at the deadline."""
    path = resource.path(quote(namespace))
    while True:
        try:
            live = session.read(resource, name, namespace)
        except ApiError as error:
            if error.is_not_found:
                return
            raise
        if uid and live["metadata"].get("uid") != uid:
            return
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            raise TimeoutError
        query = {
            "fieldSelector": f"metadata.name={name}",
            "resourceVersion": live["metadata"]["resourceVersion"],
            "timeoutSeconds": str(max(1, int(left)) if left is not None else 300),
        }
        for kind, _ in session.watch(path, query):
            if kind == "DELETED":
                return
