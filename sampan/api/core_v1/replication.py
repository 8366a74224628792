"""Replication controllers, which replica sets have replaced."""

from sampan.api.base import Int32, Int64, KubeObject, Object, Time, field
from sampan.api.core_v1.pods import PodTemplateSpec
from sampan.api.meta_v1 import ObjectMeta


class ReplicationControllerSpec(Object):
    """What a replication controller is to be."""

    min_ready_seconds: Int32 | None = field(doc="Seconds a pod must be ready to count as available. Default: 0.")
    replicas: Int32 | None = field(doc="How many pods. Default: 1.")
    selector: dict[str, str] = field(
        doc="Labels of its pods. Default: the template's.", default_factory=dict, map_type="atomic"
    )
    template: PodTemplateSpec = field(doc="What its pods are made from.", default_factory=lambda: PodTemplateSpec())


class ReplicationControllerCondition(Object):
    """One aspect of a replication controller's state."""

    last_transition_time: Time | None = field(doc="When the status last changed.")
    message: str | None = field(doc="Details for people.")
    reason: str | None = field(doc="Why the condition last changed, as one CamelCase word.")
    status: str = field("", doc="True, False or Unknown.", required=True)
    type: str = field("", doc="What the condition is about.", required=True)


class ReplicationControllerStatus(Object):
    """What was observed of a replication controller."""

    available_replicas: Int32 | None = field(doc="Pods that have been ready for minReadySeconds.")
    conditions: list[ReplicationControllerCondition] = field(
        doc="Its state in single aspects.",
        default_factory=list,
        merge_key="type",
        patch="merge",
        list_type="map",
        list_map_keys=("type",),
    )
    fully_labeled_replicas: Int32 | None = field(doc="Pods that have all labels of the template.")
    observed_generation: Int64 | None = field(doc="The metadata.generation that was acted on.")
    ready_replicas: Int32 | None = field(doc="Pods that are ready.")
    replicas: Int32 = field(0, doc="Pods that are there.", required=True)


class ReplicationController(KubeObject):
    """A number of pods that are alike. ReplicaSet has replaced it."""

    API_VERSION = "v1"
    KIND = "ReplicationController"
    api_version: str = field("v1", doc="Group and version of this representation of the object.")
    kind: str = field("ReplicationController", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    spec: ReplicationControllerSpec = field(doc="What is wanted.", default_factory=lambda: ReplicationControllerSpec())
    status: ReplicationControllerStatus = field(
        doc="What was last observed; written by the system.", default_factory=lambda: ReplicationControllerStatus()
    )
