"""JSON Patch (RFC 6902), with negative array indices as the API server takes them.

Always: the document given is not changed; all operations apply, or an error says which did not.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from sampan.patches.values import PatchError, TestFailedError, check_depth, same

MOST_OPERATIONS = 10_000
LARGEST_COPIES = 3 * 1024 * 1024
"""Most bytes that all `copy` operations of a patch may add together; doubling copies would fill the memory."""

INDEX = re.compile(r"-?(0|[1-9][0-9]{0,8})", re.ASCII)
OPERATIONS = ("add", "remove", "replace", "move", "copy", "test")


def apply(document: Any, patch: Any) -> Any:
    """The document after all operations of `patch`. Raises PatchError, of which TestFailedError is one."""
    if not isinstance(patch, list):
        raise PatchError("a JSON patch is a list of operations")
    if len(patch) > MOST_OPERATIONS:
        raise PatchError(f"The allowed maximum operations in a JSON patch is {MOST_OPERATIONS}, got {len(patch)}")
    check_depth(patch)
    box = {"": copy.deepcopy(document)}
    copied = 0
    for operation in patch:
        copied += perform(box, operation, LARGEST_COPIES - copied)
    return box[""]


def perform(box: dict[str, Any], operation: Any, allowance: int) -> int:
    """Do one operation on the document in the box. Returns the bytes it copied. Raises PatchError."""
    if not isinstance(operation, Mapping):
        raise PatchError("an operation of a JSON patch is an object")
    name = operation.get("op")
    if name not in OPERATIONS:
        raise PatchError(f"Unexpected kind: {name}")
    path = pointer(operation, "path", name)
    match name:
        case "add":
            insert(box, path, copy.deepcopy(given(operation, name)), name)
        case "replace":
            parent, key = place(box, path, name)
            parent[key] = copy.deepcopy(given(operation, name))
        case "remove":
            if not path[1:]:
                raise PatchError("remove operation does not apply: the whole document cannot be removed")
            parent, key = place(box, path, name)
            del parent[key]
        case "test":
            check(box, path, operation)
        case "move":
            source = pointer(operation, "from", name)
            if path[: len(source)] == source and len(path) > len(source):
                raise PatchError("move operation does not apply: a value cannot be moved into itself")
            parent, key = place(box, source, name)
            value = parent[key]
            if source != path:
                del parent[key]
                insert(box, path, value, name)
        case "copy":
            parent, key = place(box, pointer(operation, "from", name), name)
            text = orjson.dumps(parent[key])
            if len(text) > allowance:
                raise PatchError(f"copy operation does not apply: copies may add {LARGEST_COPIES} bytes in all")
            insert(box, path, orjson.loads(text), name)
            return len(text)
    return 0


def given(operation: Mapping[str, Any], name: str) -> Any:
    """The operation's value. Raises PatchError if it has none."""
    if "value" not in operation:
        raise PatchError(f"{name} operation does not apply: missing value")
    return operation["value"]


def pointer(operation: Mapping[str, Any], member: str, name: str) -> tuple[str, ...]:
    """A JSON pointer (RFC 6901) as keys, the first of which is the document's place in its box. Raises PatchError."""
    text = operation.get(member)
    if not isinstance(text, str):
        raise PatchError(f"{name} operation does not apply: missing {member}")
    if text and not text.startswith("/"):
        raise PatchError(f'{name} operation does not apply: the path "{text}" does not start with "/"')
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in text.split("/")) if text else ("",)


def missing(name: str, path: Sequence[str]) -> PatchError:
    """The error of a path that leads nowhere."""
    return PatchError(f'{name} operation does not apply: doc is missing path: "{"/".join(path)}": missing value')


def position(text: str, length: int, name: str, path: Sequence[str]) -> int:
    """An index into a list of which `length` places count. Raises PatchError."""
    if not INDEX.fullmatch(text):
        raise PatchError(f'{name} operation does not apply: "{text}" in "{"/".join(path)}" is no index: missing value')
    index = int(text)
    if not -length <= index < length:
        raise PatchError(
            f'{name} operation does not apply: Unable to access invalid index: {index} of "{"/".join(path)}": '
            "invalid index referenced"
        )
    return index + length if index < 0 else index


def walk(box: dict[str, Any], path: Sequence[str], name: str) -> Any:
    """The value at a path. Raises PatchError if there is none."""
    value: Any = box
    for part in path:
        if isinstance(value, dict):
            if part not in value:
                raise missing(name, path)
            value = value[part]
        elif isinstance(value, list):
            value = value[position(part, len(value), name, path)]
        else:
            raise missing(name, path)
    return value


def place(box: dict[str, Any], path: Sequence[str], name: str) -> tuple[Any, Any]:
    """Where an existing value stands: its parent and its key or index. Raises PatchError."""
    walk(box, path, name)
    parent = walk(box, path[:-1], name)
    return parent, position(path[-1], len(parent), name, path) if isinstance(parent, list) else path[-1]


def insert(box: dict[str, Any], path: Sequence[str], value: Any, name: str) -> None:
    """Add a value: a key of an object, an element before an index of a list, or with `-` at its end."""
    parent = walk(box, path[:-1], name)
    if isinstance(parent, dict):
        parent[path[-1]] = value
    elif not isinstance(parent, list):
        raise missing(name, path)
    elif path[-1] == "-":
        parent.append(value)
    else:
        parent.insert(position(path[-1], len(parent) + 1, name, path), value)


def check(box: dict[str, Any], path: Sequence[str], operation: Mapping[str, Any]) -> None:
    """Raises TestFailedError unless the value at the path is the given one; an absent one is null."""
    wanted = operation.get("value")
    try:
        found = walk(box, path, "test")
    except PatchError:
        found = None
    if not same(found, wanted):
        raise TestFailedError(f"testing value {'/'.join(path)} failed: test failed")
