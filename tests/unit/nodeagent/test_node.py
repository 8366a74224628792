"""What the node reports of itself, and which pods it refuses."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from nodeagent.admission import has_begun, refusal
from nodeagent.config import read_config
from nodeagent.cri import Conditions, Image, Version
from nodeagent.machine import MEBI, Load, System
from nodeagent.node_ports import host_ports, network_config
from nodeagent.node_status import NodeSettings, node_status, status_change
from nodeagent.observed import Observed, Sandbox, SandboxState
from sampan.api.core_v1 import Node, NodeStatus, Pod
from sampan.errors import ClusterError

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SETTINGS = NodeSettings("n1", "192.0.2.1", 10250, 110, {})
SYSTEM = System("m", "u", "b", "6.1", "Debian", "amd64", 4, 8192 * MEBI, "host")
FINE = Load(4096 * MEBI, 1000 * MEBI, 500 * MEBI, 30_000)
GOOD = Conditions(runtime_ready=True, network_ready=True)
VERSION = Version("sampan", "0.1")


def status(load: Load = FINE, runtime: Conditions | None = GOOD, old: NodeStatus | None = None, **more: Any) -> Any:
    values: dict[str, Any] = {"now": NOW, "settings": SETTINGS, "trouble": "", "pressures": ()} | more
    return node_status(
        values["settings"], SYSTEM, load, runtime, VERSION, [Image("i", ("a:1",), ("a@x",), 7, None, "", False)],
        old or NodeStatus(), values["now"], values["trouble"], values["pressures"],
    )  # fmt: skip


def conditions(found: NodeStatus) -> dict[str, tuple[str, str | None]]:
    return {one.type: (one.status, one.reason) for one in found.conditions}


def test_a_node_that_is_well() -> None:
    found = status()
    assert conditions(found) == {
        "MemoryPressure": ("False", "KubeletHasSufficientMemory"),
        "DiskPressure": ("False", "KubeletHasNoDiskPressure"),
        "PIDPressure": ("False", "KubeletHasSufficientPID"),
        "Ready": ("True", "KubeletReady"),
    }
    assert found.capacity["cpu"] == "4"
    assert found.allocatable["memory"] == f"{(8192 - 100) * 1024}Ki"
    assert found.images[0].names == ["a@x", "a:1"]
    assert found.node_info.container_runtime_version == "sampan://0.1"


def test_pressure() -> None:
    assert conditions(status(Load(4096 * MEBI, 1000, 500, 3)))["PIDPressure"][0] == "True"
    for kind in ("MemoryPressure", "DiskPressure"):
        found = conditions(status(pressures=[kind]))
        assert [name for name in ("MemoryPressure", "DiskPressure") if found[name][0] == "True"] == [kind]


@pytest.mark.parametrize(
    ("runtime", "trouble", "part"),
    [
        (None, "", "container runtime is down"),
        (Conditions(False, True, "why"), "", "container runtime not ready: why"),
        (Conditions(True, False, network_message="no cidr"), "", "container runtime network not ready: no cidr"),
        (GOOD, "the network failed", "the network failed"),
    ],
)
def test_why_a_node_is_not_ready(runtime: Conditions | None, trouble: str, part: str) -> None:
    ready = next(one for one in status(runtime=runtime, trouble=trouble).conditions if one.type == "Ready")
    assert (ready.status, ready.reason, ready.message) == ("False", "KubeletNotReady", part)


def test_heartbeats_alone_are_no_change_until_they_are_due() -> None:
    old = status()
    later = status(old=old, now=NOW + timedelta(seconds=10))
    assert status_change(old, later, heartbeat=False) == {}
    assert set(status_change(old, later, heartbeat=True)) == {"conditions"}
    worse = status(runtime=None, old=old, now=NOW + timedelta(seconds=10))
    change = status_change(old, worse, heartbeat=False)
    assert [one["type"] for one in change["conditions"]] == ["Ready"]
    assert change["conditions"][0]["lastTransitionTime"] == "2026-01-01T00:00:10Z"
    assert later.conditions[0].last_transition_time == NOW


def test_capacity_may_be_told() -> None:
    fake = NodeSettings("n1", "192.0.2.1", 10250, 5, {"cpu": "64", "memory": "1Ti"})
    found = status(settings=fake)
    assert (found.capacity["cpu"], found.allocatable["memory"], found.capacity["pods"]) == ("64", "1Ti", "5")


# --- admission


def pod(cpu: str = "0", name: str = "p", **spec: Any) -> Pod:
    containers = [{"name": "c", "resources": {"requests": {"cpu": cpu}}} | spec.pop("container", {})]
    return Pod.from_json({"metadata": {"name": name}, "spec": {"containers": containers} | spec})


ANY_NODE = Node.from_json({"metadata": {"name": "n1"}})
SLOW = Node.from_json({"metadata": {"name": "n1", "labels": {"disk": "slow", "cores": "4"}}})


def affine(*terms: dict[str, Any]) -> Pod:
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}
    return pod(affinity={"nodeAffinity": required})


def test_required_node_affinity_is_looked_at_once_more() -> None:
    slow = {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["slow"]}]}
    fast = {"matchExpressions": [{"key": "disk", "operator": "NotIn", "values": ["slow"]}]}
    many = {"matchExpressions": [{"key": "cores", "operator": "Gt", "values": ["3"]}]}
    here = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}
    there = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n2"]}]}
    for good in ([slow], [many], [here], [fast, here], [{**slow, **here}]):
        assert refusal(affine(*good), [], SLOW, {}) is None
    for bad in ([fast], [there], [{}], [{**slow, **there}]):
        verdict = refusal(affine(*bad), [], SLOW, {})
        assert verdict is not None
        assert verdict.reason == "NodeAffinity"
        assert verdict.message == (
            "Pod was rejected: Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
        )


def test_a_pod_that_does_not_fit_is_refused_with_upstreams_words() -> None:
    verdict = refusal(pod("600m"), [pod("500m")], ANY_NODE, {"cpu": "1", "pods": "10"})
    assert verdict is not None
    assert verdict.reason == "OutOfcpu"
    assert verdict.message == (
        "Pod was rejected: Node didn't have enough resource: cpu, requested: 600, used: 500, capacity: 1000"
    )
    assert refusal(pod("500m"), [pod("500m")], ANY_NODE, {"cpu": "1", "pods": "10"}) is None


def test_other_reasons_to_refuse() -> None:
    selecting = refusal(pod(nodeSelector={"disk": "fast"}), [], SLOW, {})
    assert selecting is not None
    assert selecting.reason == "NodeAffinity"
    crowded = refusal(pod(), [pod(), pod()], ANY_NODE, {"pods": "2"})
    assert crowded is not None
    assert crowded.reason == "OutOfpods"
    port: dict[str, Any] = {"container": {"ports": [{"containerPort": 80, "hostPort": 8080}]}}
    taken = refusal(pod(**port), [pod(**port)], ANY_NODE, {})
    assert taken is not None
    assert taken.reason == "NodePorts"
    done = Pod.from_json(pod(**port).to_json() | {"status": {"phase": "Succeeded"}})
    assert refusal(pod(**port), [done], ANY_NODE, {}) is None


def test_what_has_run_is_not_asked_again() -> None:
    assert not has_begun(pod())
    assert has_begun(Pod.from_json({"metadata": {}, "spec": {}, "status": {"phase": "Running"}}))


# --- settings


def test_host_ports_are_those_of_pods_with_an_address() -> None:
    box = Sandbox("s", "p", "ns", "u", 0, SandboxState.READY, 1.0, ("10.0.0.1",))
    ported = pod(container={"ports": [{"containerPort": 80, "hostPort": 8080, "protocol": "UDP"}]})
    (port,) = host_ports([(ported, Observed((box,))), (ported, Observed())])
    assert (port.host_port, port.pod_ip, port.pod_port, port.protocol.value) == (8080, "10.0.0.1", 80, "udp")


BASE = {
    "node_name": "n1", "node_ip": "192.0.2.1", "kubeconfig": "/k",
    "cri_socket": "/s", "state_dir": "/d", "log_dir": "/l",
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"node_name": "Bad Name"}, "is no DNS name"),
        ({"odd": 1}, "odd"),
        ({"port": "x"}, "port"),
        ({"node_ip": None}, "node_ip"),
    ],
)
def test_a_wrong_configuration_is_named(tmp_path: Path, change: dict[str, Any], part: str) -> None:
    path = tmp_path / "agent.json"
    path.write_text(json.dumps(BASE | change))
    with pytest.raises(ClusterError, match=part):
        read_config(path)


def test_a_configuration_is_read(tmp_path: Path) -> None:
    path = tmp_path / "agent.json"
    path.write_text(json.dumps(BASE | {"network": {"device": "eth0", "mode": "direct"}, "cluster_dns": ["10.9.0.10"]}))
    config = read_config(path)
    network = network_config(config)
    assert (network.node_address, network.dns_address, network.mode.value) == ("192.0.2.1", "10.9.0.10", "direct")
    assert network.state_dir == Path("/d/network")
    path.write_text("{")
    with pytest.raises(ClusterError, match="is not JSON"):
        read_config(path)
    with pytest.raises(ClusterError, match="No such file"):
        read_config(tmp_path / "none")
