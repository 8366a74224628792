"""List events, the newest last."""

from __future__ import annotations

import sys
from typing import Any

from kctl import flags
from kctl.ages import event_age
from kctl.discovery import ApiResource
from kctl.errors import UsageError
from kctl.flags import Flags, Values
from kctl.session import Session
from kctl.tables import Columns, cell
from kctl.urls import quote


def configure(flags: Flags) -> None:
    """Declare the flags."""
    flags.usage = "[--for TYPE/NAME] [--types=Normal,Warning] [--watch]"
    flags.switch("all-namespaces", "in all namespaces", short="A")
    flags.text("for", "only events about this object, TYPE/NAME")
    flags.texts("types", "only events of these types", split=True)
    flags.switch("watch", "then watch for more", short="w")
    flags.switch("no-headers", "leave the headings out")
    flags.number("chunk-size", "how many objects a request brings", default=500)
    flags.text("output", "json or yaml", short="o")


def run(values: Values) -> int:
    """Print them."""
    if values.output:
        from kctl.printers import check

        check(values.output)
    for kind in values.types:
        if kind.lower() not in ("normal", "warning"):
            raise UsageError("valid --types are Normal or Warning")
    session = flags.session(values)
    resource = session.discovery.of_kind("v1", "Event")
    path = resource.path("" if values.all_namespaces else quote(session.namespace))
    query = about(session, getattr(values, "for"))
    listed = session.get(path, query)
    items = sorted(_chosen(listed.get("items") or (), values), key=moment)
    if values.output:
        from kctl import printers

        typed = [{"apiVersion": "v1", "kind": "Event"} | item for item in items]
        names = [resource.label(item["metadata"]["name"]) for item in items]
        printers.show_values(typed, values.output, as_list=True, names=names)
        return 0
    if not items and not values.watch:
        where = "" if values.all_namespaces else f" in {session.namespace} namespace"
        print(f"No events found{where}.", file=sys.stderr)
        return 0
    table = Columns()
    heading = ["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]
    if values.all_namespaces:
        heading.insert(0, "NAMESPACE")
    rows = [_row(session, resource, item, values) for item in items]
    _show(table, ([] if values.no_headers else [heading]) + rows)
    if values.watch:
        query["resourceVersion"] = listed["metadata"]["resourceVersion"]
        for event, item in session.watch(path, query):
            if event in ("ADDED", "MODIFIED"):
                _show(table, [_row(session, resource, one, values) for one in _chosen([item], values)])
    return 0


def _show(table: Columns, rows: list[list[str]]) -> None:
    for line in table.lines(rows):
        print(line)
    sys.stdout.flush()


def _chosen(items: Any, values: Values) -> list[dict[str, Any]]:
    types = {kind.lower() for kind in values.types}
    return [one for one in items if not types or str(one.get("type", "")).lower() in types]


def about(session: Session, word: str) -> dict[str, str]:
    """The query for events about `TYPE/NAME`; none for all. Raises UsageError."""
    if not word:
        return {}
    kind, slash, name = word.partition("/")
    if not slash or not kind or not name:
        raise UsageError("--for must be in resource/name form")
    resource = session.discovery.named(kind)
    return {"fieldSelector": f"involvedObject.kind={resource.kind},involvedObject.name={name}"}


def moment(event: dict[str, Any]) -> str:
    """When it happened last, as a text that sorts."""
    series = event.get("series") or {}
    found = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return str(found or event["metadata"].get("creationTimestamp") or "")


def _row(session: Session, resource: ApiResource, event: dict[str, Any], values: Values) -> list[str]:
    target = event.get("involvedObject") or {}
    row = [
        event_age(event),
        str(event.get("type", "")),
        str(event.get("reason", "")),
        f"{target.get('kind', '')}/{target.get('name', '')}",
        cell(str(event.get("message", "")).strip()),
    ]
    return [event["metadata"].get("namespace", ""), *row] if values.all_namespaces else row
