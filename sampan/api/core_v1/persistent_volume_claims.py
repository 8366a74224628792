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

    last_probe_time: Time | None = field(doc="When the condition was last checked.")
    last_transition_time: Time | None = field(doc="When the status last changed.")
    message: str | None = field(doc="Details for people.")
    reason: str | None = field(doc="Why the condition last changed, as one CamelCase word.")
    status: str = field("", doc="True, False or Unknown.", required=True)
    type: str = field("", doc="What the condition is about.", required=True)


class VolumeHealthCondition(Object):
    """"""

    message: str | None = field(doc="Details for people.")
    reason: str = field("", doc="Why the condition last changed, as one CamelCase word.", required=True)
    status: str = field("", doc="True, False or Unknown.", required=True)


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
    api_version: str = field("v1", doc="Group and version of this representation of the object.")
    kind: str = field("PersistentVolumeClaim", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    spec: PersistentVolumeClaimSpec = field(doc="What is wanted.", default_factory=lambda: PersistentVolumeClaimSpec())
    status: PersistentVolumeClaimStatus = field(
        doc="What was last observed; written by the system.", default_factory=lambda: PersistentVolumeClaimStatus()
    )
