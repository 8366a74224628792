"""Which nodes a pod may, should or must run on: affinity, tolerations, spread."""

from sampan.api.base import Int32, Int64, Object, Time, field
from sampan.api.meta_v1 import LabelSelector
from sampan.api.rules import (
    LABEL_VALUE,
    QUALIFIED_NAME,
    WEIGHT,
    AtLeast,
    Each,
    Given,
    MayBeEmpty,
    NodeField,
    OneOf,
    Requirement,
)


class NodeSelectorRequirement(Object):
    """"""

    key: str = field("", required=True, rules=(MayBeEmpty(),))
    operator: str = field("", required=True, rules=(MayBeEmpty(),))
    values: list[str] = field(default_factory=list, list_type="atomic")


class NodeSelectorTerm(Object):
    """"""

    match_expressions: list[NodeSelectorRequirement] = field(
        default_factory=list, list_type="atomic", rules=(Each(Requirement(of_nodes=True)),)
    )
    match_fields: list[NodeSelectorRequirement] = field(
        default_factory=list, list_type="atomic", rules=(Each(NodeField()),)
    )


class PreferredSchedulingTerm(Object):
    """"""

    preference: NodeSelectorTerm = field(default_factory=lambda: NodeSelectorTerm(), required=True)
    weight: Int32 = field(0, required=True, rules=(WEIGHT,))


class NodeSelector(Object):
    """"""

    node_selector_terms: list[NodeSelectorTerm] = field(
        default_factory=list,
        required=True,
        list_type="atomic",
        rules=(Given("must have at least one node selector term"),),
    )


class NodeAffinity(Object):
    """"""

    preferred_during_scheduling_ignored_during_execution: list[PreferredSchedulingTerm] = field(
        default_factory=list, list_type="atomic"
    )
    required_during_scheduling_ignored_during_execution: NodeSelector | None = field()


class PodAffinityTerm(Object):
    """"""

    label_selector: LabelSelector | None = field()
    match_label_keys: list[str] = field(default_factory=list, list_type="atomic")
    mismatch_label_keys: list[str] = field(default_factory=list, list_type="atomic")
    namespace_selector: LabelSelector | None = field()
    namespaces: list[str] = field(default_factory=list, list_type="atomic")
    topology_key: str = field(
        "",
        required=True,
        rules=(
            Given("can not be empty"),
            QUALIFIED_NAME,
        ),
    )


class WeightedPodAffinityTerm(Object):
    """"""

    pod_affinity_term: PodAffinityTerm = field(default_factory=lambda: PodAffinityTerm(), required=True)
    weight: Int32 = field(0, required=True, rules=(WEIGHT,))


class PodAffinity(Object):
    """"""

    preferred_during_scheduling_ignored_during_execution: list[WeightedPodAffinityTerm] = field(
        default_factory=list, list_type="atomic"
    )
    required_during_scheduling_ignored_during_execution: list[PodAffinityTerm] = field(
        default_factory=list, list_type="atomic"
    )


class PodAntiAffinity(Object):
    """"""

    preferred_during_scheduling_ignored_during_execution: list[WeightedPodAffinityTerm] = field(
        default_factory=list, list_type="atomic"
    )
    required_during_scheduling_ignored_during_execution: list[PodAffinityTerm] = field(
        default_factory=list, list_type="atomic"
    )


class Affinity(Object):
    """"""

    node_affinity: NodeAffinity | None = field()
    pod_affinity: PodAffinity | None = field()
    pod_anti_affinity: PodAntiAffinity | None = field()


class Taint(Object):
    """"""

    effect: str = field("", required=True, rules=(OneOf("NoSchedule", "PreferNoSchedule", "NoExecute"),))
    key: str = field("", required=True, rules=(QUALIFIED_NAME,))
    time_added: Time | None = field()
    value: str | None = field(rules=(LABEL_VALUE,))


class Toleration(Object):
    """"""

    effect: str | None = field(rules=(OneOf("NoSchedule", "PreferNoSchedule", "NoExecute", or_empty=True),))
    key: str | None = field(rules=(QUALIFIED_NAME,))
    operator: str | None = field()
    toleration_seconds: Int64 | None = field()
    value: str | None = field()


class TopologySpreadConstraint(Object):
    """"""

    label_selector: LabelSelector | None = field()
    match_label_keys: list[str] = field(default_factory=list, list_type="atomic")
    max_skew: Int32 = field(0, required=True, rules=(AtLeast(1, "must be greater than zero"),))
    min_domains: Int32 | None = field(rules=(AtLeast(1, "must be greater than zero"),))
    node_affinity_policy: str | None = field(rules=(OneOf("Honor", "Ignore"),))
    node_taints_policy: str | None = field(rules=(OneOf("Honor", "Ignore"),))
    topology_key: str = field(
        "",
        required=True,
        rules=(
            Given("can not be empty"),
            QUALIFIED_NAME,
        ),
    )
    when_unsatisfiable: str = field("", required=True, rules=(OneOf("DoNotSchedule", "ScheduleAnyway"),))
