"""Small files that make the next call faster. Losing them costs time, never truth."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def directory() -> Path:
    """Where they lie: beside kubectl's own cache, readable by the user alone."""
    return Path(os.environ.get("KUBECACHEDIR") or Path.home() / ".kube" / "cache") / "sampan"


def read(name: str) -> Any:
    """The value stored under a name, or None when there is none, or somebody else could have written it."""
    path = directory() / f"{name}.json"
    try:
        with path.open("rb") as stream:
            status = os.fstat(stream.fileno())
            if status.st_uid != os.geteuid() or status.st_mode & 0o022:
                return None
            return json.loads(stream.read())
    except (OSError, ValueError):
        return None


def write(name: str, value: Any) -> None:
    """Store a value in one rename. A cache that can't be written is no error."""
    path = directory() / f"{name}.json"
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as out:
            json.dump(value, out, separators=(",", ":"))
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
