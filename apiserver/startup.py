"""What exists from the first start on: namespaces, priority classes, the `kubernetes` Service and where it leads.

Always: nothing that exists is changed, but the endpoints of the `kubernetes` Service (endpoints.py).
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from ipaddress import ip_network
from typing import Any

from apiserver.core import Core
from apiserver.endpoints import SERVICE, Address, endpoints
from apiserver.kind import Json
from sampan import kinds
from sampan.errors import ApiError
from sampan.logs import fields
from sampan.resource import Resource

log = logging.getLogger(__name__)

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
PRIORITIES = {
    "system-cluster-critical": (2_000_000_000, "Used for system critical pods that must run in the cluster, but can be "
                                "moved to another node if necessary."),
    "system-node-critical": (2_000_001_000, "Used for system critical pods that must not be moved from their current "
                             "node."),
}  # fmt: skip
LABELS = {"component": "apiserver", "provider": "kubernetes"}


async def ensure(core: Core, resource: Resource[Any], value: Json) -> None:
    """Create it unless it is there."""
    metadata = value["metadata"]
    if core.peek(resource, metadata.get("namespace", ""), metadata["name"]) is not None:
        return
    head = {"apiVersion": resource.api_version, "kind": resource.kind}
    try:
        await core.create(resource, head | value)
    except ApiError as error:
        if not error.is_already_exists:
            raise


def served(core: Core, resource: Resource[Any]) -> bool:
    """Whether the kind is there."""
    return core.registry.find(resource.group, resource.version, resource.plural) is not None


async def bootstrap(core: Core, servers: Collection[Address]) -> None:
    """Make it so. `servers` are those that the `kubernetes` Service leads to. Raises ApiError."""
    for name in NAMESPACES:
        await ensure(
            core, kinds.NAMESPACES, {"metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}}}
        )
    if served(core, kinds.PRIORITY_CLASSES):
        for name, (priority, text) in PRIORITIES.items():
            await ensure(
                core, kinds.PRIORITY_CLASSES, {"metadata": {"name": name}, "value": priority, "description": text}
            )
    if not core.config.advertise_address or not served(core, kinds.SERVICES):
        return
    await ensure(core, kinds.SERVICES, service(core))
    for resource, value in endpoints(servers) if servers else ():
        if served(core, resource):
            await _same(core, resource, value)


def service(core: Core) -> Json:
    """The `kubernetes` Service, at the first address of the service range."""
    address = str(ip_network(core.config.service_cidr)[1])
    return {
        "metadata": {"name": SERVICE, "namespace": "default", "labels": LABELS},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": address,
            "clusterIPs": [address],
            "ports": [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": core.config.advertise_port}],
            "sessionAffinity": "None",
        },
    }


async def _same(core: Core, resource: Resource[Any], value: Json) -> None:
    await ensure(core, resource, value)
    body = {key: inner for key, inner in value.items() if key != "metadata"}
    now = core.peek(resource, "default", SERVICE)
    if now is not None and _as_wanted(now, body):
        return
    try:
        await core.modify(resource, "default", SERVICE, lambda old: old | body)
    except ApiError as error:
        log.warning("the kubernetes service's endpoints could not be written", extra=fields(error=error))


def _as_wanted(found: Any, wanted: Any) -> bool:
    """Whether all that is wanted is there; defaults beside it do not matter."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(_as_wanted(found.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(found, list) and len(found) == len(wanted) and all(map(_as_wanted, found, wanted))
    return bool(found == wanted)
