"""Parts of workload-aware scheduling that jobs refer to."""

from sampan.api.base import Int32, Object, field


class TopologyConstraint(Object):
    """Places in which pods must be together."""

    key: str = field("", doc="The node label that makes a place.", required=True)


class WorkloadPodGroupAllDisruptionMode(Object):
    """All pods of the group are disrupted together."""


class WorkloadPodGroupSingleDisruptionMode(Object):
    """Pods of the group are disrupted one by one."""


class WorkloadPodGroupBasicSchedulingPolicy(Object):
    """Pods of the group are placed one by one."""


class WorkloadPodGroupDisruptionMode(Object):
    """How a group's pods may be disrupted; one of the fields is set."""

    all: WorkloadPodGroupAllDisruptionMode | None = field(doc="Only all together.")
    single: WorkloadPodGroupSingleDisruptionMode | None = field(doc="One by one.")


class WorkloadPodGroupGangSchedulingPolicy(Object):
    """Pods of the group are placed together or not at all."""

    min_count: Int32 | None = field(doc="How many at least must find a place at once.")


class WorkloadPodGroupResourceClaim(Object):
    """A claim for devices that a group shares. One of the other two fields is set."""

    name: str = field("", doc="Its name in the group.", required=True)
    resource_claim_name: str | None = field(doc="A claim that exists.")
    resource_claim_template_name: str | None = field(doc="A template to make a claim from.")


class WorkloadPodGroupSchedulingConstraints(Object):
    """How near to one another a group's pods must be."""

    topology: list[TopologyConstraint] = field(
        doc="Places in which all must be.", default_factory=list, list_type="atomic"
    )


class WorkloadPodGroupSchedulingPolicy(Object):
    """How a group's pods are placed; one of the fields is set."""

    basic: WorkloadPodGroupBasicSchedulingPolicy | None = field(doc="One by one.")
    gang: WorkloadPodGroupGangSchedulingPolicy | None = field(doc="Together or not at all.")
