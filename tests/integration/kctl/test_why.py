"""The situations of kctl why that need no node that runs: Node objects, leases and statuses say what is the case."""

from __future__ import annotations

import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kctl.why.table import TABLES, situations
from kctl_programs import Programs
from servers import Servers

SPACE = "puzzles"
PODS_PATH = f"/api/v1/namespaces/{SPACE}/pods"
DEPLOYMENTS_PATH = f"/apis/apps/v1/namespaces/{SPACE}/deployments"
READY = {"type": "Ready", "status": "True", "reason": "KubeletReady"}


def stamp(seconds_ago: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds_ago)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Puzzle:
    """A cluster of objects without anybody who acts on them."""

    def __init__(self, programs: Programs) -> None:
        self.programs = programs
        self._tls = programs.servers.tls("kubernetes-admin")

    def ask(self, method: str, path: str, body: Any = None, content: str = "json") -> None:
        """One request. Raises HTTPError."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.programs.servers.url + path, data, method=method)
        request.add_header("Content-Type", f"application/{content}")
        with urllib.request.urlopen(request, context=self._tls) as answer:
            answer.read()

    def status(self, path: str, status: dict[str, Any]) -> None:
        """Write a status, as a node or a controller would."""
        self.ask("PATCH", f"{path}/status", {"status": status}, "merge-patch+json")

    def lease(self, name: str, namespace: str, seconds_ago: float, holder: str = "somebody") -> None:
        """A component's or node's lease, renewed so long ago."""
        spec = {"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": stamp(seconds_ago)}
        leases = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        with contextlib.suppress(urllib.error.HTTPError):
            self.ask("DELETE", f"{leases}/{name}")
        self.ask("POST", leases, {"metadata": {"name": name, "namespace": namespace}, "spec": spec})

    def node(self, name: str, pods: str = "10", **spec: Any) -> None:
        """A node of 2 CPUs that was heard just now."""
        self.ask("POST", "/api/v1/nodes", {"metadata": {"name": name}, "spec": spec})
        has = {"cpu": "2", "memory": "4Gi", "pods": pods}
        self.status(f"/api/v1/nodes/{name}", {"conditions": [READY], "allocatable": has})
        taints = {"spec": {"taints": spec.get("taints")}}  # a new node has one of its own
        self.ask("PATCH", f"/api/v1/nodes/{name}", taints, "merge-patch+json")
        self.lease(name, "kube-node-lease", -60)

    def pod(self, name: str, **more: Any) -> None:
        """A pod of one container."""
        meta = {"name": name, "namespace": SPACE, **more.pop("metadata", {})}
        spec = {"containers": [{"name": "main", "image": "x", **more.pop("container", {})}], **more}
        self.ask("POST", PODS_PATH, {"metadata": meta, "spec": spec})

    def why(self, *words: str) -> dict[str, Any]:
        """What kctl why says."""
        done = self.programs.kctl("why", *words, "-n", SPACE, "-o", "json")
        assert done.code == 0, done.err
        found: dict[str, Any] = json.loads(done.out)
        return found

    def forget(self) -> None:
        """Take the nodes, pods and leases away again."""
        self.ask("DELETE", f"{PODS_PATH}?gracePeriodSeconds=0")
        self.ask("DELETE", "/api/v1/nodes")
        for namespace in ("kube-node-lease", "kube-system"):
            self.ask("DELETE", f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    """A server of its own: other tests' nodes would answer too."""
    with Servers(tmp_path_factory.mktemp("why")) as servers:
        programs = Programs(servers, Path(tmp_path_factory.mktemp("home")))
        programs.namespace(SPACE)
        yield programs


@pytest.fixture
def puzzle(own: Programs) -> Iterator[Puzzle]:
    made = Puzzle(own)
    yield made
    made.forget()


def scheduled(puzzle: Puzzle) -> None:
    puzzle.lease("kube-scheduler", "kube-system", -60)


def nobody_schedules(puzzle: Puzzle) -> str:
    puzzle.node("n1")
    puzzle.lease("kube-scheduler", "kube-system", 100)
    puzzle.pod("a")
    return "has not renewed its lease for 1"


def no_nodes(puzzle: Puzzle) -> str:
    scheduled(puzzle)
    puzzle.pod("a")
    return "no nodes"


def cordoned(puzzle: Puzzle) -> str:
    scheduled(puzzle)
    for name in ("n1", "n2"):
        puzzle.node(name, unschedulable=True)
    puzzle.pod("a")
    return "all 2 nodes take no new pods"


def tainted(puzzle: Puzzle) -> str:
    scheduled(puzzle)
    puzzle.node("n1", taints=[{"key": "team", "value": "red", "effect": "NoSchedule"}])
    puzzle.pod("a", tolerations=[{"key": "team", "value": "blue"}])
    return "have a taint that it does not tolerate: team"


def unready_nodes(puzzle: Puzzle) -> str:
    scheduled(puzzle)
    puzzle.node("n1", taints=[{"key": "node.kubernetes.io/unreachable", "effect": "NoSchedule"}])
    puzzle.pod("a")
    return "in trouble"


def full(puzzle: Puzzle) -> str:
    scheduled(puzzle)
    puzzle.node("n1", pods="1")
    puzzle.pod("b", nodeName="n1")
    puzzle.pod("a")
    return "as many pods as they may have"


def each_another_reason(puzzle: Puzzle) -> str:
    scheduled(puzzle)
    puzzle.node("n1", unschedulable=True)
    puzzle.node("n2")
    puzzle.node("n3")
    puzzle.pod("a", container={"resources": {"requests": {"cpu": "3"}}})
    return "none of 3 nodes takes it: 2 for CPU, 1 for being cordoned"


def makes_room(puzzle: Puzzle) -> str:
    scheduled(puzzle)
    puzzle.node("n1")
    puzzle.pod("a")
    puzzle.status(f"{PODS_PATH}/a", {"nominatedNodeName": "n1"})
    return "room is being made for it on node n1"


def evicted(puzzle: Puzzle) -> str:
    puzzle.node("n1")
    puzzle.pod("a", nodeName="n1")
    status = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}
    puzzle.status(f"{PODS_PATH}/a", status)
    return "node n1 evicted it: The node was low on resource: memory."


def refused_by_the_node(puzzle: Puzzle) -> str:
    puzzle.node("n1")
    puzzle.pod("a", nodeName="n1")
    status = {"phase": "Failed", "reason": "OutOfcpu", "message": "Node didn't have enough resource: cpu"}
    puzzle.status(f"{PODS_PATH}/a", status)
    return "node n1 refused it (OutOfcpu)"


def on_a_silent_node(puzzle: Puzzle) -> str:
    puzzle.node("n1")
    puzzle.lease("n1", "kube-node-lease", 90)
    puzzle.status("/api/v1/nodes/n1", {"conditions": [{"type": "Ready", "status": "Unknown"}]})
    puzzle.pod("a", nodeName="n1")
    return "its agent has been silent for 9"


def deleted_on_a_lost_node(puzzle: Puzzle) -> str:
    on_a_silent_node(puzzle)
    puzzle.ask("DELETE", f"{PODS_PATH}/a")
    return "its node n1 is not ready"


PODS: dict[str, Callable[[Puzzle], str]] = {
    "scheduler-absent": nobody_schedules,
    "no-nodes": no_nodes,
    "no-node-cordoned": cordoned,
    "no-node-taint": tainted,
    "no-node-ready": unready_nodes,
    "no-node-pods": full,
    "no-node-mixed": each_another_reason,
    "preempting": makes_room,
    "evicted": evicted,
    "node-refused": refused_by_the_node,
    "node-silent": on_a_silent_node,
    "terminating-node-lost": deleted_on_a_lost_node,
}


@pytest.mark.parametrize("situation", PODS)
def test_the_cause_of_a_pod(puzzle: Puzzle, situation: str) -> None:
    says = PODS[situation](puzzle)
    found = puzzle.why("pod/a")
    assert found["situation"] == situation, found
    assert says in found["cause"], found


def test_a_pod_on_a_node_in_trouble_leads_to_the_node(puzzle: Puzzle) -> None:
    on_a_silent_node(puzzle)
    assert puzzle.why("pod/a")["chain"] == ["pod/a", "node/n1"]


def condition(kind: str, status: str, message: str = "as it is") -> dict[str, str]:
    since = stamp(61)[:19] + "Z"
    return {"type": kind, "status": status, "reason": "X", "message": message, "lastTransitionTime": since}


NODES: dict[str, tuple[list[dict[str, str]], dict[str, Any], str]] = {
    # situation: (conditions, spec, what the cause must say)
    "node-runtime-down": ([condition("Ready", "False", "container runtime is down")], {}, "container runtime is down"),
    "node-network-not-ready": (
        [condition("Ready", "False", "container runtime network not ready: no pod CIDR")],
        {},
        "no pod CIDR",
    ),
    "node-not-ready": ([condition("Ready", "False", "it is on fire")], {}, "on fire"),
    "node-network-unavailable": ([condition("NetworkUnavailable", "True"), READY], {}, "network is not set up"),
    "node-disk-pressure": ([condition("DiskPressure", "True"), READY], {}, "short of disk for"),
    "node-memory-pressure": ([condition("MemoryPressure", "True"), READY], {}, "short of memory"),
    "node-pid-pressure": ([condition("PIDPressure", "True"), READY], {}, "process ids"),
    "node-cordoned": ([READY], {"unschedulable": True}, "cordoned"),
    "node-tainted": ([READY], {"taints": [{"key": "gpu", "effect": "NoSchedule"}]}, "gpu:NoSchedule"),
    "healthy": ([READY], {}, "nothing is wrong"),
}


@pytest.mark.parametrize("situation", NODES)
def test_the_cause_of_a_node(puzzle: Puzzle, situation: str) -> None:
    conditions, spec, says = NODES[situation]
    puzzle.node("n1", **spec)
    puzzle.status("/api/v1/nodes/n1", {"conditions": conditions})
    found = puzzle.why("node", "n1")
    assert found["situation"] == situation, found
    assert says in found["cause"], found


def test_a_node_that_never_came(puzzle: Puzzle) -> None:
    puzzle.programs.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n9"}})
    assert puzzle.why("node/n9")["situation"] == "node-never-came"


def test_controllers_that_do_not_act(puzzle: Puzzle) -> None:
    pod = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "main", "image": "x"}]}}
    spec = {"selector": {"matchLabels": {"app": "a"}}, "template": pod}
    meta = {"name": "web", "namespace": SPACE}
    puzzle.programs.create({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec})
    assert puzzle.why("deployment/web")["situation"] == "controllers-absent"
    puzzle.lease("sampan-controllers", "kube-system", -60)
    assert puzzle.why("deployment/web")["situation"] == "not-looked-at-yet"
    quota = condition("ReplicaFailure", "True", 'pods "web-1" is forbidden: exceeded quota: small')
    puzzle.status(f"{DEPLOYMENTS_PATH}/web", {"conditions": [quota], "observedGeneration": 1})
    assert puzzle.why("deployment/web")["situation"] == "quota"
    stuck = condition("Progressing", "False", "has timed out progressing")
    puzzle.status(f"{DEPLOYMENTS_PATH}/web", {"conditions": [stuck], "observedGeneration": 1})
    assert puzzle.why("deployment/web")["situation"] == "progress-deadline"
    puzzle.programs.kctl("delete", "deployment", "web", "-n", SPACE)


def test_a_namespace_that_nobody_empties(puzzle: Puzzle) -> None:
    puzzle.programs.namespace("leaving")
    assert puzzle.why("ns", "leaving")["situation"] == "healthy"
    puzzle.programs.kctl("delete", "ns", "leaving", "--wait=false")
    assert puzzle.why("ns", "leaving")["situation"] == "namespace-controller-absent"
    puzzle.lease("sampan-controllers", "kube-system", -60)
    found = puzzle.why("ns", "leaving")
    assert (found["situation"], found["evidence"]) == ("namespace-not-empty", ["serviceaccount/default"])


def test_a_service_whose_pods_have_ended(puzzle: Puzzle) -> None:
    puzzle.node("n1")
    puzzle.pod("a", nodeName="n1", metadata={"labels": {"app": "over"}})
    puzzle.status(f"{PODS_PATH}/a", {"phase": "Succeeded"})
    meta = {"name": "over", "namespace": SPACE}
    spec = {"selector": {"app": "over"}, "ports": [{"port": 80}]}
    puzzle.programs.create({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec})
    assert puzzle.why("svc/over")["situation"] == "pods-ended"


def test_what_cannot_be_told_is_an_error(puzzle: Puzzle) -> None:
    missing = puzzle.programs.kctl("why", "pod/nobody", "-n", SPACE)
    assert (missing.code, missing.err) == (1, 'Error from server (NotFound): pods "nobody" not found\n')
    assert puzzle.programs.kctl("why").err.startswith("error: say what: kctl why pod/NAME")
    assert puzzle.programs.kctl("why", "pods", "-o", "yaml").err == "error: -o yaml: kctl why knows json only\n"
    assert puzzle.programs.kctl("why", "pods", "-n", SPACE).out == "nothing is wrong with any of them\n"


def test_the_table_names_every_situation_once_in_a_kind() -> None:
    for kind, table in TABLES.items():
        names = [one.name for one in table if hasattr(one, "name")]
        assert len(names) == len(set(names)), kind
    assert len({one.name for one in situations()}) >= 90
