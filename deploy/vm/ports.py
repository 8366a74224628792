"""A machine's serial ports, seen from inside."""

from __future__ import annotations

import contextlib
from pathlib import Path


def find(name: str, ports: Path = Path("/sys/class/virtio-ports")) -> Path | None:
    """The device file of the port `dev.sampan.NAME`; no udev is needed."""
    for entry in sorted(ports.glob("*")):
        with contextlib.suppress(OSError):
            if (entry / "name").read_text().strip() == f"dev.sampan.{name}":
                return Path("/dev") / entry.name
    return None
