"""Show one or many objects."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from kctl import flags, objects, printers
from kctl.__main__ import UsageError
from kctl.objects import Reference
from kctl.session import JSON, TABLE, Session
from sampan.errors import ApiError


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("words", nargs="*", metavar="TYPE[/NAME] [NAME ...]")
    parser.add_argument("-o", "--output", default="", help="wide|yaml|json|name|jsonpath=...|custom-columns=...")
    parser.add_argument("-w", "--watch", action="store_true", help="then watch for changes")
    parser.add_argument("--watch-only", action="store_true", help="watch for changes without listing first")
    parser.add_argument("-A", "--all-namespaces", action="store_true", help="in all namespaces")
    parser.add_argument("-l", "--selector", default="", help="label selector")
    parser.add_argument("--field-selector", default="", help="field selector")
    parser.add_argument("--sort-by", default="", help="JSONPath of the field to sort by")
    parser.add_argument("--no-headers", action="store_true", help="leave the headings out")
    parser.add_argument("--show-labels", action="store_true", help="show labels as the last column")
    parser.add_argument("-L", "--label-columns", action="append", default=[], help="labels to show as columns")
    parser.add_argument("--ignore-not-found", action="store_true", help="an object that is not there is no error")
    parser.add_argument("--chunk-size", type=int, default=500, help="how many objects a request brings; 0 for all")
    parser.add_argument("--show-kind", action="store_true", help="show the kind of each object")
    parser.add_argument("--output-watch-events", action="store_true", help="with --watch: show what happened too")
    parser.add_argument("--show-managed-fields", action="store_true", help="show managedFields in JSON and YAML")
    parser.add_argument("-f", "--filename", action="append", default=[], help="files that name the objects")
    parser.add_argument("-R", "--recursive", action="store_true", help="folders with all that is below them")
    flags.add_global(parser)


def run(arguments: argparse.Namespace) -> int:
    """Fetch and print."""
    session = flags.session(arguments)
    wanted = _wanted(session, arguments)
    output = arguments.output
    if arguments.watch or arguments.watch_only:
        return _watch(session, wanted, arguments)
    if output in ("", "wide"):
        return _tables(session, wanted, arguments)
    return _values(session, wanted, arguments)


def _wanted(session: Session, arguments: argparse.Namespace) -> list[Reference]:
    if arguments.filename:
        manifests = objects.load(arguments.filename, recursive=arguments.recursive)
        return [
            Reference(session.discovery.of_kind(one.value["apiVersion"], one.value["kind"]), one.name)
            for one in manifests
        ]
    found = objects.references(session, arguments.words)
    if any(one.name for one in found):
        if arguments.all_namespaces:
            raise UsageError("a resource cannot be retrieved by name across all namespaces")
        if arguments.selector or arguments.field_selector:
            raise UsageError("name cannot be provided when a selector is specified")
    return found


def _namespace(session: Session, arguments: argparse.Namespace, one: Reference) -> str:
    return "" if arguments.all_namespaces or not one.resource.namespaced else session.namespace


def _query(arguments: argparse.Namespace) -> dict[str, str]:
    pairs = {"labelSelector": arguments.selector, "fieldSelector": arguments.field_selector}
    return {key: value for key, value in pairs.items() if value}


def _fetch(session: Session, one: Reference, arguments: argparse.Namespace, accept: str) -> Any:
    """One object or a whole list (all chunks of it), in the form `accept` asks for; None when ignored as missing."""
    namespace = _namespace(session, arguments, one)
    if one.name:
        try:
            path = one.resource.path(namespace, quote(one.name, safe=""))
            return session.get(
                path, {"includeObject": "Object"} if arguments.sort_by and accept == TABLE else None, accept=accept
            )
        except ApiError as error:
            if error.is_not_found and arguments.ignore_not_found:
                return None
            raise
    query = _query(arguments)
    if arguments.chunk_size:
        query["limit"] = str(arguments.chunk_size)
    if accept == TABLE and arguments.sort_by:
        query["includeObject"] = "Object"
    path = one.resource.path(namespace)
    whole = session.get(path, query, accept=accept)
    key = "rows" if whole.get("kind") == "Table" else "items"
    while following := whole.get("metadata", {}).get("continue"):
        chunk = session.get(path, {**query, "continue": following}, accept=accept)
        whole[key] = [*(whole.get(key) or []), *(chunk.get(key) or [])]
        whole["metadata"] = chunk.get("metadata", {})
    return whole


def _tables(session: Session, wanted: Sequence[Reference], arguments: argparse.Namespace) -> int:
    several = len({one.resource for one in wanted}) > 1 or arguments.show_kind
    shown, failed, pending = False, False, None
    for kind, group in _grouped(wanted):
        tables = []
        for one in group:
            try:
                table = _fetch(session, one, arguments, TABLE)
            except ApiError as error:
                if len(wanted) == 1:
                    raise
                report(error)
                failed = True
                continue
            if table:
                tables.append(table)
        rows = [row for table in tables for row in table.get("rows") or ()]
        if arguments.sort_by:
            rows = _sorted(rows, arguments.sort_by, of=lambda row: row["object"])
        if not rows:
            continue
        printer = printers.TablePrinter(
            wide=arguments.output == "wide",
            namespaces=arguments.all_namespaces and kind.resource.namespaced,
            headings=not arguments.no_headers,
            labels=arguments.show_labels,
            label_columns=[part for text in arguments.label_columns for part in text.split(",")],
            prefix=kind.resource.label("").rstrip("/") if several else "",
        )
        if pending is not None:
            print()
        pending = printer
        shown = True
        printer.show({**tables[0], "rows": rows})
    if not shown and not failed and not arguments.ignore_not_found:
        namespaced = any(one.resource.namespaced for one in wanted)
        everywhere = arguments.all_namespaces or not namespaced
        where = "" if everywhere else f" in {session.namespace} namespace"
        print(f"No resources found{where}", file=sys.stderr)
    return 1 if failed else 0


def _grouped(wanted: Sequence[Reference]) -> list[tuple[Reference, list[Reference]]]:
    """Neighbours of one kind together: they share a table."""
    groups: list[tuple[Reference, list[Reference]]] = []
    for one in wanted:
        if groups and groups[-1][0].resource == one.resource:
            groups[-1][1].append(one)
        else:
            groups.append((one, [one]))
    return groups


def _values(session: Session, wanted: Sequence[Reference], arguments: argparse.Namespace) -> int:
    values: list[dict[str, Any]] = []
    names: list[str] = []
    failed = False
    for one in wanted:
        try:
            found = _fetch(session, one, arguments, JSON)
        except ApiError as error:
            if len(wanted) == 1:
                raise
            report(error)
            failed = True
            continue
        if found is None:
            continue
        items = (
            [found]
            if one.name
            else [
                {"apiVersion": one.resource.api_version, "kind": one.resource.kind} | item
                for item in found.get("items") or ()
            ]
        )
        for item in items:
            if not arguments.show_managed_fields:
                item.get("metadata", {}).pop("managedFields", None)
            names.append(one.resource.label(item["metadata"]["name"]))
        values += items
    single = len(wanted) == 1 and bool(wanted[0].name)
    if single and not values:
        return 0
    if arguments.sort_by:
        pairs = _sorted(list(zip(values, names, strict=True)), arguments.sort_by, of=lambda pair: pair[0])
        values, names = [value for value, _ in pairs], [name for _, name in pairs]
    if arguments.output.startswith("custom-columns"):
        kind, _, spec = arguments.output.partition("=")
        if kind == "custom-columns-file":
            from pathlib import Path

            heads, paths = (line.split() for line in Path(spec).read_text().splitlines()[:2])
            spec = ",".join(f"{head}:{path}" for head, path in zip(heads, paths, strict=True))
        printers.show_custom_columns(values, spec, headings=not arguments.no_headers)
    else:
        printers.show_values(values, arguments.output, as_list=not single, names=names)
    return 1 if failed else 0


def _sorted(items: list[Any], path: str, *, of: Any) -> list[Any]:
    from kctl import jsonpath

    expression = path if path.startswith("{") else "{" + (path if path.startswith(".") else f".{path}") + "}"

    def key(item: Any) -> tuple[int, float, str]:
        found = next(iter(jsonpath.find(expression, of(item), missing_ok=True)), None)
        if found is None:
            return (0, 0.0, "")
        return (1, float(found), "") if isinstance(found, int | float) else (2, 0.0, str(found))

    return sorted(items, key=key)


def _watch(session: Session, wanted: Sequence[Reference], arguments: argparse.Namespace) -> int:
    if len({one.resource for one in wanted}) != 1:
        raise UsageError("you may only specify a single resource type for a watch")
    one = wanted[0]
    namespace = _namespace(session, arguments, one)
    query = _query(arguments)
    if one.name:
        query["fieldSelector"] = f"metadata.name={one.name}"
    tables = arguments.output in ("", "wide")
    accept = TABLE if tables else JSON
    printer = printers.TablePrinter(
        wide=arguments.output == "wide",
        namespaces=arguments.all_namespaces and one.resource.namespaced,
        labels=arguments.show_labels,
        label_columns=[part for text in arguments.label_columns for part in text.split(",")],
    )
    if one.name and not arguments.watch_only:
        session.read(one.resource, one.name, namespace)  # a missing object is an error, not a silent wait
    listed = session.get(one.resource.path(namespace), query, accept=accept)
    headings = not arguments.no_headers

    def show(value: Any) -> None:
        nonlocal headings
        if tables:
            printer.show(value, headings=headings and bool(value.get("rows")))
            headings = headings and not value.get("rows")
        else:
            typed = {"apiVersion": one.resource.api_version, "kind": one.resource.kind} | value
            printers.show_values(
                [typed], arguments.output, as_list=False, names=[one.resource.label(typed["metadata"]["name"])]
            )
            sys.stdout.flush()

    if not arguments.watch_only:
        for value in [listed] if tables else listed.get("items") or ():
            show(value)
    version = listed["metadata"]["resourceVersion"]
    while True:
        for kind, value in session.watch(
            one.resource.path(namespace), {**query, "resourceVersion": version}, accept=accept
        ):
            version = _version(value) or version
            if kind != "BOOKMARK":
                show(value)


def _version(value: dict[str, Any]) -> str:
    rows = value.get("rows")
    source = rows[0].get("object") or {} if rows else value
    return str((source.get("metadata") or {}).get("resourceVersion") or "")


def report(error: ApiError) -> None:
    """Print one of several errors, and go on."""
    from kctl.__main__ import wording

    print(wording(error), file=sys.stderr)
