"""What is served, told to clients: /api, /apis and below, and the aggregated form (apidiscovery.k8s.io/v2).

Source: "Discovery API" of the API concepts. Made from the registry on demand and kept until it changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from apiserver.kind import AnyKind, Json, Subresource
from apiserver.registry import Registry

STATUS_VERBS = ("get", "patch", "update")
PREFERRED = ("", "apps", "batch")


class Discovery:
    """The documents, by URL."""

    def __init__(self, registry: Registry, address: Callable[[], str]) -> None:
        self._registry = registry
        self._address = address
        self._made: dict[str, bytes] = {}
        registry.listen(self._made.clear)

    def get(self, path: str, *, aggregated: bool = False) -> bytes | None:
        """The document at a path, as JSON; None if there is none."""
        key = f"{path} aggregated" if aggregated else path
        found = self._made.get(key)
        if found is None:
            value = self._make(path.rstrip("/"), aggregated)
            if value is None:
                return None
            found = self._made[key] = orjson.dumps(value)
        return found

    def _make(self, path: str, aggregated: bool) -> Json | None:
        if aggregated and path in ("/api", "/apis"):
            return self._aggregated(core=path == "/api")
        if path == "/api":
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": self._addresses()}
        if path == "/apis":
            groups = [self._group(group) for group in self._groups()]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        parts = path.split("/")[1:]
        if len(parts) == 2 and parts[0] == "apis" and parts[1] in self._groups():
            return {"kind": "APIGroup", "apiVersion": "v1", **self._group(parts[1])}
        if len(parts) == 2 and parts[0] == "api":
            return self._resources("", parts[1])
        if len(parts) == 3 and parts[0] == "apis":
            return self._resources(parts[1], parts[2])
        return None

    def _addresses(self) -> list[Json]:
        return [{"clientCIDR": "0.0.0.0/0", "serverAddress": self._address()}]

    def _groups(self) -> list[str]:
        found = [group for group in self._registry.groups() if group]
        return sorted(found, key=lambda group: (group not in PREFERRED, "." in group and "k8s.io" not in group, group))

    def _group(self, group: str) -> Json:
        versions = [
            {"groupVersion": f"{group}/{version}", "version": version} for version in self._registry.groups()[group]
        ]
        return {"name": group, "versions": versions, "preferredVersion": versions[0]}

    def _kinds(self, group: str, version: str) -> list[AnyKind]:
        found = [k for k in self._registry.all() if (k.resource.group, k.resource.version) == (group, version)]
        return sorted(found, key=lambda k: k.resource.plural)

    def _resources(self, group: str, version: str) -> Json | None:
        kinds = self._kinds(group, version)
        if not kinds:
            return None
        resources: list[Json] = []
        for kind in kinds:
            resource = kind.resource
            made: Json = {
                "name": resource.plural,
                "singularName": resource.singular,
                "namespaced": resource.namespaced,
                "kind": resource.kind,
                "verbs": list(kind.verbs),
            }
            if resource.short_names:
                made["shortNames"] = list(resource.short_names)
            if resource.categories:
                made["categories"] = list(resource.categories)
            resources.append(made)
            for one in subresources(kind):
                below: Json = {
                    "name": f"{resource.plural}/{one.name}",
                    "singularName": "",
                    "namespaced": resource.namespaced,
                    "kind": one.body_kind or resource.kind,
                    "verbs": list(one.verbs),
                }
                if one.version:
                    below |= {"group": one.group, "version": one.version}
                resources.append(below)
        return {
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": f"{group}/{version}" if group else version,
            "resources": resources,
        }

    def _aggregated(self, *, core: bool) -> Json:
        items: list[Json] = []
        for group in [""] if core else self._groups():
            versions = [
                {
                    "version": version,
                    "freshness": "Current",
                    "resources": [self._aggregated_kind(kind) for kind in self._kinds(group, version)],
                }
                for version in self._registry.groups().get(group, [])
            ]
            metadata = {"name": group} if group else {}
            items.append({"metadata": {**metadata, "creationTimestamp": None}, "versions": versions})
        return {
            "kind": "APIGroupDiscoveryList",
            "apiVersion": "apidiscovery.k8s.io/v2",
            "metadata": {},
            "items": items,
        }

    def _aggregated_kind(self, kind: AnyKind) -> Json:
        resource = kind.resource
        made: Json = {
            "resource": resource.plural,
            "responseKind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
            "scope": str(resource.scope),
            "singularResource": resource.singular,
            "verbs": list(kind.verbs),
        }
        if resource.short_names:
            made["shortNames"] = list(resource.short_names)
        if resource.categories:
            made["categories"] = list(resource.categories)
        below = [
            {
                "subresource": one.name,
                "responseKind": {
                    "group": one.group if one.version else resource.group,
                    "version": one.version or resource.version,
                    "kind": one.body_kind or resource.kind,
                },
                "verbs": list(one.verbs),
            }
            for one in subresources(kind)
        ]
        if below:
            made["subresources"] = below
        return made


async def _unused(_: Any) -> Any:
    raise NotImplementedError


def subresources(kind: AnyKind) -> list[Subresource]:
    """All subresources of a kind, the general ones too, by name."""
    found = list(kind.subresources)
    if kind.status:
        found.append(Subresource("status", STATUS_VERBS, _unused))
    if kind.scale:
        found.append(Subresource("scale", STATUS_VERBS, _unused, "Scale", "autoscaling", "v1"))
    return sorted(found, key=lambda one: one.name)
