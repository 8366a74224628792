"""The little that starting a cluster asks of its API: is it there, are the nodes Ready."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

POLL_SECONDS = 0.05
LEASE_LOOK_SECONDS = 0.25
WATCH_SECONDS = 10.0
"""Then one looks whether to go on."""
ANSWER_SECONDS = 20.0
"""On a busy machine."""


@contextmanager
def _connection(pki: Path, port: int, timeout: float) -> Iterator[http.client.HTTPSConnection]:
    context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    context.load_cert_chain(str(pki / "admin.crt"), str(pki / "admin.key"))
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=timeout, context=context)
    try:
        yield connection
    finally:
        connection.close()


def is_ready(pki: Path, port: int) -> bool:
    """One look at /readyz."""
    try:
        with _connection(pki, port, 5.0) as connection:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False


def readiness(pki: Path, port: int) -> str:
    """What /readyz finds wrong; "" when nothing. Raises OSError and http.client.HTTPException."""
    with _connection(pki, port, 5.0) as connection:
        connection.request("GET", "/readyz?verbose")
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
    if answer.status == 200:
        return ""
    bad = [line.removeprefix("[-]") for line in text.splitlines() if line.startswith("[-]")]
    return "; ".join(bad) or f"/readyz answers {answer.status}"


def wait_until_ready(pki: Path, port: int, deadline: float) -> bool:
    """Wait for /readyz until `deadline` (time.monotonic)."""
    while not is_ready(pki, port):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)  # before the API is up there is nothing to watch
    return True


def get(pki: Path, port: int, path: str) -> dict[str, Any]:
    """GET a JSON object. Raises OSError, http.client.HTTPException or ValueError."""
    with _connection(pki, port, 10.0) as connection:
        connection.request("GET", path, headers={"Accept": "application/json"})
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
        return answer


def delete(pki: Path, port: int, path: str) -> None:
    """DELETE an object; one that is not there is no error. Raises OSError and http.client.HTTPException."""
    with _connection(pki, port, 10.0) as connection:
        connection.request("DELETE", path)
        answer = connection.getresponse()
        answer.read()
        if answer.status not in (200, 202, 404):
            raise http.client.HTTPException(f"DELETE {path}: the API server answered {answer.status}")


def wait_for_renewal(pki: Path, port: int, node: str, left: Callable[[], float], since: float) -> bool:
    """Wait until a node has renewed its lease after `since` (seconds since the epoch); False when no time is `left`.

    A machine that goes on where its memory was saved has no reason to tell its status again, but renews its lease.
    """
    while True:
        try:
            lease = get(pki, port, f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{node}")
            if datetime.fromisoformat(lease["spec"]["renewTime"]).timestamp() > since:
                return True
        except (OSError, http.client.HTTPException, ValueError, KeyError):
            pass
        if not left():
            return False
        time.sleep(LEASE_LOOK_SECONDS)


def ready_nodes(pki: Path, port: int, left: Callable[[], float], since: float) -> Iterator[tuple[str, bool]]:
    """Watch the nodes: yields (name, whether Ready) at every change, for as long as `left` says that seconds are left.

    What a node said before `since` (seconds since the epoch) does not count: a stopped cluster's nodes still say Ready.
    """
    earliest = datetime.fromtimestamp(int(since), UTC)
    while seconds := min(left(), WATCH_SECONDS):
        try:
            with _connection(pki, port, seconds + ANSWER_SECONDS) as connection:
                connection.request("GET", f"/api/v1/nodes?watch=true&timeoutSeconds={max(1, int(seconds))}")
                for line in connection.getresponse():
                    event = json.loads(line)
                    conditions = event["object"].get("status", {}).get("conditions", ())
                    if event["type"] in ("ADDED", "MODIFIED"):
                        yield event["object"]["metadata"]["name"], any(_says_ready(one, earliest) for one in conditions)
        except (OSError, http.client.HTTPException, ValueError):
            time.sleep(POLL_SECONDS)


def _says_ready(condition: dict[str, Any], earliest: datetime) -> bool:
    if condition["type"] != "Ready" or condition["status"] != "True":
        return False
    return datetime.fromisoformat(condition["lastHeartbeatTime"]) >= earliest
