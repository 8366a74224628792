"""What became of a pod."""

from sampan.api.base import Int64, Object, Quantity, Time, field
from sampan.api.core_v1.container_status import ContainerStatus
from sampan.api.core_v1.containers import ResourceRequirements
from sampan.api.core_v1.persistent_volume_claims import VolumeHealthCondition


class ContainerExtendedResourceRequest(Object):
    """"""

    container_name: str = field("", required=True)
    request_name: str = field("", required=True)
    resource_name: str = field("", required=True)


class HostIP(Object):
    """"""

    ip: str = field("", required=True)


class NodeAllocatableMappedResources(Object):
    """"""

    name: str = field("", required=True)
    quantity: Quantity = field("0", required=True)


class NodeAllocatableOverheadResources(Object):
    """"""

    name: str = field("", required=True)
    per_container: Quantity | None = field()
    per_pod: Quantity | None = field()


class NodeAllocatableResourceClaimStatus(Object):
    """"""

    containers: list[str] = field(default_factory=list, list_type="set")
    mapping: list[NodeAllocatableMappedResources] = field(
        default_factory=list, merge_key="name", patch="merge", list_type="map", list_map_keys=("name",)
    )
    overhead: list[NodeAllocatableOverheadResources] = field(
        default_factory=list, merge_key="name", patch="merge", list_type="map", list_map_keys=("name",)
    )
    resource_claim_name: str = field("", required=True)


class PodCondition(Object):
    """"""

    last_probe_time: Time | None = field(doc="When the condition was last checked.")
    last_transition_time: Time | None = field(doc="When the status last changed.")
    message: str | None = field(doc="Details for people.")
    observed_generation: Int64 | None = field(doc="The metadata.generation that the condition was set for.")
    reason: str | None = field(doc="Why the condition last changed, as one CamelCase word.")
    status: str = field("", doc="True, False or Unknown.", required=True)
    type: str = field("", doc="What the condition is about.", required=True)


class PodExtendedResourceClaimStatus(Object):
    """"""

    request_mappings: list[ContainerExtendedResourceRequest] = field(
        default_factory=list, required=True, list_type="atomic"
    )
    resource_claim_name: str = field("", required=True)


class PodIP(Object):
    """"""

    ip: str = field("", required=True)


class PodResourceClaimStatus(Object):
    """"""

    name: str = field("", required=True)
    resource_claim_name: str | None = field()


class PodVolumeHealth(Object):
    """"""

    health_conditions: list[VolumeHealthCondition] = field(
        default_factory=list,
        merge_key="status",
        patch="merge",
        list_type="map",
        list_map_keys=(
            "status",
            "reason",
        ),
    )
    last_transition_time: Time | None = field()
    name: str = field("", required=True)


class PodStatus(Object):
    """"""

    allocated_resources: dict[str, Quantity] = field(default_factory=dict)
    conditions: list[PodCondition] = field(
        default_factory=list, merge_key="type", patch="merge", list_type="map", list_map_keys=("type",)
    )
    container_statuses: list[ContainerStatus] = field(default_factory=list, list_type="atomic")
    ephemeral_container_statuses: list[ContainerStatus] = field(default_factory=list, list_type="atomic")
    extended_resource_claim_status: PodExtendedResourceClaimStatus | None = field()
    host_ip: str | None = field()
    host_ips: list[HostIP] = field(default_factory=list, merge_key="ip", patch="merge", list_type="atomic")
    init_container_statuses: list[ContainerStatus] = field(default_factory=list, list_type="atomic")
    message: str | None = field()
    node_allocatable_resource_claim_statuses: list[NodeAllocatableResourceClaimStatus] = field(
        default_factory=list,
        merge_key="resourceClaimName",
        patch="merge",
        list_type="map",
        list_map_keys=("resourceClaimName",),
    )
    nominated_node_name: str | None = field()
    observed_generation: Int64 | None = field()
    phase: str | None = field()
    pod_ip: str | None = field()
    pod_ips: list[PodIP] = field(
        default_factory=list, merge_key="ip", patch="merge", list_type="map", list_map_keys=("ip",)
    )
    qos_class: str | None = field()
    reason: str | None = field()
    resize: str | None = field()
    resource_claim_statuses: list[PodResourceClaimStatus] = field(
        default_factory=list,
        merge_key="name",
        patch="merge,retainKeys",
        list_type="map",
        list_map_keys=("name",),
    )
    resources: ResourceRequirements | None = field()
    start_time: Time | None = field()
    volume_health: list[PodVolumeHealth] = field(default_factory=list, list_type="map", list_map_keys=("name",))
