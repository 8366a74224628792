"""Events: stored as v1, served as events.k8s.io/v1 too, gone after an hour.

Sources: the API reference, "Event v1" and "Event v1 events.k8s.io", KEP-383.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from apiserver.kind import Column, Json, Kind, Server, Since, Strategy
from apiserver.kinds.cells import Plain, look
from sampan import names
from sampan.api.core_v1 import Event
from sampan.api.events_v1 import Event as EventV1
from sampan.errors import FieldError
from sampan.kinds import EVENTS, EVENTS_V1

RENAMED = {
    "involvedObject": "regarding",
    "message": "note",
    "reportingComponent": "reportingController",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
}
"""v1 name -> events.k8s.io/v1 name."""
BACK = {new: old for old, new in RENAMED.items()}
LONGEST_NOTE = 1024
LONGEST_ACTION = 128
T = TypeVar("T")


def from_stored(value: Json) -> Json:
    """The stored form as events.k8s.io/v1."""
    return {RENAMED.get(key, key): one for key, one in value.items()} | {
        "apiVersion": EVENTS_V1.api_version,
        "kind": EVENTS_V1.kind,
    }


def to_stored(value: Json) -> Json:
    """events.k8s.io/v1 as it is stored."""
    return {BACK.get(key, key): one for key, one in value.items()} | {
        "apiVersion": EVENTS.api_version,
        "kind": EVENTS.kind,
    }


def seconds(server: Server) -> int:
    """How long an event is kept."""
    return int(getattr(server.settings, "event_ttl_seconds", 3600))


def validate(event: Event) -> Iterator[FieldError]:
    """An event stands in the namespace of what it is about."""
    subject = event.involved_object.namespace or ""
    namespace = event.metadata.namespace or ""
    if subject and subject != namespace:
        yield FieldError.invalid("involvedObject.namespace", subject, "does not match event.namespace")
    if not subject and namespace != "default" and event.event_time is None:
        yield FieldError.invalid("involvedObject.namespace", subject, "does not match event.namespace")
    if event.event_time is not None:
        yield from check_new(
            ("reportingComponent", event.reporting_component),
            ("message", event.message),
            (("reportingInstance", event.reporting_instance), ("action", event.action), ("reason", event.reason)),
        )


def validate_v1(event: EventV1) -> Iterator[FieldError]:
    """What events.k8s.io/v1 asks for."""
    subject = (event.regarding.namespace if event.regarding else None) or ""
    if subject and subject != (event.metadata.namespace or ""):
        yield FieldError.invalid("involvedObject.namespace", subject, "does not match event.namespace")
    yield from check_new(
        ("reportingController", event.reporting_controller),
        ("note", event.note),
        (("reportingInstance", event.reporting_instance), ("action", event.action), ("reason", event.reason)),
    )
    if event.type not in ("Normal", "Warning"):
        yield FieldError.invalid("type", event.type or "", f"has invalid value: {event.type or ''}")


def check_new(
    controller: tuple[str, str | None], note: tuple[str, str | None], words: Sequence[tuple[str, str | None]]
) -> Iterator[FieldError]:
    """The rules for events of the new form, in either version; each field comes with its path."""
    if not controller[1]:
        yield FieldError.required(controller[0])
    else:
        for complaint in names.qualified_name(controller[1]):
            yield FieldError.invalid(controller[0], controller[1], complaint)
    for path, value in words:
        if not value:
            yield FieldError.required(path)
        elif len(value.encode()) > LONGEST_ACTION:
            yield FieldError.invalid(path, value, f"can have at most {LONGEST_ACTION} characters")
    if note[1] and len(note[1].encode()) > LONGEST_NOTE:
        yield FieldError.invalid(note[0], "", f"can have at most {LONGEST_NOTE} characters")


def last_seen(o: Plain) -> Since:
    """When it happened last."""
    series = look(o, "series", "lastObservedTime")
    return Since(series or o.get("lastTimestamp") or first(o))


def first(o: Plain) -> str | None:
    """When it happened first."""
    return o.get("firstTimestamp") or o.get("eventTime")


def count(o: Plain) -> int:
    """How often it happened."""
    return int(look(o, "series", "count") or o.get("count") or 1)


def subject(o: Plain) -> str:
    """What it is about, as `pod/web`."""
    about = o.get("involvedObject") or {}
    kind, name = str(about.get("kind", "")).lower(), about.get("name")
    return f"{kind}/{name}" if name else kind


def source(o: Plain) -> str:
    """Who tells it, and where."""
    component = look(o, "source", "component") or o.get("reportingComponent") or ""
    host = look(o, "source", "host") or o.get("reportingInstance") or ""
    return f"{component}, {host}" if host else component


def old_form(cell: Callable[[Plain], T]) -> Callable[[Plain], T]:
    """A column of the stored form, for values in the new one."""
    return lambda o: cell(to_stored(dict(o)))


def member(*path: str) -> Callable[[Plain], str]:
    """A selectable field."""
    return lambda o: str(look(o, *path) or "")


COLUMNS = (
    Column("Last Seen", last_seen, description="Time since it happened last."),
    Column("Type", lambda o: o.get("type") or "", description="Normal or Warning."),
    Column("Reason", lambda o: o.get("reason") or "", description="Why, in one word."),
    Column("Object", subject, description="What it is about."),
    Column("Subobject", lambda o: look(o, "involvedObject", "fieldPath") or "", priority=1),
    Column("Source", source, priority=1, description="Who tells it."),
    Column("Message", lambda o: str(o.get("message") or "").strip(), description="What happened."),
    Column("First Seen", lambda o: Since(first(o)), priority=1, description="Time since it happened first."),
    Column("Count", count, type="integer", priority=1, description="How often it happened."),
    Column("Name", lambda o: o["metadata"].get("name", ""), priority=1, format="name"),
)
REFERENCE = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
SELECTABLE: dict[str, Callable[[Plain], str]] = {
    **{f"involvedObject.{name}": member("involvedObject", name) for name in REFERENCE},
    "reason": member("reason"),
    "reportingComponent": member("reportingComponent"),
    "source": lambda o: str(look(o, "source", "component") or o.get("reportingComponent") or ""),
    "type": member("type"),
}
SELECTABLE_V1: dict[str, Callable[[Plain], str]] = {
    **{f"regarding.{name}": member("regarding", name) for name in REFERENCE},
    **{name: old_form(cell) for name, cell in SELECTABLE.items()},
    "reportingController": member("reportingController"),
}

EVENT = Kind(
    EVENTS,
    columns=COLUMNS,
    strategy=Strategy[Event](validate=validate, selectable=SELECTABLE, ttl_seconds=seconds, create_on_update=True),
)
EVENT_V1 = Kind(
    EVENTS_V1,
    columns=tuple(
        Column(one.name, old_form(one.value), one.type, one.format, one.priority, one.description) for one in COLUMNS
    ),
    strategy=Strategy[EventV1](
        validate=validate_v1, selectable=SELECTABLE_V1, ttl_seconds=seconds, create_on_update=True
    ),
    stored_as=EVENTS,
    from_stored=from_stored,
    to_stored=to_stored,
)
