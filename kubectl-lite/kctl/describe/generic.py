"""The description of a kind that has none of its own: all of its fields, as words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from kctl.describe.text import labels, line, notes

INITIALISMS = ("api", "url", "uid", "osb", "guid")
HIDDEN = ("managedFields", "name", "namespace", "labels", "annotations")


def generic_lines(value: dict[str, Any]) -> Iterable[str]:
    """Name, labels, annotations, then every field in the order of its name."""
    metadata = value["metadata"]
    yield line("Name", metadata["name"])
    yield line("Namespace", metadata.get("namespace", ""))
    yield from labels("Labels", metadata.get("labels"))
    yield from notes(metadata.get("annotations"))
    shown = {key: part for key, part in value.items() if key not in ("metadata",)}
    shown["metadata"] = {key: part for key, part in metadata.items() if key not in HIDDEN}
    yield from _fields(shown, 0)


def _fields(value: dict[str, Any], level: int) -> Iterable[str]:
    indent = "  " * level
    for key in sorted(value):
        part, name = value[key], words(key)
        if isinstance(part, dict):
            yield f"{indent}{name}:"
            yield from _fields(part, level + 1)
        elif isinstance(part, list):
            yield f"{indent}{name}:"
            yield from _items(part, level + 1)
        else:
            yield f"{indent}{name}:\t{scalar(part)}"


def _items(items: list[Any], level: int) -> Iterable[str]:
    for item in items:
        if isinstance(item, dict):
            yield from _fields(item, level)
        elif isinstance(item, list):
            yield from _items(item, level + 1)
        else:
            yield f"{'  ' * level}{scalar(item)}"


def scalar(value: Any) -> str:
    """A plain value as Go prints it."""
    if value is None:
        return "<nil>"
    return str(value).lower() if isinstance(value, bool) else str(value)


def words(key: str) -> str:
    """`leaseDurationSeconds` as `Lease Duration Seconds`, `podIP` as `Pod IP`."""
    if not re.fullmatch(r"[a-zA-Z0-9]+", key):
        return key
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+|[0-9]+", key)
    shown = (part.upper() if part.lower() in INITIALISMS else part[:1].upper() + part[1:] for part in parts)
    return " ".join(shown) or key
