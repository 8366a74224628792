"""A server's settings: checked, kept, and refused where a cluster that has begun can't change."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.machine import server_settings
from deploy.machine.server_settings import Settings
from sampan.errors import ClusterError

HERE = Settings(advertise_address="192.0.2.1", bind_address="192.0.2.1")


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    settings = Settings("192.0.2.7", "0.0.0.0", 7443, "10.0.0.0/8", etcd=("https://a:2379", "https://b:2379"))
    settings.write(tmp_path / "server.json")
    assert server_settings.read(tmp_path / "server.json") == settings


def test_there_are_none_before_the_first_start(tmp_path: Path) -> None:
    assert server_settings.read(tmp_path / "server.json") is None


@pytest.mark.parametrize(
    ("change", "flag"),
    [
        ({"pod_cidr": "10.244.0.0"}, "--pod-cidr"),
        ({"pod_cidr": "10.244.0.0/33"}, "--pod-cidr"),
        ({"pod_cidr": "10.96.0.0/12"}, "--pod-cidr"),
        ({"service_cidr": "nonsense"}, "--service-cidr"),
        ({"advertise_address": "host"}, "--advertise-address"),
        ({"port": 0}, "--port"),
        ({"domain": "Not A Domain"}, "--domain"),
        ({"network_mode": "pigeon"}, "--network-mode"),
        ({"node_lease_seconds": 0}, "--node-lease-seconds"),
        ({"etcd": ("http://a:2379",)}, "--etcd"),
        ({"etcd": ("https://a",)}, "--etcd"),
    ],
)
def test_an_error_names_the_flag(change: dict[str, object], flag: str) -> None:
    with pytest.raises(ClusterError, match=f"^{flag}: "):
        Settings(**{"advertise_address": "192.0.2.1", "bind_address": "192.0.2.1"} | change).checked()  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize("name", server_settings.FIXED)
def test_what_a_cluster_has_begun_with_can_not_change(name: str) -> None:
    same = getattr(HERE, name)
    assert HERE.changed({name: same}, "state") == HERE
    with pytest.raises(ClusterError, match="can't change"):
        HERE.changed({name: ("https://a:1",) if isinstance(same, tuple) else "other"}, "state")


@given(st.dictionaries(st.sampled_from(["port", "podCIDR", "etcd", "logLevel", "nonsense"]), st.integers() | st.text()))
def test_a_file_of_settings_is_taken_or_refused_with_a_reason(value: dict[str, object]) -> None:
    try:
        found = server_settings.from_json(json.dumps(value).encode(), "file")
    except ClusterError:
        return
    assert all(isinstance(found[name], type(getattr(HERE, name))) for name in found)
