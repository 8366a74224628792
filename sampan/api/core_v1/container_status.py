"""What became of a container."""

from sampan.api.base import Int32, Int64, Object, Quantity, Time, field
from sampan.api.core_v1.containers import ResourceRequirements


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
    read_only: bool | None = field(doc="Whether it is mounted for reading only.")
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
