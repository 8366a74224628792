"""Which API servers the node may call: what the `kubernetes` Service's endpoints say, kept over restarts.

The kubeconfig's servers stay known whatever the endpoints say, because one of them may be a name or a balancer that
no endpoint lists.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

from sampan.api.discovery_v1 import EndpointSlice
from sampan.informer import Change
from sampan.logs import fields
from sampan.servers import Servers

log = logging.getLogger(__name__)

FILE = "servers.json"
SERVICE_LABEL = "kubernetes.io/service-name"


def urls(found: EndpointSlice) -> list[str]:
    """Where a slice of the `kubernetes` Service leads, as URLs in order; none for any other slice. Pure."""
    metadata = found.metadata
    if metadata.namespace != "default" or metadata.labels.get(SERVICE_LABEL) != "kubernetes":
        return []
    ports = [port.port for port in found.ports or () if port.name == "https" and port.port]
    hosts = [host for one in found.endpoints or () for host in one.addresses or ()]
    return sorted(
        f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}" for port in ports for host in hosts
    )


class LivingServers:
    """Follows the endpoints. Subscribe `changed` to the informer of slices."""

    def __init__(self, servers: Servers, state_dir: Path) -> None:
        self._servers = servers
        self._file = state_dir / FILE

    def recall(self) -> None:
        """Take in what an earlier run of the agent knew."""
        try:
            known = json.loads(self._file.read_bytes())
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            log.warning("the known servers can't be read", extra=fields(file=str(self._file), error=error))
            return
        if isinstance(known, list) and all(isinstance(one, str) for one in known):
            self._servers.learn(known)

    def changed(self, change: Change[EndpointSlice]) -> None:
        """Take in what a slice says now."""
        living = urls(change.new) if change.new is not None else []
        if not living or not self._servers.learn(living):
            return
        log.info("the cluster's servers", extra=fields(servers=",".join(self._servers.urls)))
        fresh = self._file.with_suffix(".new")
        try:
            fresh.write_text(json.dumps(living))
            fresh.replace(self._file)
        except OSError as error:  # only a later start's matter
            log.warning("the known servers can't be kept", extra=fields(file=str(self._file), error=error))
