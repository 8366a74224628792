""""""

from sampan.api.base import Int32, KubeObject, field
from sampan.api.meta_v1 import ObjectMeta
from sampan.api.rules import OneOf


class PriorityClass(KubeObject):
    """"""

    API_VERSION = "scheduling.k8s.io/v1"
    KIND = "PriorityClass"
    api_version: str = field("scheduling.k8s.io/v1")
    kind: str = field("PriorityClass")
    metadata: ObjectMeta = field(default_factory=lambda: ObjectMeta())
    description: str | None = field()
    global_default: bool | None = field()
    preemption_policy: str | None = field("PreemptLowerPriority", rules=(OneOf("PreemptLowerPriority", "Never"),))
    value: Int32 | None = field()
