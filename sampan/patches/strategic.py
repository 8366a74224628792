"""Strategic merge patch: a merge patch that knows which lists merge by a key.

Directives: `$patch: replace|delete|merge` in an object, `$retainKeys`, and for the member `x`,
`$setElementOrder/x` and `$deleteFromPrimitiveList/x`.
Always: neither document nor patch is changed.
Source: "Strategic Merge Patch" in sig-api-machinery's documentation; "Update API Objects in Place".
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Iterable
from typing import Any

import orjson

from sampan.patches.schema import MergeRule, MergeSchema
from sampan.patches.values import PatchError, check_depth

DIRECTIVE = "$patch"
RETAIN_KEYS = "$retainKeys"
SET_ORDER = "$setElementOrder/"
DELETE_FROM = "$deleteFromPrimitiveList/"

Json = dict[str, Any]


def apply(document: Json, patch: Any, schema: MergeSchema) -> Json:
    """The document after the patch. Raises PatchError."""
    if not isinstance(patch, dict):
        raise PatchError("a strategic merge patch is an object")
    check_depth(patch)
    return merge_objects(document, patch, schema, "")


def merge_objects(document: Json, patch: Json, schema: MergeSchema, path: str) -> Json:
    """One object. Raises PatchError."""
    directive = patch.get(DIRECTIVE)
    if DIRECTIVE in patch and directive != "merge":
        if directive == "replace":
            return plain_object({key: value for key, value in patch.items() if key != DIRECTIVE})
        if directive == "delete":
            return {}
        raise PatchError(f"unknown patch type found: {directive!r} in {path or 'the patch'}")
    result = retained(document, patch, path)
    orders = ordered_members(patch, path)
    for member, values in deletions(patch, path):
        if isinstance(result.get(member), list):
            gone = {identity(value) for value in values}
            result[member] = [value for value in result[member] if identity(value) not in gone]
    for key, value in patch.items():
        if key in (DIRECTIVE, RETAIN_KEYS) or key.startswith((SET_ORDER, DELETE_FROM)):
            continue
        at = f"{path}.{key}" if path else key
        if value is None:
            result.pop(key, None)
            continue
        result[key] = merge_values(result.get(key), value, schema.rule(key), at)
    for member, order in orders.items():
        if isinstance(result.get(member), list):
            at = f"{path}.{member}" if path else member
            rule = schema.rule(member)
            check_order(patch.get(member), order, rule, at)
            before = document.get(member)
            result[member] = in_order(
                result[member], order, before if isinstance(before, list) else [], keying(rule, order, at)
            )
    return result


def merge_values(old: Any, new: Any, rule: MergeRule, path: str) -> Any:
    """One member that the patch has, where the document may have none (None). Raises PatchError."""
    if isinstance(new, dict):
        if isinstance(old, dict) and not rule.replaces:
            return merge_objects(old, new, rule.child, path)
        return plain(new) if new.get(DIRECTIVE) != "delete" else {}
    if isinstance(new, list):
        if isinstance(old, list) and rule.merges:
            return merge_lists(old, new, rule, path)
        return plain(new)
    return new


def merge_lists(old: list[Any], new: list[Any], rule: MergeRule, path: str) -> list[Any]:
    """A list that merges: by key if its elements are objects, as a set if they are not. Raises PatchError."""
    if not any(isinstance(one, dict) for one in (*old, *new)):
        present = {identity(one): one for one in (*old, *new)}
        return in_order(list(present.values()), new, old, identity)
    commands, items = split(new, path)
    if any(one[DIRECTIVE] == "replace" for one in commands):
        return [plain(one) for one in items]
    key = keying(rule, [*old, *new], path)
    result = list(old)
    for command in commands:
        if command[DIRECTIVE] == "merge":
            raise PatchError(f"merging lists cannot yet be specified in the patch: {path}")
        gone = key(command)
        result = [one for one in result if key(one) != gone]
    for item in items:
        wanted = key(item)
        at = next((index for index, one in enumerate(result) if key(one) == wanted), None)
        if at is None:
            result.append(plain(item))
        else:
            result[at] = merge_objects(result[at], item, rule.child, f"{path}[{rule.merge_key}={wanted}]")
    return in_order(result, items, old, key)


def split(items: list[Any], path: str) -> tuple[list[Json], list[Any]]:
    """Elements that are commands (`$patch`), and the others. Raises PatchError."""
    commands, others = [], []
    for item in items:
        if isinstance(item, dict) and DIRECTIVE in item:
            if item[DIRECTIVE] not in ("replace", "delete", "merge"):
                raise PatchError(f"unknown patch type found: {item[DIRECTIVE]!r} in {path}")
            commands.append(item)
        else:
            others.append(item)
    return commands, others


def retained(document: Json, patch: Json, path: str) -> Json:
    """The document, without what `$retainKeys` does not list. Raises PatchError."""
    if RETAIN_KEYS not in patch:
        return dict(document)
    keys = patch[RETAIN_KEYS]
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise PatchError(f"$retainKeys of {path or 'the patch'} is no list of keys")
    for key, value in patch.items():
        if value is not None and not key.startswith("$") and key not in keys:
            raise PatchError(f"patch field {key!r} of {path or 'the patch'} is not in its $retainKeys list")
    return {key: value for key, value in document.items() if key in keys}


def deletions(patch: Json, path: str) -> Iterable[tuple[str, list[Any]]]:
    """What `$deleteFromPrimitiveList/x` directives say. Raises PatchError."""
    for key, value in patch.items():
        if key.startswith(DELETE_FROM):
            if not isinstance(value, list):
                raise PatchError(f"{key} of {path or 'the patch'} is no list")
            yield key.removeprefix(DELETE_FROM), value


def ordered_members(patch: Json, path: str) -> dict[str, list[Any]]:
    """What `$setElementOrder/x` directives say. Raises PatchError."""
    found = {}
    for key, value in patch.items():
        if key.startswith(SET_ORDER):
            if not isinstance(value, list):
                raise PatchError(f"{key} of {path or 'the patch'} is no list")
            found[key.removeprefix(SET_ORDER)] = value
    return found


def check_order(items: Any, order: list[Any], rule: MergeRule, path: str) -> None:
    """Elements of a patch must stand in the order that it asks for. Raises PatchError."""
    if not isinstance(items, list):
        return
    _, items = split(items, path)
    key = keying(rule, items or order, path)
    places = {key(one): index for index, one in enumerate(order)}
    found = [places.get(key(one), -1) for one in items]
    if -1 in found or found != sorted(found):
        raise PatchError(f"the order in patch list {path} doesn't match its $setElementOrder list")


def keying(rule: MergeRule, items: Iterable[Any], path: str) -> Callable[[Any], Hashable]:
    """How elements are told apart: by their merge key, or scalars by themselves."""
    if not any(isinstance(one, dict) for one in items):
        return identity
    name = rule.merge_key
    if not name:
        raise PatchError(f"the elements of {path} have no merge key")

    def key(item: Any) -> Hashable:
        if not isinstance(item, dict) or item.get(name) is None:
            raise PatchError(f"map: {item} does not contain declared merge key: {name}")
        return identity(item[name])

    return key


def identity(value: Any) -> Hashable:
    """A scalar so that true is not 1; anything else by its JSON text."""
    if isinstance(value, bool | dict | list):
        return ("json", orjson.dumps(value, option=orjson.OPT_SORT_KEYS))
    return value if isinstance(value, Hashable) else str(value)


def in_order(items: list[Any], first: list[Any], before: list[Any], key: Callable[[Any], Hashable]) -> list[Any]:
    """Elements in the order of `first`; those it lacks find their place by the order that was before.

    An element that only the document has goes before the first listed one that stood behind it.
    """
    wanted = {key(one): index for index, one in reversed([*enumerate(first)])}
    stood = {key(one): index for index, one in reversed([*enumerate(before)])}
    listed = sorted((one for one in items if key(one) in wanted), key=lambda one: wanted[key(one)])
    others = sorted((one for one in items if key(one) not in wanted), key=lambda one: stood.get(key(one), len(stood)))
    result: list[Any] = []
    for one in listed:
        place = stood.get(key(one))
        while others and place is not None and stood.get(key(others[0]), len(stood)) < place:
            result.append(others.pop(0))
        result.append(one)
    return result + others


def plain(value: Any) -> Any:
    """A value that is new to the document: nulls and directives in it mean nothing there."""
    if isinstance(value, dict):
        return plain_object(value)
    if isinstance(value, list):
        return [plain(one) for one in value if not (isinstance(one, dict) and DIRECTIVE in one)]
    return copy.deepcopy(value)


def plain_object(value: Json) -> Json:
    """The members of a new object that stay."""
    return {
        key: plain(one)
        for key, one in value.items()
        if one is not None and key not in (DIRECTIVE, RETAIN_KEYS) and not key.startswith((SET_ORDER, DELETE_FROM))
    }
