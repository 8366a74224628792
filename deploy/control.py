"""Asking a cluster's supervisor: one JSON line each way over a unix socket."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

from sampan.errors import ClusterError

PATIENCE = 60.0
"""Seconds: stopping a node waits for its processes."""


class NotRunning(ClusterError):
    """Nobody listens: the supervisor is not there."""


def ask(control: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Send one request. Raises NotRunning, and ClusterError when the supervisor refuses."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(PATIENCE)
            connection.connect(str(control))
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as lines:
                answer: dict[str, Any] = json.loads(lines.readline() or b"{}")
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise NotRunning(
            where=f"cluster {control.parent.name}", what="it is not running", remedy="start it: kctl cluster start"
        ) from error
    if "error" in answer:
        raise ClusterError(where=f"cluster {control.parent.name}", what=str(answer["error"]))
    return answer
