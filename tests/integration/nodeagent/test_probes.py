"""Probes and hooks, with real servers in real pods."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sampan.api.core_v1 import Pod

SERVE = "mkdir -p /tmp/www; echo ok > /tmp/www/index.html; exec busybox httpd -f -p 8080 -h /tmp/www"
LOOP = "while true; do sleep 0.05; done"
WAIT = f"trap 'exit 0' TERM; {LOOP}"


def ready(pod: Pod) -> bool:
    return any(one.type == "Ready" and one.status == "True" for one in pod.status.conditions)


def running(pod: Pod) -> bool:
    statuses = pod.status.container_statuses
    return bool(statuses) and all(one.state is not None and one.state.running is not None for one in statuses)


async def test_an_http_server_is_ready_at_once_in_spite_of_a_long_period(cluster: Any) -> None:
    get = {"httpGet": {"path": "/index.html", "port": "web"}, "periodSeconds": 60}
    await cluster.run(
        "http",
        [{"name": "c", "command": ["sh", "-c", "sleep 0.2; " + SERVE], "readinessProbe": get,
          "ports": [{"name": "web", "containerPort": 8080}]}],
    )  # fmt: skip
    await cluster.until("http", ready, 10)


async def test_a_container_that_is_not_ready_says_why_and_becomes_ready(cluster: Any) -> None:
    probe = {"httpGet": {"path": "/late.html", "port": 8080}, "periodSeconds": 1, "failureThreshold": 1}
    script = "mkdir -p /tmp/www; (sleep 4; echo ok > /tmp/www/late.html) & exec busybox httpd -f -p 8080 -h /tmp/www"
    await cluster.run("late", [{"name": "c", "command": ["sh", "-c", script], "readinessProbe": probe}])
    pod = await cluster.until("late", running)
    conditions = {one.type: one for one in pod.status.conditions}
    assert conditions["Ready"].reason == "ContainersNotReady"
    assert conditions["Ready"].message == "containers with unready status: [c]"
    event = await cluster.event("late", "Unhealthy")
    assert event.message == "Readiness probe failed: HTTP probe failed with statuscode: 404"
    assert event.involved_object.field_path == "spec.containers{c}"
    pod = await cluster.until("late", ready)
    assert pod.status.container_statuses[0].restart_count == 0
    assert {one.type: one for one in pod.status.conditions}["Ready"].message is None


async def test_a_container_that_fails_its_liveness_probe_is_restarted(cluster: Any) -> None:
    probe = {"exec": {"command": ["test", "!", "-e", "/tmp/sick"]}, "periodSeconds": 1, "failureThreshold": 1}
    script = "if [ -e /v/was ]; then :; else touch /v/was; sleep 0.5; touch /tmp/sick; fi; " + WAIT
    await cluster.run(
        "sick",
        [{"name": "c", "command": ["sh", "-c", script], "livenessProbe": probe,
          "volumeMounts": [{"name": "v", "mountPath": "/v"}]}],
        volumes=[{"name": "v", "emptyDir": {}}],
    )  # fmt: skip
    await cluster.until("sick", lambda pod: running(pod) and pod.status.container_statuses[0].restart_count == 1)
    event = await cluster.event("sick", "Killing")
    assert event.message == "Container c failed liveness probe, will be restarted"


async def test_a_startup_probe_holds_the_others_back(cluster: Any) -> None:
    startup = {"tcpSocket": {"port": 8080}, "periodSeconds": 1, "failureThreshold": 30}
    liveness = {"tcpSocket": {"port": 8080}, "periodSeconds": 1, "failureThreshold": 1}
    await cluster.run(
        "slow",
        [{"name": "c", "command": ["sh", "-c", "sleep 3; " + SERVE], "startupProbe": startup,
          "livenessProbe": liveness}],
    )  # fmt: skip
    pod = await cluster.until("slow", running)
    assert pod.status.container_statuses[0].started is False
    pod = await cluster.until("slow", ready)
    assert pod.status.container_statuses[0].started is True
    assert pod.status.container_statuses[0].restart_count == 0


async def test_hooks_run_after_the_start_and_before_the_stop(cluster: Any, tmp_path: Path) -> None:
    container = {
        "name": "c",
        "command": ["sh", "-c", f"trap 'echo term >> /v/order; exit 0' TERM; {LOOP}"],
        "lifecycle": {
            "postStart": {"exec": {"command": ["sh", "-c", "sleep 0.3; echo started >> /v/order"]}},
            "preStop": {"exec": {"command": ["sh", "-c", "sleep 0.3; echo stopping >> /v/order"]}},
        },
        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
    }
    volumes = [{"name": "v", "hostPath": {"path": str(tmp_path)}}]
    await cluster.run("hooks", [container], volumes=volumes, terminationGracePeriodSeconds=10)
    await cluster.until("hooks", ready)
    await cluster.delete("hooks")
    assert (tmp_path / "order").read_text() == "started\nstopping\nterm\n"


async def test_a_failed_post_start_hook_costs_the_container_its_life(cluster: Any) -> None:
    hook = {"postStart": {"exec": {"command": ["sh", "-c", "echo no; exit 9"]}}}
    await cluster.run("badhook", [{"name": "c", "command": ["sh", "-c", WAIT], "lifecycle": hook}])
    event = await cluster.event("badhook", "FailedPostStartHook")
    assert "exited with 9: no" in event.message
    await cluster.until("badhook", lambda pod: pod.status.container_statuses[0].restart_count >= 1)
