"""What the network knows of the cluster: API objects taken in one by one, kept as the planners' small values.

Level-triggered: after any order of changes the values are those of the objects that are there.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from nodeagent.network.overlay import Peer
from nodeagent.network.services.model import (
    SERVICE_NAME_LABEL,
    Endpoint,
    Service,
    ServiceKey,
    endpoints_of,
    service_of,
)
from sampan.api.core_v1 import Node
from sampan.api.core_v1 import Service as ServiceObject
from sampan.api.discovery_v1 import EndpointSlice


def peer_of(node: Node) -> Peer:
    """A Node as the overlay sees it; fields that it doesn't have yet are empty."""
    internal = [one.address for one in node.status.addresses if one.type == "InternalIP"]
    return Peer(
        name=node.metadata.name or "",
        address=next((address for address in internal if ":" not in address), ""),
        pod_cidr=next((cidr for cidr in (node.spec.pod_cidr or "", *node.spec.pod_cidrs) if "." in cidr), ""),
    )


@dataclass(slots=True)
class ClusterView:
    """Nodes, Services and endpoints as they are now. Every `take_*` says whether anything of interest changed."""

    peers: dict[str, Peer] = field(default_factory=dict)
    services: dict[ServiceKey, Service] = field(default_factory=dict)
    endpoints: dict[ServiceKey, tuple[Endpoint, ...]] = field(default_factory=dict)
    _slices: dict[ServiceKey, dict[str, EndpointSlice]] = field(default_factory=dict)

    def take_node(self, old: Node | None, new: Node | None) -> bool:
        """A Node changed; heartbeats and the like are of no interest."""
        before = peer_of(old) if old else None
        after = peer_of(new) if new else None
        if before is not None and (after is None or after.name != before.name):
            self.peers.pop(before.name, None)
        if after is not None:
            self.peers[after.name] = after
        return before != after

    def take_service(self, old: ServiceObject | None, new: ServiceObject | None) -> bool:
        """A Service changed."""
        before = service_of(old) if old else None
        after = service_of(new) if new else None
        if before is not None and after is None:
            self.services.pop(before.key, None)
        if after is not None:
            self.services[after.key] = after
        return before != after

    def take_slice(self, old: EndpointSlice | None, new: EndpointSlice | None) -> bool:
        """An EndpointSlice changed; it may even have gone over to another Service."""
        touched: set[ServiceKey] = set()
        for one in (old, new):
            if one is None or not (service := one.metadata.labels.get(SERVICE_NAME_LABEL, "")):
                continue
            key = ServiceKey(one.metadata.namespace or "", service)
            touched.add(key)
            name = one.metadata.name or ""
            if one is new:
                self._slices.setdefault(key, {})[name] = one
            else:
                self._slices.get(key, {}).pop(name, None)
        changed = False
        for key in touched:
            now = endpoints_of(self._slices[key].values()).get(key, ()) if self._slices.get(key) else ()
            changed = changed or now != self.endpoints.get(key, ())
            if now:
                self.endpoints[key] = now
            else:
                self.endpoints.pop(key, None)
            if not self._slices.get(key):
                self._slices.pop(key, None)
        return changed
