"""Claims for storage."""

from sampan.api.base import KubeObject, Object, Quantity, Time, field
from sampan.api.core_v1.references import TypedLocalObjectReference, TypedObjectReference
from sampan.api.meta_v1 import LabelSelector, ObjectMeta


class VolumeResourceRequirements(Object):
    """The size that is needed."""

    limits: dict[str, Quantity] = field(doc="The most of each resource.", default_factory=dict)
    requests: dict[str, Quantity] = field(doc="The least of each resource.", default_factory=dict)


class PersistentVolumeClaimSpec(Object):
    """What storage is wished for."""

    access_modes: list[str] = field(
        doc="Ways in which it is to be mounted: ReadWriteOnce, ReadOnlyMany, ReadWriteMany, ReadWriteOncePod.",
        default_factory=list,
        list_type="atomic",
    )
    data_source: TypedLocalObjectReference | None = field(doc="A snapshot or claim to begin with.")
    data_source_ref: TypedObjectReference | None = field(
        doc="The same for any kind of object, in other namespaces too."
    )
    resources: VolumeResourceRequirements | None = field(doc="The size, under requests.storage.")
    selector: LabelSelector | None = field(doc="Labels that the volume must have.")
    storage_class_name: str | None = field(doc="The storage class; empty for none, absent for the default.")
    volume_attributes_class_name: str | None = field(doc="The class of changeable attributes.")
    volume_mode: str | None = field("Filesystem", doc="Filesystem or Block. Default: Filesystem.")
    volume_name: str | None = field(doc="The volume it is bound to.")


class PersistentVolumeClaimTemplate(Object):
    """What claims are made from."""

    metadata: ObjectMeta = field(doc="Labels and annotations of the claims.", default_factory=lambda: ObjectMeta())
    spec: PersistentVolumeClaimSpec = field(
        doc="What the claims wish for.", default_factory=lambda: PersistentVolumeClaimSpec(), required=True
    )


class ModifyVolumeStatus(Object):
    """How a change of attributes goes."""

    status: str = field("", doc="Pending, InProgress or Infeasible.", required=True)
    target_volume_attributes_class_name: str | None = field(doc="The class that is being applied.")


class PersistentVolumeClaimCondition(Object):
    """One aspect of a claim's state."""

    last_probe_time: Time | None = field(doc="When the condition was last checked.")
    last_transition_time: Time | None = field(doc="When the status last changed.")
    message: str | None = field(doc="Details for people.")
    reason: str | None = field(doc="Why the condition last changed, as one CamelCase word.")
    status: str = field("", doc="True, False or Unknown.", required=True)
    type: str = field("", doc="What the condition is about.", required=True)


class VolumeHealthCondition(Object):
    """Something that is wrong with a volume."""

    message: str | None = field(doc="Details for people.")
    reason: str = field("", doc="Why the condition last changed, as one CamelCase word.", required=True)
    status: str = field("", doc="True, False or Unknown.", required=True)


class VolumeHealthStatus(Object):
    """What is wrong with a volume."""

    health_conditions: list[VolumeHealthCondition] = field(
        doc="What is wrong; empty if nothing is. At most 16.",
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


class PersistentVolumeClaimStatus(Object):
    """What is known of a claim."""

    access_modes: list[str] = field(
        doc="Ways in which the volume can be mounted.", default_factory=list, list_type="atomic"
    )
    allocated_resource_statuses: dict[str, str] = field(
        doc="How changes of its size go.", default_factory=dict, map_type="granular"
    )
    allocated_resources: dict[str, Quantity] = field(doc="The size being made available.", default_factory=dict)
    capacity: dict[str, Quantity] = field(doc="The size there is.", default_factory=dict)
    conditions: list[PersistentVolumeClaimCondition] = field(
        doc="Its state in single aspects, such as Resizing.",
        default_factory=list,
        merge_key="type",
        patch="merge",
        list_type="map",
        list_map_keys=("type",),
    )
    current_volume_attributes_class_name: str | None = field(doc="The class of attributes in force.")
    health_status: VolumeHealthStatus | None = field(doc="What is wrong with its volume.")
    modify_volume_status: ModifyVolumeStatus | None = field(doc="How a change of its class of attributes goes.")
    phase: str | None = field(doc="Pending, Bound or Lost.")


class PersistentVolumeClaim(KubeObject):
    """A wish for storage."""

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
