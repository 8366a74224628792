"""Priority classes."""

from sampan.api.base import Int32, KubeObject, field
from sampan.api.meta_v1 import ObjectMeta
from sampan.api.rules import OneOf


class PriorityClass(KubeObject):
    """A name for how important pods are."""

    API_VERSION = "scheduling.k8s.io/v1"
    KIND = "PriorityClass"
    api_version: str = field("scheduling.k8s.io/v1", doc="Group and version of this representation of the object.")
    kind: str = field("PriorityClass", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    description: str | None = field(doc="What the class is for.")
    global_default: bool | None = field(
        doc="Whether pods that name no class get this one; at most one class is the default."
    )
    preemption_policy: str | None = field(
        "PreemptLowerPriority",
        doc="PreemptLowerPriority or Never: whether its pods may push others out.",
        rules=(OneOf("PreemptLowerPriority", "Never"),),
    )
    value: Int32 | None = field(doc="The priority; higher numbers matter more. Above 1000000000 is for the system.")
