"""Limits on what a namespace may use."""

from sampan.api.base import KubeObject, Object, Quantity, field
from sampan.api.meta_v1 import ObjectMeta


class LimitRangeItem(Object):
    """Limits and defaults for one sort of thing."""

    default: dict[str, Quantity] = field(doc="Limits of containers that have none.", default_factory=dict)
    default_request: dict[str, Quantity] = field(doc="Requests of containers that have none.", default_factory=dict)
    max: dict[str, Quantity] = field(doc="The most of each resource.", default_factory=dict)
    max_limit_request_ratio: dict[str, Quantity] = field(
        doc="The most by which a limit may exceed the request.", default_factory=dict
    )
    min: dict[str, Quantity] = field(doc="The least of each resource.", default_factory=dict)
    type: str = field("", doc="Pod, Container or PersistentVolumeClaim.", required=True)


class LimitRangeSpec(Object):
    """The limits."""

    limits: list[LimitRangeItem] = field(
        doc="One entry a sort of thing.", default_factory=list, required=True, list_type="atomic"
    )


class LimitRange(KubeObject):
    """Limits and defaults for single pods, containers and claims of a namespace."""

    API_VERSION = "v1"
    KIND = "LimitRange"
    api_version: str = field("v1", doc="Group and version of this representation of the object.")
    kind: str = field("LimitRange", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    spec: LimitRangeSpec = field(doc="What is wanted.", default_factory=lambda: LimitRangeSpec())


class ScopedResourceSelectorRequirement(Object):
    """One condition on a scope."""

    operator: str = field("", doc="In, NotIn, Exists or DoesNotExist.", required=True)
    scope_name: str = field("", doc="The scope, such as PriorityClass.", required=True)
    values: list[str] = field(doc="The values for In and NotIn.", default_factory=list, list_type="atomic")


class ScopeSelector(Object):
    """Conditions that must all hold."""

    match_expressions: list[ScopedResourceSelectorRequirement] = field(
        doc="The conditions.", default_factory=list, list_type="atomic"
    )


class ResourceQuotaSpec(Object):
    """The quota."""

    hard: dict[str, Quantity] = field(doc="The most of each resource, or of objects of a kind.", default_factory=dict)
    scope_selector: ScopeSelector | None = field(doc="Which pods count, by conditions.")
    scopes: list[str] = field(
        doc="Which pods count, such as BestEffort or Terminating.", default_factory=list, list_type="atomic"
    )


class ResourceQuotaStatus(Object):
    """The quota and its use."""

    hard: dict[str, Quantity] = field(doc="The quota in force.", default_factory=dict)
    used: dict[str, Quantity] = field(doc="What is used.", default_factory=dict)


class ResourceQuota(KubeObject):
    """What all of a namespace may use together."""

    API_VERSION = "v1"
    KIND = "ResourceQuota"
    api_version: str = field("v1", doc="Group and version of this representation of the object.")
    kind: str = field("ResourceQuota", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    spec: ResourceQuotaSpec = field(doc="What is wanted.", default_factory=lambda: ResourceQuotaSpec())
    status: ResourceQuotaStatus = field(
        doc="What was last observed; written by the system.", default_factory=lambda: ResourceQuotaStatus()
    )
