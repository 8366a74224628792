"""What a node agent may: its own Node, Lease and pods, and what those pods use.

Source: "Using Node Authorization". A node is a user `system:node:NAME` in the group `system:nodes`.
Elsewhere: that a node writes no other node's name into a body (admission/nodes.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cryptography.x509.oid import NameOID

from apiserver.authz.policy import (
    ACCESS_REVIEWS,
    CERTIFICATE_REQUESTS,
    CLUSTER_INFO,
    EVENTS,
    JOIN_FACTS,
    READ,
    REVIEWS,
    Attributes,
    Rule,
)
from apiserver.kind import Server, User
from apiserver.kinds.certificate_rules import read_request
from sampan.kinds import CERTIFICATE_SIGNING_REQUESTS, PODS
from sampan.selectors import SelectorError, parse_fields

PREFIX = "system:node:"
GROUP = "system:nodes"
LEASES = "kube-node-lease"
PLAIN = (
    EVENTS,
    REVIEWS,
    ACCESS_REVIEWS,
    CERTIFICATE_REQUESTS,
    JOIN_FACTS,
    CLUSTER_INFO,
    Rule(READ, ("",), ("services", "endpoints", "nodes", "namespaces")),
    Rule(READ, ("discovery.k8s.io",), ("endpointslices",)),
    Rule(READ, ("node.k8s.io",), ("runtimeclasses",)),
    Rule(READ, ("storage.k8s.io",), ("csidrivers",)),
    Rule(("create",), ("",), ("nodes", "pods")),
    Rule(("create",), ("coordination.k8s.io",), ("leases",), namespace=LEASES),
)


def name_of(user: User) -> str:
    """The node's name, empty for users that are no nodes."""
    return user.name.removeprefix(PREFIX) if GROUP in user.groups and user.name.startswith(PREFIX) else ""


def references(pod: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(`secrets` or `configmaps` or `persistentvolumeclaims`, name) of everything that a pod's spec uses."""
    spec = pod.get("spec", {})
    for one in spec.get("imagePullSecrets", ()):
        yield "secrets", one.get("name", "")
    for volume in spec.get("volumes", ()):
        yield from _sources(volume)
        for source in volume.get("projected", {}).get("sources", ()):
            yield from _sources(source)
    for group in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(group, ()):
            for one in container.get("envFrom", ()):
                yield from _named(one, "secretRef", "configMapRef")
            for one in container.get("env", ()):
                yield from _named(one.get("valueFrom", {}), "secretKeyRef", "configMapKeyRef")


def _sources(volume: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    secret, config_map = volume.get("secret"), volume.get("configMap")
    if secret:
        yield "secrets", secret.get("secretName") or secret.get("name", "")
    if config_map:
        yield "configmaps", config_map.get("name", "")
    if "persistentVolumeClaim" in volume:
        yield "persistentvolumeclaims", volume["persistentVolumeClaim"].get("claimName", "")
    for value in volume.values():
        if isinstance(value, Mapping):
            for key in ("secretRef", "nodePublishSecretRef"):
                if isinstance(value.get(key), Mapping):
                    yield "secrets", value[key].get("name", "")


def _named(value: Mapping[str, Any], secret: str, config_map: str) -> Iterator[tuple[str, str]]:
    if secret in value:
        yield "secrets", value[secret].get("name", "")
    if config_map in value:
        yield "configmaps", value[config_map].get("name", "")


class NodeRights:
    """Decides for nodes."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._rules: dict[tuple[str, str], Callable[[str, Attributes], str]] = {
            ("", "nodes"): self._node,
            ("", "pods"): self._pods,
            ("", "secrets"): self._used,
            ("", "configmaps"): self._used,
            ("", "persistentvolumeclaims"): self._used,
            ("", "serviceaccounts"): self._accounts,
            ("coordination.k8s.io", "leases"): self._lease,
            ("certificates.k8s.io", "certificatesigningrequests"): self._request,
        }

    def decide(self, node: str, asked: Attributes) -> tuple[bool, str]:
        """Whether a node may, and why not."""
        if any(rule.allows(asked) for rule in PLAIN):
            return True, ""
        rule = self._rules.get((asked.group, asked.resource))
        why = rule(node, asked) if rule is not None else f"node '{node}' has no right to this resource"
        return not why, why

    def _node(self, node: str, asked: Attributes) -> str:
        if asked.name != node:
            return f"node '{node}' is not allowed to modify node '{asked.name}'"
        return "" if asked.verb in ("update", "patch", "delete") and asked.subresource in ("", "status") else "no right"

    def _lease(self, node: str, asked: Attributes) -> str:
        mine = asked.namespace == LEASES and asked.name == node
        return "" if mine else "can only access node lease with the same name as the requesting node"

    def _request(self, node: str, asked: Attributes) -> str:
        """A machine that leaves withdraws what it was given, so that its name is free for whoever joins next."""
        request = self._server.peek(CERTIFICATE_SIGNING_REQUESTS, "", asked.name)
        if asked.verb != "delete" or asked.subresource or request is None:
            return "no right"
        try:
            subject = read_request(request["spec"]["request"]).subject
        except ValueError:
            return "no right"
        names = [one.value for one in subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        return "" if names == [PREFIX + node] else f"node '{node}' can only delete requests for its own certificates"

    def _pods(self, node: str, asked: Attributes) -> str:
        if asked.verb in ("list", "watch") and not asked.subresource:
            if _selects(asked.field_selector, "spec.nodeName") == node:
                return ""
            return "can only list/watch pods with spec.nodeName field selector"
        pod = self._server.peek(PODS, asked.namespace, asked.name)
        if pod is None or pod.get("spec", {}).get("nodeName") != node:
            return f"no relationship found between node '{node}' and this object"
        wanted = {
            "": ("get", "delete"),
            "status": ("get", "update", "patch"),
            "eviction": ("create",),
            "ephemeralcontainers": ("get",),
        }
        return "" if asked.verb in wanted.get(asked.subresource, ()) else "no right"

    def _used(self, node: str, asked: Attributes) -> str:
        name = asked.name or (
            _selects(asked.field_selector, "metadata.name") if asked.verb in ("list", "watch") else ""
        )
        if asked.verb not in READ or asked.subresource or not name:
            return "can only read resources of this type by name"
        wanted = (asked.resource, name)
        found = any(wanted in references(pod) for pod in self._pods_of(node, asked.namespace))
        return "" if found else f"no relationship found between node '{node}' and this object"

    def _accounts(self, node: str, asked: Attributes) -> str:
        allowed = (asked.subresource == "token" and asked.verb == "create") or (
            not asked.subresource and asked.verb == "get"
        )
        if not allowed:
            return "no right"
        found = any(
            pod.get("spec", {}).get("serviceAccountName", "default") == asked.name
            for pod in self._pods_of(node, asked.namespace)
        )
        return "" if found else f"no relationship found between node '{node}' and this object"

    def _pods_of(self, node: str, namespace: str) -> Iterator[Mapping[str, Any]]:
        return (pod for pod in self._server.peek_all(PODS, namespace) if pod.get("spec", {}).get("nodeName") == node)


def _selects(selector: str, field: str) -> str:
    try:
        return parse_fields(selector).exact(field) or ""
    except SelectorError:
        return ""
