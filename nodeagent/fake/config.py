"""The configuration file of fake nodes: JSON, read once at start. An error names the unknown or wrong field."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from nodeagent.config import TaintConfig, TlsConfig
from sampan.errors import ClusterError
from sampan.fake import PREFIX

CAPACITY = {"cpu": "32", "memory": "256Gi", "ephemeral-storage": "1Ti", "pods": "110"}


class FakeConfig(BaseModel):
    """Nodes fake-1 to fake-`count`, less those of `without`; the nodes of `silent` exist but do not report."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kubeconfig: Path
    count: int = Field(ge=0)
    without: list[str] = Field(default_factory=list)
    silent: list[str] = Field(default_factory=list)
    address: str = "127.0.0.1"
    """Where the kubelet API of all of them listens, and what each calls its own address."""
    port: int = 10260
    tls: TlsConfig | None = None
    pod_cidr: str = "198.18.0.0/15"
    """Addresses for their pods: a range that nothing real has (RFC 2544)."""
    capacity: dict[str, str] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)
    zones: int = Field(default=0, ge=0)
    """So many values of topology.kubernetes.io/zone, in turn; 0 is no such label."""
    taints: list[TaintConfig] = Field(default_factory=list)
    lease_seconds: int = Field(default=40, ge=1)
    start_seconds: float = Field(default=0.0, ge=0)
    """How long a pod takes to start when it does not say so itself."""
    log_level: str = "info"

    @field_validator("pod_cidr")
    @classmethod
    def _is_a_network(cls, value: str) -> str:
        return str(ipaddress.IPv4Network(value))

    @property
    def names(self) -> list[str]:
        """The nodes that there are, in the order of their numbers."""
        gone = set(self.without)
        numbered = (f"{PREFIX}{number}" for number in range(1, self.count + 1))
        return [name for name in numbered if name not in gone]


def read_config(path: Path) -> FakeConfig:
    """Read the file. Raises ClusterError."""
    where = f"fake nodes' configuration {path}"
    try:
        return FakeConfig.model_validate(json.loads(path.read_bytes()))
    except OSError as error:
        raise ClusterError(where=where, what=str(error.strerror), remedy="give a readable file by --config") from None
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ClusterError(where=f"{where}, {field}", what=first["msg"]) from None
    except ValueError as error:
        raise ClusterError(where=where, what=f"is not JSON: {error}") from None
