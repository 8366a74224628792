"""Certificates that live for seconds are renewed by a real API server and real controllers, and nobody notices."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy import node_config
from nodeagent import certificates
from nodeagent.certificates import Certificate
from nodeagent.config import PairConfig, TlsConfig
from nodeagent.server.tls import serving_tls
from sampan.api.core_v1 import Node
from sampan.client import Client, PatchKind
from sampan.clock import Clock
from sampan.informer import Change, Informer
from sampan.kinds import NODES
from sampan.signing_requests import Validity, write_pair
from servers import ROOT, Servers

LIFE_SECONDS = 5
ROTATIONS = 3
NODE = "rotating"
ADDRESS = "127.0.0.1"


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    """An API server, and controllers whose certificates live for five seconds."""
    with Servers(tmp_path) as running:
        running.authority.pair.write(tmp_path / "ca.crt", tmp_path / "ca.key")
        signing = {"cert": str(tmp_path / "ca.crt"), "key": str(tmp_path / "ca.key"), "duration_seconds": LIFE_SECONDS}
        config = tmp_path / "controllers.json"
        identity = "system:kube-controller-manager"
        config.write_text(json.dumps({"kubeconfig": str(running.kubeconfig_of(identity)), "signing": signing}))
        command = ["setpriv", "--pdeathsig", "KILL", "--", sys.executable, "-m", "controllers.main"]
        with (tmp_path / "controllers.log").open("ab") as log:
            controllers = subprocess.Popen([*command, "--config", str(config)], cwd=ROOT, stderr=log)
        try:
            yield running
        finally:
            controllers.terminate()
            controllers.wait(10)


def write_identity(servers: Servers, directory: Path) -> tuple[Path, Path]:
    """A node's first client certificate, as joining leaves it, and the kubeconfig that refers to it."""
    directory.mkdir()
    first = servers.authority.issue(
        f"system:node:{NODE}", groups=("system:nodes",), lifetime=timedelta(seconds=LIFE_SECONDS)
    )
    pair = directory / "client.pem"
    write_pair(pair, first.certificate, first.key)
    kubeconfig = directory / "kubeconfig"
    kubeconfig.write_text(json.dumps(node_config.kubeconfig(servers.url, "test", ca=servers.ca, client=(pair, pair))))
    return pair, kubeconfig


async def handshake(servers: Servers, port: int) -> datetime:
    """Connect as the API server does; when the certificate that is shown ends. Raises ssl.SSLError for a bad one."""
    context = servers.tls("kubelet-client")
    context.check_hostname = True
    _, writer = await asyncio.open_connection(ADDRESS, port, ssl=context, server_hostname=ADDRESS)
    shown = writer.get_extra_info("ssl_object").getpeercert()["notAfter"]
    writer.close()
    with suppress(ssl.SSLError, ConnectionError):
        await writer.wait_closed()
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(shown), UTC)


async def test_over_several_rotations_no_request_fails(servers: Servers, tmp_path: Path) -> None:
    pair, kubeconfig = write_identity(servers, tmp_path / "node")
    began, ends, seen = datetime.now(UTC), [], asyncio.Event()
    turn = 0

    def changed(change: Change[Node]) -> None:
        if change.object.metadata.annotations.get("turn") == str(turn):
            seen.set()

    clock = Clock()
    async with Client.from_kubeconfig(str(kubeconfig)) as client:
        await client.create(NODES, {"metadata": {"name": NODE}})
        status = {"status": {"addresses": [{"type": "InternalIP", "address": ADDRESS}]}}
        await client.patch(NODES, NODE, status, kind=PatchKind.MERGE, subresource="status")
        own = Certificate(NODE, PairConfig(cert=pair, key=pair), certificates.CLIENT, client, clock)
        files = TlsConfig(cert=tmp_path / "node/serving.pem", key=tmp_path / "node/serving.pem", client_ca=servers.ca)
        serving = Certificate(NODE, files, certificates.serving(NODE, ADDRESS), client, clock)
        nodes = Informer(client, NODES, field_selector=f"metadata.name={NODE}")
        tasks = [asyncio.create_task(one) for one in (own.run(), serving.run(), nodes.run())]
        try:
            async with asyncio.timeout(60):
                await serving.there.wait()
                tls = serving_tls(files)
                listener = await asyncio.start_server(lambda _, writer: writer.close(), ADDRESS, 0, ssl=tls.context)
                port = listener.sockets[0].getsockname()[1]
                nodes.subscribe(changed)
                while min(own.renewals, serving.renewals) < ROTATIONS:
                    seen.clear()
                    turn += 1  # neither a read, a write, a watch nor a call of the node may fail
                    await client.get(NODES, NODE)
                    await client.patch(NODES, NODE, {"metadata": {"annotations": {"turn": str(turn)}}})
                    ends.append(await handshake(servers, port))
                    await seen.wait()
                    await asyncio.sleep(0.1)
                    assert not any(task.done() for task in tasks)
                listener.close()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    assert datetime.now(UTC) > began + timedelta(seconds=2 * LIFE_SECONDS), "the first certificates have not ended"
    assert len(set(ends)) >= ROTATIONS
    held = Validity.of(pair.read_bytes())
    assert held.ends > datetime.now(UTC)
    assert pair.stat().st_mode & 0o777 == 0o600
