"""One API server and who calls it: what a kubeconfig's context, or a pod's service account, comes to.

Importing this costs next to nothing (no typing, dataclasses, pathlib, base64): kctl does it on every call.
"""

from __future__ import annotations

import os

from sampan.api_error import SampanError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from typing import Any


class KubeconfigError(SampanError):
    """A kubeconfig is missing or says something that can't be used. The text names the file and the remedy."""


class Target:
    """Everything needed to call one API server.

    `servers` are all API servers of the cluster that are known, `server` among them. PEM data is inline. Where it
    came from a file, that is named too: like `token_file`, it may change meanwhile.
    """

    __slots__ = (
        "ca",
        "ca_file",
        "client_certificate",
        "client_certificate_file",
        "client_key",
        "client_key_file",
        "cluster",
        "context",
        "impersonate",
        "impersonate_groups",
        "insecure_skip_tls_verify",
        "namespace",
        "server",
        "servers",
        "tls_server_name",
        "token",
        "token_file",
        "user",
    )

    def __init__(
        self,
        server: str,
        context: str = "",
        cluster: str = "",
        user: str = "",
        namespace: str = "default",
        ca: bytes | None = None,
        client_certificate: bytes | None = None,
        client_key: bytes | None = None,
        token: str = "",
        token_file: str = "",
        tls_server_name: str = "",
        insecure_skip_tls_verify: bool = False,
        impersonate: str = "",
        impersonate_groups: tuple[str, ...] = (),
        ca_file: str = "",
        client_certificate_file: str = "",
        client_key_file: str = "",
        servers: tuple[str, ...] = (),
    ) -> None:
        self.server = server
        self.servers = servers or (server,)
        self.context = context
        self.cluster = cluster
        self.user = user
        self.namespace = namespace
        self.ca = ca
        self.ca_file = ca_file
        self.client_certificate = client_certificate
        self.client_certificate_file = client_certificate_file
        self.client_key = client_key
        self.client_key_file = client_key_file
        self.token = token
        self.token_file = token_file
        self.tls_server_name = tls_server_name
        self.insecure_skip_tls_verify = insecure_skip_tls_verify
        self.impersonate = impersonate
        self.impersonate_groups = impersonate_groups

    def values(self) -> dict[str, Any]:
        """All of it by name."""
        return {name: getattr(self, name) for name in self.__slots__}

    def replaced(self, **changes: Any) -> Target:
        """A copy with changes. Another `server` is another cluster's until `servers` says otherwise."""
        if "server" in changes:
            changes.setdefault("servers", ())
        return Target(**{**self.values(), **changes})

    def files(self) -> list[str]:
        """The files that TLS settings came from."""
        return [path for path in (self.ca_file, self.client_certificate_file, self.client_key_file) if path]

    def reread(self) -> Target:
        """With what the files say now. Raises KubeconfigError."""
        changes = {}
        for name in ("ca", "client_certificate", "client_key"):
            path = getattr(self, f"{name}_file")
            if path:
                try:
                    with open(path, "rb") as stream:
                        changes[name] = stream.read()
                except OSError as error:
                    raise KubeconfigError(f"{path}: {error.strerror}; check its owner and mode") from error
        return self.replaced(**changes)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Target) and self.values() == other.values()

    def __hash__(self) -> int:
        return hash(tuple(self.values().values()))

    def __repr__(self) -> str:
        return f"Target({self.server!r}, context={self.context!r}, user={self.user!r})"  # never a key or a token

    def headers(self) -> dict[str, str]:
        """The headers that say who calls, `Impersonate-Group` excepted because it may repeat."""
        token = self.token
        if not token and self.token_file:
            try:
                with open(self.token_file) as stream:
                    token = stream.read().strip()
            except OSError as error:
                raise KubeconfigError(f"token file {self.token_file}: {error.strerror}; check tokenFile") from error
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if self.impersonate:
            headers["Impersonate-User"] = self.impersonate
        return headers

    def ssl_context(self) -> ssl.SSLContext | None:
        """The TLS settings, or None for a plain `http://` server. Raises KubeconfigError for unusable PEM data."""
        if not self.server.startswith("https://"):
            return None
        import ssl

        try:
            context = ssl.create_default_context(cadata=self.ca.decode("ascii") if self.ca else None)
        except (ValueError, ssl.SSLError) as error:
            raise KubeconfigError(
                f"cluster {self.cluster!r}: the certificate authority is no PEM certificate ({error});"
                " check certificate-authority"
            ) from error
        if self.insecure_skip_tls_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.client_certificate and self.client_key:
            with _file_of(self.client_certificate + b"\n" + self.client_key) as path:
                try:
                    context.load_cert_chain(path)
                except ssl.SSLError as error:
                    raise KubeconfigError(
                        f"user {self.user!r}: the client certificate and key are not a usable pair ({error}); "
                        "check client-certificate and client-key"
                    ) from error
        return context


class _file_of:  # noqa: N801 - reads as a function
    """Bytes as a path, for an API that only reads files. They never touch a disk."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __enter__(self) -> str:
        self._fd = os.memfd_create("pem", os.MFD_CLOEXEC)
        with os.fdopen(os.dup(self._fd), "wb") as stream:
            stream.write(self._data)
        return f"/proc/self/fd/{self._fd}"

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
