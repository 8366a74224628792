"""Small files that make the next call faster. Losing them costs time, never truth."""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def directory() -> str:
    """Where they lie: beside kubectl's own cache, readable by the user alone."""
    root = os.environ.get("KUBECACHEDIR") or os.path.join(os.path.expanduser("~"), ".kube", "cache")
    return os.path.join(root, "sampan")


def read(name: str) -> Any:
    """The value stored under a name, or None when there is none, or somebody else could have written it."""
    try:
        with open(os.path.join(directory(), f"{name}.json"), "rb") as stream:
            status = os.fstat(stream.fileno())
            if status.st_uid != os.geteuid() or status.st_mode & 0o022:
                return None
            return json.loads(stream.read())
    except (OSError, ValueError, RecursionError):
        return None


def write(name: str, value: Any) -> None:
    """Store a value in one rename. A cache that can't be written is no error."""
    where = directory()
    fresh = os.path.join(where, f".{name}.{os.getpid()}")
    try:
        os.makedirs(where, exist_ok=True, mode=0o700)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError:
        return
    try:
        with os.fdopen(descriptor, "w") as out:
            json.dump(value, out, separators=(",", ":"))
        os.replace(fresh, os.path.join(where, f"{name}.json"))
    except OSError:
        os.unlink(fresh)
