"""Pods with hostUsers: false on a real node, through the API."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sampan.api.core_v1 import Pod
from sampan.kinds import CONFIG_MAPS, NODES

FOREVER = ["sh", "-c", "trap 'exit 0' TERM; while true; do sleep 0.1; done"]


def ready(pod: Pod) -> bool:
    return any(one.type == "Ready" and one.status == "True" for one in pod.status.conditions)


def range_of(cluster: Any, pod: Pod) -> int:
    record = json.loads((cluster.node.state_dir / "pods" / pod.metadata.uid / "userns").read_text())
    return int(record["uidMappings"][0]["hostId"])


def map_seen_by(cluster: Any, name: str) -> list[str]:
    return str(cluster.node.servers.kubectl("exec", name, "--", "cat", "/proc/self/uid_map")).split()


async def test_a_pod_has_users_of_its_own_and_its_volumes_know_them(cluster: Any, tmp_path: Path) -> None:
    host = tmp_path / "host"
    host.mkdir()
    host.chmod(0o777)
    script = "id -u > /host/who; touch /host/root /empty/root; chown 1000:1000 /host/who; cat /conf/word /pod/name; "
    script += "stat -c '%u:%g %n' /empty/root /conf/..data/word /etc/hosts /etc/resolv.conf /dev/termination-log; "
    script += (
        "echo $(id -G); echo last words > /dev/termination-log; trap 'exit 3' TERM; while true; do sleep 0.1; done"
    )
    await cluster.client.create(CONFIG_MAPS, {"metadata": {"name": "words"}, "data": {"word": "hello\n"}},
                                namespace="default")  # fmt: skip
    volumes = {
        "host": {"hostPath": {"path": str(host)}},
        "empty": {"emptyDir": {}},
        "memory": {"emptyDir": {"medium": "Memory"}},
        "conf": {"configMap": {"name": "words"}},
        "pod": {"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
    }
    mounts = [{"name": name, "mountPath": f"/{name}"} for name in volumes]
    await cluster.run(
        "mapped",
        [{"name": "c", "command": ["sh", "-c", script], "volumeMounts": mounts}],
        hostUsers=False,
        securityContext={"fsGroup": 2000},
        volumes=[{"name": name} | source for name, source in volumes.items()],
        restartPolicy="Never",
    )
    pod = await cluster.until("mapped", ready)
    await cluster.wait(lambda: "2000" in cluster.logs("mapped"))
    lines = cluster.logs("mapped").splitlines()
    assert lines[:2] == ["hello", "mapped0:2000 /empty/root"]
    assert {line.split()[0] for line in lines[2:-1]} <= {"0:0", "0:2000"}
    assert (host / "who").read_text() == "0\n"
    assert ((host / "who").stat().st_uid, (host / "root").stat().st_uid) == (1000, 0)
    first = range_of(cluster, pod)
    assert first >= 65536
    assert first % 65536 == 0
    assert map_seen_by(cluster, "mapped") == ["0", str(first), "65536"]
    owners = {Path(path).stat().st_uid for path in Path("/proc").glob("[0-9]*") if _runs_in(path, first)}
    assert owners == {first}
    await cluster.delete("mapped")
    assert not (cluster.node.state_dir / "pods" / pod.metadata.uid).exists()


def _runs_in(process: Path, first: int) -> bool:
    try:
        return (process / "uid_map").read_text().split()[1:2] == [str(first)]
    except OSError:
        return False


async def test_pods_have_distinct_ranges_which_last_and_come_free(cluster: Any) -> None:
    names = ("one", "two")
    for name in names:
        await cluster.run(name, [{"name": "c", "command": FOREVER}], hostUsers=False)
    pods = [await cluster.until(name, ready) for name in names]
    ranges = [range_of(cluster, pod) for pod in pods]
    assert len(set(ranges)) == 2
    for process in ("agent", "runtime"):
        cluster.node.kill(process)
    for process in ("runtime", "agent"):
        cluster.node.start(process)
    await cluster.run("three", [{"name": "c", "command": FOREVER}], hostUsers=False)
    third = range_of(cluster, await cluster.until("three", ready))
    assert third not in ranges
    for name, start in zip(names, ranges, strict=True):
        assert map_seen_by(cluster, name)[1] == str(start)
        assert (await cluster.get(name)).status.container_statuses[0].restart_count == 0
    await cluster.delete("one")
    await cluster.run("four", [{"name": "c", "command": FOREVER}], hostUsers=False)
    assert range_of(cluster, await cluster.until("four", ready)) == ranges[0]


async def test_a_mapped_pod_restarts_answers_probes_and_is_reached(cluster: Any) -> None:
    script = "echo up; echo page > /tmp/index.html; httpd -p 80 -h /tmp; until [ -e /tmp/crash ]; do sleep 0.05; done"
    probe = {"httpGet": {"port": 80}, "periodSeconds": 1}
    await cluster.run(
        "served", [{"name": "c", "command": ["sh", "-c", script], "readinessProbe": probe}], hostUsers=False
    )
    pod = await cluster.until("served", ready)
    first = range_of(cluster, pod)
    cluster.node.servers.kubectl("exec", "served", "--", "touch", "/tmp/crash")
    await cluster.until("served", lambda pod: ready(pod) and pod.status.container_statuses[0].restart_count == 1)
    assert range_of(cluster, pod) == first
    assert cluster.logs("served", "-p") == "up\n"


async def test_the_node_says_that_it_has_user_namespaces(cluster: Any) -> None:
    status = (await cluster.client.get(NODES, "n1")).status
    assert {one.name: one.features.user_namespaces for one in status.runtime_handlers} == {"": True, "sampan": True}
    assert status.features.supplemental_groups_policy is True
