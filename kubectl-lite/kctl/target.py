"""Which server, and as whom: the kubeconfig's answer, remembered, because parsing YAML takes longer than asking."""

from __future__ import annotations

import os
import zlib

from kctl import cache
from sampan.target import KubeconfigError, Target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

BYTES = ("ca", "client_certificate", "client_key")
FILE_WORDS = (b"certificate-authority:", b"client-certificate:", b"client-key:", b"tokenFile:")
FILE_WORDS_JSON = (b'"certificate-authority"', b'"client-certificate"', b'"client-key"', b'"tokenFile"')


def resolve(overrides: Mapping[str, str]) -> Target:
    """The target of this call. `overrides` are the global flags by name, empty if not given. Raises KubeconfigError."""
    path = overrides.get("kubeconfig") or ""
    choice = [overrides.get(key) or "" for key in ("context", "cluster", "user")]
    files = [path] if path else _files()
    stamps = [_stamp(one) for one in files]
    key = f"target-{zlib.crc32(repr((stamps, choice)).encode()):08x}"
    known = cache.read(key)
    if isinstance(known, dict) and known.get("stamp") == [stamps, choice]:
        target = _thaw(known["target"])
    elif not any(stamps) and not path and overrides.get("server"):
        target = Target(server="")
    else:
        target = _load(path, choice, found=any(stamps))
        if not _refers_to_files(files):
            cache.write(key, {"stamp": [stamps, choice], "target": _freeze(target)})
    return _overridden(target, overrides)


def _load(path: str, choice: list[str], *, found: bool) -> Target:
    from sampan import kubeconfig

    if not path and not found and not any(choice) and "KUBERNETES_SERVICE_HOST" in os.environ:
        return kubeconfig.in_cluster()
    return kubeconfig.load(path or None, context=choice[0], cluster=choice[1], user=choice[2])


def _files() -> list[str]:
    """The files that sampan.kubeconfig would read, without importing it."""
    listed = [one for one in os.environ.get("KUBECONFIG", "").split(os.pathsep) if one]
    return listed or [os.path.join(os.path.expanduser("~"), ".kube", "config")]


def _refers_to_files(files: list[str]) -> bool:
    """Whether a kubeconfig names other files, which may change while it does not."""
    for name in files:
        try:
            with open(name, "rb") as stream:
                text = stream.read()
        except OSError:
            continue
        if any(word in text for word in FILE_WORDS + FILE_WORDS_JSON):
            return True
    return not any(map(os.path.exists, files))


def _stamp(path: str) -> list[Any]:
    try:
        status = os.stat(path)
    except OSError:
        return []
    return [os.path.abspath(path), status.st_mtime_ns, status.st_size, status.st_ino]


def _freeze(target: Target) -> dict[str, Any]:
    value = target.values()
    return value | {key: value[key].decode("latin-1") for key in BYTES if value[key] is not None}


def _thaw(value: dict[str, Any]) -> Target:
    value |= {key: value[key].encode("latin-1") for key in BYTES if value[key] is not None}
    for name in ("impersonate_groups", "servers"):
        value[name] = tuple(value[name])
    return Target(**value)


def _overridden(target: Target, overrides: Mapping[str, str]) -> Target:
    changes: dict[str, Any] = {}
    if server := overrides.get("server"):
        if not server.startswith(("https://", "http://")):
            server = f"https://{server}"
        changes["server"] = server.rstrip("/")
    if token := overrides.get("token"):
        changes |= {"token": token, "token_file": "", "client_certificate": None, "client_key": None}
    if authority := overrides.get("certificate_authority"):
        try:
            with open(authority, "rb") as stream:
                changes["ca"] = stream.read()
        except OSError as error:
            raise KubeconfigError(f"--certificate-authority {authority}: {error.strerror}") from error
    if overrides.get("insecure_skip_tls_verify"):
        changes |= {"insecure_skip_tls_verify": True, "ca": None}
    if name := overrides.get("tls_server_name"):
        changes["tls_server_name"] = name
    if user := overrides.get("impersonate"):
        changes["impersonate"] = user
    if groups := overrides.get("impersonate_groups"):
        changes["impersonate_groups"] = tuple(groups)
    if namespace := overrides.get("namespace"):
        changes["namespace"] = namespace
    return target.replaced(**changes) if changes else target
