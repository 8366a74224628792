""""""

from sampan.api.base import Int32, KubeObject, Object, field
from sampan.api.core_v1 import ObjectReference
from sampan.api.meta_v1 import ObjectMeta
from sampan.api.rules import DNS_LABEL, PORT, SUBDOMAIN, AtMost, OneOf


class EndpointConditions(Object):
    """"""

    ready: bool | None = field()
    serving: bool | None = field()
    terminating: bool | None = field()


class ForNode(Object):
    """"""

    name: str = field("", required=True)


class ForZone(Object):
    """"""

    name: str = field("", required=True)


class EndpointHints(Object):
    """"""

    for_nodes: list[ForNode] = field(default_factory=list, list_type="atomic", rules=(AtMost(8),))
    for_zones: list[ForZone] = field(default_factory=list, list_type="atomic", rules=(AtMost(8),))


class Endpoint(Object):
    """"""

    addresses: list[str] = field(default_factory=list, required=True, list_type="set", rules=(AtMost(100),))
    conditions: EndpointConditions | None = field()
    deprecated_topology: dict[str, str] = field(default_factory=dict)
    hints: EndpointHints | None = field()
    hostname: str | None = field(rules=(DNS_LABEL,))
    node_name: str | None = field(rules=(SUBDOMAIN,))
    target_ref: ObjectReference | None = field()
    zone: str | None = field()


class EndpointPort(Object):
    """"""

    app_protocol: str | None = field()
    name: str | None = field("", rules=(DNS_LABEL,))
    port: Int32 | None = field(rules=(PORT,))
    protocol: str | None = field("TCP", rules=(OneOf("SCTP", "TCP", "UDP"),))


class EndpointSlice(KubeObject):
    """"""

    API_VERSION = "discovery.k8s.io/v1"
    KIND = "EndpointSlice"
    api_version: str = field("discovery.k8s.io/v1")
    kind: str = field("EndpointSlice")
    metadata: ObjectMeta = field(default_factory=lambda: ObjectMeta())
    address_type: str = field("", required=True, rules=(OneOf("FQDN", "IPv4", "IPv6"),))
    endpoints: list[Endpoint] = field(default_factory=list, list_type="atomic", rules=(AtMost(1000),))
    ports: list[EndpointPort] = field(default_factory=list, list_type="atomic", rules=(AtMost(100),))
