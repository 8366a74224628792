"""Objects as rows, and objects reduced to their metadata ("Receiving resources as Tables" of the API concepts)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from apiserver.kind import AnyKind, Json, Since
from apiserver.negotiate import Form

GROUP_VERSION = "meta.k8s.io/v1"


def age(seconds: float) -> str:
    """A duration in at most two units, as kubectl's AGE columns show it: `45s`, `3m20s`, `5h`, `2d3h`, `400d`."""
    if seconds < 0:
        return "<invalid>" if seconds < -1 else "0s"
    whole = int(seconds)
    if whole < 120:
        return f"{whole}s"
    minutes, s = divmod(whole, 60)
    if minutes < 10:
        return f"{minutes}m{s}s" if s else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    hours, m = divmod(minutes, 60)
    if hours < 8:
        return f"{hours}h{m}m" if m else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    days, h = divmod(hours, 24)
    if days < 8:
        return f"{days}d{h}h" if h else f"{days}d"
    if days < 365 * 2:
        return f"{days}d"
    years, d = divmod(days, 365)
    if years < 8:
        return f"{years}y{d}d" if d else f"{years}y"
    return f"{years}y"


def since(timestamp: str | None, now: datetime) -> str:
    """The time since an RFC 3339 timestamp."""
    if not timestamp:
        return "<unknown>"
    try:
        then = datetime.fromisoformat(timestamp)
    except ValueError:
        return "<invalid>"
    return age((now - (then if then.tzinfo else then.replace(tzinfo=UTC))).total_seconds())


def row(kind: AnyKind, value: Mapping[str, Any], include: str, now: datetime) -> Json:
    """One object as a row. `include` says how much of it comes along: Metadata, Object or None."""
    cells = []
    for column in kind.columns:
        try:
            cell = column.value(value)
        except (KeyError, TypeError, IndexError, AttributeError, ValueError):
            cell = None
        cells.append(cell.text.format(since(cell.timestamp, now)) if isinstance(cell, Since) else cell)
    made: Json = {"cells": cells}
    if include == "Object":
        made["object"] = value
    elif include != "None":
        made["object"] = partial(value)
    return made


def partial(value: Mapping[str, Any]) -> Json:
    """Only the metadata."""
    return {"kind": "PartialObjectMetadata", "apiVersion": GROUP_VERSION, "metadata": value["metadata"]}


def column_definitions(kind: AnyKind) -> list[Json]:
    """What the columns are."""
    return [
        {
            "name": column.name,
            "type": column.type,
            "format": column.format,
            "description": column.description,
            "priority": column.priority,
        }
        for column in kind.columns
    ]


def table(
    kind: AnyKind, values: Iterable[Mapping[str, Any]], metadata: Mapping[str, Any], include: str, now: datetime
) -> Json:
    """A whole table."""
    return {
        "kind": "Table",
        "apiVersion": GROUP_VERSION,
        "metadata": metadata,
        "columnDefinitions": column_definitions(kind),
        "rows": [row(kind, value, include, now) for value in values],
    }


def one(kind: AnyKind, value: Mapping[str, Any], form: Form, include: str, now: datetime) -> Any:
    """A single object in the asked form."""
    if form.form == "Table":
        version = value["metadata"].get("resourceVersion", "")
        return table(kind, [value], {"resourceVersion": version}, include, now)
    if form.form.startswith("PartialObjectMetadata"):
        return partial(value)
    return value


def many(
    kind: AnyKind,
    values: Iterable[Mapping[str, Any]],
    metadata: Mapping[str, Any],
    form: Form,
    include: str,
    now: datetime,
) -> Json:
    """A list in the asked form."""
    if form.form == "Table":
        return table(kind, values, metadata, include, now)
    if form.form.startswith("PartialObjectMetadata"):
        return {
            "kind": "PartialObjectMetadataList",
            "apiVersion": GROUP_VERSION,
            "metadata": metadata,
            "items": [partial(value) for value in values],
        }
    return {
        "kind": kind.resource.list_kind,
        "apiVersion": kind.resource.api_version,
        "metadata": metadata,
        "items": list(values),
    }
