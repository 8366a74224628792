"""What kinds of objects the API server has, custom ones included, as it tells itself.

Source: "Discovery API" (the aggregated form, apidiscovery.k8s.io/v2).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sampan.client import Client
from sampan.errors import ApiError
from sampan.objects import PartialObjectMetadata
from sampan.resource import Resource, Scope

ACCEPT = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"


@dataclass(frozen=True)
class Served:
    """A resource that the server serves, and how it may be used."""

    resource: Resource[PartialObjectMetadata]
    verbs: frozenset[str]


@dataclass(frozen=True)
class Catalogue:
    """All that is served. `broken` names group versions that could not be asked for."""

    served: tuple[Served, ...]
    broken: tuple[str, ...] = ()

    def find(self, api_version: str, kind: str) -> Resource[PartialObjectMetadata] | None:
        """The resource of an owner reference; another version of the same group will do."""
        group = api_version.rpartition("/")[0]
        same = [one.resource for one in self.served if (one.resource.group, one.resource.kind) == (group, kind)]
        exact = [one for one in same if one.api_version == api_version]
        return next(iter(exact or same), None)

    def preferred(self, *verbs: str) -> list[Served]:
        """One version of each resource that can be used so: the first that the server names."""
        found: dict[tuple[str, str], Served] = {}
        for one in self.served:
            if one.verbs.issuperset(verbs):
                found.setdefault((one.resource.group, one.resource.plural), one)
        return list(found.values())


async def discover(client: Client) -> Catalogue:
    """Ask the server. Raises ApiError and Unreachable."""
    served: list[Served] = []
    broken: list[str] = []
    for path in ("/api", "/apis"):
        document = await client.get_json(path, accept=ACCEPT)
        if document.get("kind") == "APIGroupDiscoveryList":
            served += _aggregated(document, broken)
        else:
            served += await _plain(client, path, document, broken)
    return Catalogue(tuple(served), tuple(broken))


def _aggregated(document: Any, broken: list[str]) -> Iterator[Served]:
    for group in document.get("items") or ():
        name = str((group.get("metadata") or {}).get("name") or "")
        for version in group.get("versions") or ():
            if version.get("freshness") == "Stale":
                broken.append(f"{name}/{version.get('version')}")
            for one in version.get("resources") or ():
                kind = (one.get("responseKind") or {}).get("kind")
                if kind:
                    namespaced = one.get("scope") == "Namespaced"
                    yield _served(name, version["version"], one["resource"], kind, namespaced, one.get("verbs") or ())


async def _plain(client: Client, path: str, document: Any, broken: list[str]) -> list[Served]:
    found: list[Served] = []
    versions = [(f"/api/{one}", "", str(one)) for one in document.get("versions") or ()]
    for group in document.get("groups") or ():
        for one in group.get("versions") or ():
            versions.append((f"/apis/{one['groupVersion']}", str(group["name"]), str(one["version"])))
    for where, group_name, version in versions:
        try:
            listing = await client.get_json(where)
        except ApiError:
            broken.append(where.removeprefix("/apis/").removeprefix("/api/"))
            continue
        for one in listing.get("resources") or ():
            if "/" not in one["name"]:
                verbs = one.get("verbs") or ()
                found.append(_served(group_name, version, one["name"], one["kind"], bool(one["namespaced"]), verbs))
    return found


def _served(group: str, version: str, plural: str, kind: str, namespaced: bool, verbs: Any) -> Served:
    scope = Scope.NAMESPACED if namespaced else Scope.CLUSTER
    resource = Resource(group, version, kind, plural, PartialObjectMetadata, scope)
    return Served(resource, frozenset(str(verb) for verb in verbs))
