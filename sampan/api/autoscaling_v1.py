"""Scale, the window through which autoscalers see workloads."""

from sampan.api.base import Int32, KubeObject, Object, field
from sampan.api.meta_v1 import ObjectMeta
from sampan.api.rules import NON_NEGATIVE


class ScaleSpec(Object):
    """The number that is wanted."""

    replicas: Int32 | None = field(doc="How many.", rules=(NON_NEGATIVE,))


class ScaleStatus(Object):
    """The number that is there."""

    replicas: Int32 = field(0, doc="How many.", required=True)
    selector: str | None = field(doc="Labels of the pods, as text.")


class Scale(KubeObject):
    """The number of replicas of a workload."""

    API_VERSION = "autoscaling/v1"
    KIND = "Scale"
    api_version: str = field("autoscaling/v1", doc="Group and version of this representation of the object.")
    kind: str = field("Scale", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    spec: ScaleSpec = field(doc="What is wanted.", default_factory=lambda: ScaleSpec())
    status: ScaleStatus = field(
        doc="What was last observed; written by the system.", default_factory=lambda: ScaleStatus()
    )
