"""The shared keys' encryption: only the right key and the right name open a value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.machine import certs_upload
from sampan.errors import ClusterError


@given(st.binary(max_size=200), st.text(max_size=20))
def test_a_value_comes_back(value: bytes, name: str) -> None:
    key = certs_upload.checked_key(certs_upload.new_key())
    assert certs_upload.decrypted(key, name, certs_upload.encrypted(key, name, value)) == value


def test_another_key_another_name_or_a_changed_byte_opens_nothing() -> None:
    key = certs_upload.checked_key(certs_upload.new_key())
    sealed = certs_upload.encrypted(key, "ca.key", b"secret")
    other = certs_upload.checked_key(certs_upload.new_key())
    changed = bytes([*sealed[:-1], sealed[-1] ^ 1])
    for attempt in ((other, "ca.key", sealed), (key, "ca.crt", sealed), (key, "ca.key", changed), (key, "ca.key", b"")):
        with pytest.raises(ClusterError, match="can't be decrypted"):
            certs_upload.decrypted(*attempt)


@pytest.mark.parametrize("text", ["", "00", "x" * 64, "0" * 63])
def test_a_certificate_key_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ClusterError, match="64 hexadecimal digits"):
        certs_upload.checked_key(text)
