"""Endpoints that somebody wrote by hand reach service traffic too."""

from __future__ import annotations

from typing import Any

from controllers.mirroring import MIRRORING
from sampan.api.core_v1 import Endpoints, Service
from sampan.kinds import ENDPOINT_SLICES, ENDPOINTS, SERVICES
from sampan.objects import Key
from simulation import Cluster, Runner

KEY = Key("ns", "db")


def service(**spec: Any) -> Service:
    return Service.from_json({"metadata": {"namespace": "ns", "name": "db", "uid": "s"}, "spec": spec})


def endpoints(*addresses: str, **labels: str) -> Endpoints:
    subsets = [{"addresses": [{"ip": one} for one in addresses], "ports": [{"port": 5432, "name": "sql"}]}]
    meta = {
        "namespace": "ns",
        "name": "db",
        "uid": "e",
        "labels": {k.replace("_", "/", 1): v for k, v in labels.items()},
    }
    return Endpoints.from_json({"metadata": meta, "subsets": subsets})


def synced(cluster: Cluster) -> list[tuple[str, list[str], list[int | None]]]:
    assert Runner(cluster, MIRRORING).turn(KEY) is None
    return sorted(
        (one.address_type, [e.addresses[0] for e in one.endpoints], [port.port for port in one.ports])
        for one in cluster.all(ENDPOINT_SLICES)
    )


def test_both_families_are_mirrored_and_follow() -> None:
    cluster = Cluster()
    cluster.put(SERVICES, service())
    cluster.put(ENDPOINTS, endpoints("192.0.2.1", "2001:db8::1", "192.0.2.2"))
    assert synced(cluster) == [("IPv4", ["192.0.2.1", "192.0.2.2"], [5432]), ("IPv6", ["2001:db8::1"], [5432])]
    version = cluster.version
    synced(cluster)
    assert cluster.version == version, "written again without need"
    cluster.put(ENDPOINTS, endpoints("192.0.2.3"))
    assert synced(cluster) == [("IPv4", ["192.0.2.3"], [5432])]
    del cluster.objects[ENDPOINTS][KEY]
    assert synced(cluster) == []


def test_a_service_with_a_selector_and_a_skipped_object_are_left_alone() -> None:
    cluster = Cluster()
    cluster.put(ENDPOINTS, endpoints("192.0.2.1"))
    assert synced(cluster) == [], "there is no service"
    cluster.put(SERVICES, service(selector={"app": "db"}))
    assert synced(cluster) == []
    cluster.put(SERVICES, service())
    assert len(synced(cluster)) == 1
    cluster.put(ENDPOINTS, endpoints("192.0.2.1", **{"endpointslice.kubernetes.io_skip-mirror": "true"}))
    assert synced(cluster) == []
