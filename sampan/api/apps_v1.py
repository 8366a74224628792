"""Workloads: deployments, replica sets, daemon sets, stateful sets."""

from sampan.api.base import JSON, Int32, Int64, IntOrString, KubeObject, Object, Time, field
from sampan.api.core_v1 import PersistentVolumeClaim, PodTemplateSpec
from sampan.api.meta_v1 import LabelSelector, ObjectMeta
from sampan.api.rules import NON_NEGATIVE, CountOrPercent, OneOf


class ControllerRevision(KubeObject):
    """"""

    API_VERSION = "apps/v1"
    KIND = "ControllerRevision"
    api_version: str = field("apps/v1", doc="Group and version of this representation of the object.")
    kind: str = field("ControllerRevision", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    data: JSON = field(required=True)
    revision: Int64 | None = field()


class RollingUpdateDaemonSet(Object):
    """"""

    max_surge: IntOrString | None = field(0, rules=(CountOrPercent(),))
    max_unavailable: IntOrString | None = field(1, rules=(CountOrPercent(),))


class DaemonSetUpdateStrategy(Object):
    """"""

    rolling_update: RollingUpdateDaemonSet | None = field()
    type: str | None = field("RollingUpdate", rules=(OneOf("OnDelete", "RollingUpdate"),))


class DaemonSetSpec(Object):
    """"""

    min_ready_seconds: Int32 | None = field(rules=(NON_NEGATIVE,))
    revision_history_limit: Int32 | None = field(10, rules=(NON_NEGATIVE,))
    selector: LabelSelector = field(default_factory=lambda: LabelSelector(), required=True)
    template: PodTemplateSpec = field(default_factory=lambda: PodTemplateSpec(), required=True)
    update_strategy: DaemonSetUpdateStrategy | None = field(default_factory=lambda: DaemonSetUpdateStrategy())


class DaemonSetCondition(Object):
    """"""

    last_transition_time: Time | None = field(doc="When the status last changed.")
    message: str | None = field(doc="Details for people.")
    reason: str | None = field(doc="Why the condition last changed, as one CamelCase word.")
    status: str | None = field(doc="True, False or Unknown.")
    type: str | None = field(doc="What the condition is about.")


class DaemonSetStatus(Object):
    """"""

    collision_count: Int32 | None = field()
    conditions: list[DaemonSetCondition] = field(
        default_factory=list, merge_key="type", patch="merge", list_type="map", list_map_keys=("type",)
    )
    current_number_scheduled: Int32 = field(0, required=True)
    desired_number_scheduled: Int32 = field(0, required=True)
    number_available: Int32 | None = field()
    number_misscheduled: Int32 = field(0, required=True)
    number_ready: Int32 = field(0, required=True)
    number_unavailable: Int32 | None = field()
    observed_generation: Int64 | None = field()
    updated_number_scheduled: Int32 | None = field()


class DaemonSet(KubeObject):
    """"""

    API_VERSION = "apps/v1"
    KIND = "DaemonSet"
    api_version: str = field("apps/v1", doc="Group and version of this representation of the object.")
    kind: str = field("DaemonSet", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    spec: DaemonSetSpec = field(doc="What is wanted.", default_factory=lambda: DaemonSetSpec(), required=True)
    status: DaemonSetStatus = field(
        doc="What was last observed; written by the system.", default_factory=lambda: DaemonSetStatus()
    )


class RollingUpdateDeployment(Object):
    """"""

    max_surge: IntOrString | None = field("25%", rules=(CountOrPercent(),))
    max_unavailable: IntOrString | None = field("25%", rules=(CountOrPercent(),))


class DeploymentStrategy(Object):
    """"""

    rolling_update: RollingUpdateDeployment | None = field()
    type: str | None = field("RollingUpdate", rules=(OneOf("Recreate", "RollingUpdate"),))


class DeploymentSpec(Object):
    """"""

    min_ready_seconds: Int32 | None = field(rules=(NON_NEGATIVE,))
    paused: bool | None = field()
    progress_deadline_seconds: Int32 | None = field(600, rules=(NON_NEGATIVE,))
    replicas: Int32 | None = field(1, rules=(NON_NEGATIVE,))
    revision_history_limit: Int32 | None = field(10, rules=(NON_NEGATIVE,))
    selector: LabelSelector = field(default_factory=lambda: LabelSelector(), required=True)
    strategy: DeploymentStrategy | None = field(default_factory=lambda: DeploymentStrategy(), patch="retainKeys")
    template: PodTemplateSpec = field(default_factory=lambda: PodTemplateSpec(), required=True)


class DeploymentCondition(Object):
    """"""

    last_transition_time: Time | None = field(doc="When the status last changed.")
    last_update_time: Time | None = field(doc="When the condition was last updated.")
    message: str | None = field(doc="Details for people.")
    reason: str | None = field(doc="Why the condition last changed, as one CamelCase word.")
    status: str | None = field(doc="True, False or Unknown.")
    type: str | None = field(doc="What the condition is about.")


class DeploymentStatus(Object):
    """"""

    available_replicas: Int32 | None = field()
    collision_count: Int32 | None = field()
    conditions: list[DeploymentCondition] = field(
        default_factory=list, merge_key="type", patch="merge", list_type="map", list_map_keys=("type",)
    )
    observed_generation: Int64 | None = field()
    ready_replicas: Int32 | None = field()
    replicas: Int32 | None = field()
    terminating_replicas: Int32 | None = field()
    unavailable_replicas: Int32 | None = field()
    updated_replicas: Int32 | None = field()


class Deployment(KubeObject):
    """"""

    API_VERSION = "apps/v1"
    KIND = "Deployment"
    api_version: str = field("apps/v1", doc="Group and version of this representation of the object.")
    kind: str = field("Deployment", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    spec: DeploymentSpec = field(doc="What is wanted.", default_factory=lambda: DeploymentSpec(), required=True)
    status: DeploymentStatus = field(
        doc="What was last observed; written by the system.", default_factory=lambda: DeploymentStatus()
    )


class ReplicaSetSpec(Object):
    """"""

    min_ready_seconds: Int32 | None = field(rules=(NON_NEGATIVE,))
    replicas: Int32 | None = field(1, rules=(NON_NEGATIVE,))
    selector: LabelSelector = field(default_factory=lambda: LabelSelector(), required=True)
    template: PodTemplateSpec = field(default_factory=lambda: PodTemplateSpec())


class ReplicaSetCondition(Object):
    """"""

    last_transition_time: Time | None = field(doc="When the status last changed.")
    message: str | None = field(doc="Details for people.")
    reason: str | None = field(doc="Why the condition last changed, as one CamelCase word.")
    status: str | None = field(doc="True, False or Unknown.")
    type: str | None = field(doc="What the condition is about.")


class ReplicaSetStatus(Object):
    """"""

    available_replicas: Int32 | None = field()
    conditions: list[ReplicaSetCondition] = field(
        default_factory=list, merge_key="type", patch="merge", list_type="map", list_map_keys=("type",)
    )
    fully_labeled_replicas: Int32 | None = field()
    observed_generation: Int64 | None = field()
    ready_replicas: Int32 | None = field()
    replicas: Int32 = field(0, required=True)
    terminating_replicas: Int32 | None = field()


class ReplicaSet(KubeObject):
    """"""

    API_VERSION = "apps/v1"
    KIND = "ReplicaSet"
    api_version: str = field("apps/v1", doc="Group and version of this representation of the object.")
    kind: str = field("ReplicaSet", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    spec: ReplicaSetSpec = field(doc="What is wanted.", default_factory=lambda: ReplicaSetSpec(), required=True)
    status: ReplicaSetStatus = field(
        doc="What was last observed; written by the system.", default_factory=lambda: ReplicaSetStatus()
    )


class RollingUpdateStatefulSetStrategy(Object):
    """"""

    max_unavailable: IntOrString | None = field()
    partition: Int32 | None = field()


class StatefulSetOrdinals(Object):
    """"""

    start: Int32 | None = field()


class StatefulSetPersistentVolumeClaimRetentionPolicy(Object):
    """"""

    when_deleted: str | None = field("Retain")
    when_scaled: str | None = field("Retain")


class StatefulSetUpdateStrategy(Object):
    """"""

    rolling_update: RollingUpdateStatefulSetStrategy | None = field()
    type: str | None = field("RollingUpdate", rules=(OneOf("OnDelete", "RollingUpdate"),))


class StatefulSetSpec(Object):
    """"""

    min_ready_seconds: Int32 | None = field(rules=(NON_NEGATIVE,))
    ordinals: StatefulSetOrdinals | None = field()
    persistent_volume_claim_retention_policy: StatefulSetPersistentVolumeClaimRetentionPolicy | None = field(
        default_factory=lambda: StatefulSetPersistentVolumeClaimRetentionPolicy()
    )
    pod_management_policy: str | None = field("OrderedReady", rules=(OneOf("OrderedReady", "Parallel"),))
    replicas: Int32 | None = field(1, rules=(NON_NEGATIVE,))
    revision_history_limit: Int32 | None = field(10, rules=(NON_NEGATIVE,))
    selector: LabelSelector = field(default_factory=lambda: LabelSelector(), required=True)
    service_name: str | None = field()
    template: PodTemplateSpec = field(default_factory=lambda: PodTemplateSpec(), required=True)
    update_strategy: StatefulSetUpdateStrategy | None = field(default_factory=lambda: StatefulSetUpdateStrategy())
    volume_claim_templates: list[PersistentVolumeClaim] = field(default_factory=list, list_type="atomic")


class StatefulSetCondition(Object):
    """"""

    last_transition_time: Time | None = field(doc="When the status last changed.")
    message: str | None = field(doc="Details for people.")
    reason: str | None = field(doc="Why the condition last changed, as one CamelCase word.")
    status: str | None = field(doc="True, False or Unknown.")
    type: str | None = field(doc="What the condition is about.")


class StatefulSetStatus(Object):
    """"""

    available_replicas: Int32 | None = field()
    collision_count: Int32 | None = field()
    conditions: list[StatefulSetCondition] = field(
        default_factory=list, merge_key="type", patch="merge", list_type="map", list_map_keys=("type",)
    )
    current_replicas: Int32 | None = field()
    current_revision: str | None = field()
    observed_generation: Int64 | None = field()
    ready_replicas: Int32 | None = field()
    replicas: Int32 = field(0, required=True)
    update_revision: str | None = field()
    updated_replicas: Int32 | None = field()


class StatefulSet(KubeObject):
    """"""

    API_VERSION = "apps/v1"
    KIND = "StatefulSet"
    api_version: str = field("apps/v1", doc="Group and version of this representation of the object.")
    kind: str = field("StatefulSet", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    spec: StatefulSetSpec = field(doc="What is wanted.", default_factory=lambda: StatefulSetSpec(), required=True)
    status: StatefulSetStatus = field(
        doc="What was last observed; written by the system.", default_factory=lambda: StatefulSetStatus()
    )
