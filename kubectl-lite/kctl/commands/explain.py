"""Say what the fields of a kind mean, as the server's OpenAPI documents them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from kctl import flags, openapi
from kctl.discovery import ApiResource
from kctl.errors import UsageError
from kctl.flags import Flags, Values

Schema = dict[str, Any]
WIDTH = 80
DEEPEST = 20


def configure(flags: Flags) -> None:
    """Declare the flags."""
    flags.usage = "TYPE[.FIELD...] [--recursive] [--api-version=GROUP/VERSION]"
    flags.switch("recursive", "the names of all fields below, without what they mean")
    flags.text("api-version", "this version of the kind")
    flags.text("output", "plaintext", default="plaintext")


def run(values: Values) -> int:
    """Print the documentation of a kind, or of one of its fields."""
    if values.output not in ("plaintext",):
        raise UsageError(f"--output={values.output} is not supported; plaintext is")
    if not values.words:
        raise UsageError(
            'You must specify the type of resource to explain. Use "kctl api-resources" for a complete'
            " list of supported resources."
        )
    if len(values.words) > 1:
        raise UsageError("We accept only this format: explain RESOURCE")
    session = flags.session(values)
    resource, path = _split(session.discovery, values.words[0])
    if values.api_version:
        resource = session.discovery.of_kind(values.api_version, resource.kind)
    schemas, node = openapi.find(session, resource)
    if node is None:
        raise UsageError(
            f"couldn't find resource for \"{resource.api_version}, Kind={resource.kind}\" in the server's OpenAPI"
        )
    print("\n".join(_page(Book(schemas), resource, node, path, values.recursive)))
    return 0


def _split(discovery: Any, word: str) -> tuple[ApiResource, list[str]]:
    """`pods.spec.containers` as the kind and the path. A group may follow the name: `deployments.apps.spec`."""
    parts = word.split(".")
    for count in (3, 2):
        head = ".".join(parts[:count])
        if len(parts) >= count and (found := discovery.known(head)) is not None:
            return found, [part for part in parts[count:] if part]
    found = discovery.named(parts[0])
    return found, [part for part in parts[1:] if part]


class Book:
    """The schemas of one group and version."""

    def __init__(self, schemas: dict[str, Schema]) -> None:
        self._schemas = schemas

    def resolved(self, node: Schema) -> tuple[Schema, str]:
        """What a node refers to, and the name of that type."""
        name = ""
        for _ in range(DEEPEST):
            reference = node.get("$ref") or next((one["$ref"] for one in node.get("allOf") or () if "$ref" in one), "")
            if not reference:
                break
            name = str(reference).rpartition("/")[2]
            node = self._schemas.get(name) or {}
        return node, name.rpartition(".")[2]

    def described(self, node: Schema) -> tuple[str, Schema]:
        """A field's type as it is printed, and the schema that has its fields."""
        target, name = self.resolved(node)
        if target.get("type") == "array":
            inner, fields = self.described(target.get("items") or {})
            return f"[]{inner}", fields
        extra = target.get("additionalProperties")
        if isinstance(extra, dict) and not target.get("properties"):
            inner, fields = self.described(extra)
            return f"map[string]{inner}", fields
        kind = str(target.get("type") or "object")
        return (kind if kind != "object" else name or "Object"), target

    def description(self, node: Schema) -> str:
        """What a field is for: its own words before its type's."""
        return str(node.get("description") or self.resolved(node)[0].get("description") or "")


def _page(book: Book, resource: ApiResource, node: Schema, path: list[str], recursive: bool) -> Iterator[str]:
    yield from ([f"GROUP:      {resource.group}"] if resource.group else [])
    yield f"KIND:       {resource.kind}"
    yield f"VERSION:    {resource.version}"
    yield ""
    field, fields, kind = node, book.resolved(node)[0], ""
    for part in path:
        properties = fields.get("properties") or {}
        if part not in properties:
            raise UsageError(f'field "{part}" does not exist')
        field = properties[part]
        kind, fields = book.described(field)
    if path:
        yield f"FIELD: {path[-1]} <{kind}>"
        yield ""
        yield ""
    yield "DESCRIPTION:"
    own = book.description(field)
    yield from _wrapped(own or "<empty>", 4)
    if path and (inner := str(fields.get("description") or "")) and inner != own and fields.get("properties"):
        yield from _wrapped(inner, 4)
    yield from _enum(field, 4)
    if own:
        yield "    "
    if fields.get("properties"):
        yield "FIELDS:"
        yield from _fields(book, fields, recursive, 1, ())
    yield ""


def _fields(book: Book, node: Schema, recursive: bool, depth: int, above: tuple[int, ...]) -> Iterator[str]:
    required = node.get("required") or ()
    for name, field in sorted((node.get("properties") or {}).items()):
        kind, inner = book.described(field)
        mark = " -required-" if name in required else ""
        yield f"{'  ' * depth}{name}\t<{kind}>{mark}"
        if recursive:
            yield from _enum(field, 2 * depth)
            if id(inner) not in above and len(above) < DEEPEST:
                yield from _fields(book, inner, recursive, depth + 1, (*above, id(inner)))
            continue
        yield from _enum(field, 2 * depth)
        yield from _wrapped(book.description(field) or "<no description>", 2 * depth + 2)
        yield ""


def _enum(field: Schema, indent: int) -> Iterator[str]:
    if found := field.get("enum"):
        yield f"{' ' * indent}enum: {', '.join(map(str, found))}"


def _wrapped(text: str, indent: int) -> Iterator[str]:
    """Paragraphs folded to the width of a terminal."""
    for paragraph in text.split("\n"):
        if not paragraph.strip():
            yield ""
            continue
        yield from textwrap.wrap(
            paragraph.strip(), WIDTH, initial_indent=" " * indent, subsequent_indent=" " * indent,
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
