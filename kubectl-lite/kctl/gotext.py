"""Values as Go's fmt prints them with %v, which kubectl's templates and custom columns show. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import Any


def go_text(value: Any) -> str:
    """`map[a:b c:1]` for an object, `[a b]` for a list, `true`, `1.5e+06`, `<nil>`."""
    if isinstance(value, str):
        return value
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return go_float(value)
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{go_text(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list | tuple):
        return f"[{' '.join(map(go_text, value))}]"
    return str(value)


def go_float(value: float) -> str:
    """A float as %v has it: the shortest digits, with an exponent below 1e-4 and from 1e6 on."""
    if value != value or value in (float("inf"), float("-inf")):
        return {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}[str(value)]
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    scale = len(digits) + int(exponent) - 1
    if value == 0 or -5 < scale < 6:
        return format(Decimal(repr(value)).normalize(), "f") if value else "0"
    first, rest = str(digits[0]), "".join(map(str, digits[1:]))
    return f"{'-' if sign else ''}{first}{'.' + rest if rest else ''}e{scale:+03d}"
