"""A certificate's end, read by hand, is what cryptography reads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from deploy.machine.lifetime import end_of, ends

KEY = ec.generate_private_key(ec.SECP256R1())
BEGINS = datetime(1950, 1, 1, tzinfo=UTC)
MOMENTS = st.datetimes(min_value=datetime(1951, 1, 1), max_value=datetime(2300, 1, 1))


def certificate(name: str, serial: int, end: datetime) -> bytes:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = x509.CertificateBuilder(subject, subject, KEY.public_key(), serial, BEGINS, end).sign(KEY, hashes.SHA256())
    return made.public_bytes(Encoding.DER)


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=16), st.integers(1, 2**159 - 1), MOMENTS)
def test_the_end_is_what_it_says(name: str, serial: int, end: datetime) -> None:
    end = end.replace(microsecond=0, tzinfo=UTC)
    der = certificate(name, serial, end)
    assert end_of(der) == end == x509.load_der_x509_certificate(der).not_valid_after_utc


@given(st.binary(max_size=64), st.integers(0, 400))
def test_what_is_none_is_a_value_error(noise: bytes, length: int) -> None:
    cut = certificate("x", 1, BEGINS + timedelta(days=36500))[:length]
    for data in (noise, cut[:60], noise + cut):
        try:
            end_of(data)
        except ValueError:
            continue
        assert len(data) > 60


def test_a_pair_in_one_file_is_read(tmp_path: Path) -> None:
    end = datetime(2031, 5, 1, tzinfo=UTC)
    pem = x509.load_der_x509_certificate(certificate("x", 1, end)).public_bytes(Encoding.PEM)
    path = tmp_path / "pair.pem"
    path.write_bytes(pem + b"-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n")
    assert ends(path) == end
    path.write_text("nothing")
    with pytest.raises(ValueError, match="PEM"):
        ends(path)
