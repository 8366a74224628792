"""Parts of workload-aware scheduling that jobs refer to."""

from sampan.api.base import Int32, Object, field


class TopologyConstraint(Object):
    """"""

    key: str = field("", required=True)


class WorkloadPodGroupAllDisruptionMode(Object):
    """"""


class WorkloadPodGroupSingleDisruptionMode(Object):
    """"""


class WorkloadPodGroupBasicSchedulingPolicy(Object):
    """"""


class WorkloadPodGroupDisruptionMode(Object):
    """"""

    all: WorkloadPodGroupAllDisruptionMode | None = field()
    single: WorkloadPodGroupSingleDisruptionMode | None = field()


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

    basic: WorkloadPodGroupBasicSchedulingPolicy | None = field()
    gang: WorkloadPodGroupGangSchedulingPolicy | None = field()
