"""Wait until objects are as one says: a condition, a JSONPath value, created, or deleted."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

from kctl import flags, objects
from kctl.__main__ import UsageError
from kctl.commands.delete import until_gone
from kctl.discovery import ApiResource
from kctl.session import Session
from sampan.errors import ApiError

Holds = Callable[[dict[str, Any]], bool]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("words", nargs="*", metavar="TYPE[/NAME] [NAME ...]")
    parser.add_argument(
        "--for", dest="goal", required=True, help="condition=NAME[=VALUE], jsonpath='{...}'=VALUE, create or delete"
    )
    parser.add_argument("--timeout", default="30s", help="how long to wait for each; 0 looks once, negative a week")
    parser.add_argument("-l", "--selector", default="", help="all objects with these labels")
    parser.add_argument("--all", action="store_true", help="all objects of the kind in the namespace")
    parser.add_argument("-o", "--output", default="", choices=("", "name"), help="name")
    flags.add_global(parser)


def run(arguments: argparse.Namespace) -> int:
    """Wait for each object in turn."""
    session = flags.session(arguments)
    limit = flags.seconds(arguments.timeout)
    deadline = time.monotonic() + (limit if limit >= 0 else 7 * 86400)
    goal = arguments.goal
    try:
        targets = objects.chosen(session, arguments)
    except ApiError:
        if goal == "delete":
            return 0
        raise
    if not targets:
        if goal == "delete":
            return 0
        raise UsageError("no matching resources found")
    failed = False
    for resource, name in targets:
        namespace = session.namespace if resource.namespaced else ""
        try:
            if goal == "delete":
                until_gone(session, resource, namespace, name, "", deadline)
            elif goal == "create":
                _until(session, resource, namespace, name, lambda _: True, deadline, created=True)
            else:
                _until(session, resource, namespace, name, condition(goal), deadline)
        except TimeoutError:
            print(f"error: timed out waiting for the condition on {resource.plural}/{name}", file=sys.stderr)
            failed = True
            continue
        met = {"delete": "deleted", "create": "created"}.get(goal, "condition met")
        print(resource.label(name) if arguments.output == "name" else f"{resource.label(name)} {met}", flush=True)
    return 1 if failed else 0


def condition(goal: str) -> Holds:
    """What `--for` asks of an object. Raises UsageError."""
    if goal.startswith("condition="):
        name, _, value = goal.removeprefix("condition=").partition("=")
        wanted = (value or "true").strip("'\"").lower()

        def has(live: dict[str, Any]) -> bool:
            generation = live["metadata"].get("generation", 0)
            for one in live.get("status", {}).get("conditions") or ():
                if one["type"].lower() == name.lower():
                    fresh = one.get("observedGeneration", generation) >= generation
                    return fresh and str(one["status"]).lower() == wanted
            return False

        return has
    if goal.startswith("jsonpath="):
        from kctl import jsonpath

        expression = goal.removeprefix("jsonpath=").strip("'\"")
        path, brace, value = expression.rpartition("}=")
        path = path + "}" if brace else expression
        if not path.startswith("{"):
            raise UsageError(f"jsonpath wait format must be --for=jsonpath='{{.status.phase}}'=Value, not {goal!r}")

        def matches(live: dict[str, Any]) -> bool:
            found = list(jsonpath.find(path, live, missing_ok=True))
            if len(found) > 1:
                raise UsageError("given jsonpath expression matches more than one value")
            return bool(found) and (not brace or jsonpath.text(found[0]) == value.strip("'\""))

        return matches
    raise UsageError(f'unrecognized condition: "{goal}"')


def _until(
    session: Session,
    resource: ApiResource,
    namespace: str,
    name: str,
    holds: Holds,
    deadline: float,
    *,
    created: bool = False,
) -> None:
    """Watch one object until it is so. Raises TimeoutError; ApiError when it is not there."""
    path, query = resource.path(namespace), {"fieldSelector": f"metadata.name={name}"}
    while True:
        listed = session.get(path, query)
        for item in listed.get("items") or ():
            if holds(item):
                return
        if not listed.get("items") and not created:
            session.read(resource, name, namespace)
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        version = listed["metadata"]["resourceVersion"]
        limits = {"resourceVersion": version, "timeoutSeconds": str(max(1, int(left)))}
        for kind, value in session.watch(path, query | limits):
            if kind in ("ADDED", "MODIFIED") and holds(value):
                return
            if kind == "DELETED" and not created:
                raise UsageError(f"{resource.plural}/{name} was deleted while waiting")
            if time.monotonic() > deadline:
                raise TimeoutError
