"""Volumes in descriptions: each kind is a row of the table, so that a kind is added by a row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from kctl.describe.text import NONE, UNSET, boolean

Volume = dict[str, Any]


def volume_lines(volumes: Sequence[Volume], level: int, space: str = "") -> Iterable[str]:
    """All volumes. A template's names stand one blank in, a pod's two."""
    indent = "  " * level
    if not volumes:
        yield f"{indent}Volumes:\t{NONE}"
        return
    yield f"{indent}Volumes:"
    for one in volumes:
        yield f"{indent}{space or ' '}{one['name']}:"
        yield from (f"    {name}:\t{value}" for name, value in _source(one))


def _source(one: Volume) -> Iterable[tuple[str, Any]]:
    for key, describe in SOURCES.items():
        if key in one:
            return describe(one[key] or {})
    return [("<unknown>", "")]


def _empty_dir(source: Volume) -> list[tuple[str, Any]]:
    limit = source.get("sizeLimit")
    return [
        ("Type", "EmptyDir (a temporary directory that shares a pod's lifetime)"),
        ("Medium", source.get("medium", "")),
        ("SizeLimit", UNSET if limit is None or limit == "0" else limit),
    ]


def _host_path(source: Volume) -> list[tuple[str, Any]]:
    return [
        ("Type", "HostPath (bare host directory volume)"),
        ("Path", source.get("path", "")),
        ("HostPathType", source.get("type", "")),
    ]


def _config_map(source: Volume) -> list[tuple[str, Any]]:
    return [
        ("Type", "ConfigMap (a volume populated by a ConfigMap)"),
        ("Name", source.get("name", "")),
        ("Optional", boolean(source.get("optional"))),
    ]


def _secret(source: Volume) -> list[tuple[str, Any]]:
    return [
        ("Type", "Secret (a volume populated by a Secret)"),
        ("SecretName", source.get("secretName", "")),
        ("Optional", boolean(source.get("optional"))),
    ]


def _claim(source: Volume) -> list[tuple[str, Any]]:
    return [
        ("Type", "PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)"),
        ("ClaimName", source.get("claimName", "")),
        ("ReadOnly", boolean(source.get("readOnly"))),
    ]


def _downward(source: Volume) -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = [("Type", "DownwardAPI (a volume populated by information about the pod)")]
    rows.append(("Items", ""))
    for item in source.get("items") or ():
        field = (item.get("fieldRef") or {}).get("fieldPath") or (item.get("resourceFieldRef") or {}).get("resource")
        rows.append((f"  {field} -> {item.get('path', '')}", ""))
    return rows


def _projected(source: Volume) -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = [
        ("Type", "Projected (a volume that contains injected data from multiple sources)"),
    ]
    for one in source.get("sources") or ():
        if "secret" in one:
            rows += [
                ("SecretName", one["secret"].get("name", "")),
                ("Optional", boolean(one["secret"].get("optional"))),
            ]
        elif "downwardAPI" in one:
            rows.append(("DownwardAPI", "true"))
        elif "configMap" in one:
            found = one["configMap"]
            rows += [("ConfigMapName", found.get("name", "")), ("Optional", boolean(found.get("optional")))]
        elif "serviceAccountToken" in one:
            rows.append(("TokenExpirationSeconds", one["serviceAccountToken"].get("expirationSeconds", 3600)))
    return rows


SOURCES = {
    "emptyDir": _empty_dir,
    "hostPath": _host_path,
    "configMap": _config_map,
    "secret": _secret,
    "persistentVolumeClaim": _claim,
    "downwardAPI": _downward,
    "projected": _projected,
}
