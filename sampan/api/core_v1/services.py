"""Services."""

from sampan.api.base import Int32, IntOrString, KubeObject, Object, field
from sampan.api.meta_v1 import Condition, ObjectMeta
from sampan.api.rules import CIDR, DNS_LABEL, IP, PORT, Each, Labels, OneOf, OptionalPortOrName, Range


class ClientIPConfig(Object):
    """"""

    timeout_seconds: Int32 | None = field(rules=(Range(1, 86400, "must be greater than 0 and less than 86400"),))


class PortStatus(Object):
    """"""

    error: str | None = field()
    port: Int32 = field(0, required=True)
    protocol: str = field("", required=True)


class LoadBalancerIngress(Object):
    """"""

    hostname: str | None = field()
    ip: str | None = field()
    ip_mode: str | None = field()
    ports: list[PortStatus] = field(default_factory=list, list_type="atomic")


class LoadBalancerStatus(Object):
    """"""

    ingress: list[LoadBalancerIngress] = field(default_factory=list, list_type="atomic")


class ServicePort(Object):
    """"""

    app_protocol: str | None = field()
    name: str | None = field(rules=(DNS_LABEL,))
    node_port: Int32 | None = field(rules=(Range(0, 65535, "must be between 1 and 65535, inclusive"),))
    port: Int32 = field(0, required=True, rules=(PORT,))
    protocol: str | None = field("TCP", rules=(OneOf("SCTP", "TCP", "UDP"),))
    target_port: IntOrString | None = field(rules=(OptionalPortOrName(),))


class SessionAffinityConfig(Object):
    """"""

    client_ip: ClientIPConfig | None = field()


class ServiceSpec(Object):
    """"""

    allocate_load_balancer_node_ports: bool | None = field()
    cluster_ip: str | None = field()
    cluster_ips: list[str] = field(default_factory=list, list_type="atomic")
    external_ips: list[str] = field(default_factory=list, list_type="atomic", rules=(Each(IP),))
    external_name: str | None = field()
    external_traffic_policy: str | None = field(rules=(OneOf("Cluster", "Local"),))
    health_check_node_port: Int32 | None = field()
    internal_traffic_policy: str | None = field(rules=(OneOf("Cluster", "Local"),))
    ip_families: list[str] = field(default_factory=list, list_type="atomic", rules=(Each(OneOf("IPv4", "IPv6")),))
    ip_family_policy: str | None = field(rules=(OneOf("PreferDualStack", "RequireDualStack", "SingleStack"),))
    load_balancer_class: str | None = field()
    load_balancer_ip: str | None = field()
    load_balancer_source_ranges: list[str] = field(default_factory=list, list_type="atomic", rules=(Each(CIDR),))
    ports: list[ServicePort] = field(
        default_factory=list,
        merge_key="port",
        patch="merge",
        list_type="map",
        list_map_keys=(
            "port",
            "protocol",
        ),
    )
    publish_not_ready_addresses: bool | None = field()
    selector: dict[str, str] = field(default_factory=dict, map_type="atomic", rules=(Labels(),))
    session_affinity: str | None = field("None", rules=(OneOf("ClientIP", "None"),))
    session_affinity_config: SessionAffinityConfig | None = field()
    traffic_distribution: str | None = field(rules=(OneOf("PreferClose", "PreferSameZone", "PreferSameNode"),))
    type: str | None = field("ClusterIP", rules=(OneOf("ClusterIP", "ExternalName", "LoadBalancer", "NodePort"),))


class ServiceStatus(Object):
    """"""

    conditions: list[Condition] = field(
        default_factory=list, merge_key="type", patch="merge", list_type="map", list_map_keys=("type",)
    )
    load_balancer: LoadBalancerStatus | None = field()


class Service(KubeObject):
    """"""

    API_VERSION = "v1"
    KIND = "Service"
    api_version: str = field("v1")
    kind: str = field("Service")
    metadata: ObjectMeta = field(default_factory=lambda: ObjectMeta())
    spec: ServiceSpec = field(default_factory=lambda: ServiceSpec())
    status: ServiceStatus = field(default_factory=lambda: ServiceStatus())
