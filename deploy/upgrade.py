"""A local cluster goes over to other code, part by part, under load.

The order is upstream's skew policy's: the control plane first (API server, controllers, scheduler), then node by node:
cordon, drain, restart, wait until it is Ready with the new version, uncordon.
Always: it can be repeated, and goes on where it ended; what runs the new version already is left alone, unless asked.
Elsewhere: how a node is emptied (kctl's drain, handed in), what the supervisor does of it (supervisor.py).
"""

from __future__ import annotations

import http.client
import os
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from deploy import api, control, spec
from deploy.lookup import cluster_places
from deploy.places import Places
from sampan.errors import ClusterError
from sampan.version import GIT_VERSION, VERSION

Say = Callable[[str], None]

RESTARTED = ("apiserver", "controllers", "scheduler")
"""In upstream's order. etcd is another program, which upgrades by its own package."""
PATIENCE = 300.0
"""Seconds for one part: a virtual machine without hardware acceleration on a busy machine needs minutes."""


class Nodes(Protocol):
    """What is done to a node through the API."""

    def is_cordoned(self, name: str) -> bool:
        """Whether somebody lets no new pods come to it already."""

    def drain(self, name: str) -> None:
        """Let no new pods come, and move its pods away. Raises an error that says what stands in the way."""

    def uncordon(self, name: str) -> None:
        """Let pods come again."""


def upgrade(name: str, nodes: Nodes, say: Say, *, again: bool = False) -> int:
    """Bring a running cluster to this program's code; with `again` also what is there already.

    Returns how many parts were restarted. Raises ClusterError.
    """
    where = cluster_places(name)
    described = spec.load(where.description)
    port = described.spec.api_port
    say(f"cluster {name}: going to Sampan {VERSION} ({GIT_VERSION})")
    count = _control_plane(where, port, say, again=again)
    for one in described.spec.nodes:
        if not again and _version_of(where, port, one.name) == GIT_VERSION:
            say(f"node {one.name} has {GIT_VERSION} already")
            continue
        _node(where, port, one.name, nodes, say)
        count += 1
    elsewhere = _names(where, port) - {one.name for one in described.spec.nodes}
    for other in sorted(elsewhere):
        say(f"node {other} is another machine's: install Sampan there, and restart its service")
    return count


def _control_plane(where: Places, port: int, say: Say, *, again: bool) -> int:
    status = control.ask(where.control, {"do": "status"})
    running = api.get(where.pki, port, "/version").get("gitVersion")
    if not again and status.get("version") == VERSION and running == GIT_VERSION:
        say(f"the control plane has {GIT_VERSION} already")
        return 0
    before = status.get("since")
    control.ask(
        where.control, {"do": "become", "interpreter": sys.executable, "path": os.environ.get("PYTHONPATH", "")}
    )
    _until(lambda: _is_another(where, before), f"cluster {where.name}, supervisor", f"see {where.logs}/supervisor.log")
    say("the supervisor runs the new code; it has adopted what it found")
    for component in RESTARTED:
        control.ask(where.control, {"do": "restart", "component": component})
        _until(lambda: _serves(where, port), f"cluster {where.name}, {component}", f"see {where.logs}/{component}.log")
        say(f"{component} restarted")
    return len(RESTARTED)


def _is_another(where: Places, before: float | None) -> bool:
    """Whether the new code answers, not the run that began `before`, and has all its parts."""
    try:
        status = control.ask(where.control, {"do": "status"})
    except (control.NotRunning, OSError, ValueError):
        return False
    parts: set[str] = set(status["children"])
    return bool(status.get("version") == VERSION and status.get("since") != before and parts.issuperset(RESTARTED))


def _serves(where: Places, port: int) -> bool:
    return api.is_ready(where.pki, port) and api.get(where.pki, port, "/version").get("gitVersion") == GIT_VERSION


def _node(where: Places, port: int, name: str, nodes: Nodes, say: Say) -> None:
    """One node, left cordoned if anything goes wrong, so that the next attempt, or a person, sees where it ended."""
    say(f"node {name}: draining")
    kept = nodes.is_cordoned(name)
    nodes.drain(name)
    say(f"node {name}: restarting")
    control.ask(where.control, {"do": "node-stop", "name": name})
    began = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    time.sleep((began - datetime.now(UTC)).total_seconds())  # heartbeats are told to the second: ours are later ones
    control.ask(where.control, {"do": "node-start", "name": name})
    _until(
        lambda: _version_of(where, port, name) == GIT_VERSION and _ready_since(where, port, name, began),
        f"node {name}",
        f"look at: kctl cluster logs {where.name} --component {name}; it stays cordoned",
    )
    if not kept:
        nodes.uncordon(name)
    say(f"node {name}: Ready with {GIT_VERSION}")


def _until(done: Callable[[], bool], where: str, remedy: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            if done():
                return
        except (OSError, ValueError, http.client.HTTPException):
            pass  # it is on its way up
        if time.monotonic() > deadline:
            raise ClusterError(where=where, what=f"not there with the new code after {PATIENCE:.0f} s", remedy=remedy)
        time.sleep(0.1)  # what is restarted can't be watched


def _read(where: Places, port: int, name: str) -> Mapping[str, Any]:
    return api.get(where.pki, port, f"/api/v1/nodes/{name}")


def _version_of(where: Places, port: int, name: str) -> str:
    """The version that a node reports, empty when there is no such node."""
    info = _read(where, port, name).get("status", {}).get("nodeInfo", {})
    return str(info.get("kubeletVersion", ""))


def _ready_since(where: Places, port: int, name: str, began: datetime) -> bool:
    """Whether the node has said since a moment that it is Ready. Its clock is this machine's, or a VM's beside it."""
    for one in _read(where, port, name).get("status", {}).get("conditions", ()):
        if one["type"] == "Ready" and one["status"] == "True":
            return datetime.fromisoformat(one["lastHeartbeatTime"]) >= began
    return False


def _names(where: Places, port: int) -> set[str]:
    return {one["metadata"]["name"] for one in api.get(where.pki, port, "/api/v1/nodes").get("items") or ()}
