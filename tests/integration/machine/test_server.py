"""`sampan server` on a machine: its first start, its restarts, and what it refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy import control
from deploy.machine.server_setup import ServerPlaces
from ha.link import Client, Link, Server
from machines import Machine

ADDRESS = "10.77.0.1"
NOBODY = ("--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all")
UNPRIVILEGED = """
import ctypes, runpy, sys
PR_SET_MDWE, REFUSE_EXEC_GAIN = 65, 1
assert ctypes.CDLL(None).prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0) == 0
sys.argv = ["sampan", "server", "--log-files"]
runpy.run_module("deploy.machine", run_name="__main__")
"""


@pytest.fixture
def machine() -> Iterator[Machine]:
    """A machine on a link of its own."""
    with Link() as link, Machine(link, "s1", ADDRESS) as made:
        yield made


def client_of(machine: Machine, directory: Path) -> Client:
    """The administrator, as the machine prints the kubeconfig."""
    kubeconfig = directory / "kubeconfig"
    kubeconfig.write_text(machine.sampan("server", "--print-kubeconfig"))
    return machine.cluster.client(kubeconfig)


def test_a_server_starts_again_as_it_was_and_says_what_it_can_not_do(machine: Machine, tmp_path: Path) -> None:
    server = Server(machine, "--pod-cidr", "10.200.0.0/16", "--node-lease-seconds", "20")
    join = server.said("sampan join").split()
    assert join[0] == f"https://{ADDRESS}:6443"
    server.said("the administrator's kubeconfig is")
    client = client_of(machine, tmp_path)
    client.kctl("create", "configmap", "kept", "--from-literal=a=b")
    facts = json.loads(
        client.kctl("get", "configmap", "sampan-config", "-n", "kube-system", "-o", "jsonpath={.data.cluster\\.json}")
    )
    assert (facts["clusterCIDR"], facts["nodeLeaseSeconds"]) == ("10.200.0.0/16", 20)
    assert facts["servers"] == [f"https://{ADDRESS}:6443"]

    assert "a server runs here already" in machine.sampan("server", check=False)
    assert "server's etcd is its own" in machine.sampan("server", "--upload-certs", check=False)

    assert server.stop() == 0
    refused = machine.sampan("server", "--pod-cidr", "10.0.0.0/16", check=False)
    assert "--pod-cidr 10.0.0.0/16: this server's cluster has 10.200.0.0/16, which can't change" in refused
    server.log.write_text("")
    again = Server(machine)
    again.said("the API is ready")
    assert "sampan join" not in again.log.read_text(), "a token is made once"
    assert client.kctl("get", "configmap", "kept", "-o", "jsonpath={.data.a}") == "b"
    assert again.stop() == 0


def test_a_server_needs_no_rights_at_all(machine: Machine, tmp_path: Path) -> None:
    as_nobody = ["setpriv", *NOBODY, "--no-new-privs", sys.executable, "-c"]
    if subprocess.run([*as_nobody, "import deploy.machine"], check=False, capture_output=True).returncode:
        pytest.skip("another user can't read this directory")
    for directory in (machine.home, machine.run_directory):
        os.chown(directory, 65534, 65534)
    log = tmp_path / "server.log"
    process = subprocess.Popen(
        machine.inside(*as_nobody, UNPRIVILEGED),
        stdout=log.open("wb"),
        stderr=subprocess.STDOUT,
        env=machine.environment,
        cwd="/",
    )
    try:
        kubeconfig = machine.places.server / "admin.kubeconfig"
        client = machine.cluster.client(kubeconfig)
        client.eventually(lambda: "the API is ready" in log.read_text())
        client.kctl("create", "deployment", "web", "--image=web")
        client.eventually(lambda: "web-" in client.kctl("get", "pods"))
    finally:
        control.ask(ServerPlaces.of(machine.places).control, {"do": "stop"})
        process.wait(30)
