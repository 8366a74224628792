"""The containers of a pod, as they are asked for."""

from sampan.api.base import Int32, Object, Quantity, field
from sampan.api.core_v1.environment import EnvFromSource, EnvVar
from sampan.api.core_v1.probes import Lifecycle, Probe
from sampan.api.core_v1.security import SecurityContext
from sampan.api.rules import DNS_LABEL, GIVEN_PORT, PORT_NAME, Given, OneOf, Range, Resources


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
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
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
