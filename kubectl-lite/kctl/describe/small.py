"""Descriptions of services, config maps, secrets, namespaces, service accounts and priority classes."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from typing import Any

from kctl.describe.text import NONE, boolean, labels, line, notes, pairs

Value = dict[str, Any]


def head(value: Value, *, namespaced: bool = True) -> Iterable[str]:
    """Name, namespace, labels and annotations."""
    metadata = value["metadata"]
    yield line("Name", metadata["name"])
    if namespaced:
        yield line("Namespace", metadata.get("namespace", ""))
    yield from labels("Labels", metadata.get("labels"))
    yield from notes(metadata.get("annotations"))


def service_lines(value: Value, slices: Sequence[Value]) -> Iterable[str]:
    """A service and what is behind it."""
    spec = value["spec"]
    yield from head(value)
    yield line("Selector", pairs(spec.get("selector")))
    yield line("Type", spec.get("type", ""))
    if spec.get("ipFamilyPolicy"):
        yield line("IP Family Policy", spec["ipFamilyPolicy"])
    yield line("IP Families", ",".join(spec.get("ipFamilies") or ()) or NONE)
    yield line("IP", spec.get("clusterIP", ""))
    yield line("IPs", ",".join(spec.get("clusterIPs") or ()) or NONE)
    for name, field in (("External IPs", "externalIPs"),):
        if spec.get(field):
            yield line(name, ",".join(spec[field]))
    if spec.get("loadBalancerIP"):
        yield line("Desired LoadBalancer IP", spec["loadBalancerIP"])
    if spec.get("externalName"):
        yield line("External Name", spec["externalName"])
    ingress = ((value.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    if ingress:
        yield line("LoadBalancer Ingress", ", ".join(one.get("ip") or one.get("hostname", "") for one in ingress))
    for port in spec.get("ports") or ():
        name, protocol = port.get("name") or "<unset>", port.get("protocol", "TCP")
        yield f"Port:\t{name}\t{port['port']}/{protocol}"
        target = port.get("targetPort")
        if target:
            yield line("TargetPort", f"{target}/{protocol}")
        if port.get("nodePort"):
            yield f"NodePort:\t{name}\t{port['nodePort']}/{protocol}"
        yield line("Endpoints", _endpoints(port, slices))
    yield line("Session Affinity", spec.get("sessionAffinity", ""))
    if spec.get("externalTrafficPolicy"):
        yield line("External Traffic Policy", spec["externalTrafficPolicy"])
    if spec.get("internalTrafficPolicy"):
        yield line("Internal Traffic Policy", spec["internalTrafficPolicy"])
    if spec.get("healthCheckNodePort"):
        yield line("HealthCheck NodePort", spec["healthCheckNodePort"])
    if spec.get("loadBalancerSourceRanges"):
        yield line("LoadBalancer Source Ranges", ",".join(spec["loadBalancerSourceRanges"]))


SHOWN_ENDPOINTS = 3


def _endpoints(port: Value, slices: Sequence[Value]) -> str:
    """The first few addresses behind a port."""
    if not slices:
        return NONE
    found = []
    for one in slices:
        for there in one.get("ports") or ():
            if there.get("name", "") != port.get("name", ""):
                continue
            for endpoint in one.get("endpoints") or ():
                if (endpoint.get("conditions") or {}).get("ready", True):
                    found += [_joined(address, there.get("port")) for address in endpoint.get("addresses") or ()]
    more = f" + {len(found) - SHOWN_ENDPOINTS} more..." if len(found) > SHOWN_ENDPOINTS else ""
    return ",".join(found[:SHOWN_ENDPOINTS]) + more


def _joined(address: str, port: Any) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def config_map_lines(value: Value) -> Iterable[str]:
    """A config map with its data."""
    yield from head(value)
    yield ""
    yield "Data"
    yield "===="
    for key, text in sorted((value.get("data") or {}).items()):
        yield f"{key}:"
        yield "----"
        yield from str(text).split("\n")
        yield ""
    yield ""
    yield "BinaryData"
    yield "===="
    for key, text in sorted((value.get("binaryData") or {}).items()):
        yield f"{key}: {_size(text)} bytes"
    yield ""


def secret_lines(value: Value) -> Iterable[str]:
    """A secret: its keys and sizes, never its values."""
    yield from head(value)
    yield ""
    yield line("Type", value.get("type", ""))
    yield ""
    yield "Data"
    yield "===="
    for key, text in sorted((value.get("data") or {}).items()):
        if value.get("type") == "kubernetes.io/service-account-token" and key == "token":
            yield line(key, base64.b64decode(text).decode(errors="replace"))
        else:
            yield line(key, f"{_size(text)} bytes")


def _size(text: str) -> int:
    try:
        return len(base64.b64decode(text))
    except (binascii.Error, ValueError):
        return len(text)


def namespace_lines(value: Value) -> Iterable[str]:
    """A namespace."""
    metadata, status = value["metadata"], value.get("status") or {}
    yield line("Name", metadata["name"])
    yield from labels("Labels", metadata.get("labels"))
    yield from notes(metadata.get("annotations"))
    yield line("Status", status.get("phase", ""))
    if status.get("conditions"):
        yield "Conditions:"
        yield "  Type\tStatus\tLastTransitionTime\tReason\tMessage"
        yield "  ----\t------\t------------------\t------\t-------"
        from kctl.describe.text import time

        for one in status["conditions"]:
            stamp = time(one.get("lastTransitionTime"))
            yield f"  {one['type']}\t{one['status']}\t{stamp}\t{one.get('reason', '')}\t{one.get('message', '')}"


def service_account_lines(value: Value) -> Iterable[str]:
    """A service account."""
    from kctl.describe.text import many

    yield from head(value)
    yield from many("Image pull secrets", [one.get("name", "") for one in value.get("imagePullSecrets") or ()])
    if value.get("secrets"):
        yield from many("Mountable secrets", [one.get("name", "") for one in value["secrets"]])


def priority_class_lines(value: Value) -> Iterable[str]:
    """A priority class; kubectl shows its annotations in one line, whole."""
    metadata = value["metadata"]
    yield line("Name", metadata["name"])
    yield line("Value", value.get("value", 0))
    yield line("GlobalDefault", boolean(value.get("globalDefault")))
    yield line("PreemptionPolicy", value.get("preemptionPolicy", ""))
    yield line("Description", value.get("description", ""))
    yield line("Annotations", pairs(metadata.get("annotations")))
