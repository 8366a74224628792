"""Pods on a real node, through the API alone."""

from __future__ import annotations

import asyncio
import urllib.request
from pathlib import Path
from typing import Any

from sampan.api.core_v1 import Pod
from sampan.client import PatchKind
from sampan.kinds import PODS

IMAGE = "localhost/busybox:test"
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


async def test_a_crashing_container_is_restarted_and_held_back(cluster: Any) -> None:
    await cluster.run("crash", [{"name": "c", "command": ["sh", "-c", "echo attempt; exit 7"]}])

    def held(pod: Pod) -> bool:
        state = pod.status.container_statuses and pod.status.container_statuses[0].state
        return bool(state and state.waiting and state.waiting.reason == "CrashLoopBackOff")

    pod = await cluster.until("crash", held)
    status = pod.status.container_statuses[0]
    assert status.restart_count == 1
    assert status.last_state.terminated.exit_code == 7
    assert status.state.waiting.message.startswith("back-off 10s restarting failed container=c pod=crash_default(")
    assert pod.status.phase == "Running"
    assert cluster.logs("crash", "-p") == "attempt\n"
    await cluster.event("crash", "BackOff")


async def test_a_deleted_pod_gets_its_signal_and_leaves_nothing(cluster: Any, tmp_path: Path) -> None:
    script = "trap 'echo bye > /host/word; exit 0' TERM; while true; do sleep 0.05; done"
    await cluster.run(
        "leaving",
        [
            {
                "name": "c",
                "command": ["sh", "-c", script],
                "volumeMounts": [{"name": "v", "mountPath": "/v"}, {"name": "host", "mountPath": "/host"}],
            }
        ],
        terminationGracePeriodSeconds=20,
        volumes=[
            {"name": "v", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
            {"name": "host", "hostPath": {"path": str(tmp_path)}},
        ],
    )
    pod = await cluster.until("leaving", running)
    uid = pod.metadata.uid
    assert (cluster.node.state_dir / "pods" / uid).is_dir()
    await cluster.delete("leaving")
    assert (tmp_path / "word").read_text() == "bye\n"
    assert list(cluster.node.log_dir.glob(f"*{uid}")) == []
    assert not (cluster.node.state_dir / "pods" / uid).exists()
    assert uid not in Path("/proc/self/mountinfo").read_text()


async def test_a_pod_that_ignores_its_signal_is_killed_after_its_grace(cluster: Any) -> None:
    script = "trap '' TERM; while true; do sleep 0.05; done"
    await cluster.run("stubborn", [{"name": "c", "command": ["sh", "-c", script]}], terminationGracePeriodSeconds=2)
    await cluster.until("stubborn", running)
    await cluster.delete("stubborn")


async def test_init_containers_run_in_order_before_the_others(cluster: Any) -> None:
    shared = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    await cluster.run(
        "init",
        [{"name": "main", "command": ["sh", "-c", "cat /v/f; sleep 1000"]} | shared],
        initContainers=[
            {"name": "one", "command": ["sh", "-c", "sleep 0.2; echo one >> /v/f"]} | shared,
            {"name": "two", "command": ["sh", "-c", "echo two >> /v/f"]} | shared,
        ],
        volumes=[{"name": "v", "emptyDir": {}}],
    )
    pod = await cluster.until("init", ready)
    assert cluster.logs("init", "-c", "main") == "one\ntwo\n"
    assert [one.ready for one in pod.status.init_container_statuses] == [True, True]
    assert [one.state.terminated.reason for one in pod.status.init_container_statuses] == ["Completed"] * 2


async def test_a_failed_init_container_of_a_never_pod_fails_it(cluster: Any) -> None:
    await cluster.run(
        "noinit",
        [{"name": "main", "command": ["true"]}],
        initContainers=[{"name": "one", "command": ["false"]}],
        restartPolicy="Never",
    )
    pod = await cluster.until("noinit", lambda pod: pod.status.phase == "Failed")
    assert pod.status.container_statuses[0].state.waiting.reason == "PodInitializing"


async def test_a_sidecar_starts_first_and_ends_last(cluster: Any) -> None:
    script = "trap 'exit 0' TERM; echo up; while true; do sleep 0.05; done"
    mounts = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    await cluster.run(
        "sidecar",
        [{"name": "main", "command": ["sh", "-c", "test -e /v/up && sleep 0.3 && echo done"]} | mounts],
        initContainers=[
            {
                "name": "side",
                "restartPolicy": "Always",
                "command": ["sh", "-c", "touch /v/up; " + script],
                "startupProbe": {"exec": {"command": ["test", "-e", "/v/up"]}},
            }
            | mounts
        ],
        restartPolicy="Never",
        volumes=[{"name": "v", "emptyDir": {}}],
    )
    pod = await cluster.until("sidecar", lambda pod: pod.status.phase == "Succeeded")
    main, side = pod.status.container_statuses[0], pod.status.init_container_statuses[0]
    assert side.state.terminated.finished_at >= main.state.terminated.finished_at
    assert side.restart_count == 0


async def test_a_pod_past_its_deadline_is_failed(cluster: Any) -> None:
    await cluster.run("late", [{"name": "c", "command": FOREVER}], activeDeadlineSeconds=1)
    pod = await cluster.until("late", lambda pod: pod.status.phase == "Failed")
    assert pod.status.reason == "DeadlineExceeded"


async def test_the_last_words_of_a_container_are_reported(cluster: Any) -> None:
    words = "echo tail; echo last words > /dev/termination-log; exit 1"
    await cluster.run("words", [{"name": "c", "command": ["sh", "-c", words]}], restartPolicy="Never")
    await cluster.run(
        "loglast",
        [{"name": "c", "command": ["sh", "-c", "echo from the log; exit 1"],
          "terminationMessagePolicy": "FallbackToLogsOnError"}],
        restartPolicy="Never",
    )  # fmt: skip
    pod = await cluster.until("words", lambda pod: pod.status.phase == "Failed")
    assert pod.status.container_statuses[0].state.terminated.message == "last words\n"
    pod = await cluster.until("loglast", lambda pod: pod.status.phase == "Failed")
    assert pod.status.container_statuses[0].state.terminated.message == "from the log\n"


async def test_images_that_can_not_be_had(cluster: Any) -> None:
    await cluster.run("never", [{"name": "c", "image": "localhost/none:1", "imagePullPolicy": "Never"}])
    await cluster.run("nopull", [{"name": "c", "image": "127.0.0.1:9/none:1"}])

    def waits(*reasons: str) -> Any:
        def check(pod: Pod) -> bool:
            state = pod.status.container_statuses and pod.status.container_statuses[0].state
            return bool(state and state.waiting and state.waiting.reason in reasons)

        return check

    pod = await cluster.until("never", waits("ErrImageNeverPull"))
    message = pod.status.container_statuses[0].state.waiting.message
    assert message == 'Container image "localhost/none:1" is not present with pull policy of Never'
    pod = await cluster.until("nopull", waits("ImagePullBackOff"))
    message = pod.status.container_statuses[0].state.waiting.message
    assert message.startswith('Back-off pulling image "127.0.0.1:9/none:1": ErrImagePull: ')
    assert pod.status.phase == "Pending"
    for reason in ("Pulling", "Failed", "BackOff"):
        await cluster.event("nopull", reason)


async def test_an_ephemeral_container_joins_a_running_pod(cluster: Any) -> None:
    await cluster.run("debugged", [{"name": "c", "command": FOREVER}])
    await cluster.until("debugged", ready)
    debug = {"name": "debug", "image": IMAGE, "command": ["echo", "hi"], "targetContainerName": "c"}
    await cluster.client.patch(
        PODS,
        "debugged",
        {"spec": {"ephemeralContainers": [debug]}},
        namespace="default",
        kind=PatchKind.STRATEGIC,
        subresource="ephemeralcontainers",
    )
    pod = await cluster.until(
        "debugged",
        lambda pod: (
            pod.status.ephemeral_container_statuses and pod.status.ephemeral_container_statuses[0].state.terminated
        ),
    )
    assert pod.status.ephemeral_container_statuses[0].state.terminated.exit_code == 0
    assert pod.status.container_statuses[0].restart_count == 0


async def test_a_pod_finds_the_api_server_by_variables_and_by_name(cluster: Any) -> None:
    script = "env | grep KUBERNETES_SERVICE_HOST; busybox nslookup kubernetes.default.svc.cluster.local"
    await cluster.run("finder", [{"name": "c", "command": ["sh", "-c", script]}], restartPolicy="Never")
    pod = await cluster.until("finder", lambda pod: pod.status.phase in ("Succeeded", "Failed"))
    text = cluster.text(pod, "c")
    assert "KUBERNETES_SERVICE_HOST=10.96.0.1" in text
    assert "Address: 10.96.0.1" in text, text


async def test_a_host_port_leads_to_its_pod(cluster: Any) -> None:
    script = "mkdir -p /tmp/w; echo served > /tmp/w/index.html; exec busybox httpd -f -p 8080 -h /tmp/w"
    ports = [{"containerPort": 8080, "hostPort": 18080}]
    await cluster.run("ported", [{"name": "c", "command": ["sh", "-c", script], "ports": ports}])
    await cluster.until("ported", ready)

    def served() -> bool:
        try:
            with urllib.request.urlopen("http://172.30.0.11:18080/index.html", timeout=2) as answer:
                return bool(answer.read() == b"served\n")
        except OSError:
            return False

    await cluster.wait(lambda: asyncio.to_thread(served))


async def test_the_end_of_a_very_short_life_is_never_missed(cluster: Any) -> None:
    containers = [{"name": f"c{number}", "command": ["true"]} for number in range(30)]
    await cluster.run("mayflies", containers, restartPolicy="Never")
    await cluster.until("mayflies", lambda pod: pod.status.phase == "Succeeded", 40)
