"""What became of a pod."""

from sampan.api.base import Int64, Object, Quantity, Time, field
from sampan.api.core_v1.container_status import ContainerStatus
from sampan.api.core_v1.containers import ResourceRequirements
from sampan.api.core_v1.persistent_volume_claims import VolumeHealthCondition


class ContainerExtendedResourceRequest(Object):
    """A container's extended resource and the request that serves it."""

    container_name: str = field("", doc="The container.", required=True)
    request_name: str = field("", doc="The request in the claim.", required=True)
    resource_name: str = field("", doc="The resource.", required=True)


class HostIP(Object):
    """An address of a node."""

    ip: str = field("", doc="The address.", required=True)


class NodeAllocatableMappedResources(Object):
    """An amount of a node's resource that devices stand for."""

    name: str = field("", doc="The resource.", required=True)
    quantity: Quantity = field("0", doc="The amount, shared by the containers that use the claim.", required=True)


class NodeAllocatableOverheadResources(Object):
    """An amount of a node's resource that devices cost in addition."""

    name: str = field("", doc="The resource.", required=True)
    per_container: Quantity | None = field(doc="The amount for each container that uses the claim.")
    per_pod: Quantity | None = field(doc="The amount for the pod, once.")


class NodeAllocatableResourceClaimStatus(Object):
    """CPU, memory and the like that a pod got through a claim for devices."""

    containers: list[str] = field(doc="The containers that use the claim.", default_factory=list, list_type="set")
    mapping: list[NodeAllocatableMappedResources] = field(
        doc="Amounts that the devices stand for.",
        default_factory=list,
        merge_key="name",
        patch="merge",
        list_type="map",
        list_map_keys=("name",),
    )
    overhead: list[NodeAllocatableOverheadResources] = field(
        doc="Amounts that the devices cost in addition.",
        default_factory=list,
        merge_key="name",
        patch="merge",
        list_type="map",
        list_map_keys=("name",),
    )
    resource_claim_name: str = field("", doc="The claim.", required=True)


class PodCondition(Object):
    """One aspect of a pod's state."""

    last_probe_time: Time | None = field(doc="When the condition was last checked.")
    last_transition_time: Time | None = field(doc="When the status last changed.")
    message: str | None = field(doc="Details for people.")
    observed_generation: Int64 | None = field(doc="The metadata.generation that the condition was set for.")
    reason: str | None = field(doc="Why the condition last changed, as one CamelCase word.")
    status: str = field("", doc="True, False or Unknown.", required=True)
    type: str = field("", doc="What the condition is about.", required=True)


class PodExtendedResourceClaimStatus(Object):
    """The claim that was made for extended resources."""

    request_mappings: list[ContainerExtendedResourceRequest] = field(
        doc="Which request in the claim serves which container's resource.",
        default_factory=list,
        required=True,
        list_type="atomic",
    )
    resource_claim_name: str = field("", doc="The claim's name.", required=True)


class PodIP(Object):
    """An address of a pod."""

    ip: str = field("", doc="The address.", required=True)


class PodResourceClaimStatus(Object):
    """A claim that was made from a template."""

    name: str = field("", doc="The claim's name in the pod.", required=True)
    resource_claim_name: str | None = field(doc="The name of the ResourceClaim object; empty if none was needed.")


class PodVolumeHealth(Object):
    """The health of one volume, as the node sees it."""

    health_conditions: list[VolumeHealthCondition] = field(
        doc="What is wrong with it; empty if nothing is.",
        default_factory=list,
        merge_key="status",
        patch="merge",
        list_type="map",
        list_map_keys=(
            "status",
            "reason",
        ),
    )
    last_transition_time: Time | None = field(doc="When this last changed.")
    name: str = field("", doc="The volume's name in the pod.", required=True)


class PodStatus(Object):
    """What became of a pod."""

    allocated_resources: dict[str, Quantity] = field(
        doc="Requests that the node has set aside for the pod.", default_factory=dict
    )
    conditions: list[PodCondition] = field(
        doc="Its state in single aspects: scheduled, initialized, ready ...",
        default_factory=list,
        merge_key="type",
        patch="merge",
        list_type="map",
        list_map_keys=("type",),
    )
    container_statuses: list[ContainerStatus] = field(
        doc="Its containers' states.", default_factory=list, list_type="atomic"
    )
    ephemeral_container_statuses: list[ContainerStatus] = field(
        doc="Its ephemeral containers' states.", default_factory=list, list_type="atomic"
    )
    extended_resource_claim_status: PodExtendedResourceClaimStatus | None = field(
        doc="The claim that was made for its extended resources."
    )
    host_ip: str | None = field(doc="The node's address.")
    host_ips: list[HostIP] = field(
        doc="The node's addresses, hostIP first.",
        default_factory=list,
        merge_key="ip",
        patch="merge",
        list_type="atomic",
    )
    init_container_statuses: list[ContainerStatus] = field(
        doc="Its init containers' states.", default_factory=list, list_type="atomic"
    )
    message: str | None = field(doc="Details for people.")
    node_allocatable_resource_claim_statuses: list[NodeAllocatableResourceClaimStatus] = field(
        doc="CPU, memory and the like that it got through claims for devices.",
        default_factory=list,
        merge_key="resourceClaimName",
        patch="merge",
        list_type="map",
        list_map_keys=("resourceClaimName",),
    )
    nominated_node_name: str | None = field(doc="The node it is to go to once pods that it displaces have gone.")
    observed_generation: Int64 | None = field(doc="The metadata.generation that the node has taken note of.")
    phase: str | None = field(doc="Pending, Running, Succeeded, Failed or Unknown.")
    pod_ip: str | None = field(doc="Its address.")
    pod_ips: list[PodIP] = field(
        doc="Its addresses, at most one an IP family; podIP first.",
        default_factory=list,
        merge_key="ip",
        patch="merge",
        list_type="map",
        list_map_keys=("ip",),
    )
    qos_class: str | None = field(doc="Guaranteed, Burstable or BestEffort, which follows from requests and limits.")
    reason: str | None = field(doc="Why it is in this state, as one CamelCase word.")
    resize: str | None = field(doc="Deprecated: how a change of its resources goes.")
    resource_claim_statuses: list[PodResourceClaimStatus] = field(
        doc="The claims that were made for it.",
        default_factory=list,
        merge_key="name",
        patch="merge,retainKeys",
        list_type="map",
        list_map_keys=("name",),
    )
    resources: ResourceRequirements | None = field(doc="Requests and limits that are in force for the pod as a whole.")
    start_time: Time | None = field(doc="When the node took it on.")
    volume_health: list[PodVolumeHealth] = field(
        doc="What the node knows of its volumes' health.",
        default_factory=list,
        list_type="map",
        list_map_keys=("name",),
    )
