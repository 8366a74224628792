"""Certificates of a cluster: what is renewed, when, and what stays."""

from __future__ import annotations

import selectors
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from deploy import kubeconfig, pki, renewal, spec
from deploy.renewal import Renewal
from sampan.certs import Authority
from sampan.errors import ClusterError
from sampan.signing_requests import Validity


def test_what_is_valid_stays_and_what_is_due_is_renewed_for_the_same_key(tmp_path: Path) -> None:
    cluster = spec.compose("x", 1).with_nodes(spec.compose("x", 1).spec.nodes)
    pki.ensure(cluster, tmp_path)
    pki.ensure_node(cluster, cluster.spec.nodes[0], tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    pki.ensure(cluster, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before

    now = datetime.now(UTC)
    year = now + timedelta(days=365 * pki.RENEW_AT)
    assert abs(pki.next_due(tmp_path, now) - year) < timedelta(hours=1)
    authority = Authority.load(pki.read(tmp_path, "ca"))
    old = pki.read(tmp_path, "scheduler")
    short = authority.issue("old", lifetime=timedelta(milliseconds=1), key_pem=old.key)
    (tmp_path / "scheduler.crt").write_bytes(short.certificate)
    (tmp_path / "controllers.crt").write_text("broken")
    (tmp_path / "admin.crt").unlink()
    assert pki.next_due(tmp_path, now + timedelta(seconds=1)) <= now + timedelta(seconds=1)
    pki.ensure(cluster, tmp_path)
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    renewed = {name for name in before if after[name] != before[name]}
    assert renewed == {"controllers.crt", "admin.crt", "scheduler.crt"}
    for name in ("controllers", "admin"):
        held = Validity.of(after[f"{name}.crt"])
        assert held.begins < now < held.ends


def test_a_certificate_from_the_future_is_renewed(tmp_path: Path) -> None:
    pki.issue(tmp_path, Authority.create("x"), "one", "user")
    now = datetime.now(UTC)
    yesterday = now - timedelta(days=1)
    assert pki.due_at(tmp_path / "one.crt", now) > now
    assert pki.due_at(tmp_path / "one.crt", yesterday) == yesterday


def test_the_api_servers_file_has_the_authority_behind_its_own(tmp_path: Path) -> None:
    pki.ensure(spec.compose("x", 1), tmp_path)
    chain = x509.load_pem_x509_certificates((tmp_path / "apiserver.crt").read_bytes())
    assert chain[1].public_bytes(Encoding.PEM) == (tmp_path / "ca.crt").read_bytes()
    chain[0].verify_directly_issued_by(chain[1])


def test_a_key_that_is_none_is_told_with_its_file(tmp_path: Path) -> None:
    authority = Authority.create("x")
    (tmp_path / "one.key").write_text("nothing")
    with pytest.raises(ClusterError, match=r"certificate .*one\.crt: can't be made: .*; check .*one\.key"):
        pki.issue(tmp_path, authority, "one", "user")


@pytest.mark.parametrize("seconds", [0, 9])
def test_a_lifetime_that_is_too_short_is_refused(seconds: int) -> None:
    with pytest.raises(ClusterError, match=r"spec\.certificates\.durationSeconds: must be at least 10"):
        spec.parse(
            "{apiVersion: sampan.dev/v1alpha1, kind: Cluster, metadata: {name: x}, "
            f"spec: {{certificates: {{durationSeconds: {seconds}}}}}}}",
            "x",
        )


class Loop:
    """The supervisor's, as far as an alarm needs it."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()

    def watch(self, descriptor: int, ready: Callable[[], None]) -> None:
        self.selector.register(descriptor, selectors.EVENT_READ, ready)

    def turn(self) -> bool:
        events = self.selector.select(5)
        for key, _ in events:
            key.data()
        return bool(events)


def test_the_alarm_rings_when_a_certificate_is_due_and_again_after_a_failure(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(renewal, "SOONEST_SECONDS", 0.05)
    monkeypatch.setattr(renewal, "RETRY_SECONDS", 0.05)
    asked: list[str] = []

    def ensure() -> datetime:
        asked.append("asked")
        if len(asked) == 2:
            raise OSError("the disk is full")
        return datetime.now(UTC) - timedelta(days=400) if len(asked) < 4 else datetime.now(UTC) + timedelta(days=1)

    loop = Loop()
    Renewal(ensure, watch=loop.watch).renew()
    assert [loop.turn() for _ in range(3)] == [True, True, True]
    assert len(asked) == 4
    assert "certificates can't be renewed: the disk is full" in capfd.readouterr().err
    loop.selector.close()


def test_a_users_kubeconfig_gets_the_new_certificate_and_nothing_else_changes(tmp_path: Path) -> None:
    path = tmp_path / "config"
    other = {"name": "other", "user": {"token": "t"}}
    old = {
        "clusters": [],
        "contexts": [],
        "users": [{"name": "sampan-x", "user": {"client-certificate-data": "old"}}],
        "current-context": "sampan-x",
    }
    kubeconfig.merge(old, path)
    kubeconfig.merge({"clusters": [], "contexts": [], "users": [other], "current-context": "other"}, path)
    new = old | {"users": [{"name": "sampan-x", "user": {"client-certificate-data": "new"}}]}
    kubeconfig.renew(new, path)
    text = path.read_text()
    assert "client-certificate-data: new" in text
    assert "token: t" in text
    assert "current-context: other" in text
    kubeconfig.remove("x", path)
    kubeconfig.renew(new, path)
    assert "sampan-x" not in path.read_text()
    kubeconfig.renew(new, tmp_path / "gone")
    assert not (tmp_path / "gone").exists()
