"""How objects are shown: the server's tables, YAML, JSON, names, jsonpath and custom columns."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from kctl.__main__ import UsageError

FORMATS = ("json", "yaml", "name", "wide", "jsonpath", "jsonpath-file", "jsonpath-as-json", "custom-columns")


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Text columns three blanks apart, as kubectl aligns them: the last one is not padded."""
    if not rows:
        return []
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    widths[-1] = 0
    return ["   ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows]


def cell(value: Any) -> str:
    """A table's cell as text."""
    if value is None:
        return "<none>"
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    return text.split("\n", 1)[0] + "..." if "\n" in text else text


class TablePrinter:
    """Prints the server's tables. Told more rows later, it keeps the first widths' shape, as a watch does."""

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
        self._labels, self._label_columns, self._prefix = labels, tuple(label_columns), prefix
        self._definitions: list[dict[str, Any]] = []
        self._out = out or sys.stdout

    def show(self, table: dict[str, Any], *, headings: bool | None = None) -> None:
        """Print one table."""
        self._definitions = table.get("columnDefinitions") or self._definitions
        rows = [self._row(row) for row in table.get("rows") or ()]
        with_headings = self._headings if headings is None else headings
        if with_headings:
            rows.insert(0, self._heading())
        for line in columns(rows):
            print(line, file=self._out)
        self._out.flush()

    def _shown(self) -> list[int]:
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
            more.append(",".join(f"{key}={value}" for key, value in sorted(own.items())) or "<none>")
        return [*([metadata.get("namespace", "")] if self._namespaces else []), *cells, *more]


def to_yaml(value: Any) -> str:
    """YAML as kubectl writes it: keys sorted, block style, long texts folded nowhere."""
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    def text(dumper: Any, data: str) -> Any:
        style = None
        if "\n" in data:
            style = "|" if not any(line != line.rstrip() for line in data.split("\n")) else '"'
        elif dumper.resolve(yaml.ScalarNode, data, (True, False)) != "tag:yaml.org,2002:str":
            style = '"'  # as kubectl quotes what would else be a number, a date or a boolean
        return dumper.represent_scalar("tag:yaml.org,2002:str", data, style=style)

    Dumper.add_representer(str, text)
    return yaml.dump(value, Dumper=Dumper, sort_keys=True, default_flow_style=False, allow_unicode=True, width=1 << 30)


def show_values(values: Sequence[dict[str, Any]], output: str, *, as_list: bool, names: Sequence[str] = ()) -> None:
    """Print objects in a format other than a table. Raises UsageError for an unknown one."""
    kind, _, argument = output.partition("=")
    whole: Any = values[0]
    if as_list:
        whole = {"apiVersion": "v1", "items": list(values), "kind": "List", "metadata": {"resourceVersion": ""}}
    if kind == "json":
        print(json.dumps(whole, indent=4, ensure_ascii=False, sort_keys=True))
    elif kind == "yaml":
        print(to_yaml(whole), end="")
    elif kind == "name":
        for name in names:
            print(name)
    elif kind in ("jsonpath", "jsonpath-file", "jsonpath-as-json"):
        from pathlib import Path

        from kctl import jsonpath

        template = Path(argument).read_text() if kind == "jsonpath-file" else argument
        if not template:
            raise UsageError("template format specified but no template given")
        if kind == "jsonpath-as-json":
            print(json.dumps(list(jsonpath.find(template, whole)), indent=4))
        else:
            print(jsonpath.render(template, whole), end="")
    elif kind == "custom-columns":
        show_custom_columns(values, argument)
    elif kind in ("go-template", "go-template-file", "template", "templatefile"):
        raise UsageError("go-template output is not supported; use jsonpath or custom-columns")
    else:
        allowed = ",".join(FORMATS)
        raise UsageError(
            f'unable to match a printer suitable for the output format "{output}", allowed formats are: {allowed}'
        )


def show_custom_columns(values: Iterable[dict[str, Any]], spec: str, *, headings: bool = True) -> None:
    """`NAME:.metadata.name,IMAGE:.spec.containers[*].image`. Raises UsageError."""
    from kctl import jsonpath

    if not spec:
        raise UsageError("custom-columns format specified but no custom columns given")
    chosen = []
    for part in spec.split(","):
        name, colon, path = part.partition(":")
        if not colon or not path:
            raise UsageError(f"unexpected custom-columns spec: {part}, expected <header>:<json-path-expr>")
        chosen.append((name, path if path.startswith("{") else "{" + (path if path[0] in ".[$" else f".{path}") + "}"))
    rows = [[name for name, _ in chosen]] if headings else []
    for value in values:
        cells = []
        for _, path in chosen:
            found = [jsonpath.text(one) for one in jsonpath.find(path, value, missing_ok=True)]
            cells.append(",".join(found) or "<none>")
        rows.append(cells)
    for line in columns(rows):
        print(line)
