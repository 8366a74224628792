"""Namespaces."""

from sampan.api.base import KubeObject, Object, Time, field
from sampan.api.meta_v1 import ObjectMeta


class NamespaceSpec(Object):
    """What holds a namespace."""

    finalizers: list[str] = field(
        doc="Who must finish before the namespace can go.", default_factory=list, list_type="atomic"
    )


class NamespaceCondition(Object):
    """One aspect of a namespace's deletion."""

    last_transition_time: Time | None = field(doc="When the status last changed.")
    message: str | None = field(doc="Details for people.")
    reason: str | None = field(doc="Why the condition last changed, as one CamelCase word.")
    status: str = field("", doc="True, False or Unknown.", required=True)
    type: str = field("", doc="What the condition is about.", required=True)


class NamespaceStatus(Object):
    """What a namespace is doing."""

    conditions: list[NamespaceCondition] = field(
        doc="How its deletion goes.",
        default_factory=list,
        merge_key="type",
        patch="merge",
        list_type="map",
        list_map_keys=("type",),
    )
    phase: str | None = field(doc="Active or Terminating.")


class Namespace(KubeObject):
    """A scope for names, within which most objects live."""

    API_VERSION = "v1"
    KIND = "Namespace"
    api_version: str = field("v1", doc="Group and version of this representation of the object.")
    kind: str = field("Namespace", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    spec: NamespaceSpec = field(doc="What is wanted.", default_factory=lambda: NamespaceSpec())
    status: NamespaceStatus = field(
        doc="What was last observed; written by the system.", default_factory=lambda: NamespaceStatus()
    )
