"""The agent's configuration file: JSON, read once at start. An unknown or wrong field is an error that names it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from nodeagent.eviction.signals import DEFAULTS, thresholds
from sampan.errors import ClusterError


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PairConfig(_Section):
    """The files of a certificate and its key, which may be one file. Both are read anew when they change."""

    cert: Path
    key: Path
    renewed: bool = False
    """The agent gets the pair, and a new one before it ends, by certificate signing requests (one file then)."""


class TlsConfig(PairConfig):
    """The kubelet API's serving certificate, and the CA that its clients' certificates come from."""

    client_ca: Path


class TaintConfig(_Section):
    """A taint that the node registers with."""

    key: str
    value: str = ""
    effect: str = "NoSchedule"


class AgentConfig(_Section):
    """One node's agent."""

    node_name: str
    node_ip: str
    kubeconfig: Path
    cri_socket: Path
    state_dir: Path
    log_dir: Path
    cgroup_root: str = ""
    tls: TlsConfig | None = None
    client_certificate: PairConfig | None = None
    """The pair that the kubeconfig refers to."""
    port: int = 10250
    cluster_dns: list[str] = Field(default_factory=list)
    cluster_domain: str = "cluster.local"
    network: dict[str, Any] | None = None
    lease_seconds: int = 40
    heartbeat_seconds: float = 10.0
    report_seconds: float = 300.0
    register_with_taints: list[TaintConfig] = Field(default_factory=list)
    register_with_labels: dict[str, str] = Field(default_factory=dict)
    max_pods: int = 110
    pod_pids_limit: int = -1
    """The most processes and threads that a pod may have; -1 is no limit (the kubelet's podPidsLimit)."""
    user_ids_first: int = Field(default=65536, ge=65536, lt=2**32, multiple_of=65536)
    """Where the users begin that pods with `hostUsers: false` get, a range of 65536 each, for max_pods pods."""
    fake_capacity: dict[str, str] = Field(default_factory=dict)
    """Amounts that are reported instead of the machine's, for machines that hold several nodes, and for tests."""
    provider_id: str = ""
    resolv_conf: Path = Path("/etc/resolv.conf")
    serial_image_pulls: bool = False
    log_max_bytes: int = 10 * 1024 * 1024
    log_max_files: int = 5
    eviction_hard: dict[str, str] = Field(default_factory=lambda: dict(DEFAULTS))
    """Less than this of a signal is pressure, and pods are evicted: an amount, or a percentage (the kubelet's)."""
    eviction_seconds: float = Field(default=10.0, gt=0)
    """How often the node looks whether it runs short."""
    eviction_pressure_transition_seconds: float = Field(default=300.0, ge=0)
    """How long a pressure is told after it was last felt."""
    user_agent: str = "sampan-nodeagent"
    log_level: str = "info"

    @field_validator("eviction_hard")
    @classmethod
    def _signals_are_known(cls, value: dict[str, str]) -> dict[str, str]:
        thresholds(value)
        return value


NODE_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


def read_config(path: Path) -> AgentConfig:
    """Read the file. Raises ClusterError."""
    where = f"node agent configuration {path}"
    try:
        config = AgentConfig.model_validate(json.loads(path.read_bytes()))
    except OSError as error:
        raise ClusterError(where=where, what=str(error.strerror), remedy="give a readable file by --config") from None
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ClusterError(where=f"{where}, {field}", what=first["msg"]) from None
    except ValueError as error:
        raise ClusterError(where=where, what=f"is not JSON: {error}") from None
    if not NODE_NAME.fullmatch(config.node_name):
        raise ClusterError(where=f"{where}, node_name", what=f"{config.node_name!r} is no DNS name")
    return config
