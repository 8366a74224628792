"""What points at another object."""

from sampan.api.base import Object, field


class ObjectReference(Object):
    """"""

    api_version: str | None = field()
    field_path: str | None = field()
    kind: str | None = field()
    name: str | None = field()
    namespace: str | None = field()
    resource_version: str | None = field()
    uid: str | None = field()


class SecretReference(Object):
    """"""

    name: str | None = field()
    namespace: str | None = field()


class LocalObjectReference(Object):
    """"""

    name: str | None = field()


class TypedLocalObjectReference(Object):
    """"""

    api_group: str | None = field()
    kind: str = field("", required=True)
    name: str = field("", required=True)


class TypedObjectReference(Object):
    """"""

    api_group: str | None = field()
    kind: str = field("", required=True)
    name: str = field("", required=True)
    namespace: str | None = field()
