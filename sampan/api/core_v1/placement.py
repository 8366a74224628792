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
    """One condition on a node's labels or fields."""

    key: str = field("", doc="The label or field.", required=True, rules=(MayBeEmpty(),))
    operator: str = field("", doc="In, NotIn, Exists, DoesNotExist, Gt or Lt.", required=True, rules=(MayBeEmpty(),))
    values: list[str] = field(
        doc="The values for In and NotIn; one number for Gt and Lt; none otherwise.",
        default_factory=list,
        list_type="atomic",
    )


class NodeSelectorTerm(Object):
    """Conditions that must all hold; an empty term fits no node."""

    match_expressions: list[NodeSelectorRequirement] = field(
        doc="Conditions on labels.", default_factory=list, list_type="atomic", rules=(Each(Requirement(of_nodes=True)),)
    )
    match_fields: list[NodeSelectorRequirement] = field(
        doc="Conditions on fields; metadata.name is the only one.",
        default_factory=list,
        list_type="atomic",
        rules=(Each(NodeField()),),
    )


class PreferredSchedulingTerm(Object):
    """A wish about the node."""

    preference: NodeSelectorTerm = field(
        doc="What is wished for.", default_factory=lambda: NodeSelectorTerm(), required=True
    )
    weight: Int32 = field(0, doc="How much, 1 to 100.", required=True, rules=(WEIGHT,))


class NodeSelector(Object):
    """Terms of which one must fit."""

    node_selector_terms: list[NodeSelectorTerm] = field(
        doc="The terms.",
        default_factory=list,
        required=True,
        list_type="atomic",
        rules=(Given("must have at least one node selector term"),),
    )


class NodeAffinity(Object):
    """Which nodes a pod wants."""

    preferred_during_scheduling_ignored_during_execution: list[PreferredSchedulingTerm] = field(
        doc="Wishes, which add to a node's score.", default_factory=list, list_type="atomic"
    )
    required_during_scheduling_ignored_during_execution: NodeSelector | None = field(
        doc="Conditions that the node must meet when the pod is placed."
    )


class PodAffinityTerm(Object):
    """Other pods, and how near they are meant to be."""

    label_selector: LabelSelector | None = field(doc="Labels of the other pods.")
    match_label_keys: list[str] = field(
        doc="Labels that the other pods must have in common with this one.", default_factory=list, list_type="atomic"
    )
    mismatch_label_keys: list[str] = field(
        doc="Labels in which the other pods must differ from this one.", default_factory=list, list_type="atomic"
    )
    namespace_selector: LabelSelector | None = field(
        doc="Labels of the namespaces they are in; an empty selector means all."
    )
    namespaces: list[str] = field(
        doc="Names of the namespaces they are in. Default: the pod's own.", default_factory=list, list_type="atomic"
    )
    topology_key: str = field(
        "",
        doc="The node label that makes a place, such as kubernetes.io/hostname.",
        required=True,
        rules=(
            Given("can not be empty"),
            QUALIFIED_NAME,
        ),
    )


class WeightedPodAffinityTerm(Object):
    """A wish about other pods."""

    pod_affinity_term: PodAffinityTerm = field(
        doc="Which pods, and how near.", default_factory=lambda: PodAffinityTerm(), required=True
    )
    weight: Int32 = field(0, doc="How much, 1 to 100.", required=True, rules=(WEIGHT,))


class PodAffinity(Object):
    """Which company a pod wants."""

    preferred_during_scheduling_ignored_during_execution: list[WeightedPodAffinityTerm] = field(
        doc="Wishes, which add to a node's score.", default_factory=list, list_type="atomic"
    )
    required_during_scheduling_ignored_during_execution: list[PodAffinityTerm] = field(
        doc="Company that there must be when the pod is placed.", default_factory=list, list_type="atomic"
    )


class PodAntiAffinity(Object):
    """Which company a pod avoids."""

    preferred_during_scheduling_ignored_during_execution: list[WeightedPodAffinityTerm] = field(
        doc="Wishes, which lower a node's score.", default_factory=list, list_type="atomic"
    )
    required_during_scheduling_ignored_during_execution: list[PodAffinityTerm] = field(
        doc="Company that there must not be when the pod is placed.", default_factory=list, list_type="atomic"
    )


class Affinity(Object):
    """Which nodes and which company a pod wants or avoids."""

    node_affinity: NodeAffinity | None = field(doc="Nodes it wants.")
    pod_affinity: PodAffinity | None = field(doc="Company it wants.")
    pod_anti_affinity: PodAntiAffinity | None = field(doc="Company it avoids.")


class Taint(Object):
    """A mark on a node that keeps pods away which do not tolerate it."""

    effect: str = field(
        "",
        doc="NoSchedule, PreferNoSchedule or NoExecute, which also ends pods that run.",
        required=True,
        rules=(OneOf("NoSchedule", "PreferNoSchedule", "NoExecute"),),
    )
    key: str = field("", doc="Its name.", required=True, rules=(QUALIFIED_NAME,))
    time_added: Time | None = field(doc="When it was put there; for NoExecute.")
    value: str | None = field(doc="Its value.", rules=(LABEL_VALUE,))


class Toleration(Object):
    """Taints that a pod puts up with."""

    effect: str | None = field(
        doc="The effect; any if empty.", rules=(OneOf("NoSchedule", "PreferNoSchedule", "NoExecute", or_empty=True),)
    )
    key: str | None = field(doc="The taint's key; any if empty, with operator Exists.", rules=(QUALIFIED_NAME,))
    operator: str | None = field(doc="Equal, Exists, Lt or Gt. Default: Equal.")
    toleration_seconds: Int64 | None = field(doc="Seconds for which a NoExecute taint is tolerated. Default: for ever.")
    value: str | None = field(doc="The taint's value, for Equal.")


class TopologySpreadConstraint(Object):
    """How evenly pods are spread over places."""

    label_selector: LabelSelector | None = field(doc="The pods that are counted.")
    match_label_keys: list[str] = field(
        doc="Labels that counted pods must have in common with this one.", default_factory=list, list_type="atomic"
    )
    max_skew: Int32 = field(
        0,
        doc="The most by which a place may exceed the emptiest one.",
        required=True,
        rules=(AtLeast(1, "must be greater than zero"),),
    )
    min_domains: Int32 | None = field(
        doc="The least number of places; while there are fewer, the emptiest counts as 0.",
        rules=(AtLeast(1, "must be greater than zero"),),
    )
    node_affinity_policy: str | None = field(
        doc="Honor or Ignore: whether only nodes that the pod may go to make places. Default: Honor.",
        rules=(OneOf("Honor", "Ignore"),),
    )
    node_taints_policy: str | None = field(
        doc="Honor or Ignore: whether tainted nodes make places only if tolerated. Default: Ignore.",
        rules=(OneOf("Honor", "Ignore"),),
    )
    topology_key: str = field(
        "",
        doc="The node label that makes a place.",
        required=True,
        rules=(
            Given("can not be empty"),
            QUALIFIED_NAME,
        ),
    )
    when_unsatisfiable: str = field(
        "",
        doc="DoNotSchedule or ScheduleAnyway, which only affects the score.",
        required=True,
        rules=(OneOf("DoNotSchedule", "ScheduleAnyway"),),
    )
