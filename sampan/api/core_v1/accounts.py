"""Service accounts."""

from sampan.api.base import KubeObject, field
from sampan.api.core_v1.references import LocalObjectReference, ObjectReference
from sampan.api.meta_v1 import ObjectMeta


class ServiceAccount(KubeObject):
    """An identity for processes in pods."""

    API_VERSION = "v1"
    KIND = "ServiceAccount"
    api_version: str = field("v1", doc="Group and version of this representation of the object.")
    kind: str = field("ServiceAccount", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    automount_service_account_token: bool | None = field(
        doc="Whether pods get a token mounted; a pod may say otherwise."
    )
    image_pull_secrets: list[LocalObjectReference] = field(
        doc="Secrets for pulling the images of pods that run as this account.", default_factory=list, list_type="atomic"
    )
    secrets: list[ObjectReference] = field(
        doc="Secrets that pods of this account may use. Deprecated.",
        default_factory=list,
        merge_key="name",
        patch="merge",
        list_type="map",
        list_map_keys=("name",),
    )
