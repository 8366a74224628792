"""What a store knows of each layer that it unpacked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of an unpacked layer. `boot` is the boot in which it was written: until an image names the
    layer, it may not have reached the disk, and another boot must not trust it."""

    diff_id: str
    bytes: int
    entries: int
    boot: str


def read_record(path: Path) -> Record | None:
    """None: there is none, or it is damaged."""
    try:
        value = json.loads(path.read_bytes())
        return Record(value["diff_id"], int(value["bytes"]), int(value["entries"]), value["boot"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


@cache
def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
