"""Environment variables of containers: what `set env` is told, and how it lists them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from kctl.errors import UsageError

Variable = dict[str, Any]
NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")


def is_change(word: str) -> bool:
    """Whether a word of the command line is KEY=VALUE or KEY-, and no object."""
    return "=" in word or (word.endswith("-") and len(word) > 1)


def changes(words: Iterable[str]) -> tuple[list[Variable], list[str]]:
    """What KEY=VALUE words set, and what KEY- words take away. Raises UsageError."""
    wanted: list[Variable] = []
    removed: list[str] = []
    for word in words:
        key, equals, value = word.partition("=")
        if not equals and word.endswith("-"):
            removed.append(word[:-1])
            continue
        if not equals:
            raise UsageError(f"unknown resource {word}")
        check_name(key)
        wanted.append({"name": key, "value": value})
    if both := {one["name"] for one in wanted} & set(removed):
        raise UsageError(f"can not both modify and remove an environment variable in the same command: {min(both)}")
    return wanted, removed


def check_name(key: str) -> None:
    """Raises UsageError for what can be no variable."""
    if not NAME.fullmatch(key):
        raise UsageError(
            f'"{key}" is not a valid key name: a valid environment variable name must consist of alphabetic'
            " characters, digits, '_', '-', or '.', and must not start with a digit (e.g. 'my.env-name',"
            "  or 'MY_ENV.NAME',  or 'MyEnvName1', regex used for validation is"
            " '[-._a-zA-Z][-._a-zA-Z0-9]*')"
        )


def references(value: Variable, keys: Sequence[str], prefix: str) -> tuple[list[Variable], list[str]]:
    """Variables that refer to the keys of a ConfigMap or Secret, and the warnings about changed names."""
    kind = "configMapKeyRef" if value["kind"] == "ConfigMap" else "secretKeyRef"
    found, warnings = [], []
    for key in sorted({**(value.get("data") or {}), **(value.get("binaryData") or {})}):
        if keys and key not in keys:
            continue
        name = re.sub(r"[^a-zA-Z0-9_]", "_", key).upper()
        if name != key:
            warnings.append(f"Warning: key {key} transferred to {name}")
        source = {kind: {"key": key, "name": value["metadata"]["name"]}}
        found.append({"name": prefix + name, "valueFrom": source})
    return found, warnings


def merged(before: Sequence[Variable], wanted: Sequence[Variable], removed: Sequence[str]) -> list[Variable]:
    """The variables afterwards: those that were there keep their places."""
    new = {one["name"]: one for one in wanted}
    kept = [new.pop(one["name"], one) for one in before if one["name"] not in removed]
    return [*kept, *new.values()]


def source_text(source: Variable) -> str:
    """Where a value comes from, in words."""
    if ref := source.get("configMapKeyRef"):
        return f"configmap {ref.get('name', '')}, key {ref.get('key', '')}"
    if ref := source.get("secretKeyRef"):
        return f"secret {ref.get('name', '')}, key {ref.get('key', '')}"
    if ref := source.get("fieldRef"):
        return f"field path {ref.get('fieldPath', '')}"
    if ref := source.get("resourceFieldRef"):
        container = f"{ref['containerName']}/" if ref.get("containerName") else ""
        return f"resource field {container}{ref.get('resource', '')}"
    return "invalid valueFrom"
