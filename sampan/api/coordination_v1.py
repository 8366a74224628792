""""""

from sampan.api.base import Int32, KubeObject, MicroTime, Object, field
from sampan.api.meta_v1 import ObjectMeta
from sampan.api.rules import NON_NEGATIVE, AtLeast


class LeaseSpec(Object):
    """"""

    acquire_time: MicroTime | None = field()
    holder_identity: str | None = field()
    lease_duration_seconds: Int32 | None = field(rules=(AtLeast(1, "must be greater than 0"),))
    lease_transitions: Int32 | None = field(rules=(NON_NEGATIVE,))
    preferred_holder: str | None = field()
    renew_time: MicroTime | None = field()
    strategy: str | None = field()


class Lease(KubeObject):
    """"""

    API_VERSION = "coordination.k8s.io/v1"
    KIND = "Lease"
    api_version: str = field("coordination.k8s.io/v1")
    kind: str = field("Lease")
    metadata: ObjectMeta = field(default_factory=lambda: ObjectMeta())
    spec: LeaseSpec = field(default_factory=lambda: LeaseSpec())
