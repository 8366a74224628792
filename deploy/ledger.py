"""What a cluster has made on this machine, written before it is made, so that delete finds it after any crash.

Namespaces, interfaces, rules and mounts are not listed: they live in the network and mount namespaces of the
cluster's processes and go with the last of these. What is left are directories, cgroups, and a kubeconfig entry.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Made(StrEnum):
    """The kinds of things that outlive processes."""

    CGROUP = "cgroup"
    DIRECTORY = "directory"
    KUBECONFIG = "kubeconfig"
    MOUNT_POINT = "mountpoint"
    """An empty directory that a user's directory is mounted on in a node."""


@dataclass(frozen=True)
class Entry:
    """One thing; `what` is a path."""

    kind: Made
    what: str


def note(ledger: Path, *entries: Entry) -> None:
    """Append entries that are not there yet, durably."""
    known = set(read(ledger))
    fresh = [entry for entry in entries if entry not in known]
    if not fresh:
        return
    with ledger.open("a", encoding="utf-8") as out:
        for entry in fresh:
            out.write(json.dumps({"kind": entry.kind, "what": entry.what}) + "\n")
        out.flush()
        os.fsync(out.fileno())


def read(ledger: Path) -> Iterator[Entry]:
    """All entries, oldest first. A last line that a crash cut short is passed over."""
    try:
        lines = ledger.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        try:
            value = json.loads(line)
            yield Entry(Made(value["kind"]), value["what"])
        except (ValueError, KeyError):
            continue
