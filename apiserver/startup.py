"""What exists from the first start on: namespaces, priority classes, the `kubernetes` Service and where it leads.

Always: nothing that exists is changed, but the endpoints of the `kubernetes` Service, which hold this server's address.
"""

from __future__ import annotations

import logging
from ipaddress import ip_network
from typing import Any

from apiserver.core import Core
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
SERVICE = "kubernetes"
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


async def bootstrap(core: Core, *, first: bool) -> None:
    """Make it so: all of it at the first time, later only what somebody deleted. Raises ApiError."""
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
    for resource, value in endpoints(core):
        if served(core, resource):
            await (_same if first else ensure)(core, resource, value)


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


def endpoints(core: Core) -> list[tuple[Resource[Any], Json]]:
    """Where the Service leads: this server."""
    address, port = core.config.advertise_address, core.config.advertise_port
    metadata = {"name": SERVICE, "namespace": "default", "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}}
    old = {
        "metadata": metadata,
        "subsets": [{"addresses": [{"ip": address}], "ports": [{"name": "https", "port": port, "protocol": "TCP"}]}],
    }
    new = {
        "metadata": metadata | {"labels": {"kubernetes.io/service-name": SERVICE}},
        "addressType": "IPv6" if ":" in address else "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
    }
    return [(kinds.ENDPOINTS, old), (kinds.ENDPOINT_SLICES, new)]


async def _same(core: Core, resource: Resource[Any], value: Json) -> None:
    await ensure(core, resource, value)
    body = {key: inner for key, inner in value.items() if key != "metadata"}

    def change(old: Json) -> Json:
        return old | body

    try:
        await core.modify(resource, "default", SERVICE, change)
    except ApiError as error:
        log.warning("the kubernetes service's endpoints could not be written", extra=fields(error=error))
