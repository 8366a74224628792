"""What a machine is told in order to join: from the command line, a file, or the VM driver."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deploy.machine.connection import own_address
from deploy.machine.trust import address_of, checked_hash
from sampan import names
from sampan.errors import ClusterError

TOKEN = re.compile(r"[a-z0-9]{6}\.[a-z0-9]{16}")
NODE_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*")
MOST_NAME = 253
NEEDED = ("server", "token", "ca_hash")
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
RESERVED_DOMAINS = ("kubernetes.io", "k8s.io")
NODES_OWN_DOMAINS = ("kubelet.kubernetes.io", "node.kubernetes.io")
NODES_OWN_LABELS = (
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "kubernetes.io/arch",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
)
HOW_TO_GET_TOKEN = "make one with: kctl token create --print-join-command"


@dataclass(frozen=True)
class JoinRequest:
    """What the user, or the VM driver, gives. Texts are as on the command line."""

    server: str
    """https://HOST:PORT"""
    token: str
    ca_hash: str
    """sha256:HEX of the CA certificate's SubjectPublicKeyInfo in DER."""
    node_name: str = ""
    """By default the machine's host name."""
    node_ip: str = ""
    """By default the address that leads to the server."""
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[str, ...] = ()
    """KEY[=VALUE]:EFFECT"""
    parent_store: str = ""
    """A read-only image store that is looked in first, such as the one of a VM's host."""
    egress: bool = False
    """Pods may call what lies outside of the cluster."""
    log_level: str = "info"

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> JoinRequest:
        """From a configuration file: the flags' names in camel case. Raises ClusterError."""
        unknown = sorted(set(value) - set(JSON_NAMES))
        if unknown:
            raise ClusterError(where="join configuration", what=f"unknown field {unknown[0]!r}")
        given = {JSON_NAMES[key]: _text_or_texts(key, one) for key, one in value.items()}
        if isinstance(labels := given.get("labels"), str):
            given["labels"] = labels_of(labels)
        if isinstance(taints := given.get("taints"), str):
            given["taints"] = taints.split(",")
        missing = [key for key, name in JSON_NAMES.items() if name in NEEDED and not given.get(name)]
        if missing:
            raise ClusterError(where="join configuration", what=f"{missing[0]} is missing", remedy=HOW_TO_GET_TOKEN)
        return cls(**given | {"taints": tuple(filter(None, given.get("taints", ())))})

    def checked(self) -> JoinRequest:
        """With defaults filled in. Raises ClusterError for what can't be used."""
        if not TOKEN.fullmatch(self.token):
            raise ClusterError(
                where="bootstrap token",
                what="is not six characters, a dot and sixteen characters of a-z and 0-9",
                remedy=HOW_TO_GET_TOKEN,
            )
        name = self.node_name or socket.gethostname().lower()
        if not NODE_NAME.fullmatch(name) or len(name) > MOST_NAME:
            raise ClusterError(
                where=f"node name {name!r}",
                what="is no DNS name: lower-case letters, digits, dashes and dots",
                remedy="give another with --node-name",
            )
        for taint in self.taints:
            taint_of(taint)
        check_labels(self.labels)
        server = address_of(self.server)
        address = self.node_ip or own_address(server)
        check_address(address)
        changed = {"server": server.url, "ca_hash": checked_hash(self.ca_hash), "node_name": name}
        return JoinRequest(**vars(self) | changed | {"node_ip": address})


JSON_NAMES = {
    "server": "server",
    "token": "token",
    "caHash": "ca_hash",
    "nodeName": "node_name",
    "nodeIp": "node_ip",
    "nodeLabels": "labels",
    "registerWithTaints": "taints",
    "parentStore": "parent_store",
    "egress": "egress",
    "logLevel": "log_level",
}


def _text_or_texts(key: str, value: Any) -> Any:
    """A value of the form that its field has. Raises ClusterError."""
    if isinstance(value, str) and key != "egress":
        return value
    if key == "egress" and isinstance(value, bool):
        return value
    if key == "nodeLabels" and isinstance(value, dict) and all(isinstance(one, str) for one in value.values()):
        return value
    if key == "registerWithTaints" and isinstance(value, list) and all(isinstance(one, str) for one in value):
        return value
    wanted = {"nodeLabels": "text or a mapping of texts", "registerWithTaints": "text or a list of texts"}
    wanted["egress"] = "true or false"
    raise ClusterError(where=f"join configuration, {key}", what=f"must be {wanted.get(key, 'text')}, not {value!r}")


def check_address(text: str) -> None:
    """Raises ClusterError for what is no IPv4 address: pods' networks have no other yet."""
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        raise ClusterError(
            where=f"node address {text!r}", what="is no IPv4 address", remedy="give another by --node-ip"
        ) from None


def check_labels(labels: Mapping[str, str]) -> None:
    """Raises ClusterError for labels that a node can't have, or may not give itself (NodeRestriction)."""
    for key, value in labels.items():
        problems = names.qualified_name(key) + names.label_value(value)
        if problems:
            raise ClusterError(where=f"node label {key}={value}", what=problems[0])
        domain = key.partition("/")[0] if "/" in key else ""
        reserved = any(domain == one or domain.endswith(f".{one}") for one in RESERVED_DOMAINS)
        own = any(domain == one or domain.endswith(f".{one}") for one in NODES_OWN_DOMAINS)
        if reserved and not own and key not in NODES_OWN_LABELS:
            raise ClusterError(
                where=f"node label {key}",
                what="a node may not give itself labels of this domain",
                remedy="leave it out, and set it afterwards by kctl label node",
            )


def labels_of(text: str) -> dict[str, str]:
    """`k=v,k=v`. Raises ClusterError."""
    found = {}
    for part in filter(None, text.split(",")):
        key, separator, value = part.partition("=")
        if not key or not separator:
            raise ClusterError(where=f"node label {part!r}", what="is no KEY=VALUE")
        found[key] = value
    return found


def taint_of(text: str) -> dict[str, str]:
    """`KEY[=VALUE]:EFFECT`. Raises ClusterError."""
    rest, _, effect = text.rpartition(":")
    key, _, value = rest.partition("=")
    if not key or effect not in EFFECTS:
        raise ClusterError(where=f"taint {text!r}", what=f"is no KEY[=VALUE]:EFFECT with one of {', '.join(EFFECTS)}")
    return {"key": key, "value": value, "effect": effect}
