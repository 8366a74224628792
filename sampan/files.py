"""Files that are there whole or not at all, whenever the writer is killed."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def write_whole(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Put a file in place, or a new one in its place, in one rename; it does not wait for the disk. Raises OSError."""
    fresh = path.with_name(f"{path.name}.new")
    with contextlib.suppress(FileNotFoundError):  # what a killed writer left may have other rights
        fresh.unlink()
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as out:
        out.write(data)
    fresh.replace(path)
