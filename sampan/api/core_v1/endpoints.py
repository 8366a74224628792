"""Endpoints: the addresses behind a Service, in the old form."""

from sampan.api.base import Int32, KubeObject, Object, field
from sampan.api.core_v1.references import ObjectReference
from sampan.api.meta_v1 import ObjectMeta
from sampan.api.rules import DNS_LABEL, IP, PORT, OneOf


class EndpointAddress(Object):
    """"""

    hostname: str | None = field(rules=(DNS_LABEL,))
    ip: str = field("", required=True, rules=(IP,))
    node_name: str | None = field()
    target_ref: ObjectReference | None = field()


class EndpointPort(Object):
    """"""

    app_protocol: str | None = field()
    name: str | None = field()
    port: Int32 = field(0, required=True, rules=(PORT,))
    protocol: str | None = field("TCP", rules=(OneOf("SCTP", "TCP", "UDP"),))


class EndpointSubset(Object):
    """"""

    addresses: list[EndpointAddress] = field(default_factory=list, list_type="atomic")
    not_ready_addresses: list[EndpointAddress] = field(default_factory=list, list_type="atomic")
    ports: list[EndpointPort] = field(default_factory=list, list_type="atomic")


class Endpoints(KubeObject):
    """"""

    API_VERSION = "v1"
    KIND = "Endpoints"
    api_version: str = field("v1")
    kind: str = field("Endpoints")
    metadata: ObjectMeta = field(default_factory=lambda: ObjectMeta())
    subsets: list[EndpointSubset] = field(default_factory=list, list_type="atomic")
