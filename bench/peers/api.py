"""Our API server and kube-apiserver 1.20 in turns: the same clients, the same machine, the same minutes.

    make bench-peers            (bench/peers/kube_apiserver.sh builds the peer first)
    python -m bench.peers.api [--seconds 3] [--rounds 3]

Each has an etcd of its own, TLS and client certificates of one CA. They take turns, so that other work on the machine
meets both; a ratio above 1 says that ours is faster, or costs less CPU. Both mount a service account's token into the
pods that are posted: Kubernetes 1.20 takes it from a Secret.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from statistics import median

import uvloop
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bench.api_load import ACCOUNT, ACCOUNTS, GOALS, Link, Load, Row
from tests.servers import ENDS_WITH_US, Etcd, Servers, free_port

ROOT = Path(__file__).resolve().parent.parent.parent
PEER = ROOT / ".tools/peers/kube-apiserver"
START_SECONDS = 120.0


def _ec_key() -> bytes:
    """A key for tokens that 1.20 can read: it knows no Ed25519."""
    key = ec.generate_private_key(ec.SECP256R1())
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


class KubeApiServer:
    """kube-apiserver over an etcd of its own, with the certificates of `servers`."""

    def __init__(self, servers: Servers) -> None:
        here = servers.directory
        (here / "kube").mkdir()
        self.etcd = Etcd(here / "kube")
        self.port = free_port()
        key = here / "kube" / "sa.key"
        key.write_bytes(_ec_key())
        self.process = subprocess.Popen(
            [
                *ENDS_WITH_US, str(PEER), f"--etcd-servers={self.etcd.endpoint}", "--bind-address=127.0.0.1",
                f"--secure-port={self.port}", f"--tls-cert-file={here / 'server.pem'}",
                f"--tls-private-key-file={here / 'server.key'}", f"--client-ca-file={servers.ca}",
                "--authorization-mode=Node,RBAC", "--service-account-issuer=https://bench",
                f"--service-account-signing-key-file={key}", f"--service-account-key-file={key}",
                "--service-cluster-ip-range=10.90.0.0/16", "--advertise-address=127.0.0.1",
            ],
            stdout=subprocess.DEVNULL,
            stderr=(here / "kube.log").open("wb"),
        )  # fmt: skip
        self._log = here / "kube.log"

    def wait(self, context: ssl.SSLContext) -> None:
        """Return when it is ready. Raises RuntimeError with the end of its log."""
        give_up = time.monotonic() + START_SECONDS
        while time.monotonic() < give_up and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"https://127.0.0.1:{self.port}/readyz", context=context, timeout=2):
                    return
            except OSError:
                time.sleep(0.2)
        raise RuntimeError(f"kube-apiserver is not ready:\n{self._log.read_text()[-3000:]}")

    def close(self) -> None:
        """End both."""
        self.process.kill()
        self.process.wait()
        self.etcd.kill()


async def with_token(link: Link) -> None:
    """A service account whose token is in a Secret, which is what Kubernetes 1.20 mounts."""
    account = json.loads(await link.ask("POST", ACCOUNTS, ACCOUNT))
    about = {"kubernetes.io/service-account.name": "default"}
    about["kubernetes.io/service-account.uid"] = account["metadata"]["uid"]
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/service-account-token",
        "metadata": {"name": "default-token", "annotations": about},
        "data": {"token": base64.b64encode(b"bench").decode(), "namespace": base64.b64encode(b"default").decode()},
    }
    await link.ask("POST", "/api/v1/namespaces/default/secrets", json.dumps(secret).encode())
    account["secrets"] = [{"name": "default-token"}]
    await link.ask("PUT", f"{ACCOUNTS}/default", json.dumps(account).encode())


async def measure(servers: Servers, peer: KubeApiServer, seconds: float, rounds: int) -> None:
    """All rows, by turns."""
    context = servers.tls("load")
    ours = Load(servers.server.port, servers.server.process.pid, context)
    theirs = Load(peer.port, peer.process.pid, context)
    await (await Link.open(ours.port, context)).ask("POST", ACCOUNTS, ACCOUNT)
    await with_token(await Link.open(theirs.port, context))
    for load in (ours, theirs):
        await load.connect()
    print(f"in turns, {rounds} rounds of {seconds:g} s; load of the machine at first {os.getloadavg()[0]:.1f}")
    print(f"{'work':16} {'ours/s':>9} {'1.20/s':>9} {'ratio':>6}   {'ours us':>8} {'1.20 us':>8} {'CPU ratio':>9}")
    for what in GOALS:
        if what == "LIST 2,000 pods":
            await ours.shelve()
            await theirs.shelve()
        pairs: list[tuple[Row, Row]] = []
        for _ in range(rounds):
            pairs.append((await ours.row(what, seconds), await theirs.row(what, seconds)))
        rate, cost = median(a.rate / b.rate for a, b in pairs), median(b.cost / a.cost for a, b in pairs)
        a_rate, b_rate = median(a.rate for a, _ in pairs), median(b.rate for _, b in pairs)
        a_cost, b_cost = median(a.cost for a, _ in pairs), median(b.cost for _, b in pairs)
        print(
            f"{what:16} {a_rate:9,.0f} {b_rate:9,.0f} {rate:6.2f}   {a_cost:8,.0f} {b_cost:8,.0f} {cost:9.2f}",
            flush=True,
        )


def main() -> int:
    """Start both, measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each turn lasts")
    parser.add_argument("--rounds", type=int, default=3, help="turns a row")
    options = parser.parse_args()
    if not PEER.exists():
        print(f"{PEER} is not there; run: make bench-peers", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as name, Servers(Path(name)) as servers:
        servers.kubeconfig_of("load", ("system:masters",))
        peer = KubeApiServer(servers)
        try:
            peer.wait(servers.tls("load"))
            uvloop.run(measure(servers, peer, options.seconds, options.rounds))
        finally:
            peer.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
