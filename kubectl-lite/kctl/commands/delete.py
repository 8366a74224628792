"""Delete objects by file, by name or by selector, and wait until they are gone."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any
from urllib.parse import quote

from kctl import flags, objects
from kctl.__main__ import UsageError, wording
from kctl.discovery import ApiResource
from kctl.session import Session
from sampan.errors import ApiError

PROPAGATION = {"background": "Background", "foreground": "Foreground", "orphan": "Orphan"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("words", nargs="*", metavar="TYPE[/NAME] [NAME ...]")
    parser.add_argument("-f", "--filename", action="append", default=[], help="files that name the objects")
    parser.add_argument("-R", "--recursive", action="store_true", help="folders with all that is below them")
    parser.add_argument("-l", "--selector", default="", help="label selector")
    parser.add_argument("--field-selector", default="", help="field selector")
    parser.add_argument("--all", action="store_true", help="all objects of the kind in the namespace")
    parser.add_argument("-A", "--all-namespaces", action="store_true", help="in all namespaces")
    parser.add_argument(
        "--cascade", nargs="?", const="background", default="background", help="background, foreground or orphan"
    )
    parser.add_argument("--grace-period", type=int, default=-1, help="seconds a pod may take to end; 1 with --now")
    parser.add_argument("--now", action="store_true", help="grace period of one second")
    parser.add_argument("--force", action="store_true", help="with --grace-period=0: forget the object at once")
    parser.add_argument("--ignore-not-found", action="store_true", help="an object that is not there is no error")
    parser.add_argument("--wait", nargs="?", const="true", default="true", help="wait until the objects are gone")
    parser.add_argument("--timeout", default="0s", help="how long to wait; 0 for ever")
    parser.add_argument("--dry-run", nargs="?", const="unchanged", default="none", help="none, client or server")
    parser.add_argument("-o", "--output", default="", choices=("", "name"), help="name")
    flags.add_global(parser)


def run(arguments: argparse.Namespace) -> int:
    """Delete, then wait."""
    if arguments.cascade not in PROPAGATION:
        raise UsageError(
            f'invalid cascade value ({arguments.cascade}). Must be "background", "foreground", or "orphan"'
        )
    session = flags.session(arguments)
    options = _options(arguments)
    waiting: list[tuple[ApiResource, str, str, str]] = []
    failed = False
    targets = list(_targets(session, arguments))
    if not targets and not arguments.ignore_not_found:
        print("No resources found")
        return 0
    for resource, namespace, name in targets:
        try:
            if arguments.dry_run != "client":
                path = resource.path(namespace, quote(name, safe=""))
                answer = session.call("DELETE", path, _query(arguments), options)
                waiting.append((resource, namespace, name, _uid(answer)))
        except ApiError as error:
            if error.is_not_found and (arguments.ignore_not_found or arguments.all or arguments.selector):
                continue
            print(wording(error), file=sys.stderr)
            failed = True
            continue
        _tell(resource, namespace, name, arguments)
    if arguments.wait == "true" and arguments.dry_run == "none":
        limit = flags.seconds(arguments.timeout)
        deadline = time.monotonic() + limit if limit > 0 else None
        for resource, namespace, name, uid in waiting:
            until_gone(session, resource, namespace, name, uid, deadline)
    return 1 if failed else 0


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    options: dict[str, Any] = {"kind": "DeleteOptions", "apiVersion": "v1"}
    options["propagationPolicy"] = PROPAGATION[arguments.cascade]
    grace = arguments.grace_period
    if arguments.now:
        if grace != -1:
            raise UsageError("--now and --grace-period cannot be specified together")
        grace = 1
    if arguments.force and grace < 0:
        grace = 0
    if grace == 0 and not arguments.force:
        grace = 1  # as kubectl does: forgetting a pod at once takes --force as well
    if arguments.force and grace == 0:
        print(
            "Warning: Immediate deletion does not wait for confirmation that the running resource has been terminated."
            " The resource may continue to run on the cluster indefinitely.",
            file=sys.stderr,
        )
    if grace >= 0:
        options["gracePeriodSeconds"] = grace
    return options


def _query(arguments: argparse.Namespace) -> dict[str, str]:
    return {"dryRun": "All"} if arguments.dry_run == "server" else {}


def _targets(session: Session, arguments: argparse.Namespace) -> Any:
    if arguments.filename:
        for manifest in objects.load(arguments.filename, recursive=arguments.recursive):
            resource = session.discovery.of_kind(manifest.value["apiVersion"], manifest.value["kind"])
            own = str(manifest.value.get("metadata", {}).get("namespace") or session.namespace)
            yield resource, own if resource.namespaced else "", manifest.name
        return
    for one in objects.references(session, arguments.words):
        namespace = session.namespace if one.resource.namespaced else ""
        if one.name:
            yield one.resource, namespace, one.name
            continue
        if not (arguments.all or arguments.selector or arguments.field_selector):
            raise UsageError("resource(s) were provided, but no name was specified")
        query = {"labelSelector": arguments.selector, "fieldSelector": arguments.field_selector}
        where = "" if arguments.all_namespaces else namespace
        found = session.get(one.resource.path(where), {key: value for key, value in query.items() if value})
        for item in found.get("items") or ():
            yield one.resource, item["metadata"].get("namespace", ""), item["metadata"]["name"]


def _uid(answer: Any) -> str:
    if answer.get("kind") == "Status":
        return str((answer.get("details") or {}).get("uid") or "")
    return str((answer.get("metadata") or {}).get("uid") or "")


def _tell(resource: ApiResource, namespace: str, name: str, arguments: argparse.Namespace) -> None:
    if arguments.output == "name":
        print(resource.label(name))
        return
    kind = f"{resource.singular}.{resource.group}" if resource.group else resource.singular
    where = f" from {namespace} namespace" if namespace else ""
    verb = "force deleted" if arguments.force and arguments.grace_period <= 0 else "deleted"
    suffix = {"none": "", "client": " (dry run)", "server": " (server dry run)"}.get(arguments.dry_run, "")
    print(f'{kind} "{name}" {verb}{where}{suffix}', flush=True)


def until_gone(
    session: Session, resource: ApiResource, namespace: str, name: str, uid: str, deadline: float | None
) -> None:
    """Wait until the object of that uid is no longer there. Raises UsageError at the deadline."""
    path = resource.path(namespace)
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
            raise UsageError(f"timed out waiting for the condition on {resource.plural}/{name}")
        query = {
            "fieldSelector": f"metadata.name={name}",
            "resourceVersion": live["metadata"]["resourceVersion"],
            "timeoutSeconds": str(max(1, int(left)) if left is not None else 300),
        }
        for kind, _ in session.watch(path, query):
            if kind == "DELETED":
                return
