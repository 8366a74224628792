"""The servers that a node knows, from the `kubernetes` Service's endpoints."""

from __future__ import annotations

from pathlib import Path

from nodeagent.servers import LivingServers
from sampan.api.discovery_v1 import EndpointSlice
from sampan.informer import Change
from sampan.servers import Servers


def slice_of(*hosts: str, service: str = "kubernetes", namespace: str = "default") -> EndpointSlice:
    return EndpointSlice.from_json(
        {
            "metadata": {
                "name": service,
                "namespace": namespace,
                "labels": {"kubernetes.io/service-name": service},
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": [host]} for host in hosts],
            "ports": [{"name": "https", "port": 6443}],
        }
    )


def test_the_living_servers_are_known_after_a_restart_too(tmp_path: Path) -> None:
    first = Servers(["https://192.0.2.1:6443"])
    LivingServers(first, tmp_path).changed(Change(None, slice_of("192.0.2.2", "192.0.2.1")))
    assert first.urls == ("https://192.0.2.1:6443", "https://192.0.2.2:6443")

    again = Servers(["https://192.0.2.1:6443"])
    LivingServers(again, tmp_path).recall()
    assert again.urls == first.urls


def test_other_services_and_empty_endpoints_change_nothing(tmp_path: Path) -> None:
    servers = Servers(["https://192.0.2.1:6443"])
    following = LivingServers(servers, tmp_path)
    known = slice_of("192.0.2.2")
    following.changed(Change(None, known))
    for other in (
        Change(known, slice_of()),
        Change(known, None),
        Change(None, slice_of("192.0.2.9", service="web")),
        Change(None, slice_of("192.0.2.9", namespace="evil")),
    ):
        following.changed(other)
    assert servers.urls == ("https://192.0.2.1:6443", "https://192.0.2.2:6443")


def test_a_broken_file_is_no_reason_to_stay_down(tmp_path: Path) -> None:
    (tmp_path / "servers.json").write_text("{")
    servers = Servers(["https://192.0.2.1:6443"])
    LivingServers(servers, tmp_path).recall()
    assert servers.urls == ("https://192.0.2.1:6443",)
