"""Several API servers over one etcd: the `kubernetes` Service leads to those that live."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.servers import Servers

LEASE_SECONDS = 15.0


def ports(servers: Servers) -> set[int]:
    """The ports in the Endpoints: all servers of this test have one address."""
    subsets = json.loads(servers.kubectl("get", "endpoints", "kubernetes", "-o", "json"))["subsets"]
    assert all(one["addresses"] == [{"ip": "127.0.0.1"}] for one in subsets)
    return {port["port"] for one in subsets for port in one["ports"]}


def eventually(question: Callable[[], bool], seconds: float) -> None:
    """Ask until the answer is yes."""
    deadline = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < deadline, f"not so after {seconds:.0f} s"
        time.sleep(0.1)


def test_the_kubernetes_service_leads_to_every_server_that_lives(own_servers: Servers) -> None:
    first = own_servers.server
    second, third = own_servers.start_server(), own_servers.start_server()
    for one in (second, third):
        one.wait(own_servers.tls())
    assert ports(own_servers) == {first.port, second.port, third.port}

    second.stop()
    eventually(lambda: ports(own_servers) == {first.port, third.port}, 2)

    third.kill()
    began = time.monotonic()
    eventually(lambda: ports(own_servers) == {first.port}, LEASE_SECONDS + 5)
    assert time.monotonic() - began > 5, "a server that does not answer for a moment is not taken for dead"

    again = own_servers.start_server(second.port)
    again.wait(own_servers.tls())
    assert ports(own_servers) == {first.port, second.port}


def test_the_last_server_stays_in_the_endpoints_when_it_stops(own_servers: Servers) -> None:
    port = own_servers.server.port
    own_servers.server.stop()
    own_servers.start_server(port).wait(own_servers.tls())
    assert ports(own_servers) == {port}


def test_kctl_and_its_watch_go_on_at_another_server(own_servers: Servers, tmp_path: Path) -> None:
    first, second = own_servers.server, own_servers.start_server()
    second.wait(own_servers.tls())
    config = json.loads(own_servers.kubeconfig.read_text())
    urls = [f"https://127.0.0.1:{one.port}" for one in (first, second)]
    config["clusters"][0]["cluster"] |= {
        "server": urls[0],
        "extensions": [{"name": "sampan.dev/servers", "extension": {"servers": urls}}],
    }
    kubeconfig = tmp_path / "both.kubeconfig"
    kubeconfig.write_text(json.dumps(config))
    environment = os.environ | {"KUBECONFIG": str(kubeconfig), "HOME": str(tmp_path)}
    kctl = [sys.executable, "-m", "kctl"]

    def run(*words: str) -> str:
        done = subprocess.run([*kctl, *words], capture_output=True, text=True, env=environment, timeout=60, check=True)
        return done.stdout

    run("create", "configmap", "before")
    watching = subprocess.Popen(
        [*kctl, "get", "configmaps", "-w", "-o", "name"], stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert watching.stdout is not None
        assert watching.stdout.readline() == "configmap/before\n"
        first.kill()
        run("create", "configmap", "after")
        assert watching.stdout.readline() == "configmap/after\n"
    finally:
        watching.kill()
        watching.wait()
    began = time.monotonic()
    assert "after" in run("get", "configmaps")
    assert time.monotonic() - began < 2
