"""Configuration and secrets."""

from sampan.api.base import Base64, KubeObject, field
from sampan.api.meta_v1 import ObjectMeta


class ConfigMap(KubeObject):
    """"""

    API_VERSION = "v1"
    KIND = "ConfigMap"
    api_version: str = field("v1")
    kind: str = field("ConfigMap")
    metadata: ObjectMeta = field(default_factory=lambda: ObjectMeta())
    binary_data: dict[str, Base64] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)
    immutable: bool | None = field()


class Secret(KubeObject):
    """"""

    API_VERSION = "v1"
    KIND = "Secret"
    api_version: str = field("v1")
    kind: str = field("Secret")
    metadata: ObjectMeta = field(default_factory=lambda: ObjectMeta())
    data: dict[str, Base64] = field(default_factory=dict)
    immutable: bool | None = field()
    string_data: dict[str, str] = field(default_factory=dict)
    type: str | None = field("Opaque")
