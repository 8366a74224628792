"""Parts of a resource, each watched by itself: of all Secrets and ConfigMaps, the few that certificates need.

The loop's caches know one informer a Resource, and other controllers narrow the same two to other objects.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

from sampan.api.base import Object
from sampan.kinds import CONFIG_MAPS, SECRETS
from sampan.resource import Resource

M = TypeVar("M", bound=Object)

TOKEN_TYPE = "bootstrap.kubernetes.io/token"
SYSTEM, PUBLIC = "kube-system", "kube-public"
JOIN_FACTS_NAME = "sampan-config"
CLUSTER_INFO_NAME = "cluster-info"


def view(resource: Resource[M], name: str) -> Resource[M]:
    """The same resource under another identity, so that a field selector narrows this view only."""
    return replace(resource, categories=(name,))


TOKENS = view(SECRETS, "bootstrap-tokens")
JOIN_FACTS = view(CONFIG_MAPS, "join-facts")
CLUSTER_INFO = view(CONFIG_MAPS, "cluster-info")
SELECTORS: dict[Resource[Any], str] = {
    TOKENS: f"type={TOKEN_TYPE}",
    JOIN_FACTS: f"metadata.name={JOIN_FACTS_NAME}",
    CLUSTER_INFO: f"metadata.name={CLUSTER_INFO_NAME}",
}
