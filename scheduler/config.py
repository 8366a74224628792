"""The scheduler's configuration: one JSON object in a file."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from sampan.errors import SampanError
from scheduler.scheduler import DEFAULT_NAME

KINDS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "bool": (bool,),
    "str | None": (str, type(None)),
    "int | None": (int, type(None)),
}


class ConfigError(SampanError):
    """The configuration can't be used."""


@dataclass(frozen=True)
class Config:
    """`metrics` is `host:port`, or null for no listener. Without a `seed`, ties are broken differently each run."""

    kubeconfig: str
    leader_elect: bool = True
    lease_namespace: str = "kube-system"
    lease_name: str = "kube-scheduler"
    identity: str | None = None
    scheduler_name: str = DEFAULT_NAME
    metrics: str | None = None
    seed: int | None = None
    log_level: str = "info"

    @classmethod
    def read(cls, path: str) -> Config:
        """Read a file. Raises ConfigError."""
        try:
            value = json.loads(Path(path).read_bytes())
        except (OSError, ValueError) as error:
            raise ConfigError(f"scheduler configuration {path}: {error}") from error
        return cls.of(value, path)

    @classmethod
    def of(cls, value: Any, where: str = "") -> Config:
        """Check a decoded object. Raises ConfigError naming the key."""
        if not isinstance(value, dict):
            raise ConfigError(f"scheduler configuration {where}: must be a JSON object")
        known = {one.name: one for one in fields(cls)}
        for key, given in value.items():
            if key not in known:
                raise ConfigError(
                    f"scheduler configuration {where}: unknown key {key!r}; there are: {', '.join(sorted(known))}"
                )
            wanted = str(known[key].type)
            right = isinstance(given, KINDS[wanted]) and not (isinstance(given, bool) and wanted == "int | None")
            if not right:
                raise ConfigError(f"scheduler configuration {where}: {key} must be {wanted}, not {given!r}")
        if not value.get("kubeconfig"):
            raise ConfigError(f"scheduler configuration {where}: kubeconfig must name a file")
        if "metrics" in value and value["metrics"] is not None:
            address_of(value["metrics"], where)
        return cls(**value)


def address_of(text: str, where: str = "") -> tuple[str, int]:
    """`host:port` as a pair. Raises ConfigError."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ConfigError(f"scheduler configuration {where}: metrics must be host:port, not {text!r}")
    return host.strip("[]"), int(port)
