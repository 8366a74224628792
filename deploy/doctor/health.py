"""Whether each process of a running cluster answers, as `kctl cluster status` shows it.

The control plane and the agents are asked over HTTP from within the cluster's network, by the paths that upstream's
have; the controllers, which serve nothing, by their leader lease; runtimes and fork servers by whether they take a
connection.
"""

from __future__ import annotations

import http.client
import socket
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from deploy import api, control_plane, pki
from deploy.cluster import Component, Status
from deploy.doctor import questions
from deploy.doctor.aside import in_network_of
from deploy.node_config import KUBELET_PORT
from deploy.places import Places
from deploy.spec import Cluster
from sampan.errors import ClusterError

OK = "ok"
CONTROLLERS_LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/sampan-controllers"
SOCKET_SECONDS = 2.0
Question = dict[str, Any]


def asked(status: Status, where: Places, described: Cluster) -> Status:
    """The same with each component's health: "ok" or what is wrong. Empty for what can't be asked or does not run."""
    if status.state not in ("running", "starting"):
        return status
    running = {one.name: one for one in status.components if one.runs}
    told = _over_http(running, where, described) | _by_sockets(running, where, described)
    if "apiserver" in running:
        told["apiserver"] = _api(where, described)
    if "controllers" in running and told.get("apiserver") == OK:
        told["controllers"] = _controllers(where, described)
    return replace(status, components=[replace(one, health=told.get(one.name, "")) for one in status.components])


def plan(names: Sequence[str], described: Cluster, where: Places) -> dict[str, Question]:
    """Pure: what to ask over HTTP, by component, and who to be."""

    def files(identity: str) -> dict[str, str]:
        certificate, key = pki.paths(where.pki, identity)
        return {"ca": str(where.pki / "ca.crt"), "certificate": str(certificate), "key": str(key)}

    found: dict[str, Question] = {}
    network = described.spec.network
    if "etcd" in names:
        url = f"https://{network.control_address}:{control_plane.ETCD_PORT}/health"
        found["etcd"] = {"ask": "http", "url": url, **files("etcd-client")}
    if "scheduler" in names:
        found["scheduler"] = {"ask": "http", "url": f"http://{control_plane.SCHEDULER_METRICS}/readyz"}
    for node in described.spec.nodes:
        if f"{node.name}/agent" in names:
            url = f"https://{node.address}:{KUBELET_PORT}/healthz"
            found[f"{node.name}/agent"] = {"ask": "http", "url": url, **files("kubelet-client")}
    return found


def _over_http(running: Mapping[str, Component], where: Places, described: Cluster) -> dict[str, str]:
    inside = next((running[name].pid for name in ("apiserver", "etcd", "scheduler") if name in running), 0)
    if not inside:
        return {}
    wanted = plan(list(running), described, where)
    try:
        answers = in_network_of(inside, lambda: questions.answer(list(wanted.values())))
    except ClusterError as error:
        return dict.fromkeys(wanted, error.what)
    return {name: answer or OK for name, answer in zip(wanted, answers, strict=True)}


def _by_sockets(running: Mapping[str, Component], where: Places, described: Cluster) -> dict[str, str]:
    found = {}
    for node in described.spec.nodes:
        own = where.node(node.name)
        sockets = {
            f"{node.name}/runtime": (own.cri_socket, socket.SOCK_STREAM),
            f"{node.name}/forkserver": (own.fork_socket, socket.SOCK_SEQPACKET),
        }
        for name, (path, kind) in sockets.items():
            if name in running and node.driver == "namespace":
                found[name] = _takes_connections(str(path), kind)
    return found


def _takes_connections(path: str, kind: socket.SocketKind) -> str:
    with socket.socket(socket.AF_UNIX, kind) as probe:
        probe.settimeout(SOCKET_SECONDS)
        try:
            probe.connect(path)
        except OSError as error:
            return f"takes no connection: {error.strerror or error}"
    return OK


def _api(where: Places, described: Cluster) -> str:
    try:
        return api.readiness(where.pki, described.spec.api_port) or OK
    except (OSError, http.client.HTTPException) as error:
        return f"does not answer: {error}"


def _controllers(where: Places, described: Cluster) -> str:
    try:
        lease = api.get(where.pki, described.spec.api_port, CONTROLLERS_LEASE)
        return judge_lease(lease.get("spec", {}), datetime.now(UTC))
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"their lease can't be read: {error}"


def judge_lease(spec: Mapping[str, Any], now: datetime) -> str:
    """Pure. Whether a leader's lease is held at a moment. Raises ValueError for a time that is none."""
    if not spec.get("holderIdentity") or not spec.get("renewTime"):
        return "nobody leads"
    silent = (now - datetime.fromisoformat(spec["renewTime"])).total_seconds()
    if silent > float(spec.get("leaseDurationSeconds") or 0):
        return f"the lease was renewed {silent:.0f} s ago the last time"
    return OK
