"""Three servers over one etcd cluster of three: any one dies, and nothing is noticed but a reconnect."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from ha.link import AnyMachine, Client, EtcdCluster, Link, Server
from machines import Machine
from virtual_machine import VirtualMachine

SERVERS = {"s1": "10.77.0.1", "s2": "10.77.0.2", "s3": "10.77.0.3"}
NODES = {"w1": "10.77.0.11", "w2": "10.77.0.12"}
LEASE_SECONDS = 15
WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: busybox:test
        imagePullPolicy: IfNotPresent
        command: [sh, -c, "mkdir /www; hostname > /www/index.html; exec httpd -f -p 8080 -h /www"]
        readinessProbe: {httpGet: {port: 8080}, periodSeconds: 1}
"""


@dataclass
class Cluster:
    """What the test works with."""

    link: Link
    machines: dict[str, AnyMachine]
    servers: dict[str, Server]
    client: Client


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Three servers, made of namespaces or virtual machines, and two nodes of namespaces: it is not they who die."""
    made_of = VirtualMachine if os.environ["SAMPAN_TEST_HA"] == "vm" else Machine
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        link = stack.enter_context(Link())
        machines: dict[str, AnyMachine] = {
            name: stack.enter_context(made_of(link, name, address)) for name, address in SERVERS.items()
        }
        nodes = {name: stack.enter_context(Machine(link, name, address)) for name, address in NODES.items()}
        etcd = EtcdCluster(tmp_path, list(machines.values()))
        servers = {"s1": Server(machines["s1"], *etcd.flags, "--upload-certs")}
        join_node = servers["s1"].said("sampan join").split()
        join_server = servers["s1"].said("sampan server").split()
        for name in ("s2", "s3"):
            servers[name] = Server(machines[name], *join_server)
        for name in ("s2", "s3"):
            servers[name].said("the API is ready")
        served = time.monotonic() - began
        for node in nodes.values():
            node.sampan("join", *join_node)
            stack.enter_context(node.node())
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(machines["s1"].sampan("server", "--print-kubeconfig"))
        client = link.client(kubeconfig, made_of.pace)
        client.build_busybox()
        client.eventually(lambda: ready_nodes(client) == set(NODES))
        print(f"three servers {served:.1f} s, two nodes Ready {time.monotonic() - began:.1f} s", flush=True)
        yield Cluster(link, machines, servers, client)


def holders(client: Client) -> dict[str, str]:
    """Who leads: lease -> the holder."""
    leases = yaml.safe_load(client.kctl("get", "leases", "-n", "kube-system", "-o", "yaml"))["items"]
    return {one["metadata"]["name"]: one["spec"].get("holderIdentity", "") for one in leases}


def started(client: Client) -> dict[str, tuple[int, str]]:
    """Pod -> (restarts, when it began) of all pods of the Deployment that run."""
    pods = yaml.safe_load(client.kctl("get", "pods", "-l", "app=web", "-o", "yaml"))["items"]
    found = {}
    for one in pods:
        for container in one["status"].get("containerStatuses", ()):
            if running := container["state"].get("running"):
                found[one["metadata"]["name"]] = (container["restartCount"], running["startedAt"])
    return found


def ready_nodes(client: Client) -> set[str]:
    nodes = yaml.safe_load(client.kctl("get", "nodes", "-o", "yaml"))["items"]
    return {
        one["metadata"]["name"]
        for one in nodes
        if any(each["type"] == "Ready" and each["status"] == "True" for each in one["status"]["conditions"])
    }


def addresses(client: Client) -> set[str]:
    """The servers that the `kubernetes` Service leads to."""
    found = yaml.safe_load(client.kctl("get", "endpoints", "kubernetes", "-o", "yaml"))
    return {address["ip"] for subset in found["subsets"] for address in subset["addresses"]}


@pytest.mark.parametrize("role", ["leads the controllers", "leads nothing"])
def test_any_one_server_dies_and_nothing_is_noticed_but_a_reconnect(cluster: Cluster, role: str) -> None:
    client = cluster.client
    entry = yaml.safe_load(Path(client.environment["KUBECONFIG"]).read_text())["clusters"][0]["cluster"]
    assert set(entry["extensions"][0]["extension"]["servers"]) == {f"https://{one}:6443" for one in SERVERS.values()}
    client.apply("default", WEB)
    client.kctl("rollout", "status", "deployment/web", client.timeout)
    before = started(client)
    assert len(before) == 2

    leading = holders(client)["sampan-controllers"]
    leaders = {name for name, address in SERVERS.items() if leading.endswith(f"_{address}")}
    victim = (sorted(leaders) if role == "leads the controllers" else sorted(SERVERS.keys() - leaders))[0]
    began = time.monotonic()
    cluster.machines[victim].close()  # QEMU, or every process, by SIGKILL; its network goes too

    assert client.eventually(lambda: started(client) == before, patience=15), "kctl works again after a reconnect"
    reconnected = time.monotonic() - began
    client.kctl("run", "fresh", "--image=busybox:test", "--image-pull-policy=IfNotPresent", "--", "sleep", "3600")
    client.kctl("wait", "--for=condition=Ready", "pod/fresh", client.timeout)
    scheduled = time.monotonic() - began
    if victim in leaders:
        patience = LEASE_SECONDS + 5  # from the last renewal, which was before the kill
        client.eventually(lambda: holders(client)["sampan-controllers"] not in ("", leading), patience=patience)
    acting = time.monotonic() - began
    print(f"{victim}, which {role}: kctl {reconnected:.1f} s, new pod Ready {scheduled:.1f} s, led {acting:.1f} s")

    # The controllers act again, and the endpoints list those that live.
    client.kctl("scale", "deployment/web", "--replicas=3")
    client.eventually(lambda: len(started(client)) == 3)
    living = {SERVERS[name] for name in SERVERS if name != victim}

    client.eventually(lambda: addresses(client) == living, patience=LEASE_SECONDS + 10)
    assert ready_nodes(client) == set(NODES)
    after = started(client)
    assert {name: after[name] for name in before} == before, "running pods notice nothing"


def test_a_server_that_was_cut_off_comes_back_and_never_acted_beside_the_others(cluster: Cluster) -> None:
    client = cluster.client
    client.apply("default", WEB)
    client.kctl("rollout", "status", "deployment/web", client.timeout)
    before = started(client)
    watching = subprocess.Popen(
        cluster.link.command("kctl", "get", "pods", "-l", "app=web", "-w", "--no-headers"),
        stdout=subprocess.PIPE,
        text=True,
        env=client.environment,
    )
    leading = holders(client)["sampan-controllers"]
    victim = next(name for name, address in SERVERS.items() if leading.endswith(f"_{address}"))
    cluster.link.plug(victim, False)
    try:
        client.eventually(
            lambda: holders(client)["sampan-controllers"] not in ("", leading), patience=LEASE_SECONDS + 25
        )
        client.kctl("scale", "deployment/web", "--replicas=4")
        client.eventually(lambda: len(started(client)) == 4)
    finally:
        cluster.link.plug(victim, True)

    client.eventually(lambda: addresses(client) == set(SERVERS.values()))
    direct = cluster.link.client(Path(client.environment["KUBECONFIG"]), client.pace)
    direct.eventually(
        lambda: (
            len(
                yaml.safe_load(
                    direct.kctl(
                        "get", "pods", "-l", "app=web", "-o", "yaml", "--server", f"https://{SERVERS[victim]}:6443"
                    )
                )["items"]
            )
            == 4
        )
    )
    assert len(started(client)) == 4, "nobody undid it"
    assert {name: started(client)[name] for name in before} == before
    watching.terminate()
    assert watching.stdout is not None
    seen = {line.split()[0] for line in watching.stdout}
    assert set(started(client)) <= seen, "kctl's watch went on at another server"
