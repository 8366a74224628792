"""A machine joins by a token, runs pods like any node, comes back after a reboot, and leaves without a trace."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from deploy import pki
from deploy.machine import lifetime
from machines import Joinable, Machine, until
from sampan.certs import Authority
from sampan.signing_requests import write_pair

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
    volumeMounts: [{name: scratch, mountPath: /scratch}]
  volumes:
  - {name: scratch, emptyDir: {medium: Memory}}
"""


def pod(name: str, node: str) -> str:
    return POD.replace("NAME", name).replace("NODE", node)


def container_of(joinable: Joinable, name: str) -> tuple[str, int]:
    """A pod's container's id and restarts."""
    status = joinable.cluster.get("pod", name)["status"]["containerStatuses"][0]
    return status["containerID"], status["restartCount"]


def test_a_machine_joins_runs_pods_and_leaves_without_a_trace(joinable: Joinable, machine: Machine) -> None:
    cluster = joinable.cluster
    before = machine.traces()
    checked = machine.sampan("preflight", joinable.server, "--ca-hash", joinable.ca_hash)
    assert checked.splitlines()[-1].split(maxsplit=2) == ["clock", "ok", f"agrees with {joinable.server}'s"]
    assert "failed" not in checked
    said = machine.sampan(*joinable.join())
    assert "this machine has the identity of node m1" in said
    assert "start the node by: sampan node" in said
    assert "this machine is node m1 of https://172.30.0.1:6443 already" in machine.sampan(*joinable.join())
    machine.take_images()
    with machine.node():
        joinable.ready("m1")
        cluster.apply("default", pod("here", "n1"), ready="here")
        cluster.apply("default", pod("there", "m1"), ready="there")
        address = cluster.get("pod", "there")["status"]["podIP"]
        assert cluster.inside("default", "here", f"wget -qO- http://{address}:8080/") == "there\n"
        address = cluster.get("pod", "here")["status"]["podIP"]
        assert cluster.inside("default", "there", f"wget -qO- http://{address}:8080/") == "here\n"
        cluster.inside("default", "there", "echo | nc -w 5 10.96.0.1 443")  # the API, whose server is no node
        kept = container_of(joinable, "there")
    with machine.node():  # the service manager starts it again: containers know nothing of it
        joinable.ready("m1")
        assert cluster.inside("default", "there", "cat /scratch/index.html") == "there\n"
        assert container_of(joinable, "there") == kept
        said = machine.sampan("leave")
    assert "evicting pod default/there" in said
    assert "node m1 is deleted" in said
    assert machine.traces() == before
    assert "not found" in cluster.run("kubectl", "get", "node", "m1", code=1).stderr
    cluster.kubectl("delete", "pod", "here", "--grace-period=0", "--force")
    assert "has the identity" in machine.sampan(*joinable.join())  # its name is free again
    machine.sampan("leave")
    assert machine.traces() == before


def test_a_machine_that_reboots_comes_back_with_its_pods(joinable: Joinable, machine: Machine) -> None:
    cluster = joinable.cluster
    machine.sampan(*joinable.join())
    machine.take_images()
    with machine.node():
        joinable.ready("m1")
        cluster.apply("default", pod("lasting", "m1"), ready="lasting")
        kept = container_of(joinable, "lasting")
        machine.reboot()
    with machine.node():
        cluster.eventually(lambda: container_of(joinable, "lasting")[1] == 1)
        cluster.kubectl("wait", "--for=condition=Ready", "pod/lasting", "--timeout=60s")
        assert cluster.inside("default", "lasting", "cat /scratch/index.html") == "lasting\n"
        assert container_of(joinable, "lasting")[0] != kept[0]
        machine.sampan("leave")


def test_a_machine_that_lost_its_cluster_leaves_by_force(joinable: Joinable) -> None:
    with joinable.machine("m4", "172.30.0.204") as machine:  # its name stays promised to it for some minutes
        before = machine.traces()
        machine.sampan(*joinable.join())
        machine.shell("ip link set eth0 down")
        said = machine.sampan("leave", check=False)
        assert said.splitlines()[-1] == (
            "sampan leave: node m4: can't be drained: https://172.30.0.1:6443: no answer: Network is unreachable; "
            "check that the server runs; or run: sampan leave --force, which cleans this machine and leaves the Node "
            "to be deleted by kctl"
        )
        assert "this machine is clean" in machine.sampan("leave", "--force")
        machine.shell("ip link set eth0 up")
        assert machine.traces() == before
        assert "this machine is clean" in machine.sampan("leave")  # a second time finds nothing to do


def test_a_node_whose_certificate_has_ended_is_itself_again_by_a_token(joinable: Joinable) -> None:
    cluster = joinable.cluster
    unknown = json.dumps({"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}})
    with joinable.machine("m5", "172.30.0.205") as machine:
        machine.sampan(*joinable.join())
        machine.take_images()
        with machine.node():
            joinable.ready("m5")
            cluster.apply("default", pod("kept", "m5"), ready="kept")
            kept = container_of(joinable, "kept")
        authority = Authority.load(pki.read(cluster.places.pki, "ca"))
        short = authority.issue("system:node:m5", groups=["system:nodes"], lifetime=timedelta(seconds=1))
        write_pair(machine.places.client_pair, short.certificate, short.key)
        until(lambda: lifetime.ends(machine.places.client_pair) <= datetime.now(UTC))
        cluster.kubectl("delete", "csr", "--all")  # those of a year ago
        cluster.kubectl("patch", "node", "m5", "--subresource=status", "--type=merge", "-p", unknown)
        said = machine.sampan(*joinable.join(), check=False)
        assert "this machine is node m5, whose certificate has ended at 2" in said
        assert "if it is this machine, make a token for it alone: kctl token create --node m5" in said.splitlines()[-1]
        said = machine.sampan(*joinable.join(token=joinable.token("--node", "m5")))
        assert "node m5 has a new certificate" in said
        with machine.node():
            joinable.ready("m5")
            cluster.eventually(lambda: cluster.inside("default", "kept", "cat /scratch/index.html") == "kept\n")
            assert container_of(joinable, "kept") == kept
            assert "already" in machine.sampan(*joinable.join())
            machine.sampan("leave")
