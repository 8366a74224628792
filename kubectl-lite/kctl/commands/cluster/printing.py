"""What the verbs of `kctl cluster` have in common in what they print and take."""

from __future__ import annotations

from collections.abc import Sequence

from kctl.errors import UsageError
from kctl.flags import Flags, Values

DEFAULT_NAME = "dev"


def say(values: Values, text: str) -> None:
    """A line of progress, unless --quiet."""
    if not values.quiet:
        print(text, flush=True)


def table(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print aligned columns."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    for row in (headings, *rows):
        print("   ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def cluster_flag(flags: Flags) -> None:
    """--cluster, for verbs whose words are something else."""
    flags.text("cluster", "the cluster", default=DEFAULT_NAME)


def only_name(values: Values) -> str:
    """The one word that a verb takes: a cluster's name. Raises UsageError."""
    most(values, 1)
    return values.words[0] if values.words else DEFAULT_NAME


def most(values: Values, count: int) -> None:
    """Raises UsageError when there are more words than that."""
    if len(values.words) > count:
        raise UsageError(f"kctl cluster {values.verb} takes at most {count} words, not {len(values.words)}")
