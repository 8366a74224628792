"""What the name before /proxy means: a pod, a service or a node, with a scheme and a port if they are given.

Pure. Source: "Manually constructing apiserver proxy URLs": [scheme:]name[:port].
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from apiserver.decode import bad
from apiserver.kind import Json
from sampan.errors import ApiError, Reason
from sampan.names import special_ip

SCHEMES = ("http", "https")
_LINK = re.compile(
    rb"""(\b(?:action|background|cite|data|formaction|href|icon|longdesc|manifest|poster|src)\s*=\s*["']?)/(?!/)""",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Target:
    """A name taken apart. `port` is empty, a number or a port's name."""

    scheme: str
    name: str
    port: str


@dataclass(frozen=True)
class Place:
    """Where to go: a port of a pod by way of its node, or an address if no pod stands behind it."""

    scheme: str
    port: int
    pod: str = ""
    node: str = ""
    address: str = ""


def parse(text: str) -> Target:
    """Raises ApiError 400."""
    parts = text.split(":")
    if len(parts) == 1:
        return Target("http", text, "")
    if len(parts) == 2 and parts[0] not in SCHEMES:
        return Target("http", parts[0], parts[1])
    if len(parts) == 2:
        return Target(parts[0], parts[1], "")
    if len(parts) == 3 and parts[0] in ("", *SCHEMES):
        return Target(parts[0] or "http", parts[1], parts[2])
    raise bad(f'invalid request "{text}": the form is [http:|https:]name[:port]')


def number(text: str) -> int:
    """A port's number, 0 if it is none."""
    return int(text) if text.isascii() and text.isdecimal() and 0 < int(text) < 65536 else 0


def of_pod(pod: Mapping[str, Any], target: Target) -> Place:
    """A pod's port; the first that its containers declare if none is asked for. Raises ApiError 400, 503."""
    spec = pod.get("spec", {})
    declared = [one for container in spec.get("containers", ()) for one in container.get("ports", ())]
    if not target.port:
        port = next((int(one["containerPort"]) for one in declared), 443 if target.scheme == "https" else 80)
    else:
        named = (int(one["containerPort"]) for one in declared if one.get("name") == target.port)
        port = number(target.port) or next(named, 0)
        if not port:
            raise bad(f'pod {target.name} has no port "{target.port}"')
    if not pod.get("status", {}).get("podIP") or not spec.get("nodeName"):
        raise unavailable(f"address not allowed: pod {target.name} has no address yet")
    return Place(target.scheme, port, pod=target.name, node=spec["nodeName"])


def of_service(
    service: Mapping[str, Any],
    slices: Iterable[Mapping[str, Any]],
    target: Target,
    choose: Callable[[list[Place]], Place] = random.choice,
) -> Place:
    """One of a service's ready endpoints. Raises ApiError 503."""
    ports: list[Json] = list(service.get("spec", {}).get("ports", ()))
    asked = number(target.port)
    if target.port:
        found = [one for one in ports if one.get("name", "") == target.port or (asked and one["port"] == asked)]
    else:
        found = ports if len(ports) == 1 else [one for one in ports if not one.get("name")]
    if not found:
        raise unavailable(f'no service port "{target.port}" found for service "{target.name}"')
    name = found[0].get("name", "")
    places = [
        Place(
            target.scheme,
            int(port["port"]),
            pod=one["targetRef"]["name"] if one.get("targetRef", {}).get("kind") == "Pod" else "",
            node=one.get("nodeName", ""),
            address=one["addresses"][0],
        )
        for group in slices
        for port in group.get("ports", ())
        if port.get("name", "") == name and port.get("port")
        for one in group.get("endpoints", ())
        if one.get("conditions", {}).get("ready", True) and one.get("addresses") and _elsewhere(one["addresses"][0])
    ]
    if not places:
        raise unavailable(f'no endpoints available for service "{target.name}"')
    return choose(places)


def behind(place: Place, pods: Iterable[Mapping[str, Any]]) -> Place:
    """The place with the pod that has its address, if one has."""
    for pod in pods:
        spec = pod.get("spec", {})
        if pod.get("status", {}).get("podIP") == place.address and spec.get("nodeName") and not spec.get("hostNetwork"):
            return replace(place, pod=pod["metadata"]["name"], node=spec["nodeName"])
    return place


def _elsewhere(address: str) -> bool:
    """Whether an address leads away from the API server itself."""
    return not special_ip(address)


def unavailable(message: str) -> ApiError:
    """503 ServiceUnavailable."""
    return ApiError(503, Reason.SERVICE_UNAVAILABLE, message)


def relocated(location: str, prefix: str) -> str:
    """A redirect's target as the client of the proxy must ask it: absolute paths get the proxy's own in front."""
    if not location.startswith("/") or location.startswith(("//", f"{prefix}/")):
        return location
    return prefix + location


def relinked(document: bytes, prefix: str) -> bytes:
    """An HTML document whose absolute paths lead through the proxy."""
    return _LINK.sub(lambda found: found[1] + prefix.encode() + b"/", document)
