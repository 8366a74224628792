"""Where a service's traffic may go, in slices that change as little as possible."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import simulation
from controllers.endpoints import LEGACY_ENDPOINTS, SLICES, ports_of
from sampan.api.core_v1 import Pod, Service
from sampan.kinds import ENDPOINT_SLICES, ENDPOINTS, PODS, SERVICES
from sampan.objects import Key
from simulation import Cluster, Runner

KEY = Key("ns", "web")


def service(**spec: Any) -> Service:
    ports = [{"name": "http", "port": 80, "targetPort": "web"}]
    wanted = {"selector": {"app": "web"}, "ports": ports, "ipFamilies": ["IPv4"], "clusterIP": "10.96.0.7"}
    meta = {"namespace": "ns", "name": "web", "uid": "s", "labels": {"team": "a"}}
    return Service.from_json({"metadata": meta, "spec": {**wanted, **spec}})


def pod(number: int, ready: bool = True, port: int = 8080, going: bool = False, **spec: Any) -> Pod:
    ports = [{"name": "web", "containerPort": port}]
    meta: dict[str, Any] = {"namespace": "ns", "name": f"p{number:03}", "uid": f"u{number}", "labels": {"app": "web"}}
    if going:
        meta["deletionTimestamp"] = "2030-01-01T00:00:00Z"
    return Pod.from_json(
        {
            "metadata": meta,
            "spec": {"nodeName": f"n{number % 3}", "containers": [{"name": "main", "ports": ports}], **spec},
            "status": {
                "phase": "Running",
                "podIP": f"10.244.{number // 250}.{number % 250 + 1}",
                "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            },
        }
    )


class Addresses:
    """A service with both of its controllers."""

    def __init__(self, wanted: Service) -> None:
        self.cluster = Cluster()
        self.cluster.put(SERVICES, wanted)
        self.slices = Runner(self.cluster, SLICES)
        self.endpoints = Runner(self.cluster, LEGACY_ENDPOINTS)

    def sync(self) -> None:
        assert self.slices.turn(KEY) is None
        assert self.endpoints.turn(KEY) is None

    def conditions(self) -> dict[str, tuple[bool | None, bool | None, bool | None]]:
        found = {}
        for one in self.cluster.all(ENDPOINT_SLICES):
            assert len(one.endpoints) <= 100
            for endpoint in one.endpoints:
                assert endpoint.target_ref is not None
                assert endpoint.conditions is not None
                state = endpoint.conditions
                name = str(endpoint.target_ref.name)
                assert name not in found
                found[name] = (state.ready, state.serving, state.terminating)
        return found

    def written(self) -> int:
        before = self.cluster.version
        self.slices.turn(KEY)
        return self.cluster.version - before


def test_ready_serving_and_terminating_are_told_apart() -> None:
    web = Addresses(service())
    web.cluster.put(PODS, pod(1))
    web.cluster.put(PODS, pod(2, ready=False))
    web.cluster.put(PODS, pod(3, going=True))
    web.sync()
    assert web.conditions() == {
        "p001": (True, True, False),
        "p002": (False, False, False),
        "p003": (False, True, True),
    }
    (one,) = web.cluster.all(ENDPOINT_SLICES)
    assert one.metadata.labels == {
        "team": "a",
        "kubernetes.io/service-name": "web",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }
    assert [(p.name, p.port, p.protocol) for p in one.ports] == [("http", 8080, "TCP")]
    assert one.metadata.owner_references[0].name == "web"
    (legacy,) = web.cluster.all(ENDPOINTS)
    (subset,) = legacy.subsets
    assert [a.ip for a in subset.addresses] == ["10.244.0.2"]
    assert [a.ip for a in subset.not_ready_addresses] == ["10.244.0.3"]
    assert subset.addresses[0].node_name == "n1"


def test_addresses_may_be_published_before_they_are_ready() -> None:
    web = Addresses(service(publishNotReadyAddresses=True, clusterIP="None"))
    web.cluster.put(PODS, pod(1, ready=False))
    web.sync()
    assert web.conditions() == {"p001": (True, False, False)}
    (legacy,) = web.cluster.all(ENDPOINTS)
    assert [a.ip for a in legacy.subsets[0].addresses] == ["10.244.0.2"]


def test_pods_that_name_another_port_number_get_a_slice_of_their_own() -> None:
    web = Addresses(service())
    web.cluster.put(PODS, pod(1, port=8080))
    web.cluster.put(PODS, pod(2, port=9090))
    web.sync()
    slices = web.cluster.all(ENDPOINT_SLICES)
    assert sorted((one.ports[0].port, len(one.endpoints)) for one in slices) == [(8080, 1), (9090, 1)]


def test_a_port_the_pod_does_not_have_is_left_out() -> None:
    ports = [{"name": "a", "port": 1, "targetPort": "nothing"}, {"name": "b", "port": 2}]
    assert ports_of(service(ports=ports), pod(1)) == (("b", "TCP", 2, None),)


def test_without_a_selector_or_with_an_external_name_nothing_is_touched() -> None:
    specs: list[dict[str, Any]] = [{"selector": {}}, {"type": "ExternalName", "externalName": "example.org"}]
    for spec in specs:
        web = Addresses(service(**spec))
        web.cluster.put(PODS, pod(1))
        web.sync()
        assert web.cluster.all(ENDPOINT_SLICES) == []
        assert web.cluster.all(ENDPOINTS) == []


def test_all_goes_with_the_service() -> None:
    web = Addresses(service())
    web.cluster.put(PODS, pod(1))
    web.sync()
    del web.cluster.objects[SERVICES][KEY]
    web.sync()
    assert web.cluster.all(ENDPOINT_SLICES) == []
    assert web.cluster.all(ENDPOINTS) == []


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["add", "remove", "flip"]), st.integers(0, 250), st.integers(1, 120)),
        min_size=1,
        max_size=8,
    )
)
def test_slices_hold_exactly_the_pods_and_change_little(history: list[tuple[str, int, int]]) -> None:
    web = Addresses(service())
    there: dict[int, bool] = {}
    for kind, first, count in history:
        for number in range(first, first + count):
            if kind == "add":
                there[number] = True
            elif kind == "remove":
                there.pop(number, None)
            elif number in there:
                there[number] = not there[number]
        web.cluster.objects[PODS] = {}
        for number, ready in there.items():
            web.cluster.put(PODS, pod(number, ready))
        web.sync()
        assert web.conditions() == {f"p{n:03}": (ready, ready, False) for n, ready in there.items()}
        assert web.written() == 0, "written again without need"
    if there:
        number = next(iter(there))
        web.cluster.put(PODS, pod(number, not there[number]))
        assert web.written() == 1, "one pod, one slice"


def test_a_change_of_one_pod_leaves_other_endpoints_in_their_slices() -> None:
    web = Addresses(service())
    for number in range(250):
        web.cluster.put(PODS, pod(number))
    web.sync()
    before = {one.metadata.name: {str(e.target_ref) for e in one.endpoints} for one in web.cluster.all(ENDPOINT_SLICES)}
    assert len(before) == 3
    simulation._finish(web.cluster.delete(PODS, "p003", "ns"))
    web.sync()
    after = {one.metadata.name: {str(e.target_ref) for e in one.endpoints} for one in web.cluster.all(ENDPOINT_SLICES)}
    assert before == after
