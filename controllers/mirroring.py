"""EndpointSlices for Endpoints that somebody wrote by hand, because service traffic follows slices only.

Source: "EndpointSlices", EndpointSlice mirroring (the label and annotation that turn it off, 1,000 addresses a subset).
"""

from __future__ import annotations

from collections.abc import Iterator

from controllers.endpoints import MANAGED_BY, MOST_IN_A_SLICE, SERVICE_NAME, Ports
from sampan.actions import Action, Create, Delete, Update
from sampan.api.core_v1 import EndpointAddress, Endpoints, EndpointSubset
from sampan.api.discovery_v1 import Endpoint, EndpointConditions, EndpointSlice
from sampan.api.discovery_v1 import EndpointPort as SlicePort
from sampan.api.meta_v1 import ObjectMeta
from sampan.informer import Change
from sampan.kinds import ENDPOINT_SLICES, ENDPOINTS, SERVICES
from sampan.loop import Controller, Watch
from sampan.objects import Key, key_of, owned_by
from sampan.world import World

MANAGER = "endpointslicemirroring-controller.k8s.io"
SKIP = "endpointslice.kubernetes.io/skip-mirror"
LEADER = "control-plane.alpha.kubernetes.io/leader"
MOST_IN_A_SUBSET = 1000
INDEX = "mirrored"


def wanted(endpoints: Endpoints) -> list[EndpointSlice]:
    """Pure: the slices that say the same as an Endpoints object, without names."""
    made: list[EndpointSlice] = []
    for subset in endpoints.subsets:
        ports: Ports = tuple((p.name or "", p.protocol or "TCP", p.port, p.app_protocol) for p in subset.ports)
        for family in ("IPv4", "IPv6"):
            some = [one for one in _endpoints(subset) if (":" in one.addresses[0]) is (family == "IPv6")]
            some = some[:MOST_IN_A_SUBSET]
            for start in range(0, len(some), MOST_IN_A_SLICE):
                made.append(_slice(endpoints, family, ports, some[start : start + MOST_IN_A_SLICE]))
    return made


def _endpoints(subset: EndpointSubset) -> Iterator[Endpoint]:
    for addresses, ready in ((subset.addresses, True), (subset.not_ready_addresses, False)):
        yield from (_endpoint(address, ready) for address in addresses)


def _endpoint(address: EndpointAddress, ready: bool) -> Endpoint:
    return Endpoint(
        addresses=[address.ip],
        conditions=EndpointConditions(ready=ready),
        hostname=address.hostname,
        node_name=address.node_name,
        target_ref=address.target_ref,
    )


def _slice(endpoints: Endpoints, family: str, ports: Ports, some: list[Endpoint]) -> EndpointSlice:
    m = endpoints.metadata
    labels = {**m.labels, SERVICE_NAME: m.name or "", MANAGED_BY: MANAGER}
    return EndpointSlice(
        metadata=ObjectMeta(
            generate_name=f"{m.name}-",
            namespace=m.namespace,
            labels=labels,
            owner_references=[owned_by(endpoints, ENDPOINTS)],
        ),
        address_type=family,
        endpoints=some,
        ports=[SlicePort(name=name, protocol=protocol, port=n, app_protocol=app) for name, protocol, n, app in ports],
    )


def is_mirrored(endpoints: Endpoints, world: World) -> bool:
    """Whether the object is somebody's own, for a service that selects no pods itself."""
    m = endpoints.metadata
    if m.deletion_timestamp is not None or m.labels.get(SKIP) == "true" or LEADER in m.annotations:
        return False
    service = world.get(SERVICES, m.namespace or "", m.name or "")
    return service is not None and not service.spec.selector


def reconcile(endpoints: Endpoints, world: World) -> Iterator[Action]:
    """Slices are written over one another in order; what is left goes."""
    there = sorted(world.by(ENDPOINT_SLICES, INDEX, str(key_of(endpoints))), key=lambda one: one.metadata.name or "")
    slices = wanted(endpoints) if is_mirrored(endpoints, world) else []
    for one in slices:
        old = next((other for other in there if other.address_type == one.address_type), None)
        if old is None:
            yield Create(ENDPOINT_SLICES, one)
            continue
        there.remove(old)
        m = old.metadata.model_copy(
            update={"labels": one.metadata.labels, "owner_references": one.metadata.owner_references}
        )
        new = one.model_copy(update={"metadata": m})
        if new != old:
            yield Update(ENDPOINT_SLICES, new)
    yield from (Delete(ENDPOINT_SLICES, one) for one in there)


def gone(key: Key, world: World) -> Iterator[Action]:
    """The Endpoints object is no more."""
    yield from (Delete(ENDPOINT_SLICES, one) for one in world.by(ENDPOINT_SLICES, INDEX, str(key)))


def _key(one: EndpointSlice) -> Iterator[Key]:
    if one.metadata.labels.get(MANAGED_BY) == MANAGER:
        yield Key(one.metadata.namespace or "", one.metadata.labels.get(SERVICE_NAME, ""))


def _slice_changed(change: Change[EndpointSlice], _: World) -> Iterator[Key]:
    for one in (change.old, change.new):
        if one is not None:
            yield from _key(one)


MIRRORING = Controller(
    name="endpointslicemirroring-controller",
    of=ENDPOINTS,
    reconcile=reconcile,
    gone=gone,
    watches=(
        Watch(SERVICES, lambda change, _: (key_of(change.object),)),
        Watch(ENDPOINT_SLICES, _slice_changed),
    ),
    indexes={ENDPOINT_SLICES: {INDEX: lambda one: (str(key) for key in _key(one))}},
    workers=2,
)
