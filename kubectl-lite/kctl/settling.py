"""apply --wait: until what was applied is really up, or the reason why it will not be, by the table of kctl why."""

from __future__ import annotations

import sys
import time

from kctl.errors import UsageError
from kctl.why.gather import gather
from kctl.why.table import explain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kctl.discovery import ApiResource
    from kctl.session import Session
    from kctl.why.situation import Diagnosis

KINDS = ("Pod", "Deployment", "ReplicaSet", "DaemonSet", "Job", "Service")
"""Kinds of which it can be told whether they are up. A Job is up when it is complete."""
HOPELESS = {
    "image-name-invalid", "image-never-pulled", "image-missing", "image-denied", "config-map-missing",
    "secret-missing", "key-missing", "volume-host-path", "sub-path-invalid", "root-image", "settings-fail",
    "command-missing", "command-not-executable", "create-forbidden", "create-refused", "quota", "node-name-unknown",
    "no-node-cpu", "no-node-memory", "no-node-selector", "no-node-affinity", "no-node-taint", "no-node-storage",
    "no-node-resource", "selector-matches-nothing", "port-not-named", "job-back-off-limit", "job-deadline",
    "job-failed", "failed", "deadline-exceeded", "progress-deadline",
}  # fmt: skip
"""Causes that waiting does not heal; they are given a moment, since others may be about to heal them."""
AS_WANTED = ("scaled-to-zero", "paused", "job-suspended", "load-balancer-pending")
"""Not up, but no more was asked for, or will ever be there."""
MOMENT_SECONDS = 5.0
LOOK_SECONDS = 0.5


def settle(session: Session, applied: list[tuple[ApiResource, dict[str, Any]]], seconds: float) -> None:
    """Wait until all of them are up. Raises UsageError with the cause and the next step of one that will not be."""
    began = time.monotonic()
    for resource, value in applied:
        if resource.kind not in KINDS:
            continue
        name = resource.label(value["metadata"]["name"])
        told, since = "", time.monotonic()
        while True:
            found = _look(session, resource, value)
            if found.healthy or found.situation in AS_WANTED:
                print(f"{name} is up", flush=True)
                break
            now = time.monotonic()
            if found.situation != told:
                told, since = found.situation, now
                print(f"waiting for {name}: {found.cause}", file=sys.stderr, flush=True)
            if (told in HOPELESS and now - since >= MOMENT_SECONDS) or (seconds and now - began >= seconds):
                raise UsageError(_told(name, found, hopeless=told in HOPELESS))
            time.sleep(LOOK_SECONDS)


def _look(session: Session, resource: ApiResource, value: dict[str, Any]) -> Diagnosis:
    metadata = value["metadata"]
    newest = session.read(resource, metadata["name"], metadata.get("namespace") or "")
    typed = {"apiVersion": resource.api_version, "kind": resource.kind} | newest
    return explain(gather(session, resource, typed, session.namespace), typed)


def _told(name: str, found: Diagnosis, *, hopeless: bool) -> str:
    how = "is not coming up" if hopeless else "is not up in time"
    where = "" if len(found.chain) == 1 else f" ({' -> '.join(found.chain)})"
    lines = [f"{name} {how}{where}: {found.cause}", *(f"  {line}" for line in found.lines), f"  next: {found.next}"]
    return "\n".join(lines)
