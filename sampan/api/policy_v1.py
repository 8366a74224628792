"""Disruption budgets and evictions."""

from sampan.api.base import Int32, Int64, IntOrString, KubeObject, Object, Time, field
from sampan.api.meta_v1 import Condition, DeleteOptions, LabelSelector, ObjectMeta
from sampan.api.rules import CountOrPercent, OneOf


class Eviction(KubeObject):
    """"""

    API_VERSION = "policy/v1"
    KIND = "Eviction"
    api_version: str = field("policy/v1", doc="Group and version of this representation of the object.")
    kind: str = field("Eviction", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    delete_options: DeleteOptions | None = field()


class PodDisruptionBudgetSpec(Object):
    """"""

    max_unavailable: IntOrString | None = field(rules=(CountOrPercent(),))
    min_available: IntOrString | None = field(rules=(CountOrPercent(),))
    selector: LabelSelector | None = field(patch="replace")
    unhealthy_pod_eviction_policy: str | None = field(rules=(OneOf("AlwaysAllow", "IfHealthyBudget"),))


class PodDisruptionBudgetStatus(Object):
    """"""

    conditions: list[Condition] = field(
        default_factory=list, merge_key="type", patch="merge", list_type="map", list_map_keys=("type",)
    )
    current_healthy: Int32 | None = field()
    desired_healthy: Int32 | None = field()
    disrupted_pods: dict[str, Time] = field(default_factory=dict)
    disruptions_allowed: Int32 | None = field()
    expected_pods: Int32 | None = field()
    observed_generation: Int64 | None = field()


class PodDisruptionBudget(KubeObject):
    """"""

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
