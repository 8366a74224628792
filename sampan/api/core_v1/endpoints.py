"""Endpoints: the addresses behind a Service, in the old form."""

from sampan.api.base import Int32, KubeObject, Object, field
from sampan.api.core_v1.references import ObjectReference
from sampan.api.meta_v1 import ObjectMeta
from sampan.api.rules import DNS_LABEL, IP, PORT, OneOf


class EndpointAddress(Object):
    """One address."""

    hostname: str | None = field(doc="Its name below the Service's DNS name.", rules=(DNS_LABEL,))
    ip: str = field("", doc="The address.", required=True, rules=(IP,))
    node_name: str | None = field(doc="The node it is on.")
    target_ref: ObjectReference | None = field(doc="The object behind it.")


class EndpointPort(Object):
    """A port."""

    app_protocol: str | None = field(doc="What is spoken on it, such as http.")
    name: str | None = field(doc="Its name, the Service port's.")
    port: Int32 = field(0, doc="The number.", required=True, rules=(PORT,))
    protocol: str | None = field("TCP", doc="TCP, UDP or SCTP. Default: TCP.", rules=(OneOf("SCTP", "TCP", "UDP"),))


class EndpointSubset(Object):
    """Addresses that share ports: every address has every port."""

    addresses: list[EndpointAddress] = field(
        doc="Addresses that take traffic.", default_factory=list, list_type="atomic"
    )
    not_ready_addresses: list[EndpointAddress] = field(
        doc="Addresses that do not take traffic yet.", default_factory=list, list_type="atomic"
    )
    ports: list[EndpointPort] = field(doc="The ports.", default_factory=list, list_type="atomic")


class Endpoints(KubeObject):
    """The addresses behind a Service, in the old form. EndpointSlice has replaced it."""

    API_VERSION = "v1"
    KIND = "Endpoints"
    api_version: str = field("v1", doc="Group and version of this representation of the object.")
    kind: str = field("Endpoints", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    subsets: list[EndpointSubset] = field(
        doc="Groups of addresses that share ports.", default_factory=list, list_type="atomic"
    )
