"""What became of a container."""

from sampan.api.base import Int32, Int64, Object, Quantity, Time, field
from sampan.api.core_v1.containers import ResourceRequirements


class ContainerStateRunning(Object):
    """A container that runs."""

    started_at: Time | None = field(doc="When it was started.")


class ContainerStateTerminated(Object):
    """A container that has ended."""

    container_id: str | None = field(doc="Its identifier, as runtime://id.")
    exit_code: Int32 = field(0, doc="Its exit code.", required=True)
    finished_at: Time | None = field(doc="When it ended.")
    message: str | None = field(doc="Its termination message.")
    reason: str | None = field(doc="Why it ended, such as Completed, Error or OOMKilled.")
    signal: Int32 | None = field(doc="The signal that ended it.")
    started_at: Time | None = field(doc="When it was started.")


class ContainerStateWaiting(Object):
    """A container that is not started yet."""

    message: str | None = field(doc="Details for people.")
    reason: str | None = field(doc="Why, such as ContainerCreating, ImagePullBackOff or CrashLoopBackOff.")


class ContainerState(Object):
    """What a container is doing; one of the fields is set."""

    running: ContainerStateRunning | None = field(doc="It runs.")
    terminated: ContainerStateTerminated | None = field(doc="It has ended.")
    waiting: ContainerStateWaiting | None = field(doc="It is not started yet.")


class ResourceHealth(Object):
    """The health of one device."""

    health: str | None = field(doc="Healthy, Unhealthy or Unknown.")
    message: str | None = field(doc="Details for people.")
    resource_id: str = field("", doc="The device's identifier.", required=True)


class ResourceStatus(Object):
    """The health of one resource's devices."""

    name: str = field("", doc="The resource.", required=True)
    resources: list[ResourceHealth] = field(
        doc="The devices.", default_factory=list, list_type="map", list_map_keys=("resourceID",)
    )


class LinuxContainerUser(Object):
    """A Linux process's user."""

    gid: Int64 = field(0, doc="Primary group.", required=True)
    supplemental_groups: list[Int64] = field(doc="Further groups.", default_factory=list, list_type="atomic")
    uid: Int64 = field(0, doc="User.", required=True)


class ContainerUser(Object):
    """A process's user."""

    linux: LinuxContainerUser | None = field(doc="On Linux.")


class ImageVolumeStatus(Object):
    """An image that is mounted."""

    image_ref: str = field("", doc="The image's digest.", required=True)


class VolumeStatus(Object):
    """What is known of a mounted volume."""

    image: ImageVolumeStatus | None = field(doc="For image volumes.")


class VolumeMountStatus(Object):
    """What is known of a mount."""

    mount_path: str = field("", doc="Where it is.", required=True)
    name: str = field("", doc="The volume's name in the pod.", required=True)
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
    recursive_read_only: str | None = field(doc="Whether mounts inside it are for reading only too.")
    volume_status: VolumeStatus | None = field(doc="What is known of the volume.")


class ContainerStatus(Object):
    """What became of a container."""

    allocated_resources: dict[str, Quantity] = field(
        doc="Requests that the node has set aside for it.", default_factory=dict
    )
    allocated_resources_status: list[ResourceStatus] = field(
        doc="The health of devices it uses.",
        default_factory=list,
        merge_key="name",
        patch="merge",
        list_type="map",
        list_map_keys=("name",),
    )
    container_id: str | None = field(doc="Its identifier, as runtime://id.")
    image: str = field("", doc="The image it runs, perhaps by another name than was asked for.", required=True)
    image_id: str = field("", doc="The image's identifier.", required=True)
    last_state: ContainerState | None = field(doc="How it ended last time.")
    name: str = field("", doc="Its name.", required=True)
    ready: bool = field(False, doc="Whether its readiness probe succeeds; without one, whether it runs.", required=True)
    resources: ResourceRequirements | None = field(doc="Requests and limits that are in force.")
    restart_count: Int32 = field(0, doc="How often it was started again.", required=True)
    started: bool | None = field(doc="Whether its startup probe has succeeded and its postStart hook has run.")
    state: ContainerState | None = field(doc="What it is doing.")
    stop_signal: str | None = field(doc="The signal that ends it.")
    user: ContainerUser | None = field(doc="The user its first process began as.")
    volume_mounts: list[VolumeMountStatus] = field(
        doc="Its mounts.",
        default_factory=list,
        merge_key="mountPath",
        patch="merge",
        list_type="map",
        list_map_keys=("mountPath",),
    )
