"""The containers of a pod, as they are asked for."""

from sampan.api.base import Int32, Object, Quantity, field
from sampan.api.core_v1.environment import EnvFromSource, EnvVar
from sampan.api.core_v1.probes import Lifecycle, Probe
from sampan.api.core_v1.security import SecurityContext
from sampan.api.rules import DNS_LABEL, GIVEN_PORT, PORT_NAME, Given, OneOf, Range, Resources


class ContainerPort(Object):
    """A port that a container listens on."""

    container_port: Int32 = field(0, doc="The port at the pod's address.", required=True, rules=(GIVEN_PORT,))
    host_ip: str | None = field(doc="The node's address to bind hostPort to. Default: all of them.")
    host_port: Int32 | None = field(
        doc="A port of the node that leads to the container.",
        rules=(Range(0, 65535, "must be between 1 and 65535, inclusive"),),
    )
    name: str | None = field(doc="Its name, by which Services may refer to it.", rules=(PORT_NAME,))
    protocol: str | None = field("TCP", doc="TCP, UDP or SCTP. Default: TCP.", rules=(OneOf("SCTP", "TCP", "UDP"),))


class ContainerResizePolicy(Object):
    """How a change of one resource is carried out."""

    resource_name: str = field("", doc="cpu or memory.", required=True, rules=(OneOf("cpu", "memory"),))
    restart_policy: str = field(
        "", doc="NotRequired or RestartContainer.", required=True, rules=(OneOf("NotRequired", "RestartContainer"),)
    )


class ResourceClaim(Object):
    """A claim of the pod that a container uses."""

    name: str = field("", doc="The claim's name in the pod.", required=True)
    request: str | None = field(doc="One request of the claim; all of them if empty.")


class ResourceRequirements(Object):
    """What is needed and what may be used."""

    claims: list[ResourceClaim] = field(
        doc="Claims for devices, of those the pod has.", default_factory=list, list_type="map", list_map_keys=("name",)
    )
    limits: dict[str, Quantity] = field(
        doc="The most of each resource. Memory beyond it kills, CPU beyond it waits.",
        default_factory=dict,
        rules=(Resources(of_containers=True),),
    )
    requests: dict[str, Quantity] = field(
        doc="What is set aside of each resource; the scheduler counts these. Default: limits.",
        default_factory=dict,
        rules=(Resources(of_containers=True),),
    )


class ContainerRestartRuleOnExitCodes(Object):
    """Which exit codes a rule is about."""

    operator: str = field("", doc="In or NotIn.", required=True)
    values: list[Int32] = field(doc="The exit codes.", default_factory=list, list_type="set")


class ContainerRestartRule(Object):
    """What to do about some exit codes."""

    action: str = field("", doc="Restart, or RestartAllContainers.", required=True)
    exit_codes: ContainerRestartRuleOnExitCodes | None = field(doc="The exit codes.")


class VolumeDevice(Object):
    """A block device in a container."""

    device_path: str = field("", doc="Where it appears.", required=True)
    name: str = field("", doc="The claim's volume in the pod.", required=True)


class VolumeMount(Object):
    """A volume in a container."""

    bind_mount_options: list[str] = field(
        doc="Mount options in addition: noexec, nodev, nosuid.", default_factory=list, list_type="set"
    )
    mount_path: str = field("", doc="Where it appears.", required=True)
    mount_propagation: str | None = field(
        doc="None, HostToContainer or Bidirectional: whether later mounts are passed on. Default: None.",
        rules=(OneOf("Bidirectional", "HostToContainer", "None"),),
    )
    name: str = field("", doc="The volume's name in the pod.", required=True)
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    recursive_read_only: str | None = field(
        doc="Whether mounts inside it are for reading only too: Disabled, IfPossible or Enabled.",
        rules=(OneOf("Disabled", "Enabled", "IfPossible"),),
    )
    sub_path: str | None = field(doc="The part of the volume to mount. Default: its root.")
    sub_path_expr: str | None = field(doc="The same with $(VAR) replaced by environment variables; excludes subPath.")


class Container(Object):
    """A container of a pod."""

    args: list[str] = field(
        doc="Arguments; the image's if empty. $(VAR) is replaced by the variable.",
        default_factory=list,
        list_type="atomic",
    )
    command: list[str] = field(
        doc="What to run; the image's entrypoint if empty. $(VAR) is replaced by the variable.",
        default_factory=list,
        list_type="atomic",
    )
    env: list[EnvVar] = field(
        doc="Environment variables.",
        default_factory=list,
        merge_key="name",
        patch="merge",
        list_type="map",
        list_map_keys=("name",),
    )
    env_from: list[EnvFromSource] = field(
        doc="Config maps and secrets whose keys become environment variables; env wins.",
        default_factory=list,
        list_type="atomic",
    )
    image: str | None = field(doc="The image's name.", rules=(Given(),))
    image_pull_policy: str | None = field(
        doc="Always, IfNotPresent or Never. Default: Always for the tag latest, else IfNotPresent.",
        rules=(OneOf("Always", "IfNotPresent", "Never"),),
    )
    lifecycle: Lifecycle | None = field(doc="What to do after it has started and before it ends.")
    liveness_probe: Probe | None = field(doc="When this fails, the container is started again.")
    name: str = field("", doc="Its name, unique in the pod.", required=True, rules=(DNS_LABEL,))
    ports: list[ContainerPort] = field(
        doc="Ports it listens on; for information, except hostPort.",
        default_factory=list,
        merge_key="containerPort",
        patch="merge",
        list_type="map",
        list_map_keys=(
            "containerPort",
            "protocol",
        ),
    )
    readiness_probe: Probe | None = field(doc="While this fails, Services send it no traffic.")
    resize_policy: list[ContainerResizePolicy] = field(
        doc="Whether a change of a resource needs a restart.", default_factory=list, list_type="atomic"
    )
    resources: ResourceRequirements | None = field(
        doc="What it needs and what it may use.", default_factory=lambda: ResourceRequirements()
    )
    restart_policy: str | None = field(
        doc="When it is started again, if not as the pod says; Always makes an init container a sidecar."
    )
    restart_policy_rules: list[ContainerRestartRule] = field(
        doc="Exit codes for which something else than restartPolicy holds; the first that fits counts.",
        default_factory=list,
        list_type="atomic",
    )
    security_context: SecurityContext | None = field(doc="User, privileges and profiles; wins over the pod's.")
    startup_probe: Probe | None = field(doc="Until this has succeeded, the other probes wait.")
    stdin: bool | None = field(doc="Keep standard input open.")
    stdin_once: bool | None = field(doc="Close standard input when the first client that attached goes.")
    termination_message_path: str | None = field(
        "/dev/termination-log", doc="File whose content becomes the termination message. Default: /dev/termination-log."
    )
    termination_message_policy: str | None = field(
        "File",
        doc="File, or FallbackToLogsOnError: the log's end if the file is empty. Default: File.",
        rules=(OneOf("File", "FallbackToLogsOnError"),),
    )
    tty: bool | None = field(doc="Give it a terminal; needs stdin.")
    volume_devices: list[VolumeDevice] = field(
        doc="Block devices it uses.",
        default_factory=list,
        merge_key="devicePath",
        patch="merge",
        list_type="map",
        list_map_keys=("devicePath",),
    )
    volume_mounts: list[VolumeMount] = field(
        doc="Volumes it mounts.",
        default_factory=list,
        merge_key="mountPath",
        patch="merge",
        list_type="map",
        list_map_keys=("mountPath",),
    )
    working_dir: str | None = field(doc="Its working directory. Default: the image's.")


class EphemeralContainer(Object):
    """A container that is added to a running pod to look into it. It has no guarantees and is never restarted."""

    args: list[str] = field(doc="Arguments; the image's if empty.", default_factory=list, list_type="atomic")
    command: list[str] = field(
        doc="What to run; the image's entrypoint if empty.", default_factory=list, list_type="atomic"
    )
    env: list[EnvVar] = field(
        doc="Environment variables.",
        default_factory=list,
        merge_key="name",
        patch="merge",
        list_type="map",
        list_map_keys=("name",),
    )
    env_from: list[EnvFromSource] = field(
        doc="Config maps and secrets whose keys become environment variables; env wins.",
        default_factory=list,
        list_type="atomic",
    )
    image: str | None = field(doc="The image's name.", rules=(Given(),))
    image_pull_policy: str | None = field(
        doc="Always, IfNotPresent or Never. Default: Always for the tag latest, else IfNotPresent.",
        rules=(OneOf("Always", "IfNotPresent", "Never"),),
    )
    lifecycle: Lifecycle | None = field(doc="Not allowed here.")
    liveness_probe: Probe | None = field(doc="Not allowed here.")
    name: str = field("", doc="Its name, unique among all containers of the pod.", required=True, rules=(DNS_LABEL,))
    ports: list[ContainerPort] = field(
        doc="Not allowed here.",
        default_factory=list,
        merge_key="containerPort",
        patch="merge",
        list_type="map",
        list_map_keys=(
            "containerPort",
            "protocol",
        ),
    )
    readiness_probe: Probe | None = field(doc="Not allowed here.")
    resize_policy: list[ContainerResizePolicy] = field(
        doc="Whether a change of a resource needs a restart.", default_factory=list, list_type="atomic"
    )
    resources: ResourceRequirements | None = field(
        doc="Not allowed here.", default_factory=lambda: ResourceRequirements()
    )
    restart_policy: str | None = field(doc="Not allowed here.")
    restart_policy_rules: list[ContainerRestartRule] = field(
        doc="Not allowed here.", default_factory=list, list_type="atomic"
    )
    security_context: SecurityContext | None = field(doc="User, privileges and profiles; wins over the pod's.")
    startup_probe: Probe | None = field(doc="Not allowed here.")
    stdin: bool | None = field(doc="Keep standard input open.")
    stdin_once: bool | None = field(doc="Close standard input when the first client that attached goes.")
    target_container_name: str | None = field(doc="The container whose processes it is to see.")
    termination_message_path: str | None = field(
        "/dev/termination-log", doc="File whose content becomes the termination message. Default: /dev/termination-log."
    )
    termination_message_policy: str | None = field(
        "File",
        doc="File, or FallbackToLogsOnError: the log's end if the file is empty. Default: File.",
        rules=(OneOf("File", "FallbackToLogsOnError"),),
    )
    tty: bool | None = field(doc="Give it a terminal; needs stdin.")
    volume_devices: list[VolumeDevice] = field(
        doc="Block devices it uses.",
        default_factory=list,
        merge_key="devicePath",
        patch="merge",
        list_type="map",
        list_map_keys=("devicePath",),
    )
    volume_mounts: list[VolumeMount] = field(
        doc="Volumes it mounts; subPath is not allowed.",
        default_factory=list,
        merge_key="mountPath",
        patch="merge",
        list_type="map",
        list_map_keys=("mountPath",),
    )
    working_dir: str | None = field(doc="Its working directory. Default: the image's.")
