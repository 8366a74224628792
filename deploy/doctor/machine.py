"""What is wrong with this machine, as far as local clusters are concerned.

Elsewhere: what the kernel can do (machine/preflight.py, which real machines ask too), limits (limits.py).
"""

from __future__ import annotations

import shutil
import socket
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from deploy import cgroups, cluster, places, spec
from deploy.checks import Check, doubtful, failed, good
from deploy.doctor import leftovers, limits, sighting
from deploy.machine import preflight
from deploy.places import Places
from deploy.vm import packages
from sampan.errors import ClusterError


def checks() -> list[Check]:
    """All of them, in about a second."""
    return [
        *preflight.machine_checks(places.home()),
        _programs(),
        *limits.checks(),
        *_clusters(),
        _remains(),
    ]


def _programs() -> Check:
    missing = {package for program, package in cluster.NEEDED.items() if shutil.which(program) is None}
    if any(node.driver == "vm" for one in _described().values() for node in one.spec.nodes):
        missing |= set(packages.missing())
    if missing:
        listed = " ".join(sorted(missing))
        return failed("programs", f"not installed: {listed}", f"apt-get install {listed}")
    return good("programs", "installed")


def _described() -> dict[str, spec.Cluster]:
    found = {}
    for name in places.existing():
        try:
            found[name] = spec.load(Places.of(name).description)
        except ClusterError:  # half-started, or damaged: its own check says so
            continue
    return found


def _clusters() -> list[Check]:
    described = _described()
    ports = {name: one.spec.api_port for name, one in described.items() if one.spec.api_port}
    running = {name for name in ports if cgroups.processes(Places.of(name).cgroup)}
    return [judge_ports(ports, {name: _taken(port) for name, port in ports.items() if name not in running})]


def judge_ports(ports: Mapping[str, int], taken: Mapping[str, bool]) -> Check:
    """Pure. `ports` are the clusters' own on the loopback; `taken` says of those that rest whether somebody has it."""
    names = defaultdict(list)
    for cluster_name, port in ports.items():
        names[port].append(cluster_name)
    if shared := [f"{port} of {' and '.join(sorted(who))}" for port, who in names.items() if len(who) > 1]:
        return failed(
            "API ports", f"the same: {'; '.join(shared)}", "set another spec.apiPort in one cluster's cluster.yaml"
        )
    if gone := [f"{ports[name]} of {name}" for name, busy in taken.items() if busy]:
        listed = "; ".join(gone)
        first = listed.split()[0]
        return failed(
            "API ports", f"taken by another process: {listed}", f"end it; find it by: ss -lntp 'sport = {first}'"
        )
    return good("API ports", f"{len(ports)} distinct" if ports else "no clusters")


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _remains() -> Check:
    kinds = (leftovers.Kind.CLUSTER, leftovers.Kind.NODE)
    return judge_remains([one for one in leftovers.judge(sighting.look()) if one.kind not in kinds])


def judge_remains(found: Sequence[leftovers.Leftover]) -> Check:
    """Pure."""
    if not found:
        return good("leftovers", "none")
    counts = Counter(str(one.kind) for one in found)
    told = ", ".join(f"{kind}: {count}" for kind, count in counts.items())
    return doubtful("leftovers", f"of clusters that are gone: {told}", "list them: kctl cluster doctor --leftovers")
