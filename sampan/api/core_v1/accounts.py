"""Service accounts."""

from sampan.api.base import KubeObject, field
from sampan.api.core_v1.references import LocalObjectReference, ObjectReference
from sampan.api.meta_v1 import ObjectMeta


class ServiceAccount(KubeObject):
    """"""

    API_VERSION = "v1"
    KIND = "ServiceAccount"
    api_version: str = field("v1")
    kind: str = field("ServiceAccount")
    metadata: ObjectMeta = field(default_factory=lambda: ObjectMeta())
    automount_service_account_token: bool | None = field()
    image_pull_secrets: list[LocalObjectReference] = field(default_factory=list, list_type="atomic")
    secrets: list[ObjectReference] = field(
        default_factory=list, merge_key="name", patch="merge", list_type="map", list_map_keys=("name",)
    )
