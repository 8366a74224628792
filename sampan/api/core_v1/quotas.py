"""Limits on what a namespace may use."""

from sampan.api.base import KubeObject, Object, Quantity, field
from sampan.api.meta_v1 import ObjectMeta


class LimitRangeItem(Object):
    """"""

    default: dict[str, Quantity] = field(default_factory=dict)
    default_request: dict[str, Quantity] = field(default_factory=dict)
    max: dict[str, Quantity] = field(default_factory=dict)
    max_limit_request_ratio: dict[str, Quantity] = field(default_factory=dict)
    min: dict[str, Quantity] = field(default_factory=dict)
    type: str = field("", required=True)


class LimitRangeSpec(Object):
    """"""

    limits: list[LimitRangeItem] = field(default_factory=list, required=True, list_type="atomic")


class LimitRange(KubeObject):
    """"""

    API_VERSION = "v1"
    KIND = "LimitRange"
    api_version: str = field("v1", doc="Group and version of this representation of the object.")
    kind: str = field("LimitRange", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    spec: LimitRangeSpec = field(doc="What is wanted.", default_factory=lambda: LimitRangeSpec())


class ScopedResourceSelectorRequirement(Object):
    """"""

    operator: str = field("", required=True)
    scope_name: str = field("", required=True)
    values: list[str] = field(default_factory=list, list_type="atomic")


class ScopeSelector(Object):
    """"""

    match_expressions: list[ScopedResourceSelectorRequirement] = field(default_factory=list, list_type="atomic")


class ResourceQuotaSpec(Object):
    """"""

    hard: dict[str, Quantity] = field(default_factory=dict)
    scope_selector: ScopeSelector | None = field()
    scopes: list[str] = field(default_factory=list, list_type="atomic")


class ResourceQuotaStatus(Object):
    """"""

    hard: dict[str, Quantity] = field(default_factory=dict)
    used: dict[str, Quantity] = field(default_factory=dict)


class ResourceQuota(KubeObject):
    """"""

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
