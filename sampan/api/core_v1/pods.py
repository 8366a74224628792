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
    """"""

    API_VERSION = "v1"
    KIND = "Binding"
    api_version: str = field("v1", doc="Group and version of this representation of the object.")
    kind: str = field("Binding", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    target: ObjectReference = field(default_factory=lambda: ObjectReference(), required=True)


class EvictionResponder(Object):
    """"""

    name: str = field("", required=True)
    priority: Int32 = field(0, required=True)


class HostAlias(Object):
    """"""

    hostnames: list[str] = field(default_factory=list, list_type="atomic", rules=(Each(SUBDOMAIN),))
    ip: str = field("", required=True, rules=(IP,))


class PodDNSConfigOption(Object):
    """"""

    name: str | None = field()
    value: str | None = field()


class PodDNSConfig(Object):
    """"""

    nameservers: list[str] = field(default_factory=list, list_type="atomic", rules=(Each(IP),))
    options: list[PodDNSConfigOption] = field(default_factory=list, list_type="atomic")
    searches: list[str] = field(default_factory=list, list_type="atomic")


class PodOS(Object):
    """"""

    name: str = field("", required=True, rules=(OneOf("linux", "windows"),))


class PodReadinessGate(Object):
    """"""

    condition_type: str = field("", required=True, rules=(QUALIFIED_NAME,))


class PodResourceClaim(Object):
    """"""

    name: str = field("", required=True)
    resource_claim_name: str | None = field()
    resource_claim_template_name: str | None = field()


class PodSchedulingGate(Object):
    """"""

    name: str = field("", required=True, rules=(MayBeEmpty(),))


class PodSchedulingGroup(Object):
    """"""

    pod_group_name: str | None = field()


class PodSpec(Object):
    """"""

    active_deadline_seconds: Int64 | None = field(rules=(Range(1, 2**31 - 1),))
    affinity: Affinity | None = field()
    automount_service_account_token: bool | None = field()
    containers: list[Container] = field(
        default_factory=list,
        required=True,
        merge_key="name",
        patch="merge",
        list_type="map",
        list_map_keys=("name",),
    )
    dns_config: PodDNSConfig | None = field()
    dns_policy: str | None = field(
        "ClusterFirst", rules=(OneOf("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"),)
    )
    enable_service_links: bool | None = field()
    ephemeral_containers: list[EphemeralContainer] = field(
        default_factory=list, merge_key="name", patch="merge", list_type="map", list_map_keys=("name",)
    )
    eviction_responders: list[EvictionResponder] = field(
        default_factory=list, merge_key="name", patch="merge", list_type="map", list_map_keys=("name",)
    )
    host_aliases: list[HostAlias] = field(
        default_factory=list, merge_key="ip", patch="merge", list_type="map", list_map_keys=("ip",)
    )
    host_ipc: bool | None = field()
    host_network: bool | None = field()
    host_pid: bool | None = field()
    host_users: bool | None = field()
    hostname: str | None = field(rules=(DNS_LABEL,))
    hostname_override: str | None = field()
    image_pull_secrets: list[LocalObjectReference] = field(
        default_factory=list, merge_key="name", patch="merge", list_type="map", list_map_keys=("name",)
    )
    init_containers: list[Container] = field(
        default_factory=list, merge_key="name", patch="merge", list_type="map", list_map_keys=("name",)
    )
    node_name: str | None = field(rules=(SUBDOMAIN,))
    node_selector: dict[str, str] = field(default_factory=dict, map_type="atomic", rules=(Labels(),))
    os: PodOS | None = field()
    overhead: dict[str, Quantity] = field(default_factory=dict)
    preemption_policy: str | None = field(rules=(OneOf("PreemptLowerPriority", "Never"),))
    priority: Int32 | None = field()
    priority_class_name: str | None = field(rules=(SUBDOMAIN,))
    readiness_gates: list[PodReadinessGate] = field(default_factory=list, list_type="atomic")
    resource_claims: list[PodResourceClaim] = field(
        default_factory=list,
        merge_key="name",
        patch="merge,retainKeys",
        list_type="map",
        list_map_keys=("name",),
    )
    resources: ResourceRequirements | None = field()
    restart_policy: str | None = field("Always", rules=(OneOf("Always", "OnFailure", "Never"),))
    runtime_class_name: str | None = field(rules=(SUBDOMAIN,))
    scheduler_name: str | None = field("default-scheduler")
    scheduling_gates: list[PodSchedulingGate] = field(
        default_factory=list, merge_key="name", patch="merge", list_type="map", list_map_keys=("name",)
    )
    scheduling_group: PodSchedulingGroup | None = field()
    security_context: PodSecurityContext | None = field(default_factory=lambda: PodSecurityContext())
    service_account: str | None = field()
    service_account_name: str | None = field(rules=(SUBDOMAIN,))
    set_hostname_as_fqdn: bool | None = field(alias="setHostnameAsFQDN")
    share_process_namespace: bool | None = field()
    subdomain: str | None = field(rules=(DNS_LABEL,))
    termination_grace_period_seconds: Int64 | None = field(30, rules=(NON_NEGATIVE,))
    tolerations: list[Toleration] = field(default_factory=list, list_type="atomic")
    topology_spread_constraints: list[TopologySpreadConstraint] = field(
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
        default_factory=list,
        merge_key="name",
        patch="merge,retainKeys",
        list_type="map",
        list_map_keys=("name",),
    )


class Pod(KubeObject):
    """"""

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
    """"""

    metadata: ObjectMeta = field(default_factory=lambda: ObjectMeta())
    spec: PodSpec = field(default_factory=lambda: PodSpec())


class PodTemplate(KubeObject):
    """"""

    API_VERSION = "v1"
    KIND = "PodTemplate"
    api_version: str = field("v1", doc="Group and version of this representation of the object.")
    kind: str = field("PodTemplate", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    template: PodTemplateSpec = field(default_factory=lambda: PodTemplateSpec())
