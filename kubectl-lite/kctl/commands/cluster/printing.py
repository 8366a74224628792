"""What the verbs of `kctl cluster` have in common in what they print and take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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


def machine_flags(flags: Flags) -> None:
    """How a node is made."""
    flags.text("driver", "what a node is: namespace (the default) or vm")
    flags.number("cpus", "a virtual machine's processors (default 1)", default=None)
    flags.text("memory", "a virtual machine's memory, such as 1g (the default)")
    flags.text("disk", "the size of a virtual machine's disk, such as 8g (the default)")
    flags.texts("mount", "a directory of this machine that a node sees, as HOST:GUEST or HOST:GUEST:ro")


def machine_shape(values: Values) -> dict[str, Any]:
    """What the flags say, as fields of a node; nothing when none was given. Raises UsageError."""
    shape: dict[str, Any] = {
        name: getattr(values, name) for name in ("driver", "cpus", "memory", "disk") if getattr(values, name)
    }
    if values.mount:
        shape["mounts"] = [_mount(one) for one in values.mount]
    return shape


def _mount(text: str) -> dict[str, Any]:
    host, *rest = text.split(":")
    if len(rest) not in (1, 2) or rest[1:] not in ([], ["ro"], ["rw"]):
        raise UsageError(f"--mount {text!r} is not HOST:GUEST or HOST:GUEST:ro")
    return {"host": host, "guest": rest[0]} | ({"readOnly": True} if rest[1:] == ["ro"] else {})


def only_name(values: Values) -> str:
    """The one word that a verb takes: a cluster's name. Raises UsageError."""
    most(values, 1)
    return values.words[0] if values.words else DEFAULT_NAME


def most(values: Values, count: int) -> None:
    """Raises UsageError when there are more words than that."""
    if len(values.words) > count:
        raise UsageError(f"kctl cluster {values.verb} takes at most {count} words, not {len(values.words)}")
