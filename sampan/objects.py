"""What all objects have in common: metadata, a key, owners; and objects reduced to just that."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, NamedTuple, cast

from sampan.api.base import KubeObject, Object, field
from sampan.api.core_v1 import ObjectReference
from sampan.api.meta_v1 import ObjectMeta, OwnerReference
from sampan.resource import Resource


class Key(NamedTuple):
    """Which object, within one resource. `namespace` is empty for cluster-scoped ones."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class PartialObjectMetadata(KubeObject):
    """Any object without its body; the server sends this form when asked by ACCEPT."""

    API_VERSION = "meta.k8s.io/v1"
    KIND = "PartialObjectMetadata"
    ACCEPT: ClassVar[str] = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
    LIST_ACCEPT: ClassVar[str] = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    api_version: str = field("meta.k8s.io/v1")
    kind: str = field("PartialObjectMetadata")
    metadata: ObjectMeta = field(default_factory=lambda: ObjectMeta())


def metadata_only(resource: Resource[Any]) -> Resource[PartialObjectMetadata]:
    """The same resource, read without bodies."""
    return cast(Resource[PartialObjectMetadata], replace(resource, model=PartialObjectMetadata))


def meta(obj: Object) -> ObjectMeta:
    """The metadata of any object. Raises TypeError for a value that has none."""
    found = getattr(obj, "metadata", None)
    if not isinstance(found, ObjectMeta):
        raise TypeError(f"{type(obj).__name__} has no metadata")
    return found


def key_of(obj: Object) -> Key:
    """The object's key."""
    m = meta(obj)
    return Key(m.namespace or "", m.name or "")


def uid_of(obj: Object) -> str:
    """The object's UID, empty before it is created."""
    return meta(obj).uid or ""


def version_of(obj: Object) -> int:
    """The object's resourceVersion as the number it is here (etcd's mod revision), 0 when it has none."""
    text = meta(obj).resource_version or "0"
    return int(text) if text.isdigit() else 0


def controller_of(obj: Object) -> OwnerReference | None:
    """The owner that controls the object, if it has one."""
    return next((one for one in meta(obj).owner_references if one.controller), None)


def owned_by(owner: Object, resource: Resource[Any]) -> OwnerReference:
    """The reference that makes `owner` the controller of a new object, holding up its foreground deletion."""
    m = meta(owner)
    return OwnerReference(
        api_version=resource.api_version,
        kind=resource.kind,
        name=m.name or "",
        uid=m.uid or "",
        controller=True,
        block_owner_deletion=True,
    )


def reference_to(obj: Object, resource: Resource[Any]) -> ObjectReference:
    """An ObjectReference, as events and endpoints carry it."""
    m = meta(obj)
    return ObjectReference(
        api_version=resource.api_version,
        kind=resource.kind,
        namespace=m.namespace,
        name=m.name,
        uid=m.uid,
        resource_version=m.resource_version,
    )
