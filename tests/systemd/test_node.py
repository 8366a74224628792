"""`sampan join` where systemd is process 1: its unit runs the node, through restarts and a reboot, until it leaves."""

from __future__ import annotations

from machines import Joinable
from systemd.machine import SystemdMachine

POD = """
apiVersion: v1
kind: Pod
metadata: {name: NAME}
spec:
  nodeName: NODE
  terminationGracePeriodSeconds: 1
  containers:
  - name: web
    image: busybox:test
    imagePullPolicy: IfNotPresent
    command: [sh, -c, "echo NAME > /scratch/index.html; exec httpd -f -p 8080 -h /scratch"]
    resources: {requests: {cpu: 100m}, limits: {cpu: 500m, memory: 64Mi}}
    volumeMounts: [{name: scratch, mountPath: /scratch}]
  volumes:
  - {name: scratch, emptyDir: {medium: Memory}}
"""
UNIT = "sampan-node.service"
LIMITS = "cat /sys/fs/cgroup/cpu.max /sys/fs/cgroup/cpu.weight /sys/fs/cgroup/memory.max"


def pod(name: str, node: str) -> str:
    return POD.replace("NAME", name).replace("NODE", node)


def container_of(joinable: Joinable, name: str) -> tuple[str, int]:
    """A pod's container's id and restarts."""
    status = joinable.cluster.get("pod", name)["status"]["containerStatuses"][0]
    return status["containerID"], status["restartCount"]


def test_a_unit_runs_the_node_through_restarts_and_a_reboot(joinable: Joinable, machine: SystemdMachine) -> None:
    cluster = joinable.cluster
    before = machine.traces()
    said = machine.sampan(*joinable.join(), "--timeout", "300")
    assert f"{UNIT} runs, and will after every boot" in said
    assert "node m1 is Ready" in said
    assert machine.service() == {UNIT: ("installed", "enabled", "active")}

    machine.take_images()
    cluster.apply("default", pod("here", "n1"), ready="here")
    cluster.apply("default", pod("there", "m1"))
    wait_ready(joinable, "there")
    address = cluster.get("pod", "there")["status"]["podIP"]
    assert cluster.inside("default", "here", f"wget -qO- http://{address}:8080/") == "there\n"
    address = cluster.get("pod", "here")["status"]["podIP"]
    assert cluster.inside("default", "there", f"wget -qO- http://{address}:8080/") == "here\n"
    kept, limits = container_of(joinable, "there"), cluster.inside("default", "there", LIMITS)

    machine.shell(f"systemctl restart {UNIT}")
    assert machine.shell("pidof httpd").strip()  # no moment without it
    machine.eventually(lambda: cluster.inside("default", "there", "cat /scratch/index.html") == "there\n")
    machine.shell(f"systemctl kill --signal=KILL {UNIT}")  # all that is the unit's, at once
    machine.eventually(lambda: machine.service() == {UNIT: ("installed", "enabled", "active")})
    machine.eventually(lambda: cluster.inside("default", "there", "cat /scratch/index.html") == "there\n")
    machine.shell("systemctl daemon-reload; systemd-run --wait -p CPUWeight=50 -p MemoryMax=64M -p TasksMax=9 true")
    assert cluster.inside("default", "there", LIMITS) == limits
    assert container_of(joinable, "there") == kept
    cluster.kubectl("wait", "--for=condition=Ready", "node/m1", "--timeout=200s", timeout=210)

    journal = machine.journal(UNIT)
    assert "agent" in journal
    assert "runtime" in journal

    machine.reboot()
    assert machine.is_running() == "running"
    machine.eventually(lambda: container_of(joinable, "there")[1] == 1)
    wait_ready(joinable, "there")
    assert cluster.inside("default", "there", "cat /scratch/index.html") == "there\n"
    assert machine.service() == {UNIT: ("installed", "enabled", "active")}

    said = machine.sampan("leave")
    assert "evicting pod default/there" in said
    assert f"{UNIT} removed" in said
    assert "node m1 is deleted" in said
    assert machine.traces() == before
    assert not [one for one in cluster.get("nodes") if one["metadata"]["name"] == "m1"]


def wait_ready(joinable: Joinable, name: str) -> None:
    """Of a pod on the emulated machine."""
    joinable.cluster.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=240s", timeout=250)
