"""What `apply` sends: the patch from the live object to the wanted one that deletes only what was applied before.

original: what was applied last time (the last-applied annotation); modified: what is applied now;
current: the live object, with whatever others have set.
Source: "Declarative Management of Kubernetes Objects Using Configuration Files".
"""

from __future__ import annotations

from typing import Any

from sampan.patches.schema import MergeRule, MergeSchema
from sampan.patches.strategic import DELETE_FROM, DIRECTIVE, RETAIN_KEYS, SET_ORDER, identity
from sampan.patches.values import same

Json = dict[str, Any]


def json_merge(original: Json | None, modified: Json, current: Json) -> Json:
    """The three-way JSON merge patch, for custom resources; `{}` if there is nothing to do."""
    patch: Json = {}
    original = original or {}
    for key, value in modified.items():
        if key not in current:
            if value is not None:
                patch[key] = value
            continue
        found = current[key]
        if isinstance(value, dict) and isinstance(found, dict):
            before = original.get(key)
            inner = json_merge(before if isinstance(before, dict) else None, value, found)
            if inner:
                patch[key] = inner
        elif not same(value, found):
            patch[key] = value
    return patch | {key: None for key in original if key not in modified and key in current}


def strategic(original: Json | None, modified: Json, current: Json, schema: MergeSchema) -> Json:
    """The three-way strategic merge patch; `{}` if there is nothing to do."""
    patch: Json = {}
    original = original or {}
    for key, value in modified.items():
        if key not in current:
            if value is not None:
                patch[key] = value
            continue
        patch |= member(key, original.get(key), value, current[key], schema.rule(key))
    return patch | {key: None for key in original if key not in modified and key in current}


def member(key: str, before: Any, value: Any, found: Any, rule: MergeRule) -> Json:
    """What the patch says of a member that both the wanted and the live object have."""
    if isinstance(value, dict) and isinstance(found, dict) and not rule.replaces:
        inner = strategic(before if isinstance(before, dict) else None, value, found, rule.child)
        if rule.retains_keys and inner:
            inner |= retain(value)
        return {key: inner} if inner else {}
    if isinstance(value, list) and isinstance(found, list) and rule.merges:
        former = before if isinstance(before, list) else []
        if not any(isinstance(one, dict) for one in (*former, *value, *found)):
            return scalars(key, former, value, found)
        if rule.merge_key and all(unique(one, rule.merge_key) for one in (value, found)):
            return elements(key, former, value, found, rule)
        # Two ports may share a number: a key that does not tell elements apart cannot merge them.
        return {} if same(value, found) else {key: [{DIRECTIVE: "replace"}, *value]}
    return {} if same(value, found) else {key: value}


def retain(value: Json) -> Json:
    """The directive that lets go of all other members of a union."""
    return {RETAIN_KEYS: sorted(key for key in value if value[key] is not None)}


def unique(items: list[Any], merge_key: str) -> bool:
    """Whether each element is told apart by its merge key."""
    keys = [identity(one.get(merge_key)) if isinstance(one, dict) else None for one in items]
    return None not in keys and len(set(keys)) == len(keys)


def scalars(key: str, former: list[Any], value: list[Any], found: list[Any]) -> Json:
    """A list that merges as a set."""
    wanted, live = {identity(one) for one in value}, {identity(one) for one in found}
    added = [one for one in value if identity(one) not in live]
    gone = [one for one in former if identity(one) not in wanted and identity(one) in live]
    order = [identity(one) for one in value]
    moved = [one for one in order if one in live] != [identity(one) for one in found if identity(one) in wanted]
    patch: Json = {}
    if gone:
        patch[DELETE_FROM + key] = gone
    if added or gone or moved:
        patch[SET_ORDER + key] = value
    if added:
        patch[key] = added
    return patch


def elements(key: str, former: list[Any], value: list[Any], found: list[Any], rule: MergeRule) -> Json:
    """A list of objects that merges by a key."""
    name = rule.merge_key
    live = {identity(one[name]): one for one in found}
    wanted = {identity(one[name]): one for one in value}
    past = {identity(one[name]): one for one in former if isinstance(one, dict) and one.get(name) is not None}
    changes: list[Json] = []
    for mark, one in wanted.items():
        if mark not in live:
            changes.append(one)
            continue
        inner = strategic(past.get(mark), one, live[mark], rule.child)
        if rule.retains_keys and inner:
            inner |= retain(one)
        if inner:
            changes.append(inner | {name: one[name]})
    gone = [{DIRECTIVE: "delete", name: past[mark][name]} for mark in past if mark not in wanted and mark in live]
    moved = [mark for mark in wanted if mark in live] != [mark for mark in live if mark in wanted]
    patch: Json = {}
    if changes or gone or moved:
        patch[SET_ORDER + key] = [{name: one[name]} for one in value]
    if changes or gone:
        patch[key] = changes + gone
    return patch
