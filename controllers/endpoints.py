"""Endpoints and EndpointSlices: where a Service's traffic may go.

Always: an endpoint stays in the slice where it is, slices change as little as possible, and none holds more than 100
endpoints; a pod that terminates is kept, marked, until it is gone, so that traffic can be drained.
Sources: "EndpointSlices" (conditions, distribution), KEP-752, KEP-1672 (serving and terminating).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from controllers import pods as pods_
from sampan.actions import Action, Create, Delete, Update
from sampan.api.core_v1 import (
    EndpointAddress,
    EndpointPort,
    Endpoints,
    EndpointSubset,
    Node,
    ObjectReference,
    Pod,
    Service,
    ServicePort,
)
from sampan.api.discovery_v1 import Endpoint, EndpointConditions, EndpointSlice
from sampan.api.discovery_v1 import EndpointPort as SlicePort
from sampan.api.meta_v1 import ObjectMeta
from sampan.informer import Change
from sampan.kinds import ENDPOINT_SLICES, ENDPOINTS, NODES, PODS, SERVICES
from sampan.loop import Controller, Watch
from sampan.objects import Key, key_of, owned_by
from sampan.selectors import of_map
from sampan.world import NAMESPACE, World

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"
HEADLESS = "service.kubernetes.io/headless"
ENDPOINTS_MANAGER = "endpoints.kubernetes.io/managed-by"
ENDPOINTS_CONTROLLER = "endpoint-controller"
ZONE = "topology.kubernetes.io/zone"
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
MOST_IN_A_SLICE = 100
MOST_IN_ENDPOINTS = 1000

Ports = tuple[tuple[str, str, int, str | None], ...]
"""(name, protocol, number, application protocol) of each port that a pod really serves."""


@dataclass(frozen=True)
class Place:
    """One pod's address for one Service."""

    endpoint: Endpoint
    ports: Ports
    family: str
    published: bool

    @property
    def ready(self) -> bool:
        """Whether new connections may go there."""
        return self.endpoint.conditions is not None and bool(self.endpoint.conditions.ready)


def port_of(port: ServicePort, pod: Pod) -> int | None:
    """The number of a service's target port in a pod; a name is looked up among the containers' ports."""
    target = port.target_port
    if isinstance(target, int):
        return target or port.port
    if not target:
        return port.port
    containers = [*pod.spec.containers, *(one for one in pod.spec.init_containers if one.restart_policy == "Always")]
    protocol = port.protocol or "TCP"
    for container in containers:
        for one in container.ports:
            if one.name == target and (one.protocol or "TCP") == protocol:
                return one.container_port
    return None


def ports_of(service: Service, pod: Pod) -> Ports:
    """The service's ports as they are in a pod; ports that the pod does not have are left out."""
    found = ((port, port_of(port, pod)) for port in service.spec.ports)
    return tuple(
        (port.name or "", port.protocol or "TCP", number, port.app_protocol)
        for port, number in found
        if number is not None
    )


def places(service: Service, pods: Iterable[Pod], nodes: Mapping[str, Node]) -> Iterator[Place]:
    """The addresses of the service's pods, one a family that the service has."""
    families = service.spec.ip_families or ["IPv4"]
    publish_all = bool(service.spec.publish_not_ready_addresses)
    for pod in pods:
        if pods_.is_finished(pod) or not pod.spec.node_name or not pod.status.pod_ip:
            continue
        addresses = [one.ip for one in pod.status.pod_ips if one.ip] or [pod.status.pod_ip]
        serving = pods_.is_ready(pod)
        terminating = pods_.is_terminating(pod)
        node = nodes.get(pod.spec.node_name)
        hostname = pod.spec.hostname if pod.spec.subdomain == service.metadata.name else None
        for family in families:
            address = next((ip for ip in addresses if (":" in ip) is (family == "IPv6")), None)
            if address is None:
                continue
            endpoint = Endpoint(
                addresses=[address],
                conditions=EndpointConditions(
                    ready=publish_all or (serving and not terminating),
                    serving=serving,
                    terminating=terminating,
                ),
                hostname=hostname or None,
                node_name=pod.spec.node_name,
                zone=node.metadata.labels.get(ZONE) if node is not None else None,
                target_ref=ObjectReference(
                    kind="Pod", namespace=pod.metadata.namespace, name=pod.metadata.name, uid=pod.metadata.uid
                ),
            )
            yield Place(endpoint, ports_of(service, pod), family, publish_all)


def slices_labels(service: Service) -> dict[str, str]:
    """The labels of a service's slices: the service's own, whose service it is, and who writes them."""
    labels = {k: v for k, v in service.metadata.labels.items() if k not in (SERVICE_NAME, MANAGED_BY, HEADLESS)}
    labels |= {SERVICE_NAME: service.metadata.name or "", MANAGED_BY: MANAGER}
    if service.spec.cluster_ip == "None":
        labels[HEADLESS] = ""
    return labels


def plan_slices(service: Service, wanted: Sequence[Place], existing: Sequence[EndpointSlice]) -> Iterator[Action]:
    """Pure: the fewest writes that make the slices hold exactly the wanted places."""
    groups: dict[tuple[str, Ports], dict[str, Endpoint]] = {}
    for place in wanted:
        group = groups.setdefault((place.family, place.ports), {})
        group[_identity(place.endpoint)] = place.endpoint
    if not groups:
        family = (service.spec.ip_families or ["IPv4"])[0]
        groups[(family, ())] = {}
    left = {_uid(one): one for one in existing}
    for (family, ports), endpoints in sorted(groups.items(), key=lambda item: (item[0][0], str(item[0][1]))):
        own = [one for one in left.values() if one.address_type == family and _ports(one) == ports]
        for one in own:
            del left[_uid(one)]
        yield from _group(service, family, ports, endpoints, own, left)
    yield from (Delete(ENDPOINT_SLICES, one) for one in left.values())


def _group(
    service: Service,
    family: str,
    ports: Ports,
    endpoints: Mapping[str, Endpoint],
    own: Sequence[EndpointSlice],
    left: dict[str, EndpointSlice],
) -> Iterator[Action]:
    missing = dict(endpoints)
    contents: list[tuple[EndpointSlice, list[Endpoint]]] = []
    for one in own:
        kept = [missing.pop(_identity(e)) for e in one.endpoints if _identity(e) in missing]
        contents.append((one, kept))
    fresh = list(missing.values())
    # Slices that must be written anyway are filled first, the fullest first.
    for one, kept in sorted(contents, key=lambda item: (item[1] == item[0].endpoints, -len(item[1]))):
        room = max(0, MOST_IN_A_SLICE - len(kept))
        if kept != one.endpoints or (fresh and room and len(fresh) <= room):
            kept += fresh[:room]
            fresh = fresh[room:]
    used = 0
    for one, kept in contents:
        if kept or (not endpoints and not used):
            used += 1
            yield from _written(service, one, family, ports, kept)
        else:
            yield Delete(ENDPOINT_SLICES, one)
    while fresh or (not used and not endpoints):
        batch, fresh = fresh[:MOST_IN_A_SLICE], fresh[MOST_IN_A_SLICE:]
        used += 1
        recycled = next((key for key, one in left.items() if one.address_type == family), None)
        if recycled is not None:
            yield from _written(service, left.pop(recycled), family, ports, batch)
        else:
            yield Create(ENDPOINT_SLICES, _slice(service, None, family, ports, batch))


def _written(
    service: Service, there: EndpointSlice, family: str, ports: Ports, endpoints: list[Endpoint]
) -> Iterator[Action]:
    wanted = _slice(service, there, family, ports, endpoints)
    if wanted != there:
        yield Update(ENDPOINT_SLICES, wanted)


def _slice(
    service: Service, there: EndpointSlice | None, family: str, ports: Ports, endpoints: list[Endpoint]
) -> EndpointSlice:
    if there is None:
        m = ObjectMeta(
            generate_name=f"{service.metadata.name}-",
            namespace=service.metadata.namespace,
            owner_references=[owned_by(service, SERVICES)],
        )
    else:
        m = there.metadata
    return EndpointSlice(
        metadata=m.model_copy(update={"labels": slices_labels(service)}),
        address_type=family,
        endpoints=endpoints,
        ports=[SlicePort(name=name, protocol=protocol, port=n, app_protocol=app) for name, protocol, n, app in ports],
    )


def _identity(endpoint: Endpoint) -> str:
    ref = endpoint.target_ref
    return f"{ref.uid if ref is not None else ''}/{','.join(endpoint.addresses)}"


def _uid(one: EndpointSlice) -> str:
    return one.metadata.uid or ""


def _ports(one: EndpointSlice) -> Ports:
    return tuple((p.name or "", p.protocol or "TCP", p.port or 0, p.app_protocol) for p in one.ports)


def endpoints_of(service: Service, wanted: Sequence[Place], there: Endpoints | None) -> Endpoints:
    """Pure: the older form of the same, without terminating pods, cut at 1,000 addresses."""
    subsets: dict[Ports, tuple[list[EndpointAddress], list[EndpointAddress]]] = {}
    family = (service.spec.ip_families or ["IPv4"])[0]
    eligible = [place for place in wanted if place.family == family]
    eligible.sort(key=lambda place: (not place.ready, place.endpoint.addresses[0]))
    count = 0
    for place in eligible:
        endpoint = place.endpoint
        conditions = endpoint.conditions
        if conditions is not None and conditions.terminating and not place.published:
            continue
        count += 1
        if count > MOST_IN_ENDPOINTS:
            continue
        ready, not_ready = subsets.setdefault(place.ports, ([], []))
        address = EndpointAddress(
            ip=endpoint.addresses[0],
            hostname=endpoint.hostname,
            node_name=endpoint.node_name,
            target_ref=endpoint.target_ref,
        )
        (ready if place.ready else not_ready).append(address)
    labels = {k: v for k, v in service.metadata.labels.items() if k != HEADLESS}
    labels[ENDPOINTS_MANAGER] = ENDPOINTS_CONTROLLER
    if service.spec.cluster_ip == "None":
        labels[HEADLESS] = ""
    annotations = dict(there.metadata.annotations) if there is not None else {}
    annotations.pop(OVER_CAPACITY, None)
    if count > MOST_IN_ENDPOINTS:
        annotations[OVER_CAPACITY] = "truncated"
    m = (
        there.metadata
        if there is not None
        else ObjectMeta(name=service.metadata.name, namespace=service.metadata.namespace)
    )
    return Endpoints(
        metadata=m.model_copy(update={"labels": labels, "annotations": annotations}),
        subsets=[
            EndpointSubset(
                addresses=ready,
                not_ready_addresses=not_ready,
                ports=[
                    EndpointPort(name=name or None, protocol=protocol, port=number, app_protocol=app)
                    for name, protocol, number, app in ports
                ],
            )
            for ports, (ready, not_ready) in sorted(subsets.items(), key=lambda item: str(item[0]))
        ],
    )


def _selected(service: Service, world: World) -> list[Place]:
    selector = of_map(service.spec.selector)
    namespace = service.metadata.namespace or ""
    pods = [pod for pod in world.by(PODS, NAMESPACE, namespace) if selector.matches(pod.metadata.labels)]
    pods.sort(key=lambda pod: pod.metadata.name or "")
    names = {pod.spec.node_name for pod in pods if pod.spec.node_name}
    nodes = {name: node for name in names if (node := world.get(NODES, "", name)) is not None}
    return list(places(service, pods, nodes))


def _has_selector(service: Service) -> bool:
    return bool(service.spec.selector) and service.spec.type != "ExternalName"


def reconcile_slices(service: Service, world: World) -> Iterator[Action]:
    """Only slices with our managed-by label are touched; a service without a selector is its user's own affair."""
    if service.metadata.deletion_timestamp is not None or not _has_selector(service):
        return
    key = f"{service.metadata.namespace}/{service.metadata.name}"
    yield from plan_slices(service, _selected(service, world), world.by(ENDPOINT_SLICES, "service", key))


def reconcile_endpoints(service: Service, world: World) -> Iterator[Action]:
    """Keep the Endpoints object of the same name."""
    if service.metadata.deletion_timestamp is not None or not _has_selector(service):
        return
    there = world.get(ENDPOINTS, service.metadata.namespace or "", service.metadata.name or "")
    wanted = endpoints_of(service, _selected(service, world), there)
    if there is None:
        yield Create(ENDPOINTS, wanted)
    elif wanted != there:
        yield Update(ENDPOINTS, wanted)


def _slices_gone(key: Key, world: World) -> Iterator[Action]:
    yield from (Delete(ENDPOINT_SLICES, one) for one in world.by(ENDPOINT_SLICES, "service", str(key)))


def _endpoints_gone(key: Key, world: World) -> Iterator[Action]:
    there = world.get(ENDPOINTS, *key)
    if there is not None and there.metadata.labels.get(ENDPOINTS_MANAGER) == ENDPOINTS_CONTROLLER:
        yield Delete(ENDPOINTS, there)


def _pod_changed(change: Change[Pod], world: World) -> Iterator[Key]:
    """The services that select the pod, or did, if anything changed that an endpoint shows."""
    old, new = change.old, change.new
    if old is not None and new is not None and old.metadata.labels == new.metadata.labels:
        shown_before, shown_now = _shown(old), _shown(new)
        if shown_before == shown_now:
            return
    namespace = change.object.metadata.namespace or ""
    for service in world.by(SERVICES, NAMESPACE, namespace):
        if not service.spec.selector:
            continue
        wanted = service.spec.selector.items()
        if any(pod is not None and wanted <= pod.metadata.labels.items() for pod in (old, new)):
            yield key_of(service)


def _shown(pod: Pod) -> tuple[object, ...]:
    return (
        pods_.is_ready(pod),
        pods_.is_terminating(pod),
        pods_.is_finished(pod),
        pod.spec.node_name,
        pod.status.pod_ip,
        [one.ip for one in pod.status.pod_ips],
    )


def _slice_changed(change: Change[EndpointSlice], _: World) -> Iterator[Key]:
    for one in (change.old, change.new):
        if one is not None and one.metadata.labels.get(MANAGED_BY) == MANAGER:
            yield Key(one.metadata.namespace or "", one.metadata.labels.get(SERVICE_NAME, ""))


def _by_service(one: EndpointSlice) -> Iterator[str]:
    if one.metadata.labels.get(MANAGED_BY) == MANAGER:
        yield f"{one.metadata.namespace}/{one.metadata.labels.get(SERVICE_NAME, '')}"


def _zone_changed(change: Change[Node], world: World) -> Iterator[Key]:
    """A node's zone is shown in its endpoints; it rarely changes."""
    before = change.old.metadata.labels.get(ZONE) if change.old is not None else None
    now = change.new.metadata.labels.get(ZONE) if change.new is not None else None
    if before != now:
        yield from (key_of(service) for service in world.all(SERVICES))


SLICES = Controller(
    name="endpointslice-controller",
    of=SERVICES,
    reconcile=reconcile_slices,
    watches=(Watch(PODS, _pod_changed), Watch(ENDPOINT_SLICES, _slice_changed), Watch(NODES, _zone_changed)),
    indexes={ENDPOINT_SLICES: {"service": _by_service}},
    gone=_slices_gone,
)

LEGACY_ENDPOINTS = Controller(
    name="endpoint-controller",
    of=SERVICES,
    reconcile=reconcile_endpoints,
    watches=(Watch(PODS, _pod_changed), Watch(ENDPOINTS, lambda change, _: (key_of(change.object),))),
    reads=(NODES,),
    gone=_endpoints_gone,
)
