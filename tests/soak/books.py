"""What a cluster holds of its machine: processes, descriptors, devices, rules, mounts, cgroups, files, keys, memory.

`look` takes one look; `grown` tells what a later look has more of. Nothing here changes the cluster.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clusters import LocalCluster
from deploy import cgroups

DESCRIPTORS_SLACK = 20
"""Connections that are kept for the next requests come and go."""
THREADS_SLACK = 8
"""Pools fill up to their size as work comes together by chance."""
STATE = ("runtime/containers", "runtime/sandboxes", "runtime/damaged", "forkserver/processes", "agent/pods", "pod-logs")


@dataclass(frozen=True)
class Books:
    """One look: how many there are of each thing, and each process's own memory in KiB."""

    counts: Mapping[str, int]
    memory: Mapping[str, int]


def look(cluster: LocalCluster) -> Books:
    """Count everything now."""
    counts: dict[str, int] = {}
    memory: dict[str, int] = {}
    pids = components(cluster)
    for name, pid in pids.items():
        counts[f"descriptors of {name}"] = len(os.listdir(f"/proc/{pid}/fd"))
        status = dict(re.findall(r"^(\w+):\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.M))
        counts[f"threads of {name}"] = int(status["Threads"])
        memory[name] = int(status["RssAnon"])
    counts["processes"] = len(cgroups.processes(cluster.places.cgroup))
    counts["cgroups"] = sum(1 for top in cgroups.hierarchies() for _ in os.walk(f"{top}{cluster.places.cgroup}"))
    for name, pid in pids.items():
        node, _, component = name.rpartition("/")
        if component == "agent":
            counts |= _of_node(cluster, node, pid)
    counts["keys in etcd"] = _keys(cluster, pids["etcd"])
    counts["log files"] = sum(len(files) for _, _, files in os.walk(cluster.places.logs))
    return Books(counts, memory)


def components(cluster: LocalCluster) -> dict[str, int]:
    """Every process of the cluster's own, by name."""
    found = {"supervisor": int(cluster.places.pid.read_text())}
    for line in cluster.kctl("cluster", "status", cluster.name).splitlines():
        words = line.split()
        if len(words) > 1 and words[1].isdigit() and words[0] != "cluster":
            found[words[0]] = int(words[1])
    return found


def grown(before: Books, after: Books) -> dict[str, str]:
    """What there is more of than before, and than may come and go."""
    found = {}
    for name, count in after.counts.items():
        slack = 0
        if name.startswith("descriptors"):
            slack = DESCRIPTORS_SLACK
        elif name.startswith("threads"):
            slack = THREADS_SLACK
        if count > before.counts.get(name, 0) + slack:
            found[name] = f"{before.counts.get(name, 0)} -> {count}"
    return found


def _of_node(cluster: LocalCluster, node: str, pid: int) -> dict[str, int]:
    inside = ("nsenter", "-t", str(pid), "-n")
    own = cluster.places.node(node)
    counts = {
        "interfaces": _lines(*inside, "ip", "-o", "link"),
        "neighbours": _lines(*inside, "ip", "neigh", "show", "nud", "permanent"),
        "forwarding entries": _lines(*inside, "bridge", "fdb", "show", "dynamic"),
        "routes": _lines(*inside, "ip", "route", "show", "table", "all"),
        "packet rules": _rules(*inside, "nft", "-j", "list", "ruleset"),
        "mounts": len(Path(f"/proc/{pid}/mountinfo").read_text().splitlines()),
        "addresses of pods": _addresses(own.state / "network" / "pod-addresses.json"),
        "files in /run": sum(len(names) + len(files) for _, names, files in os.walk(own.run)),
    }
    for folder in STATE:
        path = own.state / folder
        counts[folder] = len(os.listdir(path)) if path.is_dir() else 0
    return {f"{name} of {node}": count for name, count in counts.items()}


def _lines(*command: str) -> int:
    return len(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines())


def _rules(*command: str) -> int:
    """Rules, and elements of maps and sets."""
    total = 0
    for entry in json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)["nftables"]:
        for value in entry.values():
            total += 1 + (len(value["elem"]) if isinstance(value, dict) and "elem" in value else 0)
    return total


def _addresses(path: Path) -> int:
    return len(json.loads(path.read_text())["owners"]) if path.exists() else 0


def _keys(cluster: LocalCluster, etcd: int) -> int:
    """All keys but events, which end by themselves, and the API server's notes to itself, one of a kind (".../-")."""
    pki = cluster.places.pki
    listen = _endpoint(etcd)
    command = [
        "nsenter", "-t", str(etcd), "-n",
        "etcdctl", "--endpoints", listen, "--cacert", str(pki / "ca.crt"),
        "--cert", str(pki / "etcd-client.crt"), "--key", str(pki / "etcd-client.key"),
        "get", "/registry/", "--prefix", "--keys-only",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    keys: Sequence[str] = [line for line in done.stdout.splitlines() if line]
    return sum(1 for key in keys if "/events/" not in key and not key.endswith("/-"))


def _endpoint(etcd: int) -> str:
    option = "--advertise-client-urls="
    words = Path(f"/proc/{etcd}/cmdline").read_bytes().decode().split("\0")
    return next(word.removeprefix(option) for word in words if word.startswith(option)).split(",")[0]
