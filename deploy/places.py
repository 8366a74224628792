"""Where a cluster keeps things on this machine.

State (description, certificates, etcd's data, logs, nodes) lies under SAMPAN_HOME and survives a reboot; sockets
and process records lie under SAMPAN_RUN, whose path is short because a unix socket's may have 107 bytes.
"""

from __future__ import annotations

import os
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

from sampan.errors import ClusterError

NAME = re.compile(r"[a-z]([a-z0-9-]{0,28}[a-z0-9])?")


DEFAULT_HOME = Path("/var/lib/sampan")
DEFAULT_RUN = Path("/run/sampan")
MARK = "SAMPAN_CLUSTER"
"""In the environment of all that a supervisor starts outside containers: the cluster's name."""


def home() -> Path:
    """The directory of all clusters' state."""
    return Path(os.environ.get("SAMPAN_HOME", DEFAULT_HOME))


def run_root() -> Path:
    """The directory of all clusters' sockets and process records."""
    return Path(os.environ.get("SAMPAN_RUN", DEFAULT_RUN))


def image_store() -> Path:
    """The image store that all nodes and clusters of this machine share."""
    return Path(os.environ.get("SAMPAN_IMAGE_STORE", home() / "images"))


@dataclass(frozen=True)
class NodePlaces:
    """One node's directories."""

    name: str
    state: Path
    run: Path
    log: Path
    cgroup: str

    @property
    def cri_socket(self) -> Path:
        return self.run / "cri.sock"

    @property
    def fork_socket(self) -> Path:
        return self.run / "fork.sock"

    @property
    def config(self) -> Path:
        return self.state / "config"


@dataclass(frozen=True)
class Places:
    """One cluster's directories and files. `cgroup` is its path below every cgroup hierarchy's root."""

    name: str
    state: Path
    run: Path

    @classmethod
    def of(cls, name: str) -> Places:
        """The places of a cluster. Raises ClusterError for a name that could leave them."""
        if not NAME.fullmatch(name):
            raise ClusterError(
                where=f"cluster name {name!r}",
                what="not 1 to 30 lower-case letters, digits and dashes that begin with a letter",
                remedy="choose another name",
            )
        return cls.below(name, home(), run_root())

    @classmethod
    def below(cls, name: str, home: Path, run: Path) -> Places:
        """The places that a cluster of that name has in a home."""
        return cls(name, home / "clusters" / name, run / name)

    @property
    def description(self) -> Path:
        return self.state / "cluster.yaml"

    @property
    def ledger(self) -> Path:
        return self.state / "ledger.jsonl"

    @property
    def pki(self) -> Path:
        return self.state / "pki"

    @property
    def config(self) -> Path:
        return self.state / "config"

    @property
    def etcd(self) -> Path:
        return self.state / "etcd"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def admin_kubeconfig(self) -> Path:
        return self.state / "admin.kubeconfig"

    @property
    def control(self) -> Path:
        return self.run / "control.sock"

    @property
    def pid(self) -> Path:
        return self.run / "supervisor.pid"

    @property
    def cgroup(self) -> str:
        """The path below every hierarchy's root."""
        return f"/sampan/{self.key}"

    @property
    def key(self) -> str:
        """Distinct for clusters of one name that live in different homes, of which only one is the machine's usual."""
        own = self.state.parent.parent
        return self.name if own == DEFAULT_HOME else f"{self.name}-{zlib.crc32(bytes(own)):08x}"

    def node(self, name: str) -> NodePlaces:
        """The directories of one node."""
        return NodePlaces(
            name,
            self.state / "nodes" / name,
            self.run / name,
            self.logs / name,
            f"{self.cgroup}/nodes/{name}",
        )


def existing() -> list[str]:
    """The names of the clusters that this machine has, in order."""
    root = home() / "clusters"
    if not root.is_dir():
        return []
    return sorted(entry.name for entry in root.iterdir() if NAME.fullmatch(entry.name) and entry.is_dir())
