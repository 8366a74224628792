"""What was used between two looks at a node."""

from __future__ import annotations

from typing import Any

from apiserver.nodes.usage import Look, node_usage, pod_usages


def container(name: str, cpu: int, memory: int = 3 << 20) -> dict[str, Any]:
    return {"name": name, "cpu": {"usageCoreNanoSeconds": cpu}, "memory": {"workingSetBytes": memory}}


def look(at: float, cpu: int, *containers: dict[str, Any], uid: str = "u") -> Look:
    pod = {"podRef": {"uid": uid, "namespace": "shop", "name": "web"}, "containers": list(containers)}
    return Look(at, {"node": container("", cpu, 1 << 30), "pods": [pod]})


def test_a_rate_is_what_was_used_by_the_time_it_took() -> None:
    before, after = look(10.0, 5 * 10**9, container("main", 10**9)), look(12.0, 8 * 10**9, container("main", 2 * 10**9))
    assert node_usage(before, after) == {"cpu": "1500000000n", "memory": f"{1 << 20}Ki"}
    usage = {"cpu": "500000000n", "memory": "3072Ki"}
    assert pod_usages(before, after) == {("shop", "web"): [{"name": "main", "usage": usage}]}


def test_what_is_new_or_began_anew_has_no_rate_yet() -> None:
    before = look(10.0, 0, container("main", 9 * 10**9))
    assert pod_usages(before, look(11.0, 0, container("main", 10**6))) == {}
    assert pod_usages(before, look(11.0, 0, container("other", 10**6))) == {}
    assert pod_usages(before, look(11.0, 0, container("main", 10**10), uid="another")) == {}
