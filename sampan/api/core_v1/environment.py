"""Environment variables, and where their values come from."""

from sampan.api.base import Object, Quantity, field
from sampan.api.rules import ENV_NAME


class ConfigMapEnvSource(Object):
    """"""

    name: str | None = field()
    optional: bool | None = field()


class ConfigMapKeySelector(Object):
    """"""

    key: str = field("", required=True)
    name: str | None = field()
    optional: bool | None = field()


class ObjectFieldSelector(Object):
    """"""

    api_version: str | None = field("v1")
    field_path: str = field("", required=True)


class FileKeySelector(Object):
    """"""

    key: str = field("", required=True)
    optional: bool | None = field()
    path: str = field("", required=True)
    volume_name: str = field("", required=True)


class ResourceFieldSelector(Object):
    """"""

    container_name: str | None = field()
    divisor: Quantity | None = field()
    resource: str = field("", required=True)


class SecretKeySelector(Object):
    """"""

    key: str = field("", required=True)
    name: str | None = field()
    optional: bool | None = field()


class EnvVarSource(Object):
    """"""

    config_map_key_ref: ConfigMapKeySelector | None = field()
    field_ref: ObjectFieldSelector | None = field()
    file_key_ref: FileKeySelector | None = field()
    resource_field_ref: ResourceFieldSelector | None = field()
    secret_key_ref: SecretKeySelector | None = field()


class EnvVar(Object):
    """"""

    name: str = field("", required=True, rules=(ENV_NAME,))
    value: str | None = field()
    value_from: EnvVarSource | None = field()


class SecretEnvSource(Object):
    """"""

    name: str | None = field()
    optional: bool | None = field()


class EnvFromSource(Object):
    """"""

    config_map_ref: ConfigMapEnvSource | None = field()
    prefix: str | None = field(rules=(ENV_NAME,))
    secret_ref: SecretEnvSource | None = field()
