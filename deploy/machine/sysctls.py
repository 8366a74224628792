"""The kernel parameters that a node's network changes: as they were, so that leaving puts them back."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

ROOT = Path("/proc/sys")


def changed_by(device: str) -> list[str]:
    """Their names (nodeagent/network writes them): forwarding, and the path filter of the uplink."""
    return ["net/ipv4/ip_forward", f"net/ipv4/conf/{device}/rp_filter"]


def remember(names: list[str], record: Path) -> None:
    """Write down what they are, unless that was done before."""
    if record.exists():
        return
    values = {}
    for name in names:
        with suppress(OSError):
            values[name] = (ROOT / name).read_text().strip()
    fresh = record.with_suffix(".new")
    fresh.write_text(json.dumps(values))
    fresh.replace(record)


def put_back(record: Path) -> None:
    """Make them what they were; one whose device is gone is passed over."""
    try:
        values = json.loads(record.read_text())
    except (OSError, ValueError):
        return
    for name, value in values.items():
        with suppress(OSError):
            (ROOT / name).write_text(value)
