"""Disruption budgets and evictions."""

from sampan.api.base import Int32, Int64, IntOrString, KubeObject, Object, Time, field
from sampan.api.meta_v1 import Condition, DeleteOptions, LabelSelector, ObjectMeta
from sampan.api.rules import CountOrPercent, OneOf


class Eviction(KubeObject):
    """A request to end a pod, which disruption budgets may refuse."""

    API_VERSION = "policy/v1"
    KIND = "Eviction"
    api_version: str = field("policy/v1", doc="Group and version of this representation of the object.")
    kind: str = field("Eviction", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    delete_options: DeleteOptions | None = field(doc="How to delete the pod.")


class PodDisruptionBudgetSpec(Object):
    """The budget. One of maxUnavailable and minAvailable is set."""

    max_unavailable: IntOrString | None = field(
        doc="How many may be away, as a number or percentage.", rules=(CountOrPercent(),)
    )
    min_available: IntOrString | None = field(
        doc="How many must be left, as a number or percentage.", rules=(CountOrPercent(),)
    )
    selector: LabelSelector | None = field(
        doc="Labels of the pods; an empty selector takes all of the namespace.", patch="replace"
    )
    unhealthy_pod_eviction_policy: str | None = field(
        doc="IfHealthyBudget or AlwaysAllow: whether pods that are not ready may go in any case.",
        rules=(OneOf("AlwaysAllow", "IfHealthyBudget"),),
    )


class PodDisruptionBudgetStatus(Object):
    """The budget's use."""

    conditions: list[Condition] = field(
        doc="Its state in single aspects: DisruptionAllowed.",
        default_factory=list,
        merge_key="type",
        patch="merge",
        list_type="map",
        list_map_keys=("type",),
    )
    current_healthy: Int32 | None = field(doc="Pods that are ready.")
    desired_healthy: Int32 | None = field(doc="Pods that must be ready.")
    disrupted_pods: dict[str, Time] = field(
        doc="Pods whose eviction was allowed and that are not gone yet, with the time.", default_factory=dict
    )
    disruptions_allowed: Int32 | None = field(doc="How many may go now.")
    expected_pods: Int32 | None = field(doc="Pods that count.")
    observed_generation: Int64 | None = field(doc="The metadata.generation that was acted on.")


class PodDisruptionBudget(KubeObject):
    """How many pods of an application may be away at once on purpose."""

    API_VERSION = "policy/v1"
    KIND = "PodDisruptionBudget"
    api_version: str = field("policy/v1", doc="Group and version of this representation of the object.")
    kind: str = field("PodDisruptionBudget", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    spec: PodDisruptionBudgetSpec = field(doc="What is wanted.", default_factory=lambda: PodDisruptionBudgetSpec())
    status: PodDisruptionBudgetStatus = field(
        doc="What was last observed; written by the system.", default_factory=lambda: PodDisruptionBudgetStatus()
    )
