"""What a machine must know before it is a node, published where a bootstrap token may read it.

kube-system/sampan-config has the cluster's ranges and the addresses of its API servers as `cluster.json`;
kube-public/cluster-info has a kubeconfig without a user, as kubeadm's clusters do.
Source: "Authenticating with Bootstrap Tokens" (ConfigMap Signing).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from controllers.certificates.views import (
    CLUSTER_INFO,
    CLUSTER_INFO_NAME,
    JOIN_FACTS,
    JOIN_FACTS_NAME,
    PUBLIC,
    SELECTORS,
    SYSTEM,
)
from sampan.actions import Action, Create, Patch
from sampan.api.core_v1 import ConfigMap, Endpoints, Namespace
from sampan.api.meta_v1 import ObjectMeta
from sampan.informer import Change
from sampan.kinds import ENDPOINTS, NAMESPACES
from sampan.loop import Controller, Watch
from sampan.objects import Key
from sampan.resource import Resource
from sampan.world import World

FACTS_KEY = "cluster.json"
KUBECONFIG_KEY = "kubeconfig"
SERVERS = ("default", "kubernetes")
EXTENSION = "sampan.dev/servers"


def urls(endpoints: Endpoints | None) -> list[str]:
    """The addresses of the API servers, as the `kubernetes` Service's endpoints have them."""
    found = []
    for subset in endpoints.subsets if endpoints is not None else ():
        for port in subset.ports:
            for one in subset.addresses:
                host = f"[{one.ip}]" if ":" in one.ip else one.ip
                found.append(f"https://{host}:{port.port}")
    return sorted(found)


def kubeconfig(certificate: str, servers: list[str]) -> str:
    """A kubeconfig (JSON, which is YAML too) that names the cluster and no user."""
    cluster: dict[str, Any] = {
        "certificate-authority-data": base64.b64encode(certificate.encode()).decode(),
        "server": servers[0],
    }
    if len(servers) > 1:
        cluster["extensions"] = [{"name": EXTENSION, "extension": {"servers": servers}}]
    value: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "", "cluster": cluster}],
        "contexts": None,
        "current-context": "",
        "preferences": {},
        "users": None,
    }
    return json.dumps(value, indent=2) + "\n"


@dataclass(frozen=True)
class Publication:
    """What is published; `facts` are the ones that never change."""

    facts: Mapping[str, Any]
    certificate: str

    def reconcile(self, namespace: Namespace, world: World) -> Iterator[Action]:
        """Make the namespace's ConfigMap say so."""
        servers = urls(world.get(ENDPOINTS, *SERVERS))
        if not servers or namespace.metadata.deletion_timestamp is not None:
            return
        if namespace.metadata.name == SYSTEM and self.facts:
            value = json.dumps({**self.facts, "servers": servers}, indent=1) + "\n"
            yield from published(JOIN_FACTS, SYSTEM, JOIN_FACTS_NAME, FACTS_KEY, value, world)
        elif namespace.metadata.name == PUBLIC and self.certificate:
            value = kubeconfig(self.certificate, servers)
            yield from published(CLUSTER_INFO, PUBLIC, CLUSTER_INFO_NAME, KUBECONFIG_KEY, value, world)


def published(
    view: Resource[ConfigMap], namespace: str, name: str, key: str, value: str, world: World
) -> Iterator[Action]:
    """One key of one ConfigMap; what others wrote beside it stays."""
    there = world.get(view, namespace, name)
    if there is None:
        made = ConfigMap(metadata=ObjectMeta(name=name, namespace=namespace), data={key: value})
        yield Create(view, made, exists=lambda _: ())
    elif there.data.get(key) != value:
        yield Patch(view, there, {"data": {key: value}})


def namespace_of(change: Change[ConfigMap], _: World) -> Iterator[Key]:
    """The namespace of a published ConfigMap."""
    yield Key("", change.object.metadata.namespace or "")


def both(change: Change[Endpoints], _: World) -> Iterator[Key]:
    """Both namespaces, when the API servers change."""
    if (change.object.metadata.namespace, change.object.metadata.name) == SERVERS:
        yield from (Key("", SYSTEM), Key("", PUBLIC))


def publisher(publication: Publication) -> Controller[Namespace]:
    """The controller that publishes."""
    return Controller(
        name="join-facts-publisher",
        of=NAMESPACES,
        reconcile=publication.reconcile,
        watches=(Watch(JOIN_FACTS, namespace_of), Watch(CLUSTER_INFO, namespace_of), Watch(ENDPOINTS, both)),
        field_selectors={one: SELECTORS[one] for one in (JOIN_FACTS, CLUSTER_INFO)},
        workers=1,
    )
