"""Where a machine that is a node, or a server, keeps things.

The node's own state is one directory, so that joining puts it there whole and leaving takes it away whole. State
lies under SAMPAN_HOME and survives a reboot; sockets and process records lie under SAMPAN_RUN and do not.
"""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from pathlib import Path

from deploy.places import DEFAULT_HOME, NodePlaces, home


@dataclass(frozen=True)
class MachinePlaces:
    """One machine's directories. `cgroup` is the node's path below every cgroup hierarchy's root."""

    state: Path
    run: Path

    @classmethod
    def here(cls) -> MachinePlaces:
        """This machine's, as the environment says."""
        return cls(home() / "machine", Path(os.environ.get("SAMPAN_RUN", "/run/sampan")) / "machine")

    @property
    def node_state(self) -> Path:
        """All that makes this machine a node."""
        return self.state / "node"

    @property
    def server(self) -> Path:
        """All that makes this machine a server of the control plane."""
        return self.state / "server"

    @property
    def pki(self) -> Path:
        return self.node_state / "pki"

    @property
    def ca(self) -> Path:
        """The cluster's CA certificate."""
        return self.pki / "ca.crt"

    @property
    def client_pair(self) -> Path:
        """The node's client certificate and its key, in one file so that a rename changes both at once."""
        return self.pki / "client.pem"

    @property
    def serving_pair(self) -> Path:
        """The kubelet API's serving certificate and its key, in one file."""
        return self.pki / "serving.pem"

    @property
    def kubeconfig(self) -> Path:
        return self.node_state / "config" / "kubeconfig"

    @property
    def identity(self) -> Path:
        """Which node of which cluster this machine is: JSON, the last file that joining writes."""
        return self.node_state / "node.json"

    @property
    def sysctls(self) -> Path:
        """The kernel parameters as they were before this machine was a node."""
        return self.node_state / "sysctls.json"

    @property
    def cgroup(self) -> str:
        own = self.state.parent
        return "/sampan/machine" if own == DEFAULT_HOME else f"/sampan/machine-{zlib.crc32(bytes(own)):08x}"

    def node(self, name: str) -> NodePlaces:
        """The node's directories, as a cluster's nodes have them."""
        return NodePlaces(name, self.node_state, self.run / "node", self.node_state / "logs", self.cgroup)
