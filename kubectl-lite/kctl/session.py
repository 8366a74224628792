"""A user's session with one API server: requests as JSON values, errors as kubectl words them."""

from __future__ import annotations

import json
import sys

from kctl import servers
from kctl.discovery import ApiResource, Discovery
from kctl.http import Connection, ConnectionFailed, Response
from kctl.urls import quote, with_query
from sampan.api_error import ApiError
from sampan.target import Target
from sampan.version import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any, NoReturn

JSON = "application/json"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


class Session:
    """Requests to one server as one user. Raises ApiError and ConnectionFailed."""

    def __init__(self, target: Target, timeout: float | None = None) -> None:
        self.target = target
        self._context = target.ssl_context()
        self._timeout = timeout
        self._servers = servers.in_order(target)
        self._connection = self.connect()
        self._warned: set[str] = set()
        self._discovery: Discovery | None = None

    @property
    def namespace(self) -> str:
        """The namespace of this call."""
        return self.target.namespace

    @property
    def discovery(self) -> Discovery:
        """The server's kinds."""
        if self._discovery is None:
            self._discovery = Discovery(self.target.server, lambda path, accept: self.get(path, accept=accept))
        return self._discovery

    def connect(self) -> Connection:
        """A connection of its own, for a stream that lasts."""
        return Connection(self._servers, self._context, self.target.tls_server_name, self._timeout)

    def get(self, path: str, query: Mapping[str, str] | None = None, *, accept: str = JSON) -> Any:
        """GET a JSON value."""
        return self.call("GET", path, query, accept=accept)

    def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        *,
        content_type: str = JSON,
        accept: str = JSON,
    ) -> Any:
        """Send a JSON value, return the one that comes back."""
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        headers = self.headers(accept)
        if data is not None:
            headers.append(("Content-Type", content_type))
        response = self._connection.request(method, with_query(path, query), headers, data)
        servers.answered(self.target, self._connection.server)
        text = response.read()
        self._warn(response)
        if response.status >= 300:
            fail(response.status, text)
        return decoded(text) if text else {}

    def text(self, path: str, query: Mapping[str, str] | None = None) -> str:
        """GET a text."""
        response = self._connection.request("GET", with_query(path, query), self.headers("*/*"))
        text = response.read()
        if response.status >= 300:
            fail(response.status, text)
        return text.decode(errors="replace")

    def stream(self, path: str, query: Mapping[str, str] | None = None, *, accept: str = JSON) -> Response:
        """GET something that keeps coming, on a connection of its own."""
        response = self.connect().request("GET", with_query(path, query), self.headers(accept))
        if response.status >= 300:
            fail(response.status, response.read())
        self._warn(response)
        return response

    def watch(
        self, path: str, query: Mapping[str, str] | None = None, *, accept: str = JSON
    ) -> Iterator[tuple[str, Any]]:
        """The events of a watch as (type, object), until the server ends it. An ERROR event raises ApiError.

        When the server goes away and others are known, the watch goes on at the next one, where it was.
        """
        asked = {**(query or {}), "watch": "true"}
        while True:
            stream = self.stream(path, asked, accept=accept)
            try:
                for line in stream.lines():
                    event = decoded(line)
                    if event["type"] == "ERROR":
                        raise ApiError.from_status(event["object"])
                    if version := _version(event["object"]):
                        asked["resourceVersion"] = version
                    yield event["type"], event["object"]
                return
            except (ConnectionFailed, OSError):
                if len(self._servers) < 2 or "resourceVersion" not in asked:
                    raise

    def read(self, resource: ApiResource, name: str, namespace: str) -> Any:
        """One object."""
        return self.get(resource.path(quote(namespace), quote(name)))

    def headers(self, accept: str) -> list[tuple[str, str]]:
        """The headers that every request carries."""
        groups = [("Impersonate-Group", group) for group in self.target.impersonate_groups]
        return [("Accept", accept), ("User-Agent", f"kctl/{VERSION}"), *self.target.headers().items(), *groups]

    def _warn(self, response: Response) -> None:
        for name, value in response.headers:
            if name == "warning" and value not in self._warned:
                self._warned.add(value)
                print(f"Warning: {_unquoted(value)}", file=sys.stderr)


def _version(value: Any) -> str:
    """The resourceVersion of a watch event's object, or of the row of a table."""
    rows = value.get("rows") or ()
    version = (value.get("metadata") or {}).get("resourceVersion")
    if not version and rows:
        version = ((rows[-1].get("object") or {}).get("metadata") or {}).get("resourceVersion")
    return version or ""


def _unquoted(warning: str) -> str:
    """The text of a Warning header: `299 - "text"` with \\" for a quote in it (RFC 9111)."""
    begin, end = warning.find('"'), warning.rfind('"')
    if begin < 0 or end <= begin:
        return warning
    return warning[begin + 1 : end].replace('\\"', '"').replace("\\\\", "\\")


def decoded(text: bytes) -> Any:
    """JSON that the server sent. Raises ConnectionFailed if it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConnectionFailed(f"the server answered what is no JSON: {text[:60]!r}") from error


def fail(status: int, text: bytes) -> NoReturn:
    """Raise what the server says."""
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if isinstance(value, dict) and value.get("kind") == "Status":
        raise ApiError.from_status(value, status)
    raise ApiError(status, "", text.decode(errors="replace").strip()[:500] or f"the server answered {status}")
