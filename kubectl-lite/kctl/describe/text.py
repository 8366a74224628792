"""How descriptions are laid out: lines with tabs, aligned as Go's text/tabwriter does it (elastic tabstops).

A cell ends with a tab. Cells of one column in neighbouring lines are as wide as the widest of them and two blanks; what
follows a line's last tab is no cell and never padded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC
from typing import Any

from kctl.ages import moment

PADDING = 2
NONE = "<none>"
UNSET = "<unset>"

Lines = Iterable[str]
Value = Mapping[str, Any]


def aligned(lines: Iterable[str]) -> list[str]:
    """Lines with their tabs made blanks."""
    rows = [line.split("\t") for text in lines for line in text.split("\n")]
    widths: list[list[int]] = [[0] * (len(row) - 1) for row in rows]

    def lay_out(start: int, end: int, column: int) -> None:
        at = start
        while at < end:
            if len(widths[at]) <= column:
                at += 1
                continue
            stop = at
            while stop < end and len(widths[stop]) > column:
                stop += 1
            width = max(len(rows[i][column]) for i in range(at, stop)) + PADDING
            for i in range(at, stop):
                widths[i][column] = width
            lay_out(at, stop, column + 1)
            at = stop

    lay_out(0, len(rows), 0)
    return ["".join([*map(str.ljust, row[:-1], width), row[-1]]) for row, width in zip(rows, widths, strict=True)]


def indented(lines: Iterable[str], level: int = 1) -> Iterable[str]:
    """Two blanks a level."""
    return ("  " * level + line for line in lines)


def line(name: str, value: Any = "", level: int = 0) -> str:
    """`Name:<tab>value`."""
    return f"{'  ' * level}{name}:\t{value}"


def time(text: str | None) -> str:
    """A time as descriptions show it: `Tue, 24 Nov 2026 23:15:54 +0000`."""
    found = moment(text)
    return found.astimezone(UTC).strftime("%a, %d %b %Y %H:%M:%S +0000") if found else "<unset>"


def title(text: Any) -> str:
    """True and False as Go prints conditions."""
    return str(text)


def boolean(value: Any) -> str:
    """A boolean as Go prints it."""
    return "true" if value else "false"


def many(name: str, values: Sequence[str], level: int = 0) -> Iterable[str]:
    """A name, and values below each other beside it; `<none>` for none."""
    first, *rest = values or [NONE]
    yield line(name, first, level)
    yield from (f"{'  ' * level}\t{one}" for one in rest)


def labels(name: str, found: Value | None, level: int = 0, *, skip: Iterable[str] = ()) -> Iterable[str]:
    """`a=b` below each other."""
    return many(name, [f"{key}={value}" for key, value in sorted((found or {}).items()) if key not in skip], level)


LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
LONG = 140


def notes(found: Value | None, level: int = 0, name: str = "Annotations") -> Iterable[str]:
    """`a: b` below each other; long values on lines of their own, the record of apply not at all."""
    shown = sorted((key, str(value)) for key, value in (found or {}).items() if key != LAST_APPLIED)
    if not shown:
        yield line(name, NONE, level)
        return
    for at, (key, value) in enumerate(shown):
        head = line(name, "", level) if at == 0 else f"{'  ' * level}\t"
        text = value.removesuffix("\n")
        if (len(text) + len(key) + 2 < LONG) and "\n" not in text:
            yield f"{head}{key}: {text}"
            continue
        yield f"{head}{key}:"
        for part in text.split("\n"):
            yield f"{'  ' * level}\t  {part[: LONG - 3] + '...' if len(part) > LONG - 2 else part}"


def selector(found: Value | None) -> str:
    """A label selector in one line."""
    parts = [f"{key}={value}" for key, value in sorted(((found or {}).get("matchLabels") or {}).items())]
    for one in (found or {}).get("matchExpressions") or ():
        key, values = one["key"], ",".join(sorted(one.get("values") or ()))
        parts.append(
            {
                "In": f"{key} in ({values})",
                "NotIn": f"{key} notin ({values})",
                "Exists": key,
                "DoesNotExist": f"!{key}",
            }.get(one["operator"], key)
        )
    return ",".join(parts) or NONE


def pairs(found: Value | None) -> str:
    """`a=b,c=d` in one line."""
    return ",".join(f"{key}={value}" for key, value in sorted((found or {}).items())) or NONE


def controlled_by(metadata: Value) -> str:
    """`ReplicaSet/x` of the owner that controls; empty for none."""
    owners = metadata.get("ownerReferences") or ()
    return next((f"{one['kind']}/{one['name']}" for one in owners if one.get("controller")), "")
