"""The agent and the runtime die, the pods do not."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Any

from nodeagent.runtime.cgroups.choose import cgroups
from nodeagent.runtime.cgroups.resources import Limits
from nodeagent.runtime.cgroups.v2 import weight_of
from sampan.api.core_v1 import Pod
from sampan.kinds import LEASES, NODES, PODS

FOREVER = ["sh", "-c", "trap 'exit 0' TERM; while true; do sleep 0.1; done"]


def ready(pod: Pod) -> bool:
    return any(one.type == "Ready" and one.status == "True" for one in pod.status.conditions)


async def test_a_killed_agent_finds_its_containers_again(cluster: Any) -> None:
    probe = {"exec": {"command": ["true"]}, "periodSeconds": 1}
    await cluster.run(
        "survivor",
        [{"name": "c", "command": FOREVER, "readinessProbe": probe, "startupProbe": probe, "livenessProbe": probe}],
        initContainers=[{"name": "i", "command": ["true"]}],
    )
    before = await cluster.until("survivor", ready)
    cluster.node.kill("agent")
    cluster.node.start("agent")
    lease = (await cluster.client.get(LEASES, "n1", "kube-node-lease")).spec.renew_time

    async def renewed() -> bool:
        return bool((await cluster.client.get(LEASES, "n1", "kube-node-lease")).spec.renew_time > lease)

    await cluster.wait(renewed)
    await cluster.run("after", [{"name": "c", "command": FOREVER}])
    await cluster.until("after", ready)
    after = await cluster.get("survivor")
    assert after.status.to_json() == before.status.to_json()


async def test_what_ended_while_the_agent_was_dead_is_known_afterwards(cluster: Any) -> None:
    await cluster.run(
        "ended", [{"name": "c", "command": ["sh", "-c", "sleep 1; echo over; exit 5"]}], restartPolicy="Never"
    )
    pod = await cluster.until("ended", lambda pod: pod.status.phase == "Running")
    cluster.node.kill("agent")
    log = cluster.node.log_dir / f"default_ended_{pod.metadata.uid}" / "c" / "0.log"
    await cluster.wait(lambda: "over" in log.read_text())
    cluster.node.start("agent")
    pod = await cluster.until("ended", lambda pod: pod.status.phase == "Failed")
    assert pod.status.container_statuses[0].state.terminated.exit_code == 5


async def test_a_pod_deleted_while_the_agent_was_dead_is_ended(cluster: Any) -> None:
    await cluster.run("forgotten", [{"name": "c", "command": FOREVER}])
    pod = await cluster.until("forgotten", ready)
    cluster.node.kill("agent")
    await cluster.client.delete(PODS, "forgotten", "default", grace_period_seconds=0)
    cluster.node.start("agent")
    await cluster.wait(lambda: not (cluster.node.state_dir / "pods" / pod.metadata.uid).exists())


async def test_the_runtime_dies_and_comes_back_and_no_container_notices(cluster: Any) -> None:
    await cluster.run("tough", [{"name": "c", "command": FOREVER}])
    before = await cluster.until("tough", ready)
    cluster.node.kill("runtime")
    cluster.node.start("runtime")
    await cluster.run("next", [{"name": "c", "command": FOREVER}])
    await cluster.until("next", ready)
    after = await cluster.get("tough")
    assert after.status.container_statuses == before.status.container_statuses


async def test_a_killed_process_is_one_restart(cluster: Any) -> None:
    await cluster.run("victim", [{"name": "c", "command": ["sh", "-c", "exec sleep 12345"]}])
    await cluster.until("victim", ready)
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (place / "cmdline").read_bytes() == b"sleep\x0012345\x00":
                os.kill(int(place.name), signal.SIGKILL)
    pod = await cluster.until("victim", lambda pod: ready(pod) and pod.status.container_statuses[0].restart_count == 1)
    over = pod.status.container_statuses[0].last_state.terminated
    assert (over.exit_code, over.reason) == (137, "Error")


async def test_the_node_is_registered_and_reports_itself(cluster: Any) -> None:
    node = await cluster.client.get(NODES, "n1")
    assert node.metadata.labels["kubernetes.io/hostname"] == "n1"
    assert node.metadata.labels["disk"] == "fast"
    conditions = {one.type: one.status for one in node.status.conditions}
    assert conditions["Ready"] == "True"
    assert conditions["MemoryPressure"] == "False"
    assert node.status.daemon_endpoints.kubelet_endpoint.port == 10250
    assert {one.type: one.address for one in node.status.addresses} == {"InternalIP": "172.30.0.11", "Hostname": "n1"}
    assert node.status.node_info.container_runtime_version.startswith("sampan://")
    assert node.status.capacity["pods"] == "110"
    assert any("localhost/busybox:test" in name for image in node.status.images for name in image.names)
    lease = await cluster.client.get(LEASES, "n1", "kube-node-lease")
    assert (lease.spec.holder_identity, lease.spec.lease_duration_seconds) == ("n1", 8)
    assert lease.metadata.owner_references[0].uid == node.metadata.uid


async def test_classes_keep_their_shares_over_a_restart_and_cgroups_without_a_pod_go(cluster: Any) -> None:
    limits = {"requests": {"cpu": "500m"}}
    await cluster.run("asking", [{"name": "c", "command": FOREVER, "resources": limits}])
    pod = await cluster.until("asking", ready)
    root, groups = f"/{cluster.node.cgroup_root}/kubepods", cgroups()

    def share() -> str:
        name = "cpu.weight" if groups.version == "v2" else "cpu.shares"
        procs = groups.procs_files(f"{root}/burstable")
        return next(file.read_text() for one in procs if (file := Path(one).parent / name).exists()).strip()

    asked = str(weight_of(512)) if groups.version == "v2" else "512"
    assert share() == asked
    cluster.node.kill("agent")
    groups.create(f"{root}/besteffort/podleft", Limits())
    cluster.node.start("agent")
    await cluster.wait(lambda: "podleft" not in groups.children(f"{root}/besteffort"))
    assert share() == asked
    assert f"pod{pod.metadata.uid}" in groups.children(f"{root}/burstable")
    await cluster.client.delete(PODS, "asking", "default", grace_period_seconds=0)
    await cluster.wait(lambda: f"pod{pod.metadata.uid}" not in groups.children(f"{root}/burstable"))
    await cluster.wait(lambda: share() == ("1" if groups.version == "v2" else "2"))
