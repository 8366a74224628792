"""The controllers' settings: a JSON file, checked, with everything optional but the kubeconfig."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from controllers import nodes, podgc
from controllers.certificates.signer import Signing
from sampan.errors import SampanError


class ConfigError(SampanError):
    """The configuration file is missing or wrong; the text says where and what."""


@dataclass(frozen=True)
class Config:
    """See the names. Times are in seconds.

    `identity` names this replica in the leader lease; two that run at once must differ. A supervisor that starts at
    most one may give a fixed name, and a restart then need not wait for the old lease to end.
    `default_toleration_seconds` replaces the 300 s for which pods stay on unreachable nodes by default.
    `signing` names the authority that signs certificate requests; without it nothing is signed or approved.
    `join_facts` is what machines that join must know, published as kube-system/sampan-config.
    `clock_offset_file` holds a number of seconds by which the calendar is moved; it is read at start and on SIGUSR1.
    """

    kubeconfig: str
    cluster_cidr: str = "10.244.0.0/16"
    node_cidr_mask: int = 24
    allocate_node_cidrs: bool = True
    root_ca_file: str = ""
    signing: Signing | None = None
    join_facts: Mapping[str, Any] = field(default_factory=dict)
    node_monitor_grace_seconds: float = nodes.GRACE_SECONDS
    node_startup_grace_seconds: float = nodes.STARTUP_GRACE_SECONDS
    default_toleration_seconds: int | None = None
    pod_quarantine_seconds: float = podgc.QUARANTINE_SECONDS
    terminated_pod_limit: int = podgc.TERMINATED_LIMIT
    leader_elect: bool = True
    lease_namespace: str = "kube-system"
    lease_name: str = "sampan-controllers"
    identity: str = ""
    log_level: str = "info"
    clock_offset_file: str = ""


def load(path: str) -> Config:
    """Read the file. Raises ConfigError."""
    try:
        value = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; give the controllers' configuration with --config") from error
    except ValueError as error:
        raise ConfigError(f"{path}: is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: a JSON object is wanted")
    return parse(value, path)


def parse(value: dict[str, Any], where: str = "configuration") -> Config:
    """Check decoded JSON. Raises ConfigError."""
    known = {one.name: str(one.type) for one in fields(Config)}
    unknown = value.keys() - known.keys()
    if unknown:
        raise ConfigError(f"{where}: unknown settings {', '.join(sorted(unknown))}; known are {', '.join(known)}")
    value = {**value, "signing": _signing(value.get("signing"), where)}
    if not isinstance(value.get("join_facts", {}), dict):
        raise ConfigError(f"{where}: join_facts must be a mapping, not {value['join_facts']!r}")
    for name, found in value.items():
        if name in ("signing", "join_facts"):
            continue
        accepted = {"str": str, "int": int, "bool": bool, "float": (int, float), "int | None": (int, type(None))}
        wanted = known[name]
        if not isinstance(found, accepted[wanted]) or (wanted != "bool" and isinstance(found, bool)):  # type: ignore[arg-type]  # a type or a tuple of types
            raise ConfigError(f"{where}: {name} must be {wanted}, not {found!r}")
    if not value.get("kubeconfig"):
        raise ConfigError(f"{where}: kubeconfig is required: a path")
    config = Config(**value)
    if config.node_monitor_grace_seconds <= 0 or config.node_startup_grace_seconds <= 0:
        raise ConfigError(f"{where}: the node grace times must be above 0 s")
    return config


def _signing(value: Any, where: str) -> Signing | None:
    if value is None:
        return None
    if not isinstance(value, dict) or not value.get("cert") or not value.get("key"):
        raise ConfigError(f"{where}: signing must name the authority's cert and key, not {value!r}")
    if unknown := sorted(value.keys() - {"cert", "key", "duration_seconds"}):
        raise ConfigError(f"{where}: unknown setting signing.{unknown[0]}; known are cert, key, duration_seconds")
    seconds = value.get("duration_seconds", Signing.duration_seconds)
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or seconds <= 0:
        raise ConfigError(f"{where}: signing.duration_seconds must be above 0 s, not {seconds!r}")
    return Signing(str(value["cert"]), str(value["key"]), float(seconds))
