"""What containers a cluster's nodes really run, by the machine's own books, beside what the API says of them.

A process can't leave its cgroup, so the cgroups below a node's `kubepods` are all that its pods ever started. A
container's cgroup is named by its id and lies in its pod's, which is named by the pod's uid.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy import cgroups
from deploy.places import Places

POD = re.compile(r"pod([0-9a-f]{8}-[0-9a-f-]{27})")
CONTAINER = re.compile(r"[0-9a-f]{64}")

Problem = str


@dataclass(frozen=True)
class Running:
    """A container that has processes."""

    node: str
    pod_uid: str
    container_id: str
    pids: frozenset[int]


def running(places: Places, nodes: Iterable[str]) -> list[Running]:
    """Every container with a process, by node."""
    found: dict[tuple[str, str, str], set[int]] = {}
    for node in nodes:
        for hierarchy in cgroups.hierarchies():
            for uid, container, pids in _below(Path(f"{hierarchy}{places.node(node).cgroup}/kubepods")):
                found.setdefault((node, uid, container), set()).update(pids)
    return [Running(*key, frozenset(pids)) for key, pids in found.items() if pids]


def cgroup_folders(places: Places, nodes: Iterable[str]) -> set[str]:
    """The pods' and containers' cgroups that are there, with or without processes."""
    found = set()
    for node in nodes:
        for hierarchy in cgroups.hierarchies():
            for directory, _, _ in os.walk(f"{hierarchy}{places.node(node).cgroup}/kubepods"):
                if POD.fullmatch(os.path.basename(directory)) or CONTAINER.fullmatch(os.path.basename(directory)):
                    found.add(directory)
    return found


def _below(top: Path) -> Iterator[tuple[str, str, set[int]]]:
    for directory, _, _ in os.walk(top):
        pod = POD.search(directory)
        if pod is None:
            continue
        name = os.path.basename(directory)
        try:
            pids = {int(pid) for pid in Path(directory, "cgroup.procs").read_text().split()}
        except OSError:  # the cgroup went while we looked
            continue
        yield pod[1], name if CONTAINER.fullmatch(name) else "", pids - {0}


def compare(pods: Iterable[Mapping[str, Any]], there: Iterable[Running]) -> list[Problem]:
    """What the machine runs and the API does not know, or the other way round. Pure."""
    problems = []
    wanted: dict[str, str] = {}
    for pod in pods:
        name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        for status in pod.get("status", {}).get("containerStatuses", ()):
            if "running" in status.get("state", {}):
                wanted[status["containerID"].rpartition("/")[2]] = (
                    f"{name}/{status['name']} on {pod['spec']['nodeName']}"
                )
    seen: dict[str, Running] = {}
    for one in there:
        if not one.container_id:
            problems.append(f"node {one.node}: processes {sorted(one.pids)} of pod {one.pod_uid} in no container")
        elif one.container_id in seen:
            problems.append(f"container {one.container_id} runs on {one.node} and on {seen[one.container_id].node}")
        elif one.container_id not in wanted:
            problems.append(f"node {one.node}: container {one.container_id} of pod {one.pod_uid} is nobody's")
        seen[one.container_id] = one
    problems += [f"{what}: {id} does not run" for id, what in wanted.items() if id not in seen]
    return problems
