"""Who is asked what about its health, and what a leader's lease says."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from deploy import spec
from deploy.doctor import health
from deploy.places import Places

NOW = datetime(2026, 11, 25, 12, 0, 30, tzinfo=UTC)


def test_only_what_runs_is_asked() -> None:
    where = Places("dev", Path("/state"), Path("/run/dev"))
    described = spec.compose("dev", 2).with_nodes(spec.compose("dev", 2).spec.nodes)
    asked = health.plan(["etcd", "scheduler", "n2/agent"], described, where)
    assert {name: one["url"] for name, one in asked.items()} == {
        "etcd": "https://172.30.0.1:2379/health",
        "scheduler": "http://127.0.0.1:10259/readyz",
        "n2/agent": "https://172.30.0.12:10250/healthz",
    }
    assert asked["n2/agent"]["certificate"] == "/state/pki/kubelet-client.crt"
    assert health.plan([], described, where) == {}


@pytest.mark.parametrize(
    ("lease", "told"),
    [
        ({"holderIdentity": "x", "renewTime": "2026-11-25T12:00:20.000000Z", "leaseDurationSeconds": 15}, "ok"),
        ({"holderIdentity": "x", "renewTime": "2026-11-25T12:00:00Z", "leaseDurationSeconds": 15}, "renewed 30 s ago"),
        ({"holderIdentity": "", "renewTime": "2026-11-25T12:00:20Z"}, "nobody leads"),
        ({}, "nobody leads"),
    ],
)
def test_a_lease(lease: dict[str, Any], told: str) -> None:
    assert told in health.judge_lease(lease, NOW)
