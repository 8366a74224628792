"""Workloads: deployments, replica sets, daemon sets, stateful sets."""

from typing import Annotated

from sampan.api.base import JSON, Int32, Int64, IntOrString, KubeObject, Named, Object, Time, field
from sampan.api.core_v1 import PersistentVolumeClaim, PodTemplateSpec
from sampan.api.meta_v1 import LabelSelector, ObjectMeta
from sampan.api.rules import NON_NEGATIVE, CountOrPercent, OneOf


class ControllerRevision(KubeObject):
    """A state of a template that can be gone back to."""

    API_VERSION = "apps/v1"
    KIND = "ControllerRevision"
    api_version: str = field("apps/v1", doc="Group and version of this representation of the object.")
    kind: str = field("ControllerRevision", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    data: Annotated[JSON, Named("io.k8s.apimachinery.pkg.runtime.RawExtension")] = field(
        doc="The state, as a patch.", required=True
    )
    revision: Int64 | None = field(doc="Its number; higher ones are newer.")


class RollingUpdateDaemonSet(Object):
    """How many nodes' pods at a time are replaced."""

    max_surge: IntOrString | None = field(
        0,
        doc="On how many nodes a new pod may start beside the old one, as a number or percentage. Default: 0.",
        rules=(CountOrPercent(),),
    )
    max_unavailable: IntOrString | None = field(
        1,
        doc="On how many nodes the pod may be unavailable, as a number or percentage. Default: 1.",
        rules=(CountOrPercent(),),
    )


class DaemonSetUpdateStrategy(Object):
    """How old pods are replaced."""

    rolling_update: RollingUpdateDaemonSet | None = field(doc="Settings for RollingUpdate.")
    type: str | None = field(
        "RollingUpdate",
        doc="RollingUpdate, or OnDelete: when somebody deletes them. Default: RollingUpdate.",
        rules=(OneOf("OnDelete", "RollingUpdate"),),
    )


class DaemonSetSpec(Object):
    """What a daemon set is to be."""

    min_ready_seconds: Int32 | None = field(
        doc="Seconds a pod must be ready to count as available. Default: 0.", rules=(NON_NEGATIVE,)
    )
    revision_history_limit: Int32 | None = field(
        10, doc="How many old revisions are kept for going back. Default: 10.", rules=(NON_NEGATIVE,)
    )
    selector: LabelSelector = field(
        doc="Labels of its pods; must fit the template and never change.",
        default_factory=lambda: LabelSelector(),
        required=True,
    )
    template: PodTemplateSpec = field(
        doc="What its pods are made from; its node selector and affinity say which nodes get one.",
        default_factory=lambda: PodTemplateSpec(),
        required=True,
    )
    update_strategy: DaemonSetUpdateStrategy | None = field(
        doc="How old pods are replaced.", default_factory=lambda: DaemonSetUpdateStrategy()
    )


class DaemonSetCondition(Object):
    """One aspect of a daemon set's state."""

    last_transition_time: Time | None = field(doc="When the status last changed.")
    message: str | None = field(doc="Details for people.")
    reason: str | None = field(doc="Why the condition last changed, as one CamelCase word.")
    status: str | None = field(doc="True, False or Unknown.")
    type: str | None = field(doc="What the condition is about.")


class DaemonSetStatus(Object):
    """What was observed of a daemon set."""

    collision_count: Int32 | None = field(doc="How often a revision's name was taken.")
    conditions: list[DaemonSetCondition] = field(
        doc="Its state in single aspects.",
        default_factory=list,
        merge_key="type",
        patch="merge",
        list_type="map",
        list_map_keys=("type",),
    )
    current_number_scheduled: Int32 = field(0, doc="Nodes that have a pod and should.", required=True)
    desired_number_scheduled: Int32 = field(0, doc="Nodes that should have a pod.", required=True)
    number_available: Int32 | None = field(doc="Nodes whose pod has been ready for minReadySeconds.")
    number_misscheduled: Int32 = field(0, doc="Nodes that have a pod and should not.", required=True)
    number_ready: Int32 = field(0, doc="Nodes whose pod is ready.", required=True)
    number_unavailable: Int32 | None = field(doc="Nodes that should have an available pod and do not.")
    observed_generation: Int64 | None = field(doc="The metadata.generation that was acted on.")
    updated_number_scheduled: Int32 | None = field(doc="Nodes whose pod is of the current template.")


class DaemonSet(KubeObject):
    """A pod on every node, or on all nodes of a sort."""

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
    """How many pods at a time are replaced."""

    max_surge: IntOrString | None = field(
        "25%",
        doc="How many more than replicas there may be, as a number or percentage, rounded up. Default: 25%.",
        rules=(CountOrPercent(),),
    )
    max_unavailable: IntOrString | None = field(
        "25%",
        doc="How many fewer may be available, as a number or percentage, rounded down. Default: 25%.",
        rules=(CountOrPercent(),),
    )


class DeploymentStrategy(Object):
    """How old pods are replaced."""

    rolling_update: RollingUpdateDeployment | None = field(doc="Settings for RollingUpdate.")
    type: str | None = field(
        "RollingUpdate",
        doc="RollingUpdate or Recreate. Default: RollingUpdate.",
        rules=(OneOf("Recreate", "RollingUpdate"),),
    )


class DeploymentSpec(Object):
    """What a deployment is to be."""

    min_ready_seconds: Int32 | None = field(
        doc="Seconds a pod must be ready to count as available. Default: 0.", rules=(NON_NEGATIVE,)
    )
    paused: bool | None = field(doc="Whether changes of the template wait.")
    progress_deadline_seconds: Int32 | None = field(
        600, doc="Seconds without progress after which a rollout counts as stuck. Default: 600.", rules=(NON_NEGATIVE,)
    )
    replicas: Int32 | None = field(1, doc="How many pods. Default: 1.", rules=(NON_NEGATIVE,))
    revision_history_limit: Int32 | None = field(
        10, doc="How many old replica sets are kept for going back. Default: 10.", rules=(NON_NEGATIVE,)
    )
    selector: LabelSelector = field(
        doc="Labels of its pods; must fit the template and never change.",
        default_factory=lambda: LabelSelector(),
        required=True,
    )
    strategy: DeploymentStrategy | None = field(
        doc="How old pods are replaced.", default_factory=lambda: DeploymentStrategy(), patch="retainKeys"
    )
    template: PodTemplateSpec = field(
        doc="What its pods are made from.", default_factory=lambda: PodTemplateSpec(), required=True
    )


class DeploymentCondition(Object):
    """One aspect of a deployment's state."""

    last_transition_time: Time | None = field(doc="When the status last changed.")
    last_update_time: Time | None = field(doc="When the condition was last updated.")
    message: str | None = field(doc="Details for people.")
    reason: str | None = field(doc="Why the condition last changed, as one CamelCase word.")
    status: str | None = field(doc="True, False or Unknown.")
    type: str | None = field(doc="What the condition is about.")


class DeploymentStatus(Object):
    """What was observed of a deployment."""

    available_replicas: Int32 | None = field(doc="Pods that have been ready for minReadySeconds.")
    collision_count: Int32 | None = field(doc="How often a replica set's name was taken.")
    conditions: list[DeploymentCondition] = field(
        doc="Its state in single aspects: Available, Progressing, ReplicaFailure.",
        default_factory=list,
        merge_key="type",
        patch="merge",
        list_type="map",
        list_map_keys=("type",),
    )
    observed_generation: Int64 | None = field(doc="The metadata.generation that was acted on.")
    ready_replicas: Int32 | None = field(doc="Pods that are ready.")
    replicas: Int32 | None = field(doc="Pods that are there and not terminating.")
    terminating_replicas: Int32 | None = field(doc="Pods that are terminating.")
    unavailable_replicas: Int32 | None = field(doc="Pods that are still missing for all to be available.")
    updated_replicas: Int32 | None = field(doc="Pods of the current template.")


class Deployment(KubeObject):
    """Pods that are alike, replaced step by step when their template changes."""

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
    """What a replica set is to be."""

    min_ready_seconds: Int32 | None = field(
        doc="Seconds a pod must be ready to count as available. Default: 0.", rules=(NON_NEGATIVE,)
    )
    replicas: Int32 | None = field(1, doc="How many pods. Default: 1.", rules=(NON_NEGATIVE,))
    selector: LabelSelector = field(
        doc="Labels of its pods; must fit the template and never change.",
        default_factory=lambda: LabelSelector(),
        required=True,
    )
    template: PodTemplateSpec = field(doc="What its pods are made from.", default_factory=lambda: PodTemplateSpec())


class ReplicaSetCondition(Object):
    """One aspect of a replica set's state."""

    last_transition_time: Time | None = field(doc="When the status last changed.")
    message: str | None = field(doc="Details for people.")
    reason: str | None = field(doc="Why the condition last changed, as one CamelCase word.")
    status: str | None = field(doc="True, False or Unknown.")
    type: str | None = field(doc="What the condition is about.")


class ReplicaSetStatus(Object):
    """What was observed of a replica set."""

    available_replicas: Int32 | None = field(doc="Pods that have been ready for minReadySeconds.")
    conditions: list[ReplicaSetCondition] = field(
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
    replicas: Int32 = field(0, doc="Pods that are there and not terminating.", required=True)
    terminating_replicas: Int32 | None = field(doc="Pods that are terminating.")


class ReplicaSet(KubeObject):
    """A number of pods that are alike."""

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
    """Which pods are replaced, and how many at a time."""

    max_unavailable: IntOrString | None = field(
        doc="How many may be unavailable, as a number or percentage. Default: 1."
    )
    partition: Int32 | None = field(doc="Only pods with this number or a higher one are replaced. Default: 0.")


class StatefulSetOrdinals(Object):
    """How pods are numbered."""

    start: Int32 | None = field(doc="The first number. Default: 0.")


class StatefulSetPersistentVolumeClaimRetentionPolicy(Object):
    """What becomes of claims that are no longer needed."""

    when_deleted: str | None = field("Retain", doc="When the set is deleted: Retain or Delete. Default: Retain.")
    when_scaled: str | None = field("Retain", doc="When it is made smaller: Retain or Delete. Default: Retain.")


class StatefulSetUpdateStrategy(Object):
    """How old pods are replaced."""

    rolling_update: RollingUpdateStatefulSetStrategy | None = field(doc="Settings for RollingUpdate.")
    type: str | None = field(
        "RollingUpdate",
        doc="RollingUpdate, or OnDelete: when somebody deletes them. Default: RollingUpdate.",
        rules=(OneOf("OnDelete", "RollingUpdate"),),
    )


class StatefulSetSpec(Object):
    """What a stateful set is to be."""

    min_ready_seconds: Int32 | None = field(
        doc="Seconds a pod must be ready to count as available. Default: 0.", rules=(NON_NEGATIVE,)
    )
    ordinals: StatefulSetOrdinals | None = field(doc="How its pods are numbered.")
    persistent_volume_claim_retention_policy: StatefulSetPersistentVolumeClaimRetentionPolicy | None = field(
        doc="What becomes of claims that are no longer needed.",
        default_factory=lambda: StatefulSetPersistentVolumeClaimRetentionPolicy(),
    )
    pod_management_policy: str | None = field(
        "OrderedReady",
        doc="OrderedReady: one pod after the other; Parallel: all at once. Default: OrderedReady.",
        rules=(OneOf("OrderedReady", "Parallel"),),
    )
    replicas: Int32 | None = field(1, doc="How many pods. Default: 1.", rules=(NON_NEGATIVE,))
    revision_history_limit: Int32 | None = field(
        10, doc="How many old revisions are kept for going back. Default: 10.", rules=(NON_NEGATIVE,)
    )
    selector: LabelSelector = field(
        doc="Labels of its pods; must fit the template and never change.",
        default_factory=lambda: LabelSelector(),
        required=True,
    )
    service_name: str | None = field(doc="The headless Service that gives its pods their DNS names.")
    template: PodTemplateSpec = field(
        doc="What its pods are made from.", default_factory=lambda: PodTemplateSpec(), required=True
    )
    update_strategy: StatefulSetUpdateStrategy | None = field(
        doc="How old pods are replaced.", default_factory=lambda: StatefulSetUpdateStrategy()
    )
    volume_claim_templates: list[PersistentVolumeClaim] = field(
        doc="Claims that each pod gets and keeps.", default_factory=list, list_type="atomic"
    )


class StatefulSetCondition(Object):
    """One aspect of a stateful set's state."""

    last_transition_time: Time | None = field(doc="When the status last changed.")
    message: str | None = field(doc="Details for people.")
    reason: str | None = field(doc="Why the condition last changed, as one CamelCase word.")
    status: str | None = field(doc="True, False or Unknown.")
    type: str | None = field(doc="What the condition is about.")


class StatefulSetStatus(Object):
    """What was observed of a stateful set."""

    available_replicas: Int32 | None = field(doc="Pods that have been ready for minReadySeconds.")
    collision_count: Int32 | None = field(doc="How often a revision's name was taken.")
    conditions: list[StatefulSetCondition] = field(
        doc="Its state in single aspects.",
        default_factory=list,
        merge_key="type",
        patch="merge",
        list_type="map",
        list_map_keys=("type",),
    )
    current_replicas: Int32 | None = field(doc="Pods of currentRevision.")
    current_revision: str | None = field(doc="The revision that pods had before the update.")
    observed_generation: Int64 | None = field(doc="The metadata.generation that was acted on.")
    ready_replicas: Int32 | None = field(doc="Pods that are ready.")
    replicas: Int32 = field(0, doc="Pods that are there.", required=True)
    update_revision: str | None = field(doc="The revision that pods are updated to.")
    updated_replicas: Int32 | None = field(doc="Pods of updateRevision.")


class StatefulSet(KubeObject):
    """Pods with lasting names and volumes."""

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
