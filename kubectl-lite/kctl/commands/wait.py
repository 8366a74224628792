"""Wait until objects are as one says: a condition, a JSONPath value, created, or deleted."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from kctl import flags, targets
from kctl.commands.delete import until_gone
from kctl.discovery import ApiResource
from kctl.errors import UsageError
from kctl.flags import Flags, Values
from kctl.session import Session
from kctl.urls import quote
from sampan.api_error import ApiError

Holds = Callable[[dict[str, Any]], bool]
WEEK = 7 * 86400.0


def configure(flags: Flags) -> None:
    """Declare the flags."""
    flags.usage = "([-f FILENAME] | TYPE/NAME | TYPE [(-l label | --all)]) --for=..."
    flags.text("for", "condition=NAME[=VALUE], jsonpath='{...}'[=VALUE], create or delete")
    flags.duration("timeout", "how long to wait for each; 0 looks once, negative a week", default="30s")
    targets.declare(flags)
    flags.switch("all-namespaces", "in all namespaces", short="A")
    flags.text("output", "name, json, yaml ...", short="o")


def run(values: Values) -> int:
    """Wait for each object in turn."""
    goal = getattr(values, "for")
    holds = condition(goal) if goal not in ("delete", "create") else None
    if values.output:
        from kctl.printers import check

        check(values.output)
        if values.output != "name":
            raise UsageError(f"-o {values.output} is not supported by wait; name is")
    limit = flags.seconds(values.timeout)
    deadline = time.monotonic() + (limit if limit >= 0 else WEEK)
    session = flags.session(values)
    wanted = targets.targets(session, values)
    if not wanted and goal != "delete":
        raise UsageError("no matching resources found")
    unmet: list[str] = []
    for resource, namespace, name in wanted:
        try:
            if goal == "delete":
                if not _is_there(session, resource, name, namespace):
                    continue
                until_gone(session, resource, namespace, name, "", deadline)
            else:
                _until(session, resource, namespace, name, holds or (lambda _: True), deadline, created=holds is None)
        except TimeoutError:
            told = "timed out waiting for the condition on" if limit else "condition not met for"
            unmet.append(f"{told} {resource.plural}/{name}")
            continue
        met = {"delete": "deleted"}.get(goal, "condition met")
        print(resource.label(name) if values.output == "name" else f"{resource.label(name)} {met}", flush=True)
    if len(unmet) == 1:
        raise UsageError(unmet[0])
    for text in unmet:
        print(text, file=sys.stderr)
    return 1 if unmet else 0


def _is_there(session: Session, resource: ApiResource, name: str, namespace: str) -> bool:
    try:
        session.read(resource, name, namespace)
    except ApiError as error:
        if error.is_not_found:
            return False
        raise
    return True


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
        from kctl.sorting import expression

        path, equals, value = split_path(goal.removeprefix("jsonpath="))
        if equals and not value:
            raise UsageError(
                "jsonpath wait has to have a value after equal sign, like --for=jsonpath='{.status.readyReplicas}'=3"
            )
        if path.startswith("{") != path.endswith("}"):
            raise UsageError(
                "unexpected path string, expected a 'name1.name2' or '.name1.name2' or '{name1.name2}'"
                " or '{.name1.name2}'"
            )
        path = expression(path)

        def matches(live: dict[str, Any]) -> bool:
            found = list(jsonpath.find(path, live, missing_ok=True))
            if len(found) > 1:
                raise UsageError("given jsonpath expression matches more than one value")
            return bool(found) and (not equals or jsonpath.text(found[0]) == value)

        return matches
    raise UsageError(f'unrecognized condition: "{goal}"' if goal else "unrecognized condition: []")


def split_path(text: str) -> tuple[str, str, str]:
    """`PATH=VALUE` at the first equals sign that is in no bracket: path, sign and value, without quotes."""
    depth = 0
    for at, mark in enumerate(text):
        depth += (mark in "[({") - (mark in "])}")
        if mark == "=" and depth <= 0:
            return text[:at].strip("'\""), "=", text[at + 1 :].strip("'\"")
    return text.strip("'\""), "", ""


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
    path, query = resource.path(quote(namespace)), {"fieldSelector": f"metadata.name={name}"}
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
