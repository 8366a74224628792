"""Which node of which cluster this machine is: the file that joining writes last and everything else reads first."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from deploy import node_config
from deploy import places as cluster_places
from deploy.machine import lifetime
from deploy.machine.places import MachinePlaces
from deploy.node_config import ClusterFacts, Credentials, NodeFacts
from sampan.errors import ClusterError


@dataclass(frozen=True)
class Identity:
    """This machine as a node."""

    name: str
    address: str
    device: str
    server: str
    ca_hash: str
    facts: Mapping[str, Any]
    """`cluster.json` of ConfigMap kube-system/sampan-config, as it was."""
    request: str = ""
    """The certificate signing request that gave it its name."""
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: Sequence[Mapping[str, str]] = ()
    parent_store: str = ""
    egress: bool = False
    log_level: str = "info"

    @property
    def cluster(self) -> ClusterFacts:
        """What all nodes agree on. Raises ClusterError."""
        try:
            return ClusterFacts.from_json(self.facts)
        except (KeyError, ValueError) as error:
            raise ClusterError(
                where=f"cluster of {self.server}, ConfigMap kube-system/sampan-config",
                what=f"cluster.json can't be used: {error!r}",
                remedy="its servers and this machine need Sampan of about the same version",
            ) from None

    @property
    def servers(self) -> list[str]:
        """All servers' URLs, the one that was joined first."""
        others = [str(one) for one in self.facts.get("servers") or ()]
        return [self.server, *(one for one in others if one != self.server)]

    @property
    def server_addresses(self) -> list[str]:
        """The servers' addresses, where they are known as such: they do not know the way to pods, as nodes do."""
        hosts = [urlsplit(url).hostname or "" for url in self.servers]
        return [host for host in hosts if host != self.address and _is_address(host)]

    def write(self, path: Path) -> None:
        """As JSON."""
        path.write_text(json.dumps(vars(self), indent=1) + "\n")


def _is_address(host: str) -> bool:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True


def read(places: MachinePlaces) -> Identity | None:
    """This machine's, or None when it has not joined. Raises ClusterError for a file that can't be used.

    What a newer Sampan wrote and this one does not know is passed over.
    """
    known = {one.name for one in fields(Identity)}
    try:
        value = json.loads(places.identity.read_bytes())
        return Identity(**{name: given for name, given in value.items() if name in known})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ClusterError(
            where=f"node identity {places.identity}", what=str(error), remedy="run: sampan leave --force, and join anew"
        ) from error


def ended(places: MachinePlaces, now: datetime) -> datetime | None:
    """When the node's client certificate ended, if it has: then it can't be renewed. Raises ClusterError."""
    try:
        end = lifetime.ends(places.client_pair)
    except (OSError, ValueError) as error:
        raise ClusterError(
            where=f"node certificate {places.client_pair}",
            what=str(error),
            remedy="run: sampan leave --force, and join anew",
        ) from error
    return end if end <= now else None


def joined(places: MachinePlaces) -> Identity:
    """This machine's. Raises ClusterError when it has not joined."""
    found = read(places)
    if found is None:
        raise ClusterError(
            where="this machine",
            what="is no node of a cluster",
            remedy="join one; kctl token create --print-join-command prints how",
        )
    return found


def write_kubeconfig(identity: Identity, at: MachinePlaces, to: MachinePlaces) -> None:
    """The agent's kubeconfig, written at `at`, for files that will be at `to`."""
    at.kubeconfig.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    value = node_config.kubeconfig(
        identity.server,
        "sampan",
        ca=to.ca,
        client=(to.client_pair, to.client_pair),
        servers=identity.servers if len(identity.servers) > 1 else (),
    )
    at.kubeconfig.touch(0o600)
    at.kubeconfig.write_text(yaml.safe_dump(value, sort_keys=False))


def write_configs(identity: Identity, places: MachinePlaces) -> None:
    """Runtime's and agent's configuration, as this version of Sampan wants it."""
    own = places.node(identity.name)
    facts = NodeFacts(
        own=own,
        address=identity.address,
        device=identity.device,
        image_store=cluster_places.image_store(),
        credentials=Credentials(
            kubeconfig=places.kubeconfig,
            client_ca=places.ca,
            serving=(places.serving_pair, places.serving_pair),
            client=(places.client_pair, places.client_pair),
            renewed=True,
        ),
        parent_store=identity.parent_store,
        labels=identity.labels,
        taints=identity.taints,
        reserved_addresses=identity.server_addresses,
        egress=identity.egress,
        log_level=identity.log_level,
    )
    node_config.write(facts, identity.cluster, own.config)
