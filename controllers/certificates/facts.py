"""What a machine must know before it is a node, published where a bootstrap token may read it.

kube-system/sampan-config has the cluster's ranges and the addresses of its API servers as `cluster.json`;
kube-public/cluster-info has a kubeconfig without a user, as kubeadm's clusters do, and for each token that may sign its
signature: whoever knows the token can tell that the kubeconfig comes from somebody who knows it too.
Source: "Authenticating with Bootstrap Tokens" (ConfigMap Signing).
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from controllers.certificates.tokens import LONGEST_SECONDS, expiration, text
from controllers.certificates.views import (
    CLUSTER_INFO,
    CLUSTER_INFO_NAME,
    JOIN_FACTS,
    JOIN_FACTS_NAME,
    PUBLIC,
    SELECTORS,
    SYSTEM,
    TOKEN_TYPE,
    TOKENS,
)
from sampan.actions import Action, Create, Patch, RequeueAfter
from sampan.api.core_v1 import ConfigMap, Endpoints, Namespace, Secret
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
SIGNATURE_PREFIX = "jws-kubeconfig-"
TOKEN_PREFIX = "bootstrap-token-"


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
            yield from published(JOIN_FACTS, SYSTEM, JOIN_FACTS_NAME, {FACTS_KEY: value}, world)
        elif namespace.metadata.name == PUBLIC and self.certificate:
            value = kubeconfig(self.certificate, servers)
            signing = [one for one in world.all(TOKENS) if may_sign(one, world.now)]
            signatures = {SIGNATURE_PREFIX + text(one, "token-id"): signature(one, value) for one in signing}
            data = {KUBECONFIG_KEY: value} | signatures
            yield from published(CLUSTER_INFO, PUBLIC, CLUSTER_INFO_NAME, data, world)
            ends = [one for one in map(expiration, signing) if one is not None]
            if ends:
                yield RequeueAfter(min((min(ends) - world.now).total_seconds() + 1, LONGEST_SECONDS))


def may_sign(token: Secret, now: datetime) -> bool:
    """Whether a token vouches for the cluster's address."""
    ends = expiration(token)
    usable = token.type == TOKEN_TYPE and text(token, "usage-bootstrap-signing") == "true"
    named = token.metadata.name == TOKEN_PREFIX + text(token, "token-id")
    return usable and named and bool(text(token, "token-secret")) and (ends is None or ends > now)


def signature(token: Secret, value: str) -> str:
    """A detached JWS (RFC 7515, appendix F) with HMAC-SHA256, whose key is the token's secret."""
    header = encoded(json.dumps({"alg": "HS256", "kid": text(token, "token-id")}, separators=(",", ":")).encode())
    signed = f"{header}.{encoded(value.encode())}".encode()
    return f"{header}..{encoded(hmac.digest(text(token, 'token-secret').encode(), signed, 'sha256'))}"


def encoded(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def published(
    view: Resource[ConfigMap], namespace: str, name: str, data: Mapping[str, str], world: World
) -> Iterator[Action]:
    """Our keys of a ConfigMap; what others wrote beside them stays, signatures that are none any more go."""
    there = world.get(view, namespace, name)
    if there is None:
        made = ConfigMap(metadata=ObjectMeta(name=name, namespace=namespace), data=dict(data))
        yield Create(view, made, exists=lambda _: ())
        return
    changed = {key: value for key, value in data.items() if there.data.get(key) != value}
    stale = {key: None for key in there.data if key.startswith(SIGNATURE_PREFIX) and key not in data}
    if changed or stale:
        yield Patch(view, there, {"data": {**changed, **stale}})


def namespace_of(change: Change[ConfigMap], _: World) -> Iterator[Key]:
    """The namespace of a published ConfigMap."""
    yield Key("", change.object.metadata.namespace or "")


def both(change: Change[Endpoints], _: World) -> Iterator[Key]:
    """Both namespaces, when the API servers change."""
    if (change.object.metadata.namespace, change.object.metadata.name) == SERVERS:
        yield from (Key("", SYSTEM), Key("", PUBLIC))


def public(change: Change[Secret], _: World) -> Iterator[Key]:
    """The namespace of what tokens sign."""
    yield Key("", PUBLIC)


def publisher(publication: Publication) -> Controller[Namespace]:
    """The controller that publishes."""
    return Controller(
        name="join-facts-publisher",
        of=NAMESPACES,
        reconcile=publication.reconcile,
        watches=(
            Watch(JOIN_FACTS, namespace_of),
            Watch(CLUSTER_INFO, namespace_of),
            Watch(ENDPOINTS, both),
            Watch(TOKENS, public),
        ),
        field_selectors=SELECTORS,
        workers=1,
    )
