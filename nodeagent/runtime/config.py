"""The runtime's settings: one JSON file, read once."""

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any


class ConfigError(Exception):
    """The config file cannot be used: says where and why."""


@dataclass(frozen=True, slots=True)
class Config:
    """Paths are absolute. network "builtin" needs pod_network: {state_dir, device, mode, bridge, mtu}.

    cgroup_parent is for sandboxes that name none. streaming_address is where exec, attach and port-forward sessions
    are served ("127.0.0.1:0": any free port). parent_store is an image store that is only read, a directory or
    "port:NAME" of a VM ("": none). insecure_registries are hosts spoken to without TLS.
    """

    socket: Path
    state_dir: Path
    run_dir: Path
    image_store: Path
    forkserver_socket: Path
    parent_store: str = ""
    cgroup_parent: str = "/sampan/pods"
    streaming_address: str = "127.0.0.1:0"
    network: str = "none"
    pod_network: dict[str, Any] = field(default_factory=dict)
    insecure_registries: tuple[str, ...] = ()
    log_level: str = "info"


def read(path: str) -> Config:
    """Raises ConfigError."""
    try:
        document = json.loads(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(f"runtime config {path}: {error}") from error
    return parse(document, f"runtime config {path}")


def parse(document: Any, where: str = "runtime config") -> Config:
    """Raises ConfigError for a field that is missing, unknown or of the wrong form."""
    if not isinstance(document, dict):
        raise ConfigError(f"{where}: must be a JSON object")
    known = {f.name: f for f in fields(Config)}
    unknown = sorted(document.keys() - known.keys())
    if unknown:
        raise ConfigError(f"{where}: unknown field {', '.join(unknown)}; known are {', '.join(known)}")
    values: dict[str, Any] = {}
    for name in ("socket", "state_dir", "run_dir", "image_store", "forkserver_socket"):
        value = document.get(name)
        if not isinstance(value, str) or not value.startswith("/"):
            raise ConfigError(f"{where}: {name} must be an absolute path, not {value!r}")
        values[name] = Path(value)
    for name in ("parent_store", "cgroup_parent", "streaming_address", "network", "log_level"):
        if name in document:
            if not isinstance(document[name], str):
                raise ConfigError(f"{where}: {name} must be text, not {document[name]!r}")
            values[name] = document[name]
    parent = values.get("parent_store", "")
    if parent and not parent.startswith(("/", "port:")):
        raise ConfigError(f"{where}: parent_store must be an absolute path or port:NAME, not {parent!r}")
    if document.get("network", "none") not in ("builtin", "none"):
        raise ConfigError(f"{where}: network must be 'builtin' or 'none', not {document['network']!r}")
    if not isinstance(document.get("pod_network", {}), dict):
        raise ConfigError(f"{where}: pod_network must be an object")
    values["pod_network"] = document.get("pod_network", {})
    registries = document.get("insecure_registries", [])
    if not isinstance(registries, list) or not all(isinstance(host, str) for host in registries):
        raise ConfigError(f"{where}: insecure_registries must be a list of hosts")
    values["insecure_registries"] = tuple(registries)
    return Config(**values)
