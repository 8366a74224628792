"""Show one or many objects."""

from __future__ import annotations

import sys

from kctl import flags, references
from kctl.errors import UsageError, wording
from kctl.references import Reference
from kctl.session import JSON, TABLE, Session
from kctl.tables import TablePrinter
from kctl.urls import quote
from sampan.api_error import ApiError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from kctl.flags import Flags, Values

NO_TYPE = """You must specify the type of resource to get. Use "kctl api-resources" for a complete list of supported \
resources.

error: Required resource not specified.
Use "kctl explain <resource>" for a detailed description of that resource (e.g. kctl explain pods).
See 'kctl get -h' for help and examples"""


def configure(flags: Flags) -> None:
    """Declare the flags."""
    flags.usage = "(TYPE[.VERSION][.GROUP] [NAME | -l LABEL] | TYPE/NAME ...) [flags]"
    flags.text("output", "wide|yaml|json|name|jsonpath=...|custom-columns=...", short="o")
    flags.switch("watch", "then watch for changes", short="w")
    flags.switch("watch-only", "watch for changes without listing first")
    flags.switch("all-namespaces", "in all namespaces", short="A")
    flags.text("selector", "label selector", short="l")
    flags.text("field-selector", "field selector")
    flags.text("sort-by", "JSONPath of the field to sort by")
    flags.switch("no-headers", "leave the headings out")
    flags.switch("show-labels", "show labels as the last column")
    flags.texts("label-columns", "labels to show as columns", short="L", split=True)
    flags.switch("ignore-not-found", "an object that is not there is no error")
    flags.number("chunk-size", "how many objects a request brings; 0 for all", default=500)
    flags.switch("show-kind", "show the kind of each object")
    flags.switch("output-watch-events", "with --watch: say what happened to each")
    flags.switch("show-managed-fields", "show managedFields in JSON and YAML")
    flags.switch("server-print", "let the server choose the columns (always so)", default=True)
    flags.text("subresource", "show this subresource: status or scale")
    flags.text("template", "the template of -o go-template or jsonpath")
    flags.text("raw", "print what the server says at this path")
    flags.text("at", "as it was then: -5m, or an RFC 3339 time, as far as the server keeps history")
    flags.texts("filename", "files that name the objects", short="f")
    flags.switch("recursive", "folders with all that is below them", short="R")


def run(values: Values) -> int:
    """Fetch and print."""
    _check(values)
    session = flags.session(values)
    if values.raw:
        print(session.text(values.raw), end="")
        return 0
    wanted = _wanted(session, values)
    if values.at:
        from kctl import past

        if values.watch or values.watch_only or values.subresource:
            raise UsageError("--at can't be used with --watch, --watch-only or --subresource: the past does not change")
        values.at = past.query_of(past.revision_at(session, values.at))
    if values.watch or values.watch_only:
        _watch(session, wanted, values)
    return _values(session, wanted, values) if _structured(values) else _tables(session, wanted, values)


def _check(values: Values) -> None:
    """Raises UsageError for flags that contradict each other, before anything is asked."""
    if values.raw:
        if values.words:
            raise UsageError("arguments may not be passed when --raw is specified")
        if not values.raw.startswith("/"):
            raise UsageError(f'--raw must be a valid URL path: parse "{values.raw}": invalid URI for request')
    if values.output_watch_events and not (values.watch or values.watch_only):
        raise UsageError("--output-watch-events option can only be used with --watch or --watch-only")
    if values.template or values.output not in ("", "wide", "json", "yaml", "name"):
        from kctl import printers

        values.output = printers.with_template(values.output, values.template)
        if values.output not in ("", "wide"):
            printers.check(values.output, printers.TABLES)


def _structured(values: Values) -> bool:
    return values.output not in ("", "wide")


def _wanted(session: Session, values: Values) -> list[Reference]:
    if values.filename:
        from kctl import manifests

        found = manifests.load(values.filename, recursive=values.recursive)
        return [
            Reference(session.discovery.of_kind(one.value["apiVersion"], one.value["kind"]), one.name) for one in found
        ]
    if not values.words:
        raise UsageError(NO_TYPE)
    wanted = references.references(session, values.words)
    if any(one.name for one in wanted):
        if values.all_namespaces:
            raise UsageError("a resource cannot be retrieved by name across all namespaces")
        if values.selector:
            raise UsageError("name cannot be provided when a selector is specified")
        if values.field_selector:
            raise UsageError("name cannot be provided when a field selector is specified")
    return wanted


def _namespace(session: Session, values: Values, one: Reference) -> str:
    return "" if values.all_namespaces or not one.resource.namespaced else quote(session.namespace)


def _query(values: Values) -> dict[str, str]:
    query = {}
    if values.selector:
        query["labelSelector"] = values.selector
    if values.field_selector:
        query["fieldSelector"] = values.field_selector
    return query


def _fetch(session: Session, one: Reference, values: Values, accept: str) -> Any:
    """One object or a whole list (all chunks of it), in the form `accept` asks for; None when ignored as missing."""
    namespace = _namespace(session, values, one)
    query = {"includeObject": "Object"} if accept == TABLE and values.sort_by else {}
    if values.at and one.name:
        return _fetch_past(session, one, values, query, accept)
    if one.name:
        try:
            return session.get(one.resource.path(namespace, quote(one.name), values.subresource), query, accept=accept)
        except ApiError as error:
            if error.is_not_found and values.ignore_not_found:
                return None
            raise
    if values.subresource:
        raise UsageError("subresource cannot be used when bulk resources are specified")
    return _fetch_list(session, one, values, query | _query(values), accept)


def _fetch_past(session: Session, one: Reference, values: Values, query: dict[str, str], accept: str) -> Any:
    """One object as it was: only lists can show the past."""
    query = {**query, **values.at, "fieldSelector": f"metadata.name={one.name}"}
    found = session.get(one.resource.path(_namespace(session, values, one)), query, accept=accept)
    items = found.get("rows") if found.get("kind") == "Table" else found.get("items")
    if not items:
        if values.ignore_not_found:
            return None
        raise ApiError(404, "NotFound", f'{one.resource.qualified} "{one.name}" not found at that time')
    return found if found.get("kind") == "Table" else _typed(one, items[0])


def _fetch_list(session: Session, one: Reference, values: Values, query: dict[str, str], accept: str) -> Any:
    """All chunks of a list as one."""
    query |= values.at or {}
    if values.chunk_size > 0:
        query["limit"] = str(values.chunk_size)
    path = one.resource.path(_namespace(session, values, one))
    try:
        whole = session.get(path, query, accept=accept)
    except ApiError as error:
        raise references.unmatched(error, one.resource, values.selector, values.field_selector) from error
    key = "rows" if whole.get("kind") == "Table" else "items"
    while following := whole.get("metadata", {}).get("continue"):
        chunk = session.get(path, {**query, "continue": following}, accept=accept)
        whole[key] = [*(whole.get(key) or []), *(chunk.get(key) or [])]
        whole["metadata"] = chunk.get("metadata", {})
    return whole


def _fetch_all(
    session: Session, wanted: Sequence[Reference], values: Values, accept: str
) -> tuple[list[tuple[Reference, Any]], list[ApiError]]:
    """What is there, and what went wrong with the rest."""
    found, errors = [], []
    for one in wanted:
        try:
            answer = _fetch(session, one, values, accept)
        except ApiError as error:
            errors.append(error)
            continue
        if answer is not None:
            found.append((one, answer))
    return found, errors


def _report(errors: Sequence[ApiError]) -> int:
    sys.stdout.flush()
    for error in dict.fromkeys(map(wording, errors)):
        print(error, file=sys.stderr)
    return 1 if errors else 0


def _tables(session: Session, wanted: Sequence[Reference], values: Values) -> int:
    accept = TABLE if values.server_print else JSON
    found, errors = _fetch_all(session, wanted, values, accept)
    named = all(one.name for one in wanted)
    shown_kinds = {one.resource for one, _ in found} if named else {one.resource for one in wanted}
    several = len(shown_kinds) > 1 or values.show_kind
    found = [(one, answer if answer.get("kind") == "Table" else _plain_table(answer)) for one, answer in found]
    shown = 0
    for kind, tables in _grouped(found):
        rows = [row for table in tables for row in table.get("rows") or ()]
        if values.sort_by:
            rows = _sorted(rows, values.sort_by, of=lambda row: row["object"])
        if rows:
            if shown and not values.no_headers:
                print()
            shown += 1
            _printer(values, kind, several=several).show({**tables[0], "rows": rows})
    if not shown and not errors and not values.ignore_not_found:
        nowhere = values.all_namespaces or not all(one.resource.namespaced for one in wanted)
        print("No resources found" + ("" if nowhere else f" in {session.namespace} namespace."), file=sys.stderr)
    return _report(errors)


def _plain_table(value: dict[str, Any]) -> dict[str, Any]:
    """A table of what the server does not make one of: a subresource, or anything of an old server."""
    from kctl.ages import age

    items = value.get("items", [value])
    metadata = [item.get("metadata") or {} for item in items]
    rows = [
        {"cells": [one.get("name"), age(one.get("creationTimestamp"))], "object": {"metadata": one}} for one in metadata
    ]
    return {"columnDefinitions": [{"name": "Name"}, {"name": "Age"}], "rows": rows}


def _printer(values: Values, kind: Reference, *, several: bool = False) -> TablePrinter:
    return TablePrinter(
        wide=values.output == "wide",
        namespaces=values.all_namespaces and kind.resource.namespaced,
        headings=not values.no_headers,
        labels=values.show_labels,
        label_columns=values.label_columns,
        prefix=kind.resource.label("").rstrip("/") if several else "",
    )


def _grouped(found: Sequence[tuple[Reference, Any]]) -> list[tuple[Reference, list[Any]]]:
    """Neighbours of one kind together: they share a table."""
    groups: list[tuple[Reference, list[Any]]] = []
    for one, table in found:
        if groups and groups[-1][0].resource == one.resource:
            groups[-1][1].append(table)
        else:
            groups.append((one, [table]))
    return groups


def _values(session: Session, wanted: Sequence[Reference], values: Values) -> int:
    from kctl import printers

    found, errors = _fetch_all(session, wanted, values, JSON)
    pairs: list[tuple[dict[str, Any], str]] = []
    for one, answer in found:
        items = [answer] if one.name else [_typed(one, item) for item in answer.get("items") or ()]
        for item in items:
            if not values.show_managed_fields:
                item.get("metadata", {}).pop("managedFields", None)
            pairs.append((item, one.resource.label(item.get("metadata", {}).get("name", ""))))
    single = len(wanted) == 1 and bool(wanted[0].name)
    if values.sort_by:
        pairs = _sorted(pairs, values.sort_by, of=lambda pair: pair[0])
    if pairs or (not single and not errors):
        printers.show_values(
            [value for value, _ in pairs],
            values.output,
            as_list=not single,
            names=[name for _, name in pairs],
            headings=not values.no_headers,
        )
    return _report(errors)


def _typed(one: Reference, item: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": one.resource.api_version, "kind": one.resource.kind} | item


def _sorted(items: list[Any], path: str, *, of: Callable[[Any], Any]) -> list[Any]:
    from kctl.sorting import sorted_by

    return sorted_by(items, path, of)


def _watch(session: Session, wanted: Sequence[Reference], values: Values) -> None:
    """List, then print changes for ever. Raises ApiError when the server ends it for a reason."""
    if len({one.resource for one in wanted}) != 1 or len(wanted) > 1:
        raise UsageError("you may only specify a single resource type")
    one = wanted[0]
    path = one.resource.path(_namespace(session, values, one))
    query = _query(values)
    if one.name:
        query["fieldSelector"] = f"metadata.name={one.name}"
        if not values.watch_only:
            session.read(one.resource, one.name, session.namespace)  # a missing object is an error, not a silent wait
    accept = JSON if _structured(values) else TABLE
    listed = session.get(path, query, accept=accept)
    show = _values_shower(one, values) if _structured(values) else _table_shower(one, values)
    if not values.watch_only:
        for value in (listed.get("items") or ()) if _structured(values) else [listed]:
            show("ADDED", value)
    version = listed["metadata"]["resourceVersion"]
    while True:
        for event, value in session.watch(path, {**query, "resourceVersion": version}, accept=accept):
            version = _version(value) or version
            if event != "BOOKMARK":
                show(event, value)


def _table_shower(one: Reference, values: Values) -> Callable[[str, Any], None]:
    printer = _printer(values, one, several=values.show_kind)
    return lambda event, table: printer.show(table, event=event if values.output_watch_events else "")


def _values_shower(one: Reference, values: Values) -> Callable[[str, Any], None]:
    from kctl import printers

    def show(event: str, value: Any) -> None:
        value = _typed(one, value)
        if not values.show_managed_fields:
            value["metadata"].pop("managedFields", None)
        name = one.resource.label(value["metadata"]["name"])
        if values.output_watch_events and values.output in ("json", "yaml"):
            value = {"type": event, "object": value}
        printers.show_values([value], values.output, as_list=False, names=[name], separate=True)
        sys.stdout.flush()

    return show


def _version(value: dict[str, Any]) -> str:
    rows = value.get("rows")
    source = (rows[0].get("object") or {}) if rows else value
    return str((source.get("metadata") or {}).get("resourceVersion") or "")
