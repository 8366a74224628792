"""Pods and their templates."""

from sampan.api.base import Int32, Int64, KubeObject, Object, Quantity, field
from sampan.api.core_v1.containers import Container, EphemeralContainer, ResourceRequirements
from sampan.api.core_v1.placement import Affinity, Toleration, TopologySpreadConstraint
from sampan.api.core_v1.pod_status import PodStatus
from sampan.api.core_v1.references import LocalObjectReference, ObjectReference
from sampan.api.core_v1.security import PodSecurityContext
from sampan.api.core_v1.volumes import Volume
from sampan.api.meta_v1 import ObjectMeta
from sampan.api.rules import (
    DNS_LABEL,
    IP,
    NON_NEGATIVE,
    QUALIFIED_NAME,
    SUBDOMAIN,
    Each,
    Labels,
    MayBeEmpty,
    OneOf,
    Range,
)


class Binding(KubeObject):
    """The decision that a pod runs on a node."""

    API_VERSION = "v1"
    KIND = "Binding"
    api_version: str = field("v1", doc="Group and version of this representation of the object.")
    kind: str = field("Binding", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    target: ObjectReference = field(doc="The node.", default_factory=lambda: ObjectReference(), required=True)


class EvictionResponder(Object):
    """Somebody who helps a pod to end when its eviction is asked for."""

    name: str = field("", doc="The responder's name, with its domain.", required=True)
    priority: Int32 = field(0, doc="The order: higher ones are asked first.", required=True)


class HostAlias(Object):
    """A line of /etc/hosts."""

    hostnames: list[str] = field(
        doc="Names for the address.", default_factory=list, list_type="atomic", rules=(Each(SUBDOMAIN),)
    )
    ip: str = field("", doc="The address.", required=True, rules=(IP,))


class PodDNSConfigOption(Object):
    """An option of /etc/resolv.conf."""

    name: str | None = field(doc="The option.")
    value: str | None = field(doc="Its value, if it has one.")


class PodDNSConfig(Object):
    """DNS settings of a pod."""

    nameservers: list[str] = field(
        doc="Addresses of DNS servers, at most 3.", default_factory=list, list_type="atomic", rules=(Each(IP),)
    )
    options: list[PodDNSConfigOption] = field(doc="Options of the resolver.", default_factory=list, list_type="atomic")
    searches: list[str] = field(
        doc="Domains in which short names are looked for, at most 32.", default_factory=list, list_type="atomic"
    )


class PodOS(Object):
    """An operating system."""

    name: str = field("", doc="linux or windows.", required=True, rules=(OneOf("linux", "windows"),))


class PodReadinessGate(Object):
    """A condition that readiness waits for."""

    condition_type: str = field("", doc="The condition's type.", required=True, rules=(QUALIFIED_NAME,))


class PodResourceClaim(Object):
    """A claim for devices, by a name that containers use. One of the other two fields is set."""

    name: str = field("", doc="Its name in the pod.", required=True)
    resource_claim_name: str | None = field(doc="A claim that exists.")
    resource_claim_template_name: str | None = field(
        doc="A template to make a claim from, which lives as long as the pod."
    )


class PodSchedulingGate(Object):
    """Something to wait for before a pod is placed."""

    name: str = field("", doc="The gate's name.", required=True, rules=(MayBeEmpty(),))


class PodSchedulingGroup(Object):
    """A group of pods that are placed together."""

    pod_group_name: str | None = field(doc="The PodGroup's name.")


class PodSpec(Object):
    """What a pod is to be."""

    active_deadline_seconds: Int64 | None = field(
        doc="Seconds after its start at which the pod is ended and counts as failed.", rules=(Range(1, 2**31 - 1),)
    )
    affinity: Affinity | None = field(doc="Which nodes and which company it wants or avoids.")
    automount_service_account_token: bool | None = field(
        doc="Whether the account's token is mounted. Default: what the account says, else true."
    )
    containers: list[Container] = field(
        doc="Its containers, at least one.",
        default_factory=list,
        required=True,
        merge_key="name",
        patch="merge",
        list_type="map",
        list_map_keys=("name",),
    )
    dns_config: PodDNSConfig | None = field(doc="DNS settings, on top of those of dnsPolicy.")
    dns_policy: str | None = field(
        "ClusterFirst",
        doc="ClusterFirst, ClusterFirstWithHostNet, Default (the node's) or None. Default: ClusterFirst.",
        rules=(OneOf("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"),),
    )
    enable_service_links: bool | None = field(
        doc="Whether containers get environment variables for every Service. Default: true."
    )
    ephemeral_containers: list[EphemeralContainer] = field(
        doc="Containers added to the running pod for looking into it; only through the subresource.",
        default_factory=list,
        merge_key="name",
        patch="merge",
        list_type="map",
        list_map_keys=("name",),
    )
    eviction_responders: list[EvictionResponder] = field(
        doc="Who is told of an asked eviction and may help the pod to end well.",
        default_factory=list,
        merge_key="name",
        patch="merge",
        list_type="map",
        list_map_keys=("name",),
    )
    host_aliases: list[HostAlias] = field(
        doc="Further lines of the containers' /etc/hosts.",
        default_factory=list,
        merge_key="ip",
        patch="merge",
        list_type="map",
        list_map_keys=("ip",),
    )
    host_ipc: bool | None = field(doc="Use the node's IPC namespace.")
    host_network: bool | None = field(doc="Use the node's network, ports and addresses.")
    host_pid: bool | None = field(doc="See the node's processes.")
    host_users: bool | None = field(
        doc="False: run in a user namespace of its own, so that root is nobody on the node. Default: true."
    )
    hostname: str | None = field(doc="Its host name. Default: the pod's name.", rules=(DNS_LABEL,))
    hostname_override: str | None = field(
        doc="Its host name as processes see it, whatever DNS says; for at most 64 characters."
    )
    image_pull_secrets: list[LocalObjectReference] = field(
        doc="Secrets with credentials for registries.",
        default_factory=list,
        merge_key="name",
        patch="merge",
        list_type="map",
        list_map_keys=("name",),
    )
    init_containers: list[Container] = field(
        doc="Containers that run one after the other before the others start; with restartPolicy Always they "
        "stay, as sidecars.",
        default_factory=list,
        merge_key="name",
        patch="merge",
        list_type="map",
        list_map_keys=("name",),
    )
    node_name: str | None = field(
        doc="The node it runs on; set by the scheduler, or by hand to pass it by.", rules=(SUBDOMAIN,)
    )
    node_selector: dict[str, str] = field(
        doc="Labels that its node must have.", default_factory=dict, map_type="atomic", rules=(Labels(),)
    )
    os: PodOS | None = field(doc="The operating system it is made for.")
    overhead: dict[str, Quantity] = field(
        doc="Resources that running it costs beyond its containers; from its RuntimeClass.", default_factory=dict
    )
    preemption_policy: str | None = field(
        doc="PreemptLowerPriority or Never; from its priority class.", rules=(OneOf("PreemptLowerPriority", "Never"),)
    )
    priority: Int32 | None = field(doc="Its importance as a number; from its priority class.")
    priority_class_name: str | None = field(doc="The priority class.", rules=(SUBDOMAIN,))
    readiness_gates: list[PodReadinessGate] = field(
        doc="Conditions that must be True, beside the containers' readiness, for it to be Ready.",
        default_factory=list,
        list_type="atomic",
    )
    resource_claims: list[PodResourceClaim] = field(
        doc="Claims for devices that its containers may use.",
        default_factory=list,
        merge_key="name",
        patch="merge,retainKeys",
        list_type="map",
        list_map_keys=("name",),
    )
    resources: ResourceRequirements | None = field(doc="Requests and limits of the pod as a whole.")
    restart_policy: str | None = field(
        "Always",
        doc="Always, OnFailure or Never: when containers are started again. Default: Always.",
        rules=(OneOf("Always", "OnFailure", "Never"),),
    )
    runtime_class_name: str | None = field(doc="How its containers are run.", rules=(SUBDOMAIN,))
    scheduler_name: str | None = field(
        "default-scheduler", doc="Which scheduler places it. Default: default-scheduler."
    )
    scheduling_gates: list[PodSchedulingGate] = field(
        doc="It is not placed until these are gone.",
        default_factory=list,
        merge_key="name",
        patch="merge",
        list_type="map",
        list_map_keys=("name",),
    )
    scheduling_group: PodSchedulingGroup | None = field(doc="The group of pods that it is placed with.")
    security_context: PodSecurityContext | None = field(
        doc="Users and profiles for all its containers.", default_factory=lambda: PodSecurityContext()
    )
    service_account: str | None = field(doc="Deprecated, the same as serviceAccountName.")
    service_account_name: str | None = field(
        doc="The account whose identity its processes have. Default: default.", rules=(SUBDOMAIN,)
    )
    set_hostname_as_fqdn: bool | None = field(
        doc="Whether the host name is the full DNS name.", alias="setHostnameAsFQDN"
    )
    share_process_namespace: bool | None = field(doc="Whether its containers see one another's processes.")
    subdomain: str | None = field(
        doc="Its DNS name is hostname.subdomain.namespace.svc and the cluster's domain.", rules=(DNS_LABEL,)
    )
    termination_grace_period_seconds: Int64 | None = field(
        30, doc="Seconds between the order to end and the kill. Default: 30.", rules=(NON_NEGATIVE,)
    )
    tolerations: list[Toleration] = field(doc="Taints it puts up with.", default_factory=list, list_type="atomic")
    topology_spread_constraints: list[TopologySpreadConstraint] = field(
        doc="How pods like it are spread over zones, nodes and the like.",
        default_factory=list,
        merge_key="topologyKey",
        patch="merge",
        list_type="map",
        list_map_keys=(
            "topologyKey",
            "whenUnsatisfiable",
        ),
    )
    volumes: list[Volume] = field(
        doc="Volumes that its containers may mount.",
        default_factory=list,
        merge_key="name",
        patch="merge,retainKeys",
        list_type="map",
        list_map_keys=("name",),
    )


class Pod(KubeObject):
    """A group of containers that run together on one node and share network and volumes."""

    API_VERSION = "v1"
    KIND = "Pod"
    api_version: str = field("v1", doc="Group and version of this representation of the object.")
    kind: str = field("Pod", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    spec: PodSpec = field(doc="What is wanted.", default_factory=lambda: PodSpec())
    status: PodStatus = field(doc="What was last observed; written by the system.", default_factory=lambda: PodStatus())


class PodTemplateSpec(Object):
    """What pods are made from."""

    metadata: ObjectMeta = field(
        doc="Labels, annotations and the like of the pods.", default_factory=lambda: ObjectMeta()
    )
    spec: PodSpec = field(doc="What the pods are to be.", default_factory=lambda: PodSpec())


class PodTemplate(KubeObject):
    """A template for pods, stored by itself."""

    API_VERSION = "v1"
    KIND = "PodTemplate"
    api_version: str = field("v1", doc="Group and version of this representation of the object.")
    kind: str = field("PodTemplate", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    template: PodTemplateSpec = field(doc="The template.", default_factory=lambda: PodTemplateSpec())
