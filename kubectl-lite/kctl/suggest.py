"""What a mistyped command may have meant."""

from __future__ import annotations

from collections.abc import Iterable

NEAR = 2


def suggestions(word: str, known: Iterable[str]) -> str:
    """kubectl's `Did you mean this?`, or nothing when nothing is near."""
    near = [name for name in sorted(known) if name.startswith(word.lower()) or distance(word, name) <= NEAR]
    return "\n\nDid you mean this?\n" + "\n".join(f"\t{name}" for name in near) if near and len(word) < 40 else ""


def distance(left: str, right: str) -> int:
    """How many letters must be put in, left out or changed (Levenshtein)."""
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]
