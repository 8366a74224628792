"""Services."""

from sampan.api.base import Int32, IntOrString, KubeObject, Object, field
from sampan.api.meta_v1 import Condition, ObjectMeta
from sampan.api.rules import CIDR, DNS_LABEL, IP, PORT, Each, Labels, OneOf, OptionalPortOrName, Range


class ClientIPConfig(Object):
    """Affinity by the client's address."""

    timeout_seconds: Int32 | None = field(
        doc="Seconds after which an idle client is forgotten, at most 86400. Default: 10800.",
        rules=(Range(1, 86400, "must be greater than 0 and less than 86400"),),
    )


class PortStatus(Object):
    """The state of one port of a load balancer."""

    error: str | None = field(doc="Why it does not work, as one CamelCase word.")
    port: Int32 = field(0, doc="The port.", required=True)
    protocol: str = field("", doc="TCP, UDP or SCTP.", required=True)


class LoadBalancerIngress(Object):
    """One entrance of a load balancer."""

    hostname: str | None = field(doc="Its DNS name.")
    ip: str | None = field(doc="Its address.")
    ip_mode: str | None = field(doc="VIP: traffic arrives with this address; Proxy: with the node's or the pod's.")
    ports: list[PortStatus] = field(doc="The state of its ports.", default_factory=list, list_type="atomic")


class LoadBalancerStatus(Object):
    """Where a load balancer serves."""

    ingress: list[LoadBalancerIngress] = field(doc="Its entrances.", default_factory=list, list_type="atomic")


class ServicePort(Object):
    """A port of a Service."""

    app_protocol: str | None = field(doc="What is spoken on it, such as http or kubernetes.io/h2c.")
    name: str | None = field(doc="Its name; needed if there are several.", rules=(DNS_LABEL,))
    node_port: Int32 | None = field(
        doc="The port on every node, for NodePort and LoadBalancer. Allocated if 0.",
        rules=(Range(0, 65535, "must be between 1 and 65535, inclusive"),),
    )
    port: Int32 = field(0, doc="The port at the Service's address.", required=True, rules=(PORT,))
    protocol: str | None = field("TCP", doc="TCP, UDP or SCTP. Default: TCP.", rules=(OneOf("SCTP", "TCP", "UDP"),))
    target_port: IntOrString | None = field(
        doc="The pods' port, as a number or the name of a container port. Default: port.", rules=(OptionalPortOrName(),)
    )


class SessionAffinityConfig(Object):
    """How session affinity works."""

    client_ip: ClientIPConfig | None = field(doc="For affinity by the client's address.")


class ServiceSpec(Object):
    """How a Service is reached and what is behind it."""

    allocate_load_balancer_node_ports: bool | None = field(
        doc="Whether a LoadBalancer Service gets node ports too. Default: true."
    )
    cluster_ip: str | None = field(
        doc="The Service's virtual address; None for a headless Service. Allocated if empty."
    )
    cluster_ips: list[str] = field(
        doc="All its virtual addresses, at most one an IP family; the first is clusterIP.",
        default_factory=list,
        list_type="atomic",
    )
    external_ips: list[str] = field(
        doc="Further addresses at which nodes take its traffic; whoever sets them must route them there.",
        default_factory=list,
        list_type="atomic",
        rules=(Each(IP),),
    )
    external_name: str | None = field(doc="The DNS name that an ExternalName Service is an alias of.")
    external_traffic_policy: str | None = field(
        doc="Cluster: any endpoint serves traffic from outside; Local: those of the node it came to, keeping "
        "the client's address.",
        rules=(OneOf("Cluster", "Local"),),
    )
    health_check_node_port: Int32 | None = field(
        doc="Port at which nodes tell load balancers whether they have endpoints, with externalTrafficPolicy Local."
    )
    internal_traffic_policy: str | None = field(
        doc="Cluster: any endpoint serves pods; Local: only those on the same node.", rules=(OneOf("Cluster", "Local"),)
    )
    ip_families: list[str] = field(
        doc="IPv4, IPv6 or both, in order of preference.",
        default_factory=list,
        list_type="atomic",
        rules=(Each(OneOf("IPv4", "IPv6")),),
    )
    ip_family_policy: str | None = field(
        doc="SingleStack, PreferDualStack or RequireDualStack.",
        rules=(OneOf("PreferDualStack", "RequireDualStack", "SingleStack"),),
    )
    load_balancer_class: str | None = field(doc="Which load balancer implementation is to serve it.")
    load_balancer_ip: str | None = field(doc="The address wanted of the load balancer. Deprecated.")
    load_balancer_source_ranges: list[str] = field(
        doc="CIDRs from which the load balancer takes traffic.",
        default_factory=list,
        list_type="atomic",
        rules=(Each(CIDR),),
    )
    ports: list[ServicePort] = field(
        doc="The ports of the Service.",
        default_factory=list,
        merge_key="port",
        patch="merge",
        list_type="map",
        list_map_keys=(
            "port",
            "protocol",
        ),
    )
    publish_not_ready_addresses: bool | None = field(
        doc="Whether DNS and endpoints count pods that are not ready as ready."
    )
    selector: dict[str, str] = field(
        doc="Labels of the pods behind it; without them, somebody else maintains its endpoints.",
        default_factory=dict,
        map_type="atomic",
        rules=(Labels(),),
    )
    session_affinity: str | None = field(
        "None", doc="ClientIP: a client stays with one endpoint; None: it does not.", rules=(OneOf("ClientIP", "None"),)
    )
    session_affinity_config: SessionAffinityConfig | None = field(doc="How session affinity works.")
    traffic_distribution: str | None = field(
        doc="Which endpoints are preferred, such as PreferSameZone or PreferSameNode.",
        rules=(OneOf("PreferClose", "PreferSameZone", "PreferSameNode"),),
    )
    type: str | None = field(
        "ClusterIP",
        doc="ClusterIP, NodePort, LoadBalancer or ExternalName.",
        rules=(OneOf("ClusterIP", "ExternalName", "LoadBalancer", "NodePort"),),
    )


class ServiceStatus(Object):
    """What is known of a Service."""

    conditions: list[Condition] = field(
        doc="The Service's state.",
        default_factory=list,
        merge_key="type",
        patch="merge",
        list_type="map",
        list_map_keys=("type",),
    )
    load_balancer: LoadBalancerStatus | None = field(doc="Where the load balancer serves it.")


class Service(KubeObject):
    """A stable name and address for a changing set of pods."""

    API_VERSION = "v1"
    KIND = "Service"
    api_version: str = field("v1", doc="Group and version of this representation of the object.")
    kind: str = field("Service", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    spec: ServiceSpec = field(doc="What is wanted.", default_factory=lambda: ServiceSpec())
    status: ServiceStatus = field(
        doc="What was last observed; written by the system.", default_factory=lambda: ServiceStatus()
    )
