"""How a running cluster's nodes are, and whether names, services and pods' packets arrive from each of them.

Every node is asked from within its own network: a namespace by a process that enters it, a machine by its shell.
"""

from __future__ import annotations

import http.client
import importlib.util
import ipaddress
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from deploy import api
from deploy.checks import Check, doubtful, failed, good
from deploy.cluster import Status
from deploy.doctor import questions
from deploy.doctor.aside import in_network_of
from deploy.node_config import KUBELET_PORT
from deploy.places import Places
from deploy.shell import client, reach
from deploy.shell.session import Command
from deploy.spec import Cluster, NodeSpec
from sampan.errors import ClusterError

MOST_NEIGHBOURS = 8
"""A node of a large cluster tries so many others."""
SKEW_SECONDS = 2.0
MACHINE_PYTHON = "/usr/bin/python3"
Question = dict[str, Any]


def checks(where: Places, described: Cluster, status: Status) -> Iterator[Check]:
    """Of all nodes. What can't be asked is a failed check, never an error."""
    try:
        listed = api.get(where.pki, described.spec.api_port, "/api/v1/nodes")["items"]
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        yield failed("nodes", f"the API does not list them: {error}", f"kctl cluster logs {where.name}")
        return
    known = {one["metadata"]["name"]: one for one in listed}
    running = {one.name.removeprefix("node/") for one in status.components if one.runs}
    for node in described.spec.nodes:
        yield judge_ready(node.name, known.get(node.name), where.name)
    pods = {name: cidr for name, one in known.items() if (cidr := one.get("spec", {}).get("podCIDR"))}
    agents = {one.name.removesuffix("/agent"): one.pid for one in status.components if one.name.endswith("/agent")}
    for node in described.spec.nodes:
        if node.name in running and node.name in known:
            asked = plan(node, described, pods)
            began = time.time()
            try:
                answers = _ask(where, node, agents.get(node.name, 0), list(asked.values()))
            except ClusterError as error:
                yield failed(f"{node.name} network", error.what, error.remedy or f"kctl cluster console {node.name}")
                continue
            told = dict(zip(asked, answers, strict=True))
            yield judge_clock(node.name, float(told.pop("clock")), began, time.time())
            yield from judge_network(node.name, told, where.name)


def judge_ready(node: str, known: Mapping[str, Any] | None, cluster: str) -> Check:
    """Pure; `known` is the Node object."""
    look = f"kctl why node {node}"
    if known is None:
        return failed(node, "it has not joined", f"kctl cluster logs {cluster} --component {node}")
    conditions = {str(one.get("type")): one for one in known.get("status", {}).get("conditions", ())}
    ready = conditions.get("Ready", {})
    if ready.get("status") != "True":
        said = " ".join(str(ready.get(key, "")) for key in ("reason", "message")).strip()
        return failed(node, f"NotReady: {said or 'it has not said anything yet'}", look)
    if bad := [kind for kind, one in conditions.items() if kind != "Ready" and one.get("status") == "True"]:
        return failed(node, f"{', '.join(bad)}: {conditions[bad[0]].get('message', '')}", look)
    if known.get("spec", {}).get("unschedulable"):
        return doubtful(node, "Ready, and takes no new pods", f"kctl uncordon {node}")
    return good(node, "Ready")


def plan(node: NodeSpec, described: Cluster, pods: Mapping[str, str]) -> dict[str, Question]:
    """Pure: what to ask a node, by what the answer is about. `pods` are the nodes' pod ranges."""
    network = described.spec.network
    asked: dict[str, Question] = {
        "clock": {"ask": "clock"},
        "DNS": {
            "ask": "dns",
            "server": network.dns_address,
            "name": f"kubernetes.default.svc.{network.domain}",
            "address": network.first_service_address,
        },
        "services": {"ask": "tcp", "host": network.first_service_address, "port": 443},
    }
    addresses = {one.name: one.address for one in described.spec.nodes}
    names = [one.name for one in described.spec.nodes]
    place = names.index(node.name)
    others = [*names[place + 1 :], *names[:place]][:MOST_NEIGHBOURS]
    for other in others:
        asked[f"node {other}"] = {"ask": "tcp", "host": addresses[other], "port": KUBELET_PORT, "refused_is_fine": True}
        if other in pods:
            gateway = str(ipaddress.ip_network(pods[other])[1])
            asked[f"pods on {other}"] = {"ask": "tcp", "host": gateway, "port": KUBELET_PORT, "refused_is_fine": True}
    return asked


def judge_clock(node: str, theirs: float, began: float, ended: float) -> Check:
    """Pure: seconds since the epoch, as the node had them at some moment between ours."""
    skew = max(began - theirs, theirs - ended, 0.0)
    if skew > SKEW_SECONDS:
        way = "ahead of" if theirs > ended else "behind"
        return failed(f"{node} clock", f"{skew:.0f} s {way} this machine's", "kctl cluster node stop, start")
    return good(f"{node} clock", "agrees with this machine's")


def judge_network(node: str, told: Mapping[str, str], cluster: str) -> Iterator[Check]:
    """Pure; `told` has the answers by what was asked."""
    agent = f"kctl cluster logs {cluster} --component {node}/agent"
    yield _judged(f"{node} DNS", told["DNS"], "answers", agent)
    yield _judged(f"{node} services", told["services"], "the API's answers", agent)
    links = {what: trouble for what, trouble in told.items() if what not in ("DNS", "services")}
    bad = {what: trouble for what, trouble in links.items() if trouble}
    cable = f"kctl cluster node connect {node} --cluster {cluster}; {agent}"
    text = "; ".join(f"{what}: {trouble}" for what, trouble in bad.items())
    yield _judged(f"{node} network", text, f"reaches {', '.join(links) or 'itself, there are no others'}", cable)


def _judged(name: str, trouble: str, fine: str, remedy: str) -> Check:
    return failed(name, trouble, remedy) if trouble else good(name, fine)


def _ask(where: Places, node: NodeSpec, agent: int, asked: Sequence[Question]) -> list[str]:
    """The node's answers. Raises ClusterError."""
    if node.driver == "namespace":
        if not agent:
            raise ClusterError(where=f"node {node.name}", what="its agent does not run, so nobody answers there")
        return list(in_network_of(agent, lambda: questions.answer(list(asked))))
    return _ask_machine(where, node, asked)


def _ask_machine(where: Places, node: NodeSpec, asked: Sequence[Question]) -> list[str]:
    found = importlib.util.find_spec(questions.__name__)
    source = Path(found.origin).read_text() if found and found.origin else ""
    command = Command((MACHINE_PYTHON, "-I", "-S", "-c", source, json.dumps(list(asked))))
    with tempfile.TemporaryFile() as out:
        sys.stdout.flush()
        stream = reach.connect(where, node.name)
        code = client.run(stream, node.name, command, client.Ends(stdout=out.fileno(), stderr=out.fileno()))
        out.seek(0)
        text = out.read().decode(errors="replace")
    if code != 0:
        raise ClusterError(
            where=f"node {node.name}", what=f"its Python answers: {text.strip()[-200:] or os.strerror(5)}"
        )
    return list(json.loads(text))
