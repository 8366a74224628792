"""When a certificate is renewed, and what a request's status says."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeagent.certificates import RENEW_FROM, RENEW_TO, Refused, issued, seconds_until_due
from sampan.certs import Authority
from sampan.signing_requests import Validity

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOSTS = frozenset({"n1", "10.0.0.1"})


@given(life=st.integers(1, 10**9), age=st.floats(0, 2), share=st.floats(RENEW_FROM, RENEW_TO))
def test_it_is_renewed_at_the_share_of_its_life(life: int, age: float, share: float) -> None:
    held = Validity(NOW, NOW + timedelta(seconds=life), HOSTS)
    left = seconds_until_due(held, HOSTS, share, NOW + timedelta(seconds=life * age))
    assert left == pytest.approx(max(0.0, (share - age) * life), abs=1e-3 * life + 1e-3)


def test_it_is_due_at_once_without_one_or_with_other_names() -> None:
    held = Validity(NOW, NOW + timedelta(days=365), frozenset({"n1", "10.0.0.2"}))
    assert seconds_until_due(None, HOSTS, 0.8, NOW) == 0
    assert seconds_until_due(held, HOSTS, 0.8, NOW) == 0
    assert seconds_until_due(held, held.hosts, 0.8, NOW) > 0


def test_the_names_of_a_certificate_are_read_back() -> None:
    made = Authority.create("test").issue("system:node:n1", groups=("system:nodes",), hosts=("n1", "10.0.0.1"))
    assert Validity.of(made.certificate).hosts == HOSTS
    with pytest.raises(ValueError, match="PEM"):
        Validity.of(b"no certificate")


def test_a_status_is_pending_issued_or_refused() -> None:
    approved = {"type": "Approved", "status": "True"}
    assert issued("a", {}) is None
    assert issued("a", {"status": {"conditions": [approved]}}) is None
    encoded = base64.b64encode(b"PEM").decode()
    assert issued("a", {"status": {"conditions": [approved], "certificate": encoded}}) == b"PEM"
    denied = {"type": "Denied", "status": "True", "reason": "No", "message": "because"}
    with pytest.raises(Refused, match="request a is denied: because"):
        issued("a", {"status": {"conditions": [denied]}})
