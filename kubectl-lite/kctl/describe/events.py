"""The events at the end of a description."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kctl.ages import event_age
from kctl.session import Session
from kctl.urls import quote


def find(session: Session, value: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """The events about an object, the newest last. Raises ApiError."""
    from kctl.commands.events import moment

    metadata = value["metadata"]
    events = session.discovery.of_kind("v1", "Event")
    query = {"fieldSelector": f"involvedObject.name={metadata['name']},involvedObject.kind={kind}"}
    path = events.path(quote(metadata.get("namespace") or ""))
    items = session.get(path, query).get("items") or ()
    known = ("", metadata.get("uid"), metadata["name"])  # a node's events have its name where others have a UID
    chosen = [one for one in items if (one.get("involvedObject") or {}).get("uid", "") in known]
    return sorted(chosen, key=moment)


def lines(found: Iterable[dict[str, Any]], level: int = 0) -> Iterable[str]:
    """A table of events."""
    indent = "  " * level
    rows = []
    for one in found:
        source = (one.get("source") or {}).get("component") or one.get("reportingComponent") or ""
        place = (one.get("involvedObject") or {}).get("fieldPath")
        message = (f"{place}: " if place else "") + str(one.get("message") or "").strip()
        rows.append(f"{indent}  {one.get('type', '')}\t{one.get('reason', '')}\t{event_age(one)}\t{source}\t{message}")
    if not rows:
        yield f"{indent}Events:\t<none>"
        return
    yield f"{indent}Events:"
    yield f"{indent}  Type\tReason\tAge\tFrom\tMessage"
    yield f"{indent}  ----\t------\t----\t----\t-------"
    yield from rows
