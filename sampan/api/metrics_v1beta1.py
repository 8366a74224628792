"""What nodes and pods use: metrics.k8s.io, measured when it is asked for."""

from __future__ import annotations

from sampan.api.base import KubeObject, Object, Time, field
from sampan.api.meta_v1 import ObjectMeta


class ContainerMetrics(Object):
    """What a container uses."""

    name: str | None = field(doc="The container's name.")
    usage: dict[str, str] = field(doc="Resource -> quantity.", default_factory=dict)


class NodeMetrics(KubeObject):
    """What a node uses."""

    API_VERSION = "metrics.k8s.io/v1beta1"
    KIND = "NodeMetrics"
    api_version: str = field("metrics.k8s.io/v1beta1", doc="Group and version of this representation of the object.")
    kind: str = field("NodeMetrics", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    timestamp: Time | None = field(doc="The end of the time that was measured.")
    window: str | None = field(doc="How long was measured.")
    usage: dict[str, str] = field(doc="Resource -> quantity.", default_factory=dict)


class PodMetrics(KubeObject):
    """What a pod's containers use."""

    API_VERSION = "metrics.k8s.io/v1beta1"
    KIND = "PodMetrics"
    api_version: str = field("metrics.k8s.io/v1beta1", doc="Group and version of this representation of the object.")
    kind: str = field("PodMetrics", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    timestamp: Time | None = field(doc="The end of the time that was measured.")
    window: str | None = field(doc="How long was measured.")
    containers: list[ContainerMetrics] = field(doc="What each container uses.", default_factory=list)
