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


class NoAnswer(ClusterError):
    """Somebody listens and does not answer: the supervisor is busy, or still begins."""


def _not_running(control: Path) -> NotRunning:
    return NotRunning(
        where=f"cluster {control.parent.name}", what="it is not running", remedy="start it: kctl cluster start"
    )


def ask(control: Path, request: dict[str, Any], patience: float = PATIENCE) -> dict[str, Any]:
    """Send one request. Raises NotRunning, NoAnswer, and ClusterError when the supervisor refuses."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(patience)
            connection.connect(str(control))
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as lines:
                line = lines.readline()
    except (FileNotFoundError, ConnectionError) as error:
        raise _not_running(control) from error
    except TimeoutError as error:
        raise NoAnswer(
            where=f"cluster {control.parent.name}",
            what=f"its supervisor has not answered for {patience:.0f} s",
            remedy="the machine is very busy, or it hangs: look at its supervisor.log",
        ) from error
    if not line.endswith(b"\n"):  # it has ended on the way
        raise _not_running(control)
    answer: dict[str, Any] = json.loads(line)
    if "error" in answer:
        raise ClusterError(where=f"cluster {control.parent.name}", what=str(answer["error"]))
    return answer
