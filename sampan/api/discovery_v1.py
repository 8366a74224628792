"""Endpoint slices."""

from sampan.api.base import Int32, KubeObject, Object, field
from sampan.api.core_v1 import ObjectReference
from sampan.api.meta_v1 import ObjectMeta
from sampan.api.rules import DNS_LABEL, PORT, SUBDOMAIN, AtMost, OneOf


class EndpointConditions(Object):
    """Whether an endpoint can be used."""

    ready: bool | None = field(doc="It takes traffic; absent counts as true.")
    serving: bool | None = field(doc="It answers, even while it terminates; absent counts as ready.")
    terminating: bool | None = field(doc="It is ending.")


class ForNode(Object):
    """A node."""

    name: str = field("", doc="The node's name.", required=True)


class ForZone(Object):
    """A zone."""

    name: str = field("", doc="The zone's name.", required=True)


class EndpointHints(Object):
    """Who should use an endpoint."""

    for_nodes: list[ForNode] = field(
        doc="Nodes whose clients should.", default_factory=list, list_type="atomic", rules=(AtMost(8),)
    )
    for_zones: list[ForZone] = field(
        doc="Zones whose clients should.", default_factory=list, list_type="atomic", rules=(AtMost(8),)
    )


class Endpoint(Object):
    """One place where a Service is to be had."""

    addresses: list[str] = field(
        doc="Its addresses; clients may use any of them.",
        default_factory=list,
        required=True,
        list_type="set",
        rules=(AtMost(100),),
    )
    conditions: EndpointConditions | None = field(doc="Whether it can be used.")
    deprecated_topology: dict[str, str] = field(doc="Topology labels of the old form.", default_factory=dict)
    hints: EndpointHints | None = field(doc="Who should use it.")
    hostname: str | None = field(doc="Its name below the Service's DNS name.", rules=(DNS_LABEL,))
    node_name: str | None = field(doc="The node it runs on.", rules=(SUBDOMAIN,))
    target_ref: ObjectReference | None = field(doc="The object behind it, a Pod as a rule.")
    zone: str | None = field(doc="The zone it is in.")


class EndpointPort(Object):
    """A port of all endpoints of a slice."""

    app_protocol: str | None = field(doc="What is spoken on it, such as http or kubernetes.io/h2c.")
    name: str | None = field("", doc="Its name, the Service port's.", rules=(DNS_LABEL,))
    port: Int32 | None = field(doc="The number; absent means any port.", rules=(PORT,))
    protocol: str | None = field("TCP", doc="TCP, UDP or SCTP. Default: TCP.", rules=(OneOf("SCTP", "TCP", "UDP"),))


class EndpointSlice(KubeObject):
    """Some of the addresses behind a Service."""

    API_VERSION = "discovery.k8s.io/v1"
    KIND = "EndpointSlice"
    api_version: str = field("discovery.k8s.io/v1", doc="Group and version of this representation of the object.")
    kind: str = field("EndpointSlice", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    address_type: str = field(
        "",
        doc="IPv4, IPv6 or FQDN, for all addresses of the slice.",
        required=True,
        rules=(OneOf("FQDN", "IPv4", "IPv6"),),
    )
    endpoints: list[Endpoint] = field(
        doc="The endpoints; at most 1000.", default_factory=list, list_type="atomic", rules=(AtMost(1000),)
    )
    ports: list[EndpointPort] = field(
        doc="The ports, for all endpoints of the slice; at most 100.",
        default_factory=list,
        list_type="atomic",
        rules=(AtMost(100),),
    )
