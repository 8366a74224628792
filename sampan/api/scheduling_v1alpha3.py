""""""

from __future__ import annotations

from sampan.api.base import JSON, Int32, Object, field


class TopologyConstraint(Object):
    """"""

    key: str = field("", required=True)


class WorkloadPodGroupDisruptionMode(Object):
    """"""

    all: JSON = field()
    single: JSON = field()


class WorkloadPodGroupGangSchedulingPolicy(Object):
    """"""

    min_count: Int32 | None = field()


class WorkloadPodGroupResourceClaim(Object):
    """"""

    name: str = field("", required=True)
    resource_claim_name: str | None = field()
    resource_claim_template_name: str | None = field()


class WorkloadPodGroupSchedulingConstraints(Object):
    """"""

    topology: list[TopologyConstraint] = field(default_factory=list, list_type="atomic")


class WorkloadPodGroupSchedulingPolicy(Object):
    """"""

    basic: JSON = field()
    gang: WorkloadPodGroupGangSchedulingPolicy | None = field()
