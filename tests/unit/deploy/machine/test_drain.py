"""Which of its pods a node that leaves evicts."""

from __future__ import annotations

from typing import Any

from deploy.machine.drain import name_of, sort_pods


def pod(name: str, *, owner: str = "", phase: str = "Running", **annotations: str) -> dict[str, Any]:
    owners = [{"kind": owner, "controller": True}] if owner else []
    metadata = {"namespace": "ns", "name": name, "ownerReferences": owners, "annotations": annotations}
    return {"metadata": metadata, "status": {"phase": phase}}


def test_daemons_go_last_and_what_has_ended_stays() -> None:
    mirror = pod("mirror")
    mirror["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
    found = sort_pods(
        [
            pod("alone"),
            pod("of-set", owner="ReplicaSet"),
            pod("daemon", owner="DaemonSet"),
            pod("done", phase="Succeeded"),
            pod("failed", phase="Failed"),
            mirror,
        ]
    )
    assert [name_of(one) for one in found.evicted] == ["ns/alone", "ns/of-set"]
    assert [name_of(one) for one in found.last] == ["ns/daemon"]
