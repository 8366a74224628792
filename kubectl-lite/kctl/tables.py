"""The server's tables, aligned as kubectl aligns them."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any, TextIO

NARROWEST = 3
GAP = "   "


class Columns:
    """Text columns three blanks apart. Given more rows later, it keeps the widths that it had, as a watch needs."""

    def __init__(self) -> None:
        self._widths: list[int] = []

    def lines(self, rows: Sequence[Sequence[str]]) -> list[str]:
        """The rows as lines; a row's last cell is not padded."""
        for row in rows:
            self._widths += [NARROWEST] * (len(row) - len(self._widths))
            for at, cell in enumerate(row[:-1]):
                self._widths[at] = max(self._widths[at], len(cell))
        return [GAP.join([*map(str.ljust, row[:-1], self._widths), *row[-1:]]) for row in rows]


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as aligned lines."""
    return Columns().lines(rows)


def cell(value: Any) -> str:
    """A table's cell as text: one line, and nothing in it that moves a terminal's cursor."""
    if value is None:
        return "<none>"
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    for mark in "\n\r\f":
        if mark in text:
            text = text.split(mark, 1)[0] + "..."
    return text.replace("\x1b", "^[") if "\x1b" in text else text


def labels_text(labels: dict[str, Any] | None) -> str:
    """`a=1,b=2`, or `<none>`."""
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or "<none>"


class TablePrinter:
    """Prints the server's tables of one kind."""

    def __init__(
        self,
        *,
        wide: bool = False,
        namespaces: bool = False,
        headings: bool = True,
        labels: bool = False,
        label_columns: Sequence[str] = (),
        prefix: str = "",
        out: TextIO | None = None,
    ) -> None:
        self._wide, self._namespaces, self._headings = wide, namespaces, headings
        self._labels, self._label_columns, self._prefix = labels, label_columns, prefix
        self._definitions: list[dict[str, Any]] = []
        self._columns = Columns()
        self._out = out or sys.stdout

    def show(self, table: dict[str, Any], *, event: str = "") -> None:
        """Print a table's rows, under headings if none were printed yet; with what happened, if that is wanted."""
        self._definitions = table.get("columnDefinitions") or self._definitions
        rows = [([event] if event else []) + self._row(row) for row in table.get("rows") or ()]
        if rows and self._headings:
            rows.insert(0, (["EVENT"] if event else []) + self._heading())
            self._headings = False
        for line in self._columns.lines(rows):
            print(line, file=self._out)
        self._out.flush()

    def _shown(self) -> Iterable[int]:
        return [i for i, one in enumerate(self._definitions) if self._wide or not one.get("priority")]

    def _heading(self) -> list[str]:
        names = [self._definitions[i]["name"].upper() for i in self._shown()]
        labels = [key.rpartition("/")[2].upper() for key in self._label_columns]
        return [*(["NAMESPACE"] if self._namespaces else []), *names, *labels, *(["LABELS"] if self._labels else [])]

    def _row(self, row: dict[str, Any]) -> list[str]:
        metadata = (row.get("object") or {}).get("metadata") or {}
        cells = [cell(row["cells"][i]) for i in self._shown()]
        if self._prefix and cells:
            cells[0] = f"{self._prefix}/{cells[0]}"
        own = metadata.get("labels") or {}
        more = [own.get(key, "") for key in self._label_columns]
        if self._labels:
            more.append(labels_text(own))
        return [*([metadata.get("namespace", "")] if self._namespaces else []), *cells, *more]
