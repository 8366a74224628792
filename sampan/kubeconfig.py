"""Which API server to talk to, and as whom: one context of a kubeconfig, or a pod's service account.

What it comes to is a Target (sampan.target); yaml is loaded only when it is needed.
Source: client-go's documented rules ("Organizing Cluster Access Using kubeconfig Files"): $KUBECONFIG is a list of
files whose first mention of a name wins, else ~/.kube/config; relative paths are relative to the file that has them.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sampan.target import KubeconfigError as KubeconfigError
from sampan.target import Target as Target

SERVERS_EXTENSION = "sampan.dev/servers"
"""The extension of a kubeconfig's cluster that names all its API servers; other clients do not look at it."""
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
UNSUPPORTED_USER_FIELDS = ("exec", "auth-provider", "username", "password")


def files(path: str | os.PathLike[str] | None = None, environ: Mapping[str, str] | None = None) -> list[Path]:
    """The kubeconfig files to merge, in order: `path`, or $KUBECONFIG's list, or ~/.kube/config."""
    if path is not None and str(path):
        return [Path(path)]
    environ = os.environ if environ is None else environ
    listed = [Path(one) for one in environ.get("KUBECONFIG", "").split(os.pathsep) if one]
    return listed or [Path(environ.get("HOME") or "~").expanduser() / ".kube" / "config"]


def load(
    path: str | os.PathLike[str] | None = None,
    *,
    context: str = "",
    cluster: str = "",
    user: str = "",
    environ: Mapping[str, str] | None = None,
) -> Target:
    """Read the kubeconfig and resolve one context (by default the current one).

    Raises KubeconfigError when there is none, when a name it refers to is not there, or when a file can't be read.
    """
    sources = files(path, environ)
    documents = list(read_all(sources, strict=path is not None and bool(str(path))))
    if not documents:
        looked = ", ".join(str(one) for one in sources)
        raise KubeconfigError(f"no kubeconfig found at {looked}; give one with --kubeconfig or KUBECONFIG")
    context = context or next((str(d["current-context"]) for _, d in documents if d.get("current-context")), "")
    where = ", ".join(str(one) for one, _ in documents)
    if not context and not cluster:
        raise KubeconfigError(f"{where}: no current-context; choose one with --context or kubectl config use-context")
    entry: Mapping[str, Any] = {}
    if context:
        entry, _ = _named(documents, "contexts", "context", context, where)
    cluster = cluster or str(entry.get("cluster") or "")
    user = user or str(entry.get("user") or "")
    server, server_dir = _named(documents, "clusters", "cluster", cluster, where)
    login, login_dir = _named(documents, "users", "user", user, where) if user else ({}, Path())
    for field in UNSUPPORTED_USER_FIELDS:
        if login.get(field):
            raise KubeconfigError(
                f"{where}: user {user!r} logs in by {field!r}, which is not supported; "
                "use a client certificate, a token or a tokenFile"
            )
    address = str(server.get("server") or "")
    if not address.startswith(("https://", "http://")):
        raise KubeconfigError(f"{where}: cluster {cluster!r} has server {address!r}, which is no http(s) URL")
    token_file = str(login.get("tokenFile") or "")
    address = address.rstrip("/")
    return Target(
        server=address,
        servers=_servers(server, address, f"{where}: cluster {cluster!r}"),
        context=context,
        cluster=cluster,
        user=user,
        namespace=str(entry.get("namespace") or "default"),
        ca=_pem(server, "certificate-authority", server_dir, where),
        ca_file=_file(server, "certificate-authority", server_dir),
        client_certificate=_pem(login, "client-certificate", login_dir, where),
        client_certificate_file=_file(login, "client-certificate", login_dir),
        client_key=_pem(login, "client-key", login_dir, where),
        client_key_file=_file(login, "client-key", login_dir),
        token=str(login.get("token") or ""),
        token_file=str(login_dir / token_file) if token_file else "",
        tls_server_name=str(server.get("tls-server-name") or ""),
        insecure_skip_tls_verify=bool(server.get("insecure-skip-tls-verify")),
        impersonate=str(login.get("as") or ""),
        impersonate_groups=tuple(str(one) for one in login.get("as-groups") or ()),
    )


def _servers(cluster: Mapping[str, Any], address: str, where: str) -> tuple[str, ...]:
    """All servers of a cluster's entry, `server` first. Raises KubeconfigError."""
    entries = cluster.get("extensions") or ()
    named = [one for one in entries if isinstance(one, dict) and one.get("name") == SERVERS_EXTENSION]
    extension = named[0].get("extension") if named else {}
    urls = extension.get("servers") or () if isinstance(extension, dict) else None
    if not isinstance(urls, list | tuple):
        raise KubeconfigError(f"{where}: extension {SERVERS_EXTENSION} has no list of servers")
    for url in urls:
        if not isinstance(url, str) or url.split("://")[0] != address.split("://")[0]:
            raise KubeconfigError(f"{where}: extension {SERVERS_EXTENSION} has {url!r}, which is no URL like {address}")
    return tuple(dict.fromkeys((address, *(url.rstrip("/") for url in urls))))


def in_cluster(environ: Mapping[str, str] | None = None, directory: Path = SERVICE_ACCOUNT) -> Target:
    """The API server as a pod sees it. Raises KubeconfigError outside a pod."""
    environ = os.environ if environ is None else environ
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT")
    if not host or not port or not (directory / "token").exists():
        raise KubeconfigError(f"not inside a pod: no KUBERNETES_SERVICE_HOST or no {directory / 'token'}")
    return Target(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        context="in-cluster",
        namespace=(directory / "namespace").read_text().strip() if (directory / "namespace").exists() else "default",
        ca=(directory / "ca.crt").read_bytes() if (directory / "ca.crt").exists() else None,
        token_file=str(directory / "token"),
    )


def read_all(paths: list[Path], *, strict: bool) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The files that are there, as they are. Raises KubeconfigError; with `strict` for a missing one too."""
    for path in paths:
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            if strict:
                raise KubeconfigError(f"{path}: no such kubeconfig; check --kubeconfig") from None
            continue
        except OSError as error:
            raise KubeconfigError(f"{path}: can't be read: {error.strerror}; check its owner and mode") from error
        value = _parsed(text, path)
        if value is None:
            continue
        if not isinstance(value, dict):
            raise KubeconfigError(f"{path}: is no kubeconfig: a mapping is wanted, not a {type(value).__name__}")
        yield path, value


def _parsed(text: bytes, path: Path) -> Any:
    if text.lstrip()[:1] == b"{":
        import json

        try:
            return json.loads(text)
        except ValueError:
            pass  # YAML's flow style starts with a brace as well
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return yaml.load(text, Loader=loader)
    except yaml.YAMLError as error:
        raise KubeconfigError(f"{path}: is no YAML: {error}") from error


def _named(
    documents: list[tuple[Path, dict[str, Any]]], plural: str, singular: str, name: str, where: str
) -> tuple[Mapping[str, Any], Path]:
    for path, document in documents:
        for entry in document.get(plural) or ():
            if isinstance(entry, dict) and entry.get("name") == name:
                value = entry.get(singular) or {}
                if not isinstance(value, dict):
                    raise KubeconfigError(f"{path}: {plural}[{name}].{singular} is no mapping")
                return value, path.parent
    raise KubeconfigError(f"{where}: there is no {singular} named {name!r}; see: kubectl config get-{plural}")


def _file(entry: Mapping[str, Any], field: str, directory: Path) -> str:
    """The file that `_pem` reads, "" when the data is inline."""
    return str(directory / str(entry[field])) if entry.get(field) and not entry.get(f"{field}-data") else ""


def _pem(entry: Mapping[str, Any], field: str, directory: Path, where: str) -> bytes | None:
    data = entry.get(f"{field}-data")
    if data:
        try:
            return base64.b64decode(str(data), validate=True)
        except binascii.Error as error:
            raise KubeconfigError(f"{where}: {field}-data is no base64: {error}") from error
    name = entry.get(field)
    if not name:
        return None
    path = directory / str(name)
    try:
        return path.read_bytes()
    except OSError as error:
        raise KubeconfigError(f"{where}: {field} {path}: {error.strerror}") from error
