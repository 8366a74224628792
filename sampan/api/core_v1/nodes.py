"""Nodes."""

from sampan.api.base import Int32, Int64, KubeObject, Object, Quantity, Time, field
from sampan.api.core_v1.placement import Taint
from sampan.api.meta_v1 import ObjectMeta
from sampan.api.rules import CIDR, Each


class AttachedVolume(Object):
    """"""

    device_path: str = field("", required=True)
    name: str = field("", required=True)


class ConfigMapNodeConfigSource(Object):
    """"""

    kubelet_config_key: str = field("", required=True)
    name: str = field("", required=True)
    namespace: str = field("", required=True)
    resource_version: str | None = field()
    uid: str | None = field()


class ContainerImage(Object):
    """"""

    names: list[str] = field(default_factory=list, list_type="atomic")
    size_bytes: Int64 | None = field()


class DaemonEndpoint(Object):
    """"""

    port: Int32 = field(0, alias="Port", required=True)


class NodeConfigSource(Object):
    """"""

    config_map: ConfigMapNodeConfigSource | None = field()


class NodePodPreemptionPolicy(Object):
    """"""

    disable_resize_preemption: list[str] = field(default_factory=list, list_type="set")


class NodeSpec(Object):
    """"""

    config_source: NodeConfigSource | None = field()
    external_id: str | None = field()
    pod_cidr: str | None = field()
    pod_cidrs: list[str] = field(default_factory=list, patch="merge", list_type="set", rules=(Each(CIDR),))
    pod_preemption_policy: NodePodPreemptionPolicy | None = field()
    provider_id: str | None = field()
    taints: list[Taint] = field(default_factory=list, list_type="atomic")
    unschedulable: bool | None = field()


class NodeAddress(Object):
    """"""

    address: str = field("", required=True)
    type: str = field("", required=True)


class NodeCondition(Object):
    """"""

    last_heartbeat_time: Time | None = field()
    last_transition_time: Time | None = field(doc="When the status last changed.")
    message: str | None = field(doc="Details for people.")
    reason: str | None = field(doc="Why the condition last changed, as one CamelCase word.")
    status: str = field("", doc="True, False or Unknown.", required=True)
    type: str = field("", doc="What the condition is about.", required=True)


class NodeConfigStatus(Object):
    """"""

    active: NodeConfigSource | None = field()
    assigned: NodeConfigSource | None = field()
    error: str | None = field()
    last_known_good: NodeConfigSource | None = field()


class NodeDaemonEndpoints(Object):
    """"""

    kubelet_endpoint: DaemonEndpoint | None = field()


class NodeFeatures(Object):
    """"""

    supplemental_groups_policy: bool | None = field()


class NodeSwapStatus(Object):
    """"""

    capacity: Int64 | None = field()


class NodeSystemInfo(Object):
    """"""

    architecture: str = field("", required=True)
    boot_id: str = field("", required=True)
    container_runtime_version: str = field("", required=True)
    kernel_version: str = field("", required=True)
    kube_proxy_version: str = field("", required=True)
    kubelet_version: str = field("", required=True)
    machine_id: str = field("", required=True)
    operating_system: str = field("", required=True)
    os_image: str = field("", required=True)
    running_in_user_namespace: bool | None = field()
    swap: NodeSwapStatus | None = field()
    system_uuid: str = field("", required=True)


class NodeRuntimeHandlerFeatures(Object):
    """"""

    recursive_read_only_mounts: bool | None = field()
    user_namespaces: bool | None = field()


class NodeRuntimeHandler(Object):
    """"""

    features: NodeRuntimeHandlerFeatures | None = field()
    name: str | None = field()


class NodeStatus(Object):
    """"""

    addresses: list[NodeAddress] = field(
        default_factory=list, merge_key="type", patch="merge", list_type="map", list_map_keys=("type",)
    )
    allocatable: dict[str, Quantity] = field(default_factory=dict)
    capacity: dict[str, Quantity] = field(default_factory=dict)
    conditions: list[NodeCondition] = field(
        default_factory=list, merge_key="type", patch="merge", list_type="map", list_map_keys=("type",)
    )
    config: NodeConfigStatus | None = field()
    daemon_endpoints: NodeDaemonEndpoints | None = field()
    declared_features: list[str] = field(default_factory=list, list_type="atomic")
    features: NodeFeatures | None = field()
    images: list[ContainerImage] = field(default_factory=list, list_type="atomic")
    node_info: NodeSystemInfo | None = field()
    phase: str | None = field()
    runtime_handlers: list[NodeRuntimeHandler] = field(default_factory=list, list_type="atomic")
    volumes_attached: list[AttachedVolume] = field(default_factory=list, list_type="atomic")
    volumes_in_use: list[str] = field(default_factory=list, list_type="atomic")


class Node(KubeObject):
    """"""

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
