"""Nodes."""

from sampan.api.base import Int32, Int64, KubeObject, Object, Quantity, Time, field
from sampan.api.core_v1.placement import Taint
from sampan.api.meta_v1 import ObjectMeta
from sampan.api.rules import CIDR, Each


class AttachedVolume(Object):
    """A volume that is attached to a node."""

    device_path: str = field("", doc="The device.", required=True)
    name: str = field("", doc="The volume.", required=True)


class ConfigMapNodeConfigSource(Object):
    """No longer used: a config map with an agent's configuration."""

    kubelet_config_key: str = field("", doc="The key.", required=True)
    name: str = field("", doc="The config map's name.", required=True)
    namespace: str = field("", doc="Its namespace.", required=True)
    resource_version: str | None = field(doc="Its version.")
    uid: str | None = field(doc="Its UID.")


class ContainerImage(Object):
    """An image on a node."""

    names: list[str] = field(doc="Its names, with digests and tags.", default_factory=list, list_type="atomic")
    size_bytes: Int64 | None = field(doc="Its size in bytes.")


class DaemonEndpoint(Object):
    """A port."""

    port: Int32 = field(0, doc="The port.", alias="Port", required=True)


class NodeConfigSource(Object):
    """No longer used: where a node's agent got its configuration."""

    config_map: ConfigMapNodeConfigSource | None = field(doc="The config map.")


class NodePodPreemptionPolicy(Object):
    """What a node does about pods that are resized beyond its means."""

    disable_resize_preemption: list[str] = field(
        doc="Who wants no pod to be pushed out for a resize; if anybody does, none is.",
        default_factory=list,
        list_type="set",
    )


class NodeSpec(Object):
    """What a node is to be."""

    config_source: NodeConfigSource | None = field(doc="No longer used.")
    external_id: str | None = field(doc="No longer used.")
    pod_cidr: str | None = field(doc="The addresses of its pods.")
    pod_cidrs: list[str] = field(
        doc="The same, at most one an IP family; podCIDR first.",
        default_factory=list,
        patch="merge",
        list_type="set",
        rules=(Each(CIDR),),
    )
    pod_preemption_policy: NodePodPreemptionPolicy | None = field(
        doc="What it does about pods that are resized beyond its means."
    )
    provider_id: str | None = field(doc="Its identifier at the cloud, as provider://id.")
    taints: list[Taint] = field(doc="Marks that keep pods away.", default_factory=list, list_type="atomic")
    unschedulable: bool | None = field(doc="Whether it takes no new pods, as cordon does.")


class NodeAddress(Object):
    """An address of a node."""

    address: str = field("", doc="The address.", required=True)
    type: str = field("", doc="Hostname, InternalIP, ExternalIP, InternalDNS or ExternalDNS.", required=True)


class NodeCondition(Object):
    """One aspect of a node's state."""

    last_heartbeat_time: Time | None = field(doc="When the node last reported it.")
    last_transition_time: Time | None = field(doc="When the status last changed.")
    message: str | None = field(doc="Details for people.")
    reason: str | None = field(doc="Why the condition last changed, as one CamelCase word.")
    status: str = field("", doc="True, False or Unknown.", required=True)
    type: str = field("", doc="What the condition is about.", required=True)


class NodeConfigStatus(Object):
    """No longer used: the state of an agent's configuration."""

    active: NodeConfigSource | None = field(doc="In use.")
    assigned: NodeConfigSource | None = field(doc="To be used.")
    error: str | None = field(doc="Why it is not used.")
    last_known_good: NodeConfigSource | None = field(doc="The last that worked.")


class NodeDaemonEndpoints(Object):
    """Where a node's agent listens."""

    kubelet_endpoint: DaemonEndpoint | None = field(doc="The agent's port.")


class NodeFeatures(Object):
    """What a node's runtime can do."""

    supplemental_groups_policy: bool | None = field(doc="Whether it knows supplementalGroupsPolicy.")


class NodeSwapStatus(Object):
    """A node's swap."""

    capacity: Int64 | None = field(doc="Its size in bytes.")


class NodeSystemInfo(Object):
    """Versions and identifiers of a node."""

    architecture: str = field("", doc="The processor, such as amd64.", required=True)
    boot_id: str = field("", doc="Changes when it boots.", required=True)
    container_runtime_version: str = field("", doc="The runtime's name and version.", required=True)
    kernel_version: str = field("", doc="The kernel's version.", required=True)
    kube_proxy_version: str = field("", doc="No longer used.", required=True)
    kubelet_version: str = field("", doc="The agent's version.", required=True)
    machine_id: str = field("", doc="The identifier in /etc/machine-id.", required=True)
    operating_system: str = field("", doc="linux or windows.", required=True)
    os_image: str = field("", doc="The distribution's name.", required=True)
    running_in_user_namespace: bool | None = field(doc="Whether its agent runs in a user namespace.")
    swap: NodeSwapStatus | None = field(doc="Its swap.")
    system_uuid: str = field("", doc="The identifier in the firmware.", required=True)


class NodeRuntimeHandlerFeatures(Object):
    """What one way of running pods can do."""

    recursive_read_only_mounts: bool | None = field(doc="Whether it knows recursive read-only mounts.")
    user_namespaces: bool | None = field(doc="Whether it knows user namespaces.")


class NodeRuntimeHandler(Object):
    """A way of running pods."""

    features: NodeRuntimeHandlerFeatures | None = field(doc="What it can do.")
    name: str | None = field(doc="Its name; empty for the default.")


class NodeStatus(Object):
    """What is known of a node."""

    addresses: list[NodeAddress] = field(
        doc="Its addresses and names.",
        default_factory=list,
        merge_key="type",
        patch="merge",
        list_type="map",
        list_map_keys=("type",),
    )
    allocatable: dict[str, Quantity] = field(doc="What pods can have of each resource.", default_factory=dict)
    capacity: dict[str, Quantity] = field(doc="What it has of each resource.", default_factory=dict)
    conditions: list[NodeCondition] = field(
        doc="Its state in single aspects: Ready, MemoryPressure, DiskPressure, PIDPressure.",
        default_factory=list,
        merge_key="type",
        patch="merge",
        list_type="map",
        list_map_keys=("type",),
    )
    config: NodeConfigStatus | None = field(doc="No longer used.")
    daemon_endpoints: NodeDaemonEndpoints | None = field(doc="Where its agent listens.")
    declared_features: list[str] = field(doc="Features that it says it has.", default_factory=list, list_type="atomic")
    features: NodeFeatures | None = field(doc="What its runtime can do.")
    images: list[ContainerImage] = field(doc="Images that are there.", default_factory=list, list_type="atomic")
    node_info: NodeSystemInfo | None = field(doc="Its versions and identifiers.")
    phase: str | None = field(doc="No longer used.")
    runtime_handlers: list[NodeRuntimeHandler] = field(
        doc="The ways in which its runtime can run pods.", default_factory=list, list_type="atomic"
    )
    volumes_attached: list[AttachedVolume] = field(
        doc="Volumes that are attached to it.", default_factory=list, list_type="atomic"
    )
    volumes_in_use: list[str] = field(
        doc="Volumes that must not be detached.", default_factory=list, list_type="atomic"
    )


class Node(KubeObject):
    """A machine of the cluster."""

    API_VERSION = "v1"
    KIND = "Node"
    api_version: str = field("v1", doc="Group and version of this representation of the object.")
    kind: str = field("Node", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    spec: NodeSpec = field(doc="What is wanted.", default_factory=lambda: NodeSpec())
    status: NodeStatus = field(
        doc="What was last observed; written by the system.", default_factory=lambda: NodeStatus()
    )
