"""What all patches share: their error, JSON equality, and the limits on hostile patches."""

from __future__ import annotations

from typing import Any

from sampan.errors import SampanError

DEEPEST = 200
"""Most levels of nesting that a patch may have."""


class PatchError(SampanError, ValueError):
    """A patch cannot be applied: it is malformed, or does not fit the object."""


class TestFailedError(PatchError):
    """A JSON patch's `test` operation does not hold."""

    __test__ = False


def same(left: Any, right: Any) -> bool:
    """Equality of JSON values: true is not 1, but 1 is 1.0; the order of keys does not count."""
    if isinstance(left, dict):
        return (
            isinstance(right, dict)
            and len(left) == len(right)
            and all(key in right and same(value, right[key]) for key, value in left.items())
        )
    if isinstance(left, list):
        return isinstance(right, list) and len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)


def check_depth(value: Any) -> None:
    """Raises PatchError if a value is nested more deeply than DEEPEST."""
    level = [value]
    for _ in range(DEEPEST):
        level = [
            child
            for one in level
            if isinstance(one, dict | list)
            for child in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return
    raise PatchError(f"the patch is nested more than {DEEPEST} levels deep")
