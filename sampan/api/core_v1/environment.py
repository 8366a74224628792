"""Environment variables, and where their values come from."""

from sampan.api.base import Object, Quantity, field
from sampan.api.rules import ENV_NAME


class ConfigMapEnvSource(Object):
    """A config map whose keys become variables."""

    name: str | None = field(doc="The config map.")
    optional: bool | None = field(doc="Whether it may be missing.")


class ConfigMapKeySelector(Object):
    """A key of a config map."""

    key: str = field("", doc="The key.", required=True)
    name: str | None = field(doc="The config map.")
    optional: bool | None = field(doc="Whether it may be missing.")


class ObjectFieldSelector(Object):
    """A field of the pod."""

    api_version: str | None = field("v1", doc="The version in which the field is named. Default: v1.")
    field_path: str = field("", doc="The field, such as metadata.labels['app'].", required=True)


class FileKeySelector(Object):
    """A key in a file of a volume."""

    key: str = field("", doc="The key.", required=True)
    optional: bool | None = field(doc="Whether the file or the key may be missing.")
    path: str = field("", doc="The file, below the volume's root.", required=True)
    volume_name: str = field("", doc="The volume in the pod.", required=True)


class ResourceFieldSelector(Object):
    """A container's request or limit."""

    container_name: str | None = field(doc="The container; needed in volumes.")
    divisor: Quantity | None = field(doc="The unit in which it is written, such as 1m or 1Mi. Default: 1.")
    resource: str = field("", doc="Which one, such as limits.cpu.", required=True)


class SecretKeySelector(Object):
    """A key of a Secret."""

    key: str = field("", doc="The key.", required=True)
    name: str | None = field(doc="The Secret.")
    optional: bool | None = field(doc="Whether it may be missing.")


class EnvVarSource(Object):
    """Where a variable's value comes from; one of the fields is set."""

    config_map_key_ref: ConfigMapKeySelector | None = field(doc="A key of a config map.")
    field_ref: ObjectFieldSelector | None = field(doc="A field of the pod, such as metadata.name or status.podIP.")
    file_key_ref: FileKeySelector | None = field(doc="A key in a file of a volume.")
    resource_field_ref: ResourceFieldSelector | None = field(doc="A container's request or limit.")
    secret_key_ref: SecretKeySelector | None = field(doc="A key of a Secret.")


class EnvVar(Object):
    """An environment variable."""

    name: str = field("", doc="Its name.", required=True, rules=(ENV_NAME,))
    value: str | None = field(doc="Its value; $(VAR) is replaced by variables defined before.")
    value_from: EnvVarSource | None = field(doc="Where its value comes from, instead.")


class SecretEnvSource(Object):
    """A Secret whose keys become variables."""

    name: str | None = field(doc="The Secret.")
    optional: bool | None = field(doc="Whether it may be missing.")


class EnvFromSource(Object):
    """An object whose keys become variables."""

    config_map_ref: ConfigMapEnvSource | None = field(doc="A config map.")
    prefix: str | None = field(doc="What to put before each name.", rules=(ENV_NAME,))
    secret_ref: SecretEnvSource | None = field(doc="A Secret.")
