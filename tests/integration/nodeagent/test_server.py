"""The kubelet API: with the real kubectl through the API server, and asked directly."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from sampan.api.core_v1 import Pod

WAIT = "trap 'exit 0' TERM; while true; do sleep 0.05; done"
ADDRESS = "https://172.30.0.11:10250"


def ready(pod: Pod) -> bool:
    return any(one.type == "Ready" and one.status == "True" for one in pod.status.conditions)


def ask(cluster: Any, path: str, certificate: str = "kubelet-client") -> str:
    """GET from the node itself, with a client certificate."""
    context = cluster.node.servers.tls(certificate)
    context.check_hostname = False
    with urllib.request.urlopen(ADDRESS + path, context=context, timeout=10) as answer:
        return str(answer.read().decode())


async def kubectl(cluster: Any, *arguments: str, stdin: str = "") -> str:
    return str(await asyncio.to_thread(cluster.node.servers.kubectl, *arguments, stdin=stdin))


async def test_logs_in_every_form(cluster: Any) -> None:
    script = "for i in $(seq 1 20); do echo line $i; done; echo err >&2; sleep 0.1; printf 'no newline'"
    await cluster.run("talker", [{"name": "c", "command": ["sh", "-c", script]}], restartPolicy="Never")
    await cluster.until("talker", lambda pod: pod.status.phase == "Succeeded")
    everything = (await kubectl(cluster, "logs", "talker")).splitlines()
    assert everything[0] == "line 1"
    assert {"line 20", "err", "no newline"} <= set(everything)
    assert len((await kubectl(cluster, "logs", "talker", "--tail=3")).splitlines()) == 3
    assert await kubectl(cluster, "logs", "talker", "--limit-bytes=6") == "line 1"
    stamped = (await kubectl(cluster, "logs", "talker", "--timestamps", "--tail=1")).split(" ", 1)
    assert stamped[0].startswith("20")
    assert await kubectl(cluster, "logs", "talker", "--since-time=2100-01-01T00:00:00Z") == ""
    assert (await kubectl(cluster, "logs", "talker", "--since=1h")).splitlines() == everything


async def test_a_followed_log_ends_with_its_container(cluster: Any) -> None:
    script = "for i in 1 2 3 4 5; do echo $i; sleep 0.1; done"
    await cluster.run("counter", [{"name": "c", "command": ["sh", "-c", script]}], restartPolicy="Never")
    await cluster.until("counter", lambda pod: pod.status.phase in ("Running", "Succeeded"))
    assert await kubectl(cluster, "logs", "-f", "counter") == "1\n2\n3\n4\n5\n"


async def test_logs_of_a_container_that_is_not_there_yet(cluster: Any) -> None:
    await cluster.run("nolog", [{"name": "c", "image": "localhost/none:1", "imagePullPolicy": "Never"}])

    async def asked() -> bool:
        text = await asyncio.to_thread(cluster.node.servers.kubectl, "logs", "nolog", check=False)
        return 'container "c" in pod "nolog" is waiting to start: ErrImageNeverPull' in text

    await cluster.wait(asked)


async def test_exec_and_its_exit_code(cluster: Any) -> None:
    await cluster.run("worker", [{"name": "c", "command": ["sh", "-c", WAIT]}])
    await cluster.until("worker", ready)
    assert await kubectl(cluster, "exec", "worker", "--", "sh", "-c", "echo out; echo err >&2") == "out\n"
    assert await kubectl(cluster, "exec", "-i", "worker", "--", "tr", "a-z", "A-Z", stdin="hello") == "HELLO"
    text = await asyncio.to_thread(
        cluster.node.servers.kubectl, "exec", "worker", "--", "sh", "-c", "exit 42", check=False
    )
    assert "exit code 42" in text


async def test_port_forward_reaches_a_server_in_the_pod(cluster: Any) -> None:
    script = "mkdir -p /tmp/w; echo served > /tmp/w/index.html; exec busybox httpd -f -p 8080 -h /tmp/w"
    probe = {"tcpSocket": {"port": 8080}}
    await cluster.run("web", [{"name": "c", "command": ["sh", "-c", script], "readinessProbe": probe}])
    await cluster.until("web", ready)
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "kubectl"),
        "port-forward", "pod/web", ":8080",
        env={"KUBECONFIG": str(cluster.node.servers.kubeconfig), "HOME": "/tmp"},
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = (await asyncio.wait_for(process.stdout.readline(), 10)).decode()
        port = int(line.split(" -> ")[0].rpartition(":")[2])

        def get() -> str:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/index.html", timeout=10) as answer:
                return str(answer.read().decode())

        assert [await asyncio.to_thread(get) for _ in range(3)] == ["served\n"] * 3
    finally:
        process.terminate()
        await process.wait()


async def test_a_large_log_is_rotated_and_read_across_its_files(cluster: Any) -> None:
    """One rotation by the agent's own hand; the limit of the test node is the default, so the file is made large."""
    script = "yes $(head -c 1000 /dev/zero | tr '\\0' x) | head -n 12000; echo end; " + WAIT
    await cluster.run("flood", [{"name": "c", "command": ["sh", "-c", script]}])
    pod = await cluster.until("flood", ready)
    directory = cluster.node.log_dir / f"default_flood_{pod.metadata.uid}" / "c"
    await cluster.wait(lambda: len(list(directory.iterdir())) >= 2, 25)
    text = await kubectl(cluster, "logs", "flood")
    assert len(text.splitlines()) == 12001
    assert text.endswith("end\n")


async def test_only_the_api_server_and_administrators_may_ask(cluster: Any) -> None:
    assert await asyncio.to_thread(ask, cluster, "/healthz") == "ok"
    cluster.node.servers._pair("stranger", "somebody")
    with pytest.raises(urllib.error.HTTPError) as refused:
        await asyncio.to_thread(ask, cluster, "/pods", "stranger")
    assert refused.value.code == 403
    with pytest.raises((urllib.error.URLError, ssl.SSLError, ConnectionError)):
        await asyncio.to_thread(ask, cluster, "/pods", "")


async def test_figures(cluster: Any) -> None:
    await cluster.run("busy", [{"name": "c", "command": ["sh", "-c", WAIT]}])
    await cluster.until("busy", ready)
    summary = json.loads(await asyncio.to_thread(ask, cluster, "/stats/summary"))
    pod = next(one for one in summary["pods"] if one["podRef"]["name"] == "busy")
    assert pod["containers"][0]["name"] == "c"
    assert pod["containers"][0]["memory"]["workingSetBytes"] > 0
    text = await asyncio.to_thread(ask, cluster, "/metrics/resource")
    assert 'container_memory_working_set_bytes{container="c",namespace="default",pod="busy"}' in text
    assert "kubelet_running_pods" in await asyncio.to_thread(ask, cluster, "/metrics")
    pods = json.loads(await asyncio.to_thread(ask, cluster, "/pods"))
    assert "busy" in [one["metadata"]["name"] for one in pods["items"]]
