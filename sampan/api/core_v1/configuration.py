"""Configuration and secrets."""

from sampan.api.base import Base64, KubeObject, field
from sampan.api.meta_v1 import ObjectMeta


class ConfigMap(KubeObject):
    """Configuration as keys and values, for pods to read."""

    API_VERSION = "v1"
    KIND = "ConfigMap"
    api_version: str = field("v1", doc="Group and version of this representation of the object.")
    kind: str = field("ConfigMap", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    binary_data: dict[str, Base64] = field(
        doc="Values that are no UTF-8 text, in base64. Keys must not be in data too.", default_factory=dict
    )
    data: dict[str, str] = field(doc="Values as text.", default_factory=dict)
    immutable: bool | None = field(doc="If true, only metadata can be changed.")


class Secret(KubeObject):
    """Sensitive data, such as passwords and keys."""

    API_VERSION = "v1"
    KIND = "Secret"
    api_version: str = field("v1", doc="Group and version of this representation of the object.")
    kind: str = field("Secret", doc="The kind of the object.")
    metadata: ObjectMeta = field(
        doc="Name, labels and whatever else every object has.", default_factory=lambda: ObjectMeta()
    )
    data: dict[str, Base64] = field(doc="Values in base64.", default_factory=dict)
    immutable: bool | None = field(doc="If true, only metadata can be changed.")
    string_data: dict[str, str] = field(
        doc="Values as text, merged into data on writing; never shown.", default_factory=dict
    )
    type: str | None = field("Opaque", doc="What the Secret is for; some types demand certain keys. Default: Opaque.")
