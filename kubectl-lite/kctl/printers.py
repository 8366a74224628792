"""How objects are shown as YAML, JSON, names, by jsonpath and in custom columns. The server's tables: tables.py."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from kctl.errors import UsageError
from kctl.tables import columns

TEMPLATES = ("go-template", "go-template-file", "template", "templatefile")
FORMATS = (
    *TEMPLATES[:2],
    "json",
    "jsonpath",
    "jsonpath-as-json",
    "jsonpath-file",
    "kyaml",
    "name",
    *TEMPLATES[2:],
    "yaml",
)
"""What every command can show an object as, in the order in which messages name them."""
COLUMNS = ("custom-columns", "custom-columns-file")
TABLES = (*COLUMNS, *FORMATS[:-1], "wide", "yaml")
"""What `get` knows besides."""


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
        elif data in YES_OR_NO or dumper.resolve(yaml.ScalarNode, data, (True, False)) != "tag:yaml.org,2002:str":
            style = '"'  # as kubectl quotes what would else be a number, a date or a boolean
        return dumper.represent_scalar("tag:yaml.org,2002:str", data, style=style)

    Dumper.add_representer(str, text)
    return yaml.dump(value, Dumper=Dumper, sort_keys=True, default_flow_style=False, allow_unicode=True, width=1 << 30)


YES_OR_NO = ("y", "Y", "n", "N")
"""YAML 1.1's shortest booleans, which PyYAML takes for texts and other readers do not."""


def check(output: str, formats: tuple[str, ...] = FORMATS) -> None:
    """Raises UsageError for a format that does not exist, or lacks what it needs."""
    kind, equals, argument = output.partition("=")
    if kind not in formats or (equals and kind in ("json", "yaml", "name", "wide", "kyaml")):
        allowed = ",".join(formats)
        raise UsageError(
            f'unable to match a printer suitable for the output format "{output}", allowed formats are: {allowed}'
        )
    if kind == "kyaml":
        raise UsageError("-o kyaml is not supported; use yaml or json")
    if kind.startswith("jsonpath") or kind in TEMPLATES:
        if not argument:
            raise UsageError("template format specified but no template given")
        if kind.endswith("file"):
            _read(argument)
    if kind in COLUMNS:
        if not argument:
            raise UsageError("custom-columns format specified but no custom columns given")
        if kind == COLUMNS[1]:
            _columns_file(argument)


def with_template(output: str, template: str) -> str:
    """-o and --template as one: `-o go-template --template=X` is `-o go-template=X`, as is --template=X alone."""
    if not template or "=" in output:
        return output
    if not output or output in TEMPLATES or output.startswith("jsonpath"):
        return f"{output or 'go-template'}={template}"
    return output


def show_values(
    values: Sequence[dict[str, Any]],
    output: str,
    *,
    as_list: bool,
    names: Sequence[str] = (),
    headings: bool = True,
    separate: bool = False,
) -> None:
    """Print objects in a format other than a table; `separate` marks where one of several YAML objects begins.

    Raises UsageError for an unknown format.
    """
    check(output, TABLES)
    kind, _, argument = output.partition("=")
    whole: Any = values[0] if values else {}
    if as_list:
        whole = {"apiVersion": "v1", "items": list(values), "kind": "List", "metadata": {"resourceVersion": ""}}
    if kind == "json":
        print(json.dumps(whole, indent=4, ensure_ascii=False, sort_keys=True))
    elif kind == "yaml":
        print(("---\n" if separate else "") + to_yaml(whole), end="")
    elif kind == "name":
        for name in names:
            print(name)
    elif kind in ("jsonpath", "jsonpath-file", "jsonpath-as-json"):
        from kctl import jsonpath

        template = _read(argument) if kind == "jsonpath-file" else argument
        if kind == "jsonpath-as-json":
            print(json.dumps(list(jsonpath.find(template, whole, missing_ok=True)), indent=4))
        else:
            print(jsonpath.render(template, whole, missing_ok=True), end="\n" if separate else "")
    elif kind in TEMPLATES:
        from kctl import gotemplate

        template = _read(argument) if kind.endswith("file") else argument
        print(gotemplate.render(template, whole), end="\n" if separate else "")
    else:
        spec = _columns_file(argument) if kind == "custom-columns-file" else argument
        show_custom_columns(values, spec, headings=headings)


def _read(path: str, what: str = "--template") -> str:
    try:
        with open(path) as stream:
            return stream.read()
    except (OSError, ValueError) as error:
        said = (getattr(error, "strerror", None) or str(error)).lower()
        raise UsageError(f"error reading {what} {path}, open {path}: {said}") from error


def _columns_file(path: str) -> str:
    """A file of two lines: headings, and the path below each. Raises UsageError."""
    lines = [line.split() for line in _read(path, "template").splitlines() if line.strip()]
    if len(lines) != 2 or len(lines[0]) != len(lines[1]):
        raise UsageError(f"{path}: a line of headings and a line of as many paths are wanted")
    return ",".join(f"{head}:{place}" for head, place in zip(*lines, strict=True))


def show_custom_columns(values: Iterable[dict[str, Any]], spec: str, *, headings: bool = True) -> None:
    """`NAME:.metadata.name,IMAGE:.spec.containers[*].image`. Raises UsageError."""
    from kctl import jsonpath
    from kctl.gotext import go_text
    from kctl.sorting import expression

    chosen = []
    for part in spec.split(","):
        name, colon, path = part.partition(":")
        if not colon or not path:
            raise UsageError(f"unexpected custom-columns spec: {part}, expected <header>:<json-path-expr>")
        chosen.append((name, expression(path)))
    rows = [[name for name, _ in chosen]] if headings else []
    for value in values:
        found = [list(jsonpath.find(path, value, missing_ok=True)) for _, path in chosen]
        rows.append([",".join(map(go_text, one)) or "<none>" for one in found])
    for line in columns(rows):
        print(line)
