"""Claims for storage."""

from sampan.api.base import KubeObject, Object, Quantity, Time, field
from sampan.api.core_v1.references import TypedLocalObjectReference, TypedObjectReference
from sampan.api.meta_v1 import LabelSelector, ObjectMeta


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


class ModifyVolumeStatus(Object):
    """"""

    status: str = field("", required=True)
    target_volume_attributes_class_name: str | None = field()


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
