"""Namespaces."""

from sampan.api.base import KubeObject, Object, Time, field
from sampan.api.meta_v1 import ObjectMeta


class NamespaceSpec(Object):
    """"""

    finalizers: list[str] = field(default_factory=list, list_type="atomic")


class NamespaceCondition(Object):
    """"""

    last_transition_time: Time | None = field()
    message: str | None = field()
    reason: str | None = field()
    status: str = field("", required=True)
    type: str = field("", required=True)


class NamespaceStatus(Object):
    """"""

    conditions: list[NamespaceCondition] = field(
        default_factory=list, merge_key="type", patch="merge", list_type="map", list_map_keys=("type",)
    )
    phase: str | None = field()


class Namespace(KubeObject):
    """"""

    API_VERSION = "v1"
    KIND = "Namespace"
    api_version: str = field("v1")
    kind: str = field("Namespace")
    metadata: ObjectMeta = field(default_factory=lambda: ObjectMeta())
    spec: NamespaceSpec = field(default_factory=lambda: NamespaceSpec())
    status: NamespaceStatus = field(default_factory=lambda: NamespaceStatus())
