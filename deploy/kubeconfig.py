"""A cluster's context in the user's kubeconfig: put in by start, taken out by delete, all else untouched."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from sampan.errors import ClusterError

LISTS = ("clusters", "users", "contexts")


def target() -> Path:
    """The file that kubectl would write: the first of $KUBECONFIG, or ~/.kube/config."""
    listed = [part for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    return Path(listed[0]) if listed else Path.home() / ".kube" / "config"


def context_name(cluster: str) -> str:
    """The context of a cluster."""
    return f"sampan-{cluster}"


def merge(entry: dict[str, Any], path: Path | None = None) -> Path:
    """Add or replace the entries of one cluster's kubeconfig, and make its context current. Returns the file."""

    def change(config: dict[str, Any]) -> dict[str, Any]:
        name = entry["current-context"]
        for key in LISTS:
            others = [one for one in config.get(key) or [] if one.get("name") != name]
            config[key] = [*others, *entry[key]]
        return config | {"current-context": name}

    return _rewrite(path or target(), change)


def has(cluster: str) -> bool:
    """Whether the user's kubeconfig has the cluster's context. Raises ClusterError for a file that is none."""
    contexts = _read(target()).get("contexts") or []
    return any(one.get("name") == context_name(cluster) for one in contexts)


def renew(entry: dict[str, Any], path: Path) -> None:
    """Give a cluster's user its new certificate. Nothing else changes; one that is not there any more stays away."""
    if not path.exists():
        return
    name = entry["current-context"]

    def change(config: dict[str, Any]) -> dict[str, Any]:
        fresh = {one["name"]: one for one in entry["users"]}
        users = [fresh.get(str(one.get("name")), one) for one in config.get("users") or []]
        return config | ({"users": users} if any(one.get("name") == name for one in users) else {})

    _rewrite(path, change)


def remove(cluster: str, path: Path | None = None) -> None:
    """Take a cluster's entries out again."""
    file = path or target()
    if not file.exists():
        return
    name = context_name(cluster)

    def change(config: dict[str, Any]) -> dict[str, Any]:
        for key in LISTS:
            config[key] = [one for one in config.get(key) or [] if one.get("name") != name]
        if config.get("current-context") == name:
            config["current-context"] = ""
        return config

    _rewrite(file, change)


def _rewrite(path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Path:
    """Replace the file in one rename, following a symbolic link as kubectl does."""
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    after = change({"apiVersion": "v1", "kind": "Config"} | _read(path))
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.touch(0o600)
    fresh.write_text(yaml.safe_dump(after, sort_keys=False))
    if path.exists():
        fresh.chmod(path.stat().st_mode & 0o777)
    fresh.replace(path)
    return path


def _read(path: Path) -> dict[str, Any]:
    """The file's content; empty when it is not there."""
    if not path.exists():
        return {}
    try:
        value: Any = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ClusterError(
            where=str(path), what=f"not a kubeconfig: {error}", remedy="mend it or set KUBECONFIG"
        ) from error
    if not isinstance(value, dict):
        raise ClusterError(where=str(path), what="not a kubeconfig", remedy="mend it or set KUBECONFIG")
    return value
