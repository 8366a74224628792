"""Sorting objects by a field, as `--sort-by` asks."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from kctl import jsonpath
from kctl.errors import UsageError

QUANTITY = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+|[numkMGTPE]|[KMGTPE]i)?")


def expression(path: str) -> str:
    """A path with or without braces and leading dot, with both. Raises UsageError."""
    if not path:
        raise UsageError("unexpected path string, expected a 'name1.name2' or '.name1.name2' or '{name1.name2}'")
    if path.startswith("{"):
        return path
    return "{" + (path if path[0] in ".[$" else f".{path}") + "}"


def sorted_by(items: list[Any], path: str, of: Callable[[Any], Any]) -> list[Any]:
    """Items sorted by what the path finds in `of(item)`; those without it first. Raises UsageError if none has it."""
    wanted = expression(path)
    keys = [next(iter(jsonpath.find(wanted, of(item), missing_ok=True)), None) for item in items]
    if items and all(key is None for key in keys):
        raise UsageError(f"{wanted.strip('{}').rpartition('.')[2]} is not found")
    order = sorted(range(len(items)), key=lambda at: _rank(keys[at]))
    return [items[at] for at in order]


def _rank(value: Any) -> tuple[int, float, tuple[tuple[str, int], ...], str]:
    """Missing, numbers (quantities too), texts; figures within texts count as numbers."""
    if value is None:
        return (0, 0.0, (), "")
    if isinstance(value, bool):
        return (1, float(value), (), "")
    if isinstance(value, int | float):
        return (1, float(value), (), "")
    text = str(value)
    if QUANTITY.fullmatch(text):
        from sampan.quantity import milli

        return (1, milli(text) / 1000, (), text)
    pieces = re.findall(r"(\D*)(\d*)", text)
    return (2, 0.0, tuple((word, int(figures or -1)) for word, figures in pieces), text)
