""""""

from sampan.api.base import Int32, KubeObject, Object, field
from sampan.api.meta_v1 import ObjectMeta
from sampan.api.rules import NON_NEGATIVE


class ScaleSpec(Object):
    """"""

    replicas: Int32 | None = field(rules=(NON_NEGATIVE,))


class ScaleStatus(Object):
    """"""

    replicas: Int32 = field(0, required=True)
    selector: str | None = field()


class Scale(KubeObject):
    """"""

    API_VERSION = "autoscaling/v1"
    KIND = "Scale"
    api_version: str = field("autoscaling/v1")
    kind: str = field("Scale")
    metadata: ObjectMeta = field(default_factory=lambda: ObjectMeta())
    spec: ScaleSpec = field(default_factory=lambda: ScaleSpec())
    status: ScaleStatus = field(default_factory=lambda: ScaleStatus())
