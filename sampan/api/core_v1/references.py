"""What points at another object."""

from sampan.api.base import Object, field


class ObjectReference(Object):
    """Another object, or a part of it."""

    api_version: str | None = field(doc="Group and version of the object.")
    field_path: str | None = field(doc="The part that is meant, such as spec.containers{web}.")
    kind: str | None = field(doc="The object's kind.")
    name: str | None = field(doc="The object's name.")
    namespace: str | None = field(doc="The object's namespace.")
    resource_version: str | None = field(doc="The version of the object that is meant.")
    uid: str | None = field(doc="The object's UID.")


class SecretReference(Object):
    """A Secret in some namespace."""

    name: str | None = field(doc="The Secret's name.")
    namespace: str | None = field(doc="The Secret's namespace.")


class LocalObjectReference(Object):
    """Something in the same namespace."""

    name: str | None = field(doc="Its name.")


class TypedLocalObjectReference(Object):
    """An object of some kind in the same namespace."""

    api_group: str | None = field(doc="The group; empty for the core.")
    kind: str = field("", doc="The kind.", required=True)
    name: str = field("", doc="The name.", required=True)


class TypedObjectReference(Object):
    """An object of some kind, perhaps in another namespace."""

    api_group: str | None = field(doc="The group; empty for the core.")
    kind: str = field("", doc="The kind.", required=True)
    name: str = field("", doc="The name.", required=True)
    namespace: str | None = field(doc="The namespace; the same one if empty.")
