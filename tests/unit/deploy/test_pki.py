"""Certificates that a start which was killed has left half made are made again."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy import pki, spec


@pytest.mark.parametrize("name", ["admin.key", "etcd.key", "admin.crt", "service-accounts.key.new", "admin.key.new"])
def test_an_empty_file_of_a_killed_start_does_not_stop_the_next(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    cluster = spec.compose("dev", 1)
    pki.ensure(cluster, tmp_path)
    for one in ("admin", "etcd"):
        assert pki.read(tmp_path, one).key.startswith(b"-----BEGIN")
    assert (tmp_path / "service-accounts.key").read_bytes().startswith(b"-----BEGIN")


def test_a_renewed_certificate_is_for_the_key_that_is_there(tmp_path: Path) -> None:
    cluster = spec.compose("dev", 1)
    pki.ensure(cluster, tmp_path)
    before = pki.read(tmp_path, "admin")
    (tmp_path / "admin.crt").write_bytes(b"")
    pki.ensure(cluster, tmp_path)
    after = pki.read(tmp_path, "admin")
    assert after.key == before.key
    assert after.certificate.startswith(b"-----BEGIN")
