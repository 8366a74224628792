""""""

from __future__ import annotations

from sampan.api.base import Base64, Int32, Int64, IntOrString, KubeObject, MicroTime, Object, Quantity, Time, field
from sampan.api.meta_v1 import Condition, LabelSelector, ObjectMeta
from sampan.api.rules import (
    CIDR,
    DNS_LABEL,
    ENV_NAME,
    FILE_MODE,
    GIVEN_PORT,
    IP,
    LABEL_VALUE,
    NON_NEGATIVE,
    PORT,
    PORT_NAME,
    QUALIFIED_NAME,
    SUBDOMAIN,
    USER_ID,
    WEIGHT,
    Amount,
    AtLeast,
    Each,
    Given,
    Labels,
    MayBeEmpty,
    NodeField,
    OneOf,
    OptionalPortOrName,
    PortOrName,
    Range,
    Requirement,
    Resources,
    ZeroIsUnset,
)


class AWSElasticBlockStoreVolumeSource(Object):
    """"""

    fs_type: str | None = field()
    partition: Int32 | None = field()
    read_only: bool | None = field()
    volume_id: str = field("", required=True)


class NodeSelectorRequirement(Object):
    """"""

    key: str = field("", required=True, rules=(MayBeEmpty(),))
    operator: str = field("", required=True, rules=(MayBeEmpty(),))
    values: list[str] = field(default_factory=list, list_type="atomic")


class NodeSelectorTerm(Object):
    """"""

    match_expressions: list[NodeSelectorRequirement] = field(
        default_factory=list, list_type="atomic", rules=(Each(Requirement(of_nodes=True)),)
    )
    match_fields: list[NodeSelectorRequirement] = field(
        default_factory=list, list_type="atomic", rules=(Each(NodeField()),)
    )


class PreferredSchedulingTerm(Object):
    """"""

    preference: NodeSelectorTerm = field(default_factory=lambda: NodeSelectorTerm(), required=True)
    weight: Int32 = field(0, required=True, rules=(WEIGHT,))


class NodeSelector(Object):
    """"""

    node_selector_terms: list[NodeSelectorTerm] = field(
        default_factory=list,
        required=True,
        list_type="atomic",
        rules=(Given("must have at least one node selector term"),),
    )


class NodeAffinity(Object):
    """"""

    preferred_during_scheduling_ignored_during_execution: list[PreferredSchedulingTerm] = field(
        default_factory=list, list_type="atomic"
    )
    required_during_scheduling_ignored_during_execution: NodeSelector | None = field()


class PodAffinityTerm(Object):
    """"""

    label_selector: LabelSelector | None = field()
    match_label_keys: list[str] = field(default_factory=list, list_type="atomic")
    mismatch_label_keys: list[str] = field(default_factory=list, list_type="atomic")
    namespace_selector: LabelSelector | None = field()
    namespaces: list[str] = field(default_factory=list, list_type="atomic")
    topology_key: str = field(
        "",
        required=True,
        rules=(
            Given("can not be empty"),
            QUALIFIED_NAME,
        ),
    )


class WeightedPodAffinityTerm(Object):
    """"""

    pod_affinity_term: PodAffinityTerm = field(default_factory=lambda: PodAffinityTerm(), required=True)
    weight: Int32 = field(0, required=True, rules=(WEIGHT,))


class PodAffinity(Object):
    """"""

    preferred_during_scheduling_ignored_during_execution: list[WeightedPodAffinityTerm] = field(
        default_factory=list, list_type="atomic"
    )
    required_during_scheduling_ignored_during_execution: list[PodAffinityTerm] = field(
        default_factory=list, list_type="atomic"
    )


class PodAntiAffinity(Object):
    """"""

    preferred_during_scheduling_ignored_during_execution: list[WeightedPodAffinityTerm] = field(
        default_factory=list, list_type="atomic"
    )
    required_during_scheduling_ignored_during_execution: list[PodAffinityTerm] = field(
        default_factory=list, list_type="atomic"
    )


class Affinity(Object):
    """"""

    node_affinity: NodeAffinity | None = field()
    pod_affinity: PodAffinity | None = field()
    pod_anti_affinity: PodAntiAffinity | None = field()


class AppArmorProfile(Object):
    """"""

    localhost_profile: str | None = field()
    type: str = field("", required=True, rules=(OneOf("Localhost", "RuntimeDefault", "Unconfined"),))


class AttachedVolume(Object):
    """"""

    device_path: str = field("", required=True)
    name: str = field("", required=True)


class AzureDiskVolumeSource(Object):
    """"""

    caching_mode: str | None = field("ReadWrite")
    disk_name: str = field("", required=True)
    disk_uri: str = field("", alias="diskURI", required=True)
    fs_type: str | None = field("ext4")
    kind: str | None = field("Shared")
    read_only: bool | None = field(False)


class AzureFilePersistentVolumeSource(Object):
    """"""

    read_only: bool | None = field()
    secret_name: str = field("", required=True)
    secret_namespace: str | None = field()
    share_name: str = field("", required=True)


class AzureFileVolumeSource(Object):
    """"""

    read_only: bool | None = field()
    secret_name: str = field("", required=True)
    share_name: str = field("", required=True)


class ObjectReference(Object):
    """"""

    api_version: str | None = field()
    field_path: str | None = field()
    kind: str | None = field()
    name: str | None = field()
    namespace: str | None = field()
    resource_version: str | None = field()
    uid: str | None = field()


class Binding(KubeObject):
    """"""

    API_VERSION = "v1"
    KIND = "Binding"
    api_version: str = field("v1")
    kind: str = field("Binding")
    metadata: ObjectMeta = field(default_factory=lambda: ObjectMeta())
    target: ObjectReference = field(default_factory=lambda: ObjectReference(), required=True)


class SecretReference(Object):
    """"""

    name: str | None = field()
    namespace: str | None = field()


class CSIPersistentVolumeSource(Object):
    """"""

    controller_expand_secret_ref: SecretReference | None = field()
    controller_publish_secret_ref: SecretReference | None = field()
    driver: str = field("", required=True)
    fs_type: str | None = field()
    node_expand_secret_ref: SecretReference | None = field()
    node_publish_secret_ref: SecretReference | None = field()
    node_stage_secret_ref: SecretReference | None = field()
    read_only: bool | None = field()
    volume_attributes: dict[str, str] = field(default_factory=dict)
    volume_handle: str = field("", required=True)


class LocalObjectReference(Object):
    """"""

    name: str | None = field()


class CSIVolumeSource(Object):
    """"""

    driver: str = field("", required=True)
    fs_type: str | None = field()
    node_publish_secret_ref: LocalObjectReference | None = field()
    read_only: bool | None = field()
    volume_attributes: dict[str, str] = field(default_factory=dict)


class Capabilities(Object):
    """"""

    add: list[str] = field(default_factory=list, list_type="atomic")
    drop: list[str] = field(default_factory=list, list_type="atomic")


class CephFSPersistentVolumeSource(Object):
    """"""

    monitors: list[str] = field(default_factory=list, required=True, list_type="atomic")
    path: str | None = field()
    read_only: bool | None = field()
    secret_file: str | None = field()
    secret_ref: SecretReference | None = field()
    user: str | None = field()


class CephFSVolumeSource(Object):
    """"""

    monitors: list[str] = field(default_factory=list, required=True, list_type="atomic")
    path: str | None = field()
    read_only: bool | None = field()
    secret_file: str | None = field()
    secret_ref: LocalObjectReference | None = field()
    user: str | None = field()


class CinderPersistentVolumeSource(Object):
    """"""

    fs_type: str | None = field()
    read_only: bool | None = field()
    secret_ref: SecretReference | None = field()
    volume_id: str = field("", required=True)


class CinderVolumeSource(Object):
    """"""

    fs_type: str | None = field()
    read_only: bool | None = field()
    secret_ref: LocalObjectReference | None = field()
    volume_id: str = field("", required=True)


class ClientIPConfig(Object):
    """"""

    timeout_seconds: Int32 | None = field(rules=(Range(1, 86400, "must be greater than 0 and less than 86400"),))


class ClusterTrustBundleProjection(Object):
    """"""

    label_selector: LabelSelector | None = field()
    name: str | None = field()
    optional: bool | None = field()
    path: str = field("", required=True)
    signer_name: str | None = field()
    user: Int64 | None = field()


class ConfigMap(KubeObject):
    """"""

    API_VERSION = "v1"
    KIND = "ConfigMap"
    api_version: str = field("v1")
    kind: str = field("ConfigMap")
    metadata: ObjectMeta = field(default_factory=lambda: ObjectMeta())
    binary_data: dict[str, Base64] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)
    immutable: bool | None = field()


class ConfigMapEnvSource(Object):
    """"""

    name: str | None = field()
    optional: bool | None = field()


class ConfigMapKeySelector(Object):
    """"""

    key: str = field("", required=True)
    name: str | None = field()
    optional: bool | None = field()


class ConfigMapNodeConfigSource(Object):
    """"""

    kubelet_config_key: str = field("", required=True)
    name: str = field("", required=True)
    namespace: str = field("", required=True)
    resource_version: str | None = field()
    uid: str | None = field()


class KeyToPath(Object):
    """"""

    key: str = field("", required=True)
    mode: Int32 | None = field(rules=(FILE_MODE,))
    path: str = field("", required=True)
    user: Int64 | None = field()


class ConfigMapProjection(Object):
    """"""

    items: list[KeyToPath] = field(default_factory=list, list_type="atomic")
    name: str | None = field()
    optional: bool | None = field()


class ConfigMapVolumeSource(Object):
    """"""

    default_mode: Int32 | None = field(420, rules=(FILE_MODE,))
    default_user: Int64 | None = field()
    items: list[KeyToPath] = field(default_factory=list, list_type="atomic")
    name: str | None = field()
    optional: bool | None = field()


class ObjectFieldSelector(Object):
    """"""

    api_version: str | None = field("v1")
    field_path: str = field("", required=True)


class FileKeySelector(Object):
    """"""

    key: str = field("", required=True)
    optional: bool | None = field()
    path: str = field("", required=True)
    volume_name: str = field("", required=True)


class ResourceFieldSelector(Object):
    """"""

    container_name: str | None = field()
    divisor: Quantity | None = field()
    resource: str = field("", required=True)


class SecretKeySelector(Object):
    """"""

    key: str = field("", required=True)
    name: str | None = field()
    optional: bool | None = field()


class EnvVarSource(Object):
    """"""

    config_map_key_ref: ConfigMapKeySelector | None = field()
    field_ref: ObjectFieldSelector | None = field()
    file_key_ref: FileKeySelector | None = field()
    resource_field_ref: ResourceFieldSelector | None = field()
    secret_key_ref: SecretKeySelector | None = field()


class EnvVar(Object):
    """"""

    name: str = field("", required=True, rules=(ENV_NAME,))
    value: str | None = field()
    value_from: EnvVarSource | None = field()


class SecretEnvSource(Object):
    """"""

    name: str | None = field()
    optional: bool | None = field()


class EnvFromSource(Object):
    """"""

    config_map_ref: ConfigMapEnvSource | None = field()
    prefix: str | None = field(rules=(ENV_NAME,))
    secret_ref: SecretEnvSource | None = field()


class ExecAction(Object):
    """"""

    command: list[str] = field(default_factory=list, list_type="atomic")


class HTTPHeader(Object):
    """"""

    name: str = field("", required=True, rules=(MayBeEmpty(),))
    value: str = field("", required=True, rules=(MayBeEmpty(),))


class HTTPGetAction(Object):
    """"""

    host: str | None = field()
    http_headers: list[HTTPHeader] = field(default_factory=list, list_type="atomic")
    path: str | None = field("/")
    port: IntOrString | None = field(required=True, rules=(PortOrName(),))
    protocol: str | None = field()
    scheme: str | None = field("HTTP", rules=(OneOf("HTTP", "HTTPS"),))


class SleepAction(Object):
    """"""

    seconds: Int64 = field(0, required=True)


class TCPSocketAction(Object):
    """"""

    host: str | None = field()
    port: IntOrString | None = field(required=True, rules=(PortOrName(),))


class LifecycleHandler(Object):
    """"""

    exec: ExecAction | None = field()
    http_get: HTTPGetAction | None = field()
    sleep: SleepAction | None = field()
    tcp_socket: TCPSocketAction | None = field()


class Lifecycle(Object):
    """"""

    post_start: LifecycleHandler | None = field()
    pre_stop: LifecycleHandler | None = field()
    stop_signal: str | None = field()


class GRPCAction(Object):
    """"""

    mode: str | None = field()
    port: Int32 = field(0, required=True, rules=(PORT,))
    service: str | None = field("")


class Probe(Object):
    """"""

    exec: ExecAction | None = field()
    failure_threshold: Int32 | None = field(3, rules=(NON_NEGATIVE, ZeroIsUnset()))
    grpc: GRPCAction | None = field()
    http_get: HTTPGetAction | None = field()
    initial_delay_seconds: Int32 | None = field(rules=(NON_NEGATIVE,))
    period_seconds: Int32 | None = field(10, rules=(NON_NEGATIVE, ZeroIsUnset()))
    success_threshold: Int32 | None = field(1, rules=(NON_NEGATIVE, ZeroIsUnset()))
    tcp_socket: TCPSocketAction | None = field()
    termination_grace_period_seconds: Int64 | None = field(rules=(AtLeast(1, "must be greater than 0"),))
    timeout_seconds: Int32 | None = field(1, rules=(NON_NEGATIVE, ZeroIsUnset()))


class ContainerPort(Object):
    """"""

    container_port: Int32 = field(0, required=True, rules=(GIVEN_PORT,))
    host_ip: str | None = field()
    host_port: Int32 | None = field(rules=(Range(0, 65535, "must be between 1 and 65535, inclusive"),))
    name: str | None = field(rules=(PORT_NAME,))
    protocol: str | None = field("TCP", rules=(OneOf("SCTP", "TCP", "UDP"),))


class ContainerResizePolicy(Object):
    """"""

    resource_name: str = field("", required=True, rules=(OneOf("cpu", "memory"),))
    restart_policy: str = field("", required=True, rules=(OneOf("NotRequired", "RestartContainer"),))


class ResourceClaim(Object):
    """"""

    name: str = field("", required=True)
    request: str | None = field()


class ResourceRequirements(Object):
    """"""

    claims: list[ResourceClaim] = field(default_factory=list, list_type="map", list_map_keys=("name",))
    limits: dict[str, Quantity] = field(default_factory=dict, rules=(Resources(of_containers=True),))
    requests: dict[str, Quantity] = field(default_factory=dict, rules=(Resources(of_containers=True),))


class ContainerRestartRuleOnExitCodes(Object):
    """"""

    operator: str = field("", required=True)
    values: list[Int32] = field(default_factory=list, list_type="set")


class ContainerRestartRule(Object):
    """"""

    action: str = field("", required=True)
    exit_codes: ContainerRestartRuleOnExitCodes | None = field()


class SELinuxOptions(Object):
    """"""

    level: str | None = field()
    role: str | None = field()
    type: str | None = field()
    user: str | None = field()


class SeccompProfile(Object):
    """"""

    localhost_profile: str | None = field()
    type: str = field("", required=True, rules=(OneOf("Localhost", "RuntimeDefault", "Unconfined"),))


class WindowsSecurityContextOptions(Object):
    """"""

    gmsa_credential_spec: str | None = field()
    gmsa_credential_spec_name: str | None = field()
    host_process: bool | None = field()
    run_as_user_name: str | None = field()


class SecurityContext(Object):
    """"""

    allow_privilege_escalation: bool | None = field()
    app_armor_profile: AppArmorProfile | None = field()
    capabilities: Capabilities | None = field()
    privileged: bool | None = field()
    proc_mount: str | None = field(rules=(OneOf("Default", "Unmasked"),))
    read_only_root_filesystem: bool | None = field()
    run_as_group: Int64 | None = field(rules=(USER_ID,))
    run_as_non_root: bool | None = field()
    run_as_user: Int64 | None = field(rules=(USER_ID,))
    se_linux_options: SELinuxOptions | None = field()
    seccomp_profile: SeccompProfile | None = field()
    windows_options: WindowsSecurityContextOptions | None = field()


class VolumeDevice(Object):
    """"""

    device_path: str = field("", required=True)
    name: str = field("", required=True)


class VolumeMount(Object):
    """"""

    bind_mount_options: list[str] = field(default_factory=list, list_type="set")
    mount_path: str = field("", required=True)
    mount_propagation: str | None = field(rules=(OneOf("Bidirectional", "HostToContainer", "None"),))
    name: str = field("", required=True)
    read_only: bool | None = field()
    recursive_read_only: str | None = field(rules=(OneOf("Disabled", "Enabled", "IfPossible"),))
    sub_path: str | None = field()
    sub_path_expr: str | None = field()


class Container(Object):
    """"""

    args: list[str] = field(default_factory=list, list_type="atomic")
    command: list[str] = field(default_factory=list, list_type="atomic")
    env: list[EnvVar] = field(
        default_factory=list, merge_key="name", patch="merge", list_type="map", list_map_keys=("name",)
    )
    env_from: list[EnvFromSource] = field(default_factory=list, list_type="atomic")
    image: str | None = field(rules=(Given(),))
    image_pull_policy: str | None = field(rules=(OneOf("Always", "IfNotPresent", "Never"),))
    lifecycle: Lifecycle | None = field()
    liveness_probe: Probe | None = field()
    name: str = field("", required=True, rules=(DNS_LABEL,))
    ports: list[ContainerPort] = field(
        default_factory=list,
        merge_key="containerPort",
        patch="merge",
        list_type="map",
        list_map_keys=(
            "containerPort",
            "protocol",
        ),
    )
    readiness_probe: Probe | None = field()
    resize_policy: list[ContainerResizePolicy] = field(default_factory=list, list_type="atomic")
    resources: ResourceRequirements | None = field(default_factory=lambda: ResourceRequirements())
    restart_policy: str | None = field()
    restart_policy_rules: list[ContainerRestartRule] = field(default_factory=list, list_type="atomic")
    security_context: SecurityContext | None = field()
    startup_probe: Probe | None = field()
    stdin: bool | None = field()
    stdin_once: bool | None = field()
    termination_message_path: str | None = field("/dev/termination-log")
    termination_message_policy: str | None = field("File", rules=(OneOf("File", "FallbackToLogsOnError"),))
    tty: bool | None = field()
    volume_devices: list[VolumeDevice] = field(
        default_factory=list,
        merge_key="devicePath",
        patch="merge",
        list_type="map",
        list_map_keys=("devicePath",),
    )
    volume_mounts: list[VolumeMount] = field(
        default_factory=list,
        merge_key="mountPath",
        patch="merge",
        list_type="map",
        list_map_keys=("mountPath",),
    )
    working_dir: str | None = field()


class ContainerExtendedResourceRequest(Object):
    """"""

    container_name: str = field("", required=True)
    request_name: str = field("", required=True)
    resource_name: str = field("", required=True)


class ContainerImage(Object):
    """"""

    names: list[str] = field(default_factory=list, list_type="atomic")
    size_bytes: Int64 | None = field()


class ContainerStateRunning(Object):
    """"""

    started_at: Time | None = field()


class ContainerStateTerminated(Object):
    """"""

    container_id: str | None = field()
    exit_code: Int32 = field(0, required=True)
    finished_at: Time | None = field()
    message: str | None = field()
    reason: str | None = field()
    signal: Int32 | None = field()
    started_at: Time | None = field()


class ContainerStateWaiting(Object):
    """"""

    message: str | None = field()
    reason: str | None = field()


class ContainerState(Object):
    """"""

    running: ContainerStateRunning | None = field()
    terminated: ContainerStateTerminated | None = field()
    waiting: ContainerStateWaiting | None = field()


class ResourceHealth(Object):
    """"""

    health: str | None = field()
    message: str | None = field()
    resource_id: str = field("", required=True)


class ResourceStatus(Object):
    """"""

    name: str = field("", required=True)
    resources: list[ResourceHealth] = field(default_factory=list, list_type="map", list_map_keys=("resourceID",))


class LinuxContainerUser(Object):
    """"""

    gid: Int64 = field(0, required=True)
    supplemental_groups: list[Int64] = field(default_factory=list, list_type="atomic")
    uid: Int64 = field(0, required=True)


class ContainerUser(Object):
    """"""

    linux: LinuxContainerUser | None = field()


class ImageVolumeStatus(Object):
    """"""

    image_ref: str = field("", required=True)


class VolumeStatus(Object):
    """"""

    image: ImageVolumeStatus | None = field()


class VolumeMountStatus(Object):
    """"""

    mount_path: str = field("", required=True)
    name: str = field("", required=True)
    read_only: bool | None = field()
    recursive_read_only: str | None = field()
    volume_status: VolumeStatus | None = field()


class ContainerStatus(Object):
    """"""

    allocated_resources: dict[str, Quantity] = field(default_factory=dict)
    allocated_resources_status: list[ResourceStatus] = field(
        default_factory=list, merge_key="name", patch="merge", list_type="map", list_map_keys=("name",)
    )
    container_id: str | None = field()
    image: str = field("", required=True)
    image_id: str = field("", required=True)
    last_state: ContainerState | None = field()
    name: str = field("", required=True)
    ready: bool = field(False, required=True)
    resources: ResourceRequirements | None = field()
    restart_count: Int32 = field(0, required=True)
    started: bool | None = field()
    state: ContainerState | None = field()
    stop_signal: str | None = field()
    user: ContainerUser | None = field()
    volume_mounts: list[VolumeMountStatus] = field(
        default_factory=list,
        merge_key="mountPath",
        patch="merge",
        list_type="map",
        list_map_keys=("mountPath",),
    )


class DaemonEndpoint(Object):
    """"""

    port: Int32 = field(0, alias="Port", required=True)


class DownwardAPIVolumeFile(Object):
    """"""

    field_ref: ObjectFieldSelector | None = field()
    mode: Int32 | None = field(rules=(FILE_MODE,))
    path: str = field("", required=True)
    resource_field_ref: ResourceFieldSelector | None = field()
    user: Int64 | None = field()


class DownwardAPIProjection(Object):
    """"""

    items: list[DownwardAPIVolumeFile] = field(default_factory=list, list_type="atomic")


class DownwardAPIVolumeSource(Object):
    """"""

    default_mode: Int32 | None = field(420, rules=(FILE_MODE,))
    default_user: Int64 | None = field()
    items: list[DownwardAPIVolumeFile] = field(default_factory=list, list_type="atomic")


class EmptyDirVolumeSource(Object):
    """"""

    medium: str | None = field()
    mode: Int32 | None = field()
    size_limit: Quantity | None = field(rules=(Amount(),))


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


class EphemeralContainer(Object):
    """"""

    args: list[str] = field(default_factory=list, list_type="atomic")
    command: list[str] = field(default_factory=list, list_type="atomic")
    env: list[EnvVar] = field(
        default_factory=list, merge_key="name", patch="merge", list_type="map", list_map_keys=("name",)
    )
    env_from: list[EnvFromSource] = field(default_factory=list, list_type="atomic")
    image: str | None = field(rules=(Given(),))
    image_pull_policy: str | None = field(rules=(OneOf("Always", "IfNotPresent", "Never"),))
    lifecycle: Lifecycle | None = field()
    liveness_probe: Probe | None = field()
    name: str = field("", required=True, rules=(DNS_LABEL,))
    ports: list[ContainerPort] = field(
        default_factory=list,
        merge_key="containerPort",
        patch="merge",
        list_type="map",
        list_map_keys=(
            "containerPort",
            "protocol",
        ),
    )
    readiness_probe: Probe | None = field()
    resize_policy: list[ContainerResizePolicy] = field(default_factory=list, list_type="atomic")
    resources: ResourceRequirements | None = field(default_factory=lambda: ResourceRequirements())
    restart_policy: str | None = field()
    restart_policy_rules: list[ContainerRestartRule] = field(default_factory=list, list_type="atomic")
    security_context: SecurityContext | None = field()
    startup_probe: Probe | None = field()
    stdin: bool | None = field()
    stdin_once: bool | None = field()
    target_container_name: str | None = field()
    termination_message_path: str | None = field("/dev/termination-log")
    termination_message_policy: str | None = field("File", rules=(OneOf("File", "FallbackToLogsOnError"),))
    tty: bool | None = field()
    volume_devices: list[VolumeDevice] = field(
        default_factory=list,
        merge_key="devicePath",
        patch="merge",
        list_type="map",
        list_map_keys=("devicePath",),
    )
    volume_mounts: list[VolumeMount] = field(
        default_factory=list,
        merge_key="mountPath",
        patch="merge",
        list_type="map",
        list_map_keys=("mountPath",),
    )
    working_dir: str | None = field()


class TypedLocalObjectReference(Object):
    """"""

    api_group: str | None = field()
    kind: str = field("", required=True)
    name: str = field("", required=True)


class TypedObjectReference(Object):
    """"""

    api_group: str | None = field()
    kind: str = field("", required=True)
    name: str = field("", required=True)
    namespace: str | None = field()


class VolumeResourceRequirements(Object):
    """"""

    limits: dict[str, Quantity] = field(default_factory=dict)
    requests: dict[str, Quantity] = field(default_factory=dict)


class PersistentVolumeClaimSpec(Object):
    """"""

    access_modes: list[str] = field(default_factory=list, list_type="atomic")
    data_source: TypedLocalObjectReference | None = field()
    data_source_ref: TypedObjectReference | None = field()
    resources: VolumeResourceRequirements | None = field()
    selector: LabelSelector | None = field()
    storage_class_name: str | None = field()
    volume_attributes_class_name: str | None = field()
    volume_mode: str | None = field("Filesystem")
    volume_name: str | None = field()


class PersistentVolumeClaimTemplate(Object):
    """"""

    metadata: ObjectMeta = field(default_factory=lambda: ObjectMeta())
    spec: PersistentVolumeClaimSpec = field(default_factory=lambda: PersistentVolumeClaimSpec(), required=True)


class EphemeralVolumeSource(Object):
    """"""

    volume_claim_template: PersistentVolumeClaimTemplate | None = field()


class EventSeries(Object):
    """"""

    count: Int32 | None = field()
    last_observed_time: MicroTime | None = field()


class EventSource(Object):
    """"""

    component: str | None = field()
    host: str | None = field()


class Event(KubeObject):
    """"""

    API_VERSION = "v1"
    KIND = "Event"
    api_version: str = field("v1")
    kind: str = field("Event")
    metadata: ObjectMeta = field(default_factory=lambda: ObjectMeta(), required=True)
    action: str | None = field()
    count: Int32 | None = field()
    event_time: MicroTime | None = field()
    first_timestamp: Time | None = field()
    involved_object: ObjectReference = field(default_factory=lambda: ObjectReference(), required=True)
    last_timestamp: Time | None = field()
    message: str | None = field()
    reason: str | None = field()
    related: ObjectReference | None = field()
    reporting_component: str | None = field()
    reporting_instance: str | None = field()
    series: EventSeries | None = field()
    source: EventSource | None = field()
    type: str | None = field()


class EvictionResponder(Object):
    """"""

    name: str = field("", required=True)
    priority: Int32 = field(0, required=True)


class FCVolumeSource(Object):
    """"""

    fs_type: str | None = field()
    lun: Int32 | None = field()
    read_only: bool | None = field()
    target_wwns: list[str] = field(default_factory=list, alias="targetWWNs", list_type="atomic")
    wwids: list[str] = field(default_factory=list, list_type="atomic")


class FlexPersistentVolumeSource(Object):
    """"""

    driver: str = field("", required=True)
    fs_type: str | None = field()
    options: dict[str, str] = field(default_factory=dict)
    read_only: bool | None = field()
    secret_ref: SecretReference | None = field()


class FlexVolumeSource(Object):
    """"""

    driver: str = field("", required=True)
    fs_type: str | None = field()
    options: dict[str, str] = field(default_factory=dict)
    read_only: bool | None = field()
    secret_ref: LocalObjectReference | None = field()


class FlockerVolumeSource(Object):
    """"""

    dataset_name: str | None = field()
    dataset_uuid: str | None = field()


class GCEPersistentDiskVolumeSource(Object):
    """"""

    fs_type: str | None = field()
    partition: Int32 | None = field()
    pd_name: str = field("", required=True)
    read_only: bool | None = field()


class GitRepoVolumeSource(Object):
    """"""

    directory: str | None = field()
    repository: str = field("", required=True)
    revision: str | None = field()


class GlusterfsPersistentVolumeSource(Object):
    """"""

    endpoints: str = field("", required=True)
    endpoints_namespace: str | None = field()
    path: str = field("", required=True)
    read_only: bool | None = field()


class GlusterfsVolumeSource(Object):
    """"""

    endpoints: str = field("", required=True)
    path: str = field("", required=True)
    read_only: bool | None = field()


class HostAlias(Object):
    """"""

    hostnames: list[str] = field(default_factory=list, list_type="atomic", rules=(Each(SUBDOMAIN),))
    ip: str = field("", required=True, rules=(IP,))


class HostIP(Object):
    """"""

    ip: str = field("", required=True)


class HostPathVolumeSource(Object):
    """"""

    path: str = field("", required=True)
    type: str | None = field(
        "",
        rules=(
            OneOf("", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"),
        ),
    )


class ISCSIPersistentVolumeSource(Object):
    """"""

    chap_auth_discovery: bool | None = field()
    chap_auth_session: bool | None = field()
    fs_type: str | None = field()
    initiator_name: str | None = field()
    iqn: str = field("", required=True)
    iscsi_interface: str | None = field()
    lun: Int32 = field(0, required=True)
    portals: list[str] = field(default_factory=list, list_type="atomic")
    read_only: bool | None = field()
    secret_ref: SecretReference | None = field()
    target_portal: str = field("", required=True)


class ISCSIVolumeSource(Object):
    """"""

    chap_auth_discovery: bool | None = field()
    chap_auth_session: bool | None = field()
    fs_type: str | None = field()
    initiator_name: str | None = field()
    iqn: str = field("", required=True)
    iscsi_interface: str | None = field("default")
    lun: Int32 = field(0, required=True)
    portals: list[str] = field(default_factory=list, list_type="atomic")
    read_only: bool | None = field()
    secret_ref: LocalObjectReference | None = field()
    target_portal: str = field("", required=True)


class ImageVolumeSource(Object):
    """"""

    pull_policy: str | None = field(rules=(OneOf("Always", "IfNotPresent", "Never"),))
    reference: str | None = field()


class LimitRangeItem(Object):
    """"""

    default: dict[str, Quantity] = field(default_factory=dict)
    default_request: dict[str, Quantity] = field(default_factory=dict)
    max: dict[str, Quantity] = field(default_factory=dict)
    max_limit_request_ratio: dict[str, Quantity] = field(default_factory=dict)
    min: dict[str, Quantity] = field(default_factory=dict)
    type: str = field("", required=True)


class LimitRangeSpec(Object):
    """"""

    limits: list[LimitRangeItem] = field(default_factory=list, required=True, list_type="atomic")


class LimitRange(KubeObject):
    """"""

    API_VERSION = "v1"
    KIND = "LimitRange"
    api_version: str = field("v1")
    kind: str = field("LimitRange")
    metadata: ObjectMeta = field(default_factory=lambda: ObjectMeta())
    spec: LimitRangeSpec = field(default_factory=lambda: LimitRangeSpec())


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


class LocalVolumeSource(Object):
    """"""

    fs_type: str | None = field()
    path: str = field("", required=True)


class ModifyVolumeStatus(Object):
    """"""

    status: str = field("", required=True)
    target_volume_attributes_class_name: str | None = field()


class NFSVolumeSource(Object):
    """"""

    path: str = field("", required=True)
    read_only: bool | None = field()
    server: str = field("", required=True)


class NamespaceSpec(Object):
    """"""

    finalizers: list[str] = field(default_factory=list, list_type="atomic")


class NamespaceCondition(Object):
    """"""

    last_transition_time: Time | None = field()
    message: str | None = field()
    reason: str | None = field()
    status: str = field("", required=True)
    type: str = field("", required=True)


class NamespaceStatus(Object):
    """"""

    conditions: list[NamespaceCondition] = field(
        default_factory=list, merge_key="type", patch="merge", list_type="map", list_map_keys=("type",)
    )
    phase: str | None = field()


class Namespace(KubeObject):
    """"""

    API_VERSION = "v1"
    KIND = "Namespace"
    api_version: str = field("v1")
    kind: str = field("Namespace")
    metadata: ObjectMeta = field(default_factory=lambda: ObjectMeta())
    spec: NamespaceSpec = field(default_factory=lambda: NamespaceSpec())
    status: NamespaceStatus = field(default_factory=lambda: NamespaceStatus())


class NodeConfigSource(Object):
    """"""

    config_map: ConfigMapNodeConfigSource | None = field()


class NodePodPreemptionPolicy(Object):
    """"""

    disable_resize_preemption: list[str] = field(default_factory=list, list_type="set")


class Taint(Object):
    """"""

    effect: str = field("", required=True, rules=(OneOf("NoSchedule", "PreferNoSchedule", "NoExecute"),))
    key: str = field("", required=True, rules=(QUALIFIED_NAME,))
    time_added: Time | None = field()
    value: str | None = field(rules=(LABEL_VALUE,))


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
    last_transition_time: Time | None = field()
    message: str | None = field()
    reason: str | None = field()
    status: str = field("", required=True)
    type: str = field("", required=True)


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
    api_version: str = field("v1")
    kind: str = field("Node")
    metadata: ObjectMeta = field(default_factory=lambda: ObjectMeta())
    spec: NodeSpec = field(default_factory=lambda: NodeSpec())
    status: NodeStatus = field(default_factory=lambda: NodeStatus())


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


class VolumeNodeAffinity(Object):
    """"""

    required: NodeSelector | None = field()


class PhotonPersistentDiskVolumeSource(Object):
    """"""

    fs_type: str | None = field()
    pd_id: str = field("", required=True)


class PortworxVolumeSource(Object):
    """"""

    fs_type: str | None = field()
    read_only: bool | None = field()
    volume_id: str = field("", required=True)


class QuobyteVolumeSource(Object):
    """"""

    group: str | None = field()
    read_only: bool | None = field()
    registry: str = field("", required=True)
    tenant: str | None = field()
    user: str | None = field()
    volume: str = field("", required=True)


class RBDPersistentVolumeSource(Object):
    """"""

    fs_type: str | None = field()
    image: str = field("", required=True)
    keyring: str | None = field()
    monitors: list[str] = field(default_factory=list, required=True, list_type="atomic")
    pool: str | None = field()
    read_only: bool | None = field()
    secret_ref: SecretReference | None = field()
    user: str | None = field()


class ScaleIOPersistentVolumeSource(Object):
    """"""

    fs_type: str | None = field()
    gateway: str = field("", required=True)
    protection_domain: str | None = field()
    read_only: bool | None = field()
    secret_ref: SecretReference = field(default_factory=lambda: SecretReference(), required=True)
    ssl_enabled: bool | None = field()
    storage_mode: str | None = field()
    storage_pool: str | None = field()
    system: str = field("", required=True)
    volume_name: str | None = field()


class StorageOSPersistentVolumeSource(Object):
    """"""

    fs_type: str | None = field()
    read_only: bool | None = field()
    secret_ref: ObjectReference | None = field()
    volume_name: str | None = field()
    volume_namespace: str | None = field()


class VsphereVirtualDiskVolumeSource(Object):
    """"""

    fs_type: str | None = field()
    storage_policy_id: str | None = field()
    storage_policy_name: str | None = field()
    volume_path: str = field("", required=True)


class PersistentVolumeSpec(Object):
    """"""

    access_modes: list[str] = field(default_factory=list, list_type="atomic")
    aws_elastic_block_store: AWSElasticBlockStoreVolumeSource | None = field()
    azure_disk: AzureDiskVolumeSource | None = field()
    azure_file: AzureFilePersistentVolumeSource | None = field()
    capacity: dict[str, Quantity] = field(default_factory=dict)
    cephfs: CephFSPersistentVolumeSource | None = field()
    cinder: CinderPersistentVolumeSource | None = field()
    claim_ref: ObjectReference | None = field(map_type="granular")
    csi: CSIPersistentVolumeSource | None = field()
    fc: FCVolumeSource | None = field()
    flex_volume: FlexPersistentVolumeSource | None = field()
    flocker: FlockerVolumeSource | None = field()
    gce_persistent_disk: GCEPersistentDiskVolumeSource | None = field()
    glusterfs: GlusterfsPersistentVolumeSource | None = field()
    host_path: HostPathVolumeSource | None = field()
    iscsi: ISCSIPersistentVolumeSource | None = field()
    local: LocalVolumeSource | None = field()
    mount_options: list[str] = field(default_factory=list, list_type="atomic")
    nfs: NFSVolumeSource | None = field()
    node_affinity: VolumeNodeAffinity | None = field()
    persistent_volume_reclaim_policy: str | None = field("Retain")
    photon_persistent_disk: PhotonPersistentDiskVolumeSource | None = field()
    portworx_volume: PortworxVolumeSource | None = field()
    quobyte: QuobyteVolumeSource | None = field()
    rbd: RBDPersistentVolumeSource | None = field()
    scale_io: ScaleIOPersistentVolumeSource | None = field(alias="scaleIO")
    storage_class_name: str | None = field()
    storageos: StorageOSPersistentVolumeSource | None = field()
    volume_attributes_class_name: str | None = field()
    volume_mode: str | None = field("Filesystem")
    vsphere_volume: VsphereVirtualDiskVolumeSource | None = field()


class PersistentVolumeStatus(Object):
    """"""

    last_phase_transition_time: Time | None = field()
    message: str | None = field()
    phase: str | None = field()
    reason: str | None = field()


class PersistentVolume(KubeObject):
    """"""

    API_VERSION = "v1"
    KIND = "PersistentVolume"
    api_version: str = field("v1")
    kind: str = field("PersistentVolume")
    metadata: ObjectMeta = field(default_factory=lambda: ObjectMeta())
    spec: PersistentVolumeSpec = field(default_factory=lambda: PersistentVolumeSpec())
    status: PersistentVolumeStatus = field(default_factory=lambda: PersistentVolumeStatus())


class PersistentVolumeClaimCondition(Object):
    """"""

    last_probe_time: Time | None = field()
    last_transition_time: Time | None = field()
    message: str | None = field()
    reason: str | None = field()
    status: str = field("", required=True)
    type: str = field("", required=True)


class VolumeHealthCondition(Object):
    """"""

    message: str | None = field()
    reason: str = field("", required=True)
    status: str = field("", required=True)


class VolumeHealthStatus(Object):
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


class PersistentVolumeClaimStatus(Object):
    """"""

    access_modes: list[str] = field(default_factory=list, list_type="atomic")
    allocated_resource_statuses: dict[str, str] = field(default_factory=dict, map_type="granular")
    allocated_resources: dict[str, Quantity] = field(default_factory=dict)
    capacity: dict[str, Quantity] = field(default_factory=dict)
    conditions: list[PersistentVolumeClaimCondition] = field(
        default_factory=list, merge_key="type", patch="merge", list_type="map", list_map_keys=("type",)
    )
    current_volume_attributes_class_name: str | None = field()
    health_status: VolumeHealthStatus | None = field()
    modify_volume_status: ModifyVolumeStatus | None = field()
    phase: str | None = field()


class PersistentVolumeClaim(KubeObject):
    """"""

    API_VERSION = "v1"
    KIND = "PersistentVolumeClaim"
    api_version: str = field("v1")
    kind: str = field("PersistentVolumeClaim")
    metadata: ObjectMeta = field(default_factory=lambda: ObjectMeta())
    spec: PersistentVolumeClaimSpec = field(default_factory=lambda: PersistentVolumeClaimSpec())
    status: PersistentVolumeClaimStatus = field(default_factory=lambda: PersistentVolumeClaimStatus())


class PersistentVolumeClaimVolumeSource(Object):
    """"""

    claim_name: str = field("", required=True)
    read_only: bool | None = field()


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


class Sysctl(Object):
    """"""

    name: str = field("", required=True)
    value: str = field("", required=True, rules=(MayBeEmpty(),))


class PodSecurityContext(Object):
    """"""

    app_armor_profile: AppArmorProfile | None = field()
    fs_group: Int64 | None = field(rules=(USER_ID,))
    fs_group_change_policy: str | None = field(rules=(OneOf("Always", "OnRootMismatch"),))
    run_as_group: Int64 | None = field(rules=(USER_ID,))
    run_as_non_root: bool | None = field()
    run_as_user: Int64 | None = field(rules=(USER_ID,))
    se_linux_change_policy: str | None = field(rules=(OneOf("MountOption", "Recursive"),))
    se_linux_options: SELinuxOptions | None = field()
    seccomp_profile: SeccompProfile | None = field()
    supplemental_groups: list[Int64] = field(default_factory=list, list_type="atomic", rules=(Each(USER_ID),))
    supplemental_groups_policy: str | None = field(rules=(OneOf("Merge", "Strict"),))
    sysctls: list[Sysctl] = field(default_factory=list, list_type="atomic")
    windows_options: WindowsSecurityContextOptions | None = field()


class Toleration(Object):
    """"""

    effect: str | None = field(rules=(OneOf("NoSchedule", "PreferNoSchedule", "NoExecute", or_empty=True),))
    key: str | None = field(rules=(QUALIFIED_NAME,))
    operator: str | None = field()
    toleration_seconds: Int64 | None = field()
    value: str | None = field()


class TopologySpreadConstraint(Object):
    """"""

    label_selector: LabelSelector | None = field()
    match_label_keys: list[str] = field(default_factory=list, list_type="atomic")
    max_skew: Int32 = field(0, required=True, rules=(AtLeast(1, "must be greater than zero"),))
    min_domains: Int32 | None = field(rules=(AtLeast(1, "must be greater than zero"),))
    node_affinity_policy: str | None = field(rules=(OneOf("Honor", "Ignore"),))
    node_taints_policy: str | None = field(rules=(OneOf("Honor", "Ignore"),))
    topology_key: str = field(
        "",
        required=True,
        rules=(
            Given("can not be empty"),
            QUALIFIED_NAME,
        ),
    )
    when_unsatisfiable: str = field("", required=True, rules=(OneOf("DoNotSchedule", "ScheduleAnyway"),))


class PodCertificateProjection(Object):
    """"""

    certificate_chain_path: str | None = field()
    credential_bundle_path: str | None = field()
    key_path: str | None = field()
    key_type: str = field("", required=True)
    max_expiration_seconds: Int32 | None = field()
    signer_name: str = field("", required=True)
    user: Int64 | None = field()
    user_annotations: dict[str, str] = field(default_factory=dict)


class SecretProjection(Object):
    """"""

    items: list[KeyToPath] = field(default_factory=list, list_type="atomic")
    name: str | None = field()
    optional: bool | None = field()


class ServiceAccountTokenProjection(Object):
    """"""

    audience: str | None = field()
    expiration_seconds: Int64 | None = field(
        3600, rules=(AtLeast(600, "may not specify a duration less than 10 minutes"),)
    )
    path: str = field("", required=True)
    user: Int64 | None = field()


class VolumeProjection(Object):
    """"""

    cluster_trust_bundle: ClusterTrustBundleProjection | None = field()
    config_map: ConfigMapProjection | None = field()
    downward_api: DownwardAPIProjection | None = field(alias="downwardAPI")
    pod_certificate: PodCertificateProjection | None = field()
    secret: SecretProjection | None = field()
    service_account_token: ServiceAccountTokenProjection | None = field()


class ProjectedVolumeSource(Object):
    """"""

    default_mode: Int32 | None = field(420, rules=(FILE_MODE,))
    default_user: Int64 | None = field()
    sources: list[VolumeProjection] = field(default_factory=list, list_type="atomic")


class RBDVolumeSource(Object):
    """"""

    fs_type: str | None = field()
    image: str = field("", required=True)
    keyring: str | None = field("/etc/ceph/keyring")
    monitors: list[str] = field(default_factory=list, required=True, list_type="atomic")
    pool: str | None = field("rbd")
    read_only: bool | None = field()
    secret_ref: LocalObjectReference | None = field()
    user: str | None = field("admin")


class ScaleIOVolumeSource(Object):
    """"""

    fs_type: str | None = field("xfs")
    gateway: str = field("", required=True)
    protection_domain: str | None = field()
    read_only: bool | None = field()
    secret_ref: LocalObjectReference = field(default_factory=lambda: LocalObjectReference(), required=True)
    ssl_enabled: bool | None = field()
    storage_mode: str | None = field("ThinProvisioned")
    storage_pool: str | None = field()
    system: str = field("", required=True)
    volume_name: str | None = field()


class SecretVolumeSource(Object):
    """"""

    default_mode: Int32 | None = field(420, rules=(FILE_MODE,))
    default_user: Int64 | None = field()
    items: list[KeyToPath] = field(default_factory=list, list_type="atomic")
    optional: bool | None = field()
    secret_name: str | None = field()


class StorageOSVolumeSource(Object):
    """"""

    fs_type: str | None = field()
    read_only: bool | None = field()
    secret_ref: LocalObjectReference | None = field()
    volume_name: str | None = field()
    volume_namespace: str | None = field()


class Volume(Object):
    """"""

    aws_elastic_block_store: AWSElasticBlockStoreVolumeSource | None = field()
    azure_disk: AzureDiskVolumeSource | None = field()
    azure_file: AzureFileVolumeSource | None = field()
    cephfs: CephFSVolumeSource | None = field()
    cinder: CinderVolumeSource | None = field()
    config_map: ConfigMapVolumeSource | None = field()
    csi: CSIVolumeSource | None = field()
    downward_api: DownwardAPIVolumeSource | None = field(alias="downwardAPI")
    empty_dir: EmptyDirVolumeSource | None = field()
    ephemeral: EphemeralVolumeSource | None = field()
    fc: FCVolumeSource | None = field()
    flex_volume: FlexVolumeSource | None = field()
    flocker: FlockerVolumeSource | None = field()
    gce_persistent_disk: GCEPersistentDiskVolumeSource | None = field()
    git_repo: GitRepoVolumeSource | None = field()
    glusterfs: GlusterfsVolumeSource | None = field()
    host_path: HostPathVolumeSource | None = field()
    image: ImageVolumeSource | None = field()
    iscsi: ISCSIVolumeSource | None = field()
    name: str = field("", required=True, rules=(DNS_LABEL,))
    nfs: NFSVolumeSource | None = field()
    persistent_volume_claim: PersistentVolumeClaimVolumeSource | None = field()
    photon_persistent_disk: PhotonPersistentDiskVolumeSource | None = field()
    portworx_volume: PortworxVolumeSource | None = field()
    projected: ProjectedVolumeSource | None = field()
    quobyte: QuobyteVolumeSource | None = field()
    rbd: RBDVolumeSource | None = field()
    scale_io: ScaleIOVolumeSource | None = field(alias="scaleIO")
    secret: SecretVolumeSource | None = field()
    storageos: StorageOSVolumeSource | None = field()
    vsphere_volume: VsphereVirtualDiskVolumeSource | None = field()


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


class PodCondition(Object):
    """"""

    last_probe_time: Time | None = field()
    last_transition_time: Time | None = field()
    message: str | None = field()
    observed_generation: Int64 | None = field()
    reason: str | None = field()
    status: str = field("", required=True)
    type: str = field("", required=True)


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


class Pod(KubeObject):
    """"""

    API_VERSION = "v1"
    KIND = "Pod"
    api_version: str = field("v1")
    kind: str = field("Pod")
    metadata: ObjectMeta = field(default_factory=lambda: ObjectMeta())
    spec: PodSpec = field(default_factory=lambda: PodSpec())
    status: PodStatus = field(default_factory=lambda: PodStatus())


class PodTemplateSpec(Object):
    """"""

    metadata: ObjectMeta = field(default_factory=lambda: ObjectMeta())
    spec: PodSpec = field(default_factory=lambda: PodSpec())


class PodTemplate(KubeObject):
    """"""

    API_VERSION = "v1"
    KIND = "PodTemplate"
    api_version: str = field("v1")
    kind: str = field("PodTemplate")
    metadata: ObjectMeta = field(default_factory=lambda: ObjectMeta())
    template: PodTemplateSpec = field(default_factory=lambda: PodTemplateSpec())


class ReplicationControllerSpec(Object):
    """"""

    min_ready_seconds: Int32 | None = field()
    replicas: Int32 | None = field()
    selector: dict[str, str] = field(default_factory=dict, map_type="atomic")
    template: PodTemplateSpec = field(default_factory=lambda: PodTemplateSpec())


class ReplicationControllerCondition(Object):
    """"""

    last_transition_time: Time | None = field()
    message: str | None = field()
    reason: str | None = field()
    status: str = field("", required=True)
    type: str = field("", required=True)


class ReplicationControllerStatus(Object):
    """"""

    available_replicas: Int32 | None = field()
    conditions: list[ReplicationControllerCondition] = field(
        default_factory=list, merge_key="type", patch="merge", list_type="map", list_map_keys=("type",)
    )
    fully_labeled_replicas: Int32 | None = field()
    observed_generation: Int64 | None = field()
    ready_replicas: Int32 | None = field()
    replicas: Int32 = field(0, required=True)


class ReplicationController(KubeObject):
    """"""

    API_VERSION = "v1"
    KIND = "ReplicationController"
    api_version: str = field("v1")
    kind: str = field("ReplicationController")
    metadata: ObjectMeta = field(default_factory=lambda: ObjectMeta())
    spec: ReplicationControllerSpec = field(default_factory=lambda: ReplicationControllerSpec())
    status: ReplicationControllerStatus = field(default_factory=lambda: ReplicationControllerStatus())


class ScopedResourceSelectorRequirement(Object):
    """"""

    operator: str = field("", required=True)
    scope_name: str = field("", required=True)
    values: list[str] = field(default_factory=list, list_type="atomic")


class ScopeSelector(Object):
    """"""

    match_expressions: list[ScopedResourceSelectorRequirement] = field(default_factory=list, list_type="atomic")


class ResourceQuotaSpec(Object):
    """"""

    hard: dict[str, Quantity] = field(default_factory=dict)
    scope_selector: ScopeSelector | None = field()
    scopes: list[str] = field(default_factory=list, list_type="atomic")


class ResourceQuotaStatus(Object):
    """"""

    hard: dict[str, Quantity] = field(default_factory=dict)
    used: dict[str, Quantity] = field(default_factory=dict)


class ResourceQuota(KubeObject):
    """"""

    API_VERSION = "v1"
    KIND = "ResourceQuota"
    api_version: str = field("v1")
    kind: str = field("ResourceQuota")
    metadata: ObjectMeta = field(default_factory=lambda: ObjectMeta())
    spec: ResourceQuotaSpec = field(default_factory=lambda: ResourceQuotaSpec())
    status: ResourceQuotaStatus = field(default_factory=lambda: ResourceQuotaStatus())


class Secret(KubeObject):
    """"""

    API_VERSION = "v1"
    KIND = "Secret"
    api_version: str = field("v1")
    kind: str = field("Secret")
    metadata: ObjectMeta = field(default_factory=lambda: ObjectMeta())
    data: dict[str, Base64] = field(default_factory=dict)
    immutable: bool | None = field()
    string_data: dict[str, str] = field(default_factory=dict)
    type: str | None = field("Opaque")


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


class ServiceAccount(KubeObject):
    """"""

    API_VERSION = "v1"
    KIND = "ServiceAccount"
    api_version: str = field("v1")
    kind: str = field("ServiceAccount")
    metadata: ObjectMeta = field(default_factory=lambda: ObjectMeta())
    automount_service_account_token: bool | None = field()
    image_pull_secrets: list[LocalObjectReference] = field(default_factory=list, list_type="atomic")
    secrets: list[ObjectReference] = field(
        default_factory=list, merge_key="name", patch="merge", list_type="map", list_map_keys=("name",)
    )
