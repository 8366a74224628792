"""What kinds' columns share: reading plain objects, and writing lists and selectors as kubectl shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from apiserver.kind import Cell, Column

Plain = Mapping[str, Any]
NONE = "<none>"
MOST_SHOWN = 3


def look(value: Any, *path: str) -> Any:
    """What stands at a path of keys, or None."""
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def number(*path: str) -> Callable[[Plain], Cell]:
    """A cell with the number at a path; an absent one is 0."""
    return lambda o: look(o, *path) or 0


def text(*path: str, absent: str = "") -> Callable[[Plain], Cell]:
    """A cell with the text at a path."""
    return lambda o: look(o, *path) or absent


def labels(value: Any) -> str:
    """A map as `a=b,c=d`."""
    return ",".join(f"{key}={one}" for key, one in sorted((value or {}).items())) or NONE


def selector(value: Any) -> str:
    """A plain LabelSelector as text."""
    if value is None:
        return NONE
    parts = [f"{key}={one}" for key, one in sorted((value.get("matchLabels") or {}).items())]
    for expression in value.get("matchExpressions") or ():
        key, values = expression.get("key", ""), ",".join(sorted(expression.get("values") or ()))
        shown = {
            "In": f"{key} in ({values})",
            "NotIn": f"{key} notin ({values})",
            "Exists": key,
            "DoesNotExist": f"!{key}",
        }
        parts.append(shown.get(expression.get("operator", ""), key))
    return ",".join(parts) or NONE


def shortened(parts: Iterable[str], absent: str, separator: str = " + ") -> str:
    """At most three of a list, and how many more there are."""
    found = list(parts)
    if not found:
        return absent
    more = len(found) - MOST_SHOWN
    joined = ",".join(found[:MOST_SHOWN])
    return f"{joined}{separator}{more} more..." if more > 0 else joined


def container_columns(*path: str) -> tuple[Column, ...]:
    """The wide columns of kinds with a pod template whose spec stands at a path."""

    def of(member: str) -> Callable[[Plain], Cell]:
        return lambda o: ",".join(one.get(member, "") for one in look(o, *path, "containers") or ())

    return (
        Column("Containers", of("name"), priority=1, description="Names of each container in the template."),
        Column("Images", of("image"), priority=1, description="Images referenced by each container in the template."),
    )


def selector_column() -> Column:
    """The wide column of a LabelSelector in spec."""
    return Column(
        "Selector", lambda o: selector(look(o, "spec", "selector")), priority=1, description="Label selector."
    )
