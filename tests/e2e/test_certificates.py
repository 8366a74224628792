"""A cluster whose certificates are valid for seconds goes on for many of their lives, and nothing is restarted."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from clusters import LocalCluster
from deploy import control, pki
from sampan.signing_requests import Validity

LIFE_SECONDS = int(os.environ.get("SAMPAN_TEST_CERTIFICATE_SECONDS", "20"))
ROTATIONS = int(os.environ.get("SAMPAN_TEST_ROTATIONS", "2"))
"""Few and short, for CI; docs/join.md says how they are set for a longer run."""
DESCRIPTION = f"""
apiVersion: sampan.dev/v1alpha1
kind: Cluster
metadata: {{name: certs}}
spec:
  nodes: [{{name: n1}}]
  certificates: {{durationSeconds: {LIFE_SECONDS}}}
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {name: steady}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: c, image: "busybox:test", command: [sh, -c, "echo here; sleep 3600"]}
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster.started(name="certs", description=DESCRIPTION) as made:
        made.build_busybox()
        made.kctl("apply", "-f", "-", stdin=POD)
        made.kctl("wait", "pod/steady", "--for=condition=Ready", "--timeout=60s")
        yield made


def port(cluster: LocalCluster) -> int:
    return int(cluster.kctl("config", "view", "-o", "jsonpath={.clusters[0].cluster.server}").rpartition(":")[2])


def shown(cluster: LocalCluster) -> bytes:
    """The certificate that the API server shows a new connection."""
    context = ssl.create_default_context(cafile=str(cluster.places.pki / "ca.crt"))
    with (
        socket.create_connection(("127.0.0.1", port(cluster)), 5) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as wrapped,
    ):
        return wrapped.getpeercert(binary_form=True) or b""


def processes(cluster: LocalCluster) -> dict[str, tuple[int, int]]:
    """Every process of the cluster: its pid, and how often it was started again."""
    found = {}
    for where in (cluster.places.control, cluster.places.node("n1").run / "control.sock"):
        for name, child in control.ask(where, {"do": "status"})["children"].items():
            found[name] = (int(child["pid"]), int(child["restarts"]))
    return found


def lasting(cluster: LocalCluster) -> dict[str, tuple[int, int]]:
    """Those that nothing may end: who leads ends by design when it could not say so for a lease's time."""
    return {name: one for name, one in processes(cluster).items() if name not in ("controllers", "scheduler")}


def container(cluster: LocalCluster) -> tuple[str, int]:
    status = cluster.get("pod", "steady")["status"]["containerStatuses"][0]
    return status["containerID"], status["restartCount"]


def transitions(cluster: LocalCluster) -> Any:
    conditions = cluster.get("node", "n1")["status"]["conditions"]
    return {one["type"]: (one["status"], one["lastTransitionTime"]) for one in conditions}


def works(cluster: LocalCluster) -> None:
    """kubectl and kctl, and the way from the API server to the node."""
    assert "steady" in cluster.kubectl("get", "pods")
    assert cluster.kctl("logs", "steady") == "here\n"
    assert cluster.kctl("exec", "steady", "--", "echo", "hello") == "hello\n"


def test_certificates_are_renewed_again_and_again_and_nobody_notices(cluster: LocalCluster) -> None:
    works(cluster)
    before = processes(cluster), container(cluster), transitions(cluster)
    seen = {shown(cluster)}
    deadline = time.monotonic() + (ROTATIONS + 2) * LIFE_SECONDS
    while len(seen) <= ROTATIONS:
        assert time.monotonic() < deadline, f"only {len(seen) - 1} rotations"
        works(cluster)
        seen.add(shown(cluster))
        time.sleep(1)  # a certificate's life is what is waited for
    assert (processes(cluster), container(cluster), transitions(cluster)) == before
    ends = Validity.of((cluster.places.pki / "node-n1.crt").read_bytes()).ends
    assert datetime.now(UTC) < ends < datetime.now(UTC) + timedelta(seconds=LIFE_SECONDS)
    cluster.kctl("create", "deployment", "web", "--image=busybox:test", "--", "sleep", "3600")
    cluster.kctl("rollout", "status", "deployment/web", "--timeout=60s")


def age(cluster: LocalCluster, days: int) -> None:
    """Let all certificates but the CA's have begun and ended so many days earlier: as if the clock had jumped."""
    ca = pki.read(cluster.places.pki, "ca")
    key = serialization.load_pem_private_key(ca.key, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    for path in cluster.places.pki.glob("*.crt"):
        if path.stem == "ca":
            continue
        old = x509.load_pem_x509_certificate(path.read_bytes())
        builder = x509.CertificateBuilder(old.issuer, old.subject, old.public_key(), old.serial_number)
        shift = timedelta(days=days)
        builder = builder.not_valid_before(old.not_valid_before_utc - shift)
        builder = builder.not_valid_after(old.not_valid_after_utc - shift)
        for extension in old.extensions:
            builder = builder.add_extension(extension.value, extension.critical)
        made = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        path.write_bytes(made + (ca.certificate if path.stem == "apiserver" else b""))


def test_a_cluster_whose_certificates_all_ended_400_days_ago_recovers_by_itself(cluster: LocalCluster) -> None:
    before = lasting(cluster), container(cluster)
    os.kill(int(cluster.places.pid.read_text()), signal.SIGKILL)
    age(cluster, 400)
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        shown(cluster)
    cluster.kctl("cluster", "start", "certs", timeout=120)
    works(cluster)
    assert (lasting(cluster), container(cluster)) == before
