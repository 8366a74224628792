"""Pods on a real node, through the API alone."""

from __future__ import annotations

from typing import Any

from sampan.api.core_v1 import Pod

FOREVER = ["sh", "-c", "trap 'exit 0' TERM; while true; do sleep 0.1; done"]


def running(pod: Pod) -> bool:
    statuses = pod.status.container_statuses
    return bool(statuses) and all(one.state is not None and one.state.running is not None for one in statuses)


def ready(pod: Pod) -> bool:
    return any(one.type == "Ready" and one.status == "True" for one in pod.status.conditions)


async def test_a_pod_runs_and_is_reported_as_upstream_reports_it(cluster: Any) -> None:
    await cluster.run("hello", [{"name": "c", "command": FOREVER}])
    pod = await cluster.until("hello", ready)
    status = pod.status.container_statuses[0]
    assert (pod.status.phase, status.ready, status.started, status.restart_count) == ("Running", True, True, 0)
    assert status.container_id.startswith("sampan://")
    assert pod.status.pod_ip.startswith("10.244.1.")
    assert pod.status.host_ip == "172.30.0.11"
    assert pod.status.qos_class == "BestEffort"
    assert {one.type: one.status for one in pod.status.conditions} == dict.fromkeys(
        ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"), "True"
    )
    for reason in ("Pulled", "Created", "Started"):
        await cluster.event("hello", reason)


async def test_a_job_like_pod_ends_as_its_exit_codes_say(cluster: Any) -> None:
    await cluster.run("good", [{"name": "c", "command": ["true"]}], restartPolicy="Never")
    await cluster.run("bad", [{"name": "c", "command": ["sh", "-c", "exit 3"]}], restartPolicy="Never")
    good = await cluster.until("good", lambda pod: pod.status.phase == "Succeeded")
    assert good.status.container_statuses[0].state.terminated.reason == "Completed"
    bad = await cluster.until("bad", lambda pod: pod.status.phase == "Failed")
    over = bad.status.container_statuses[0].state.terminated
    assert (over.reason, over.exit_code) == ("Error", 3)
