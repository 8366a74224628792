"""The server's OpenAPI v3: what fields a kind has, how they merge, and what they mean."""

from __future__ import annotations

import zlib
from typing import Any

from kctl import cache
from kctl.discovery import ApiResource
from kctl.session import Session

GVK = "x-kubernetes-group-version-kind"


def document_of(session: Session, resource: ApiResource) -> dict[str, Any]:
    """The document of a kind's group and version. Raises ApiError."""
    path = f"apis/{resource.group}/{resource.version}" if resource.group else f"api/{resource.version}"
    index = session.get("/openapi/v3")["paths"]
    address = index.get(path, {}).get("serverRelativeURL", f"/openapi/v3/{path}")
    key = f"openapi-{zlib.crc32((session.target.server + address).encode()):08x}"
    if "hash=" in address and isinstance(known := cache.read(key), dict):
        return known
    document: dict[str, Any] = session.get(address)
    cache.write(key, document)
    return document


def find(session: Session, resource: ApiResource) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """(all schemas by name, the kind's own), the latter None when the server publishes none."""
    schemas: dict[str, Any] = document_of(session, resource).get("components", {}).get("schemas", {})
    wanted = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    return schemas, next((schema for schema in schemas.values() if wanted in schema.get(GVK, ())), None)


def schema_of(session: Session, resource: ApiResource) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The same, but None for a kind that does not merge strategically: a custom one."""
    schemas, found = find(session, resource)
    name = next((name for name, schema in schemas.items() if schema is found), "")
    return schemas, found if name.startswith("io.k8s.") else None
