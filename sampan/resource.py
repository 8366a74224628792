"""What a kind of object is called, where it lives in the API, and which model reads it.

Client and server share these values. What the server adds (columns, strategy, subresources) is in apiserver/kinds/.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar
from urllib.parse import quote

from sampan.api.base import Object

M = TypeVar("M", bound=Object)


class Scope(StrEnum):
    """Whether an object lives in a namespace. The values are discovery's and CustomResourceDefinition's."""

    NAMESPACED = "Namespaced"
    CLUSTER = "Cluster"


@dataclass(frozen=True)
class Resource(Generic[M]):
    """One kind of object in one version. `group` is empty for the core group."""

    group: str
    version: str
    kind: str
    plural: str
    model: type[M]
    scope: Scope = Scope.NAMESPACED
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        """`v1` in the core group, `apps/v1` elsewhere."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def singular(self) -> str:
        """The name that kubectl takes for one object."""
        return self.kind.lower()

    @property
    def list_kind(self) -> str:
        """The kind of a list of its objects."""
        return f"{self.kind}List"

    @property
    def namespaced(self) -> bool:
        """Whether its objects live in a namespace."""
        return self.scope is Scope.NAMESPACED

    @property
    def group_resource(self) -> str:
        """`pods` in the core group, `deployments.apps` elsewhere: the name that error messages use."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path of a collection, an object or a subresource (API concepts, "Resource URIs")."""
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if namespace and self.namespaced:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name:
            parts.append(quote(name, safe=""))
        if subresource:
            parts.append(subresource)
        return "/".join(parts)
