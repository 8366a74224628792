"""What a pod may learn of itself: fieldRef and resourceFieldRef, for variables and for files. Pure.

Source: the Kubernetes documentation, "Downward API"; resource amounts are divided by the divisor, rounded up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from nodeagent.restart import Member, members
from sampan import quantity
from sampan.api import core_v1
from sampan.errors import SampanError

SUBSCRIPT = re.compile(r"metadata\.(annotations|labels)\['(.*)'\]", re.DOTALL)


class FieldError(SampanError):
    """A reference to a field that does not exist, or that can't be known here."""


@dataclass(frozen=True, slots=True)
class Here:
    """What a pod learns of its node."""

    node_name: str
    host_ips: tuple[str, ...]
    allocatable: Mapping[str, str]
    pod_ips: tuple[str, ...] = ()


def field_value(pod: core_v1.Pod, path: str, here: Here) -> str:
    """The value of a fieldPath. Raises FieldError."""
    meta, spec = pod.metadata, pod.spec
    if subscript := SUBSCRIPT.fullmatch(path):
        table = meta.annotations if subscript.group(1) == "annotations" else meta.labels
        return table.get(subscript.group(2), "")
    match path:
        case "metadata.name":
            return meta.name or ""
        case "metadata.namespace":
            return meta.namespace or ""
        case "metadata.uid":
            return meta.uid or ""
        case "metadata.labels":
            return _map_lines(meta.labels)
        case "metadata.annotations":
            return _map_lines(meta.annotations)
        case "spec.nodeName":
            return spec.node_name or here.node_name
        case "spec.serviceAccountName":
            return spec.service_account_name or ""
        case "status.hostIP":
            return here.host_ips[0] if here.host_ips else ""
        case "status.hostIPs":
            return ",".join(here.host_ips)
        case "status.podIP":
            return here.pod_ips[0] if here.pod_ips else ""
        case "status.podIPs":
            return ",".join(here.pod_ips)
    raise FieldError(f"unsupported fieldPath: {path}")


def _map_lines(values: Mapping[str, str]) -> str:
    return "\n".join(f"{key}={_go_quoted(value)}" for key, value in sorted(values.items()))


def _go_quoted(text: str) -> str:
    """A string as Go's %q writes it, in ASCII escapes where needed."""
    named = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\a": "\\a", "\b": "\\b"}
    named |= {"\f": "\\f", "\v": "\\v"}
    return '"' + "".join(named.get(c) or (c if c.isprintable() else _escaped(c)) for c in text) + '"'


def _escaped(letter: str) -> str:
    code = ord(letter)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def resource_value(pod: core_v1.Pod, reference: core_v1.ResourceFieldSelector, here: Here, container: str = "") -> str:
    """The value of a resourceFieldRef: a container's limit or request, the node's where it has no limit."""
    name = reference.container_name or container
    member = next((one for one in members(pod) if one.name == name), None)
    if member is None:
        raise FieldError(f"container {name} not found")
    side, _, resource = reference.resource.partition(".")
    if side not in ("limits", "requests") or not resource:
        raise FieldError(f"unsupported container resource : {reference.resource}")
    amount = _amount(member, side, resource, here)
    divisor = reference.divisor if reference.divisor not in (None, "0") else "1"
    if resource == "cpu":
        asked, unit = quantity.milli(amount), quantity.milli(divisor or "1")
    else:
        asked, unit = quantity.value(amount), quantity.value(divisor or "1")
    return str(quantity.divided_up(asked, max(1, unit)))


def _amount(member: Member, side: str, resource: str, here: Here) -> str:
    wanted = member.spec.resources or core_v1.ResourceRequirements()
    table = wanted.limits if side == "limits" else wanted.requests
    if resource in table:
        return table[resource]
    if side == "limits":
        return here.allocatable.get(resource, "0")
    return "0"
