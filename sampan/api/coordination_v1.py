"""Leases."""

from sampan.api.base import Int32, KubeObject, MicroTime, Object, field
from sampan.api.meta_v1 import ObjectMeta
from sampan.api.rules import NON_NEGATIVE, AtLeast


class LeaseSpec(Object):
    """Who holds it, and for how long."""

    acquire_time: MicroTime | None = field(doc="When the holder got it.")
    holder_identity: str | None = field(doc="Who holds it; empty if nobody does.")
    lease_duration_seconds: Int32 | None = field(
        doc="Seconds after renewTime during which nobody else may take it.",
        rules=(AtLeast(1, "must be greater than 0"),),
    )
    lease_transitions: Int32 | None = field(doc="How often the holder changed.", rules=(NON_NEGATIVE,))
    preferred_holder: str | None = field(doc="Who should get it next, under coordinated election.")
    renew_time: MicroTime | None = field(doc="When the holder last renewed it.")
    strategy: str | None = field(doc="How a leader is chosen, under coordinated election.")


class Lease(KubeObject):
    """A claim that is held for a while: leadership, or a node's heartbeat."""

    API_VERSION = "coordination.k8s.io/v1"
    KIND = "Lease"
    api_version: str = field("coordination.k8s.io/v1", doc="Group and version of this representation of the object.")
    kind: str = field("Lease", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    spec: LeaseSpec = field(doc="What is wanted.", default_factory=lambda: LeaseSpec())
