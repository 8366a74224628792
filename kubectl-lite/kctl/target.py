"""Which server, and as whom: the kubeconfig's answer, remembered, because parsing YAML takes longer than asking."""

from __future__ import annotations

import dataclasses
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kctl import cache
from sampan import kubeconfig
from sampan.kubeconfig import Target

BYTES = ("ca", "client_certificate", "client_key")


def resolve(overrides: Mapping[str, str | None]) -> Target:
    """The target of this call. `overrides` are the global flags by name. Raises KubeconfigError."""
    path = overrides.get("kubeconfig") or None
    choice = {key: overrides.get(key) or "" for key in ("context", "cluster", "user")}
    stamp = [_stamp(one) for one in kubeconfig.files(path)]
    key = f"target-{zlib.crc32(repr((stamp, sorted(choice.items()))).encode()):08x}"
    known = cache.read(key)
    if isinstance(known, dict) and known.get("stamp") == [stamp, choice]:
        target = _thaw(known["target"])
    elif not any(choice.values()) and path is None and not any(stamp) and "KUBERNETES_SERVICE_HOST" in os.environ:
        target = kubeconfig.in_cluster()
    elif overrides.get("server") and not any(stamp):
        target = Target(server="")
    else:
        target = kubeconfig.load(path, context=choice["context"], cluster=choice["cluster"], user=choice["user"])
        if not target.token_file and not _refers_to_files(target, stamp):
            cache.write(key, {"stamp": [stamp, choice], "target": _freeze(target)})
    return _overridden(target, overrides)


def _refers_to_files(target: Target, stamp: list[Any]) -> bool:
    """Whether the kubeconfig names certificate files, which may change while it does not."""
    texts = [Path(one[0]).read_bytes() for one in stamp if one]
    return any(
        word in text for text in texts for word in (b"certificate-authority:", b"client-certificate:", b"client-key:")
    )


def _stamp(path: Path) -> list[Any]:
    try:
        status = path.stat()
    except OSError:
        return []
    return [str(path.absolute()), status.st_mtime_ns, status.st_size, status.st_ino]


def _freeze(target: Target) -> dict[str, Any]:
    value = dataclasses.asdict(target)
    return value | {key: value[key].decode("latin-1") for key in BYTES if value[key] is not None}


def _thaw(value: dict[str, Any]) -> Target:
    value |= {key: value[key].encode("latin-1") for key in BYTES if value[key] is not None}
    value["impersonate_groups"] = tuple(value["impersonate_groups"])
    return Target(**value)


def _overridden(target: Target, overrides: Mapping[str, str | None]) -> Target:
    changes: dict[str, Any] = {}
    if server := overrides.get("server"):
        if not server.startswith(("https://", "http://")):
            server = f"https://{server}"
        changes["server"] = server.rstrip("/")
    if token := overrides.get("token"):
        changes |= {"token": token, "token_file": "", "client_certificate": None, "client_key": None}
    if authority := overrides.get("certificate_authority"):
        try:
            changes["ca"] = Path(authority).read_bytes()
        except OSError as error:
            raise kubeconfig.KubeconfigError(f"--certificate-authority {authority}: {error.strerror}") from error
    if overrides.get("insecure_skip_tls_verify"):
        changes |= {"insecure_skip_tls_verify": True, "ca": None}
    if namespace := overrides.get("namespace"):
        changes["namespace"] = namespace
    return dataclasses.replace(target, **changes) if changes else target
