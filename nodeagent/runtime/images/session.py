"""HTTP with one registry: where it is, who we are to it, redirects, and which failures are worth another attempt.

Sources: OCI distribution-spec v1.1; the token and OAuth2 specifications of the distribution project; RFC 7235.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, BinaryIO, Self
from urllib.parse import urljoin, urlsplit

import aiohttp

from nodeagent.runtime.images.auth import Credentials
from nodeagent.runtime.images.errors import NotFound, RegistryError
from nodeagent.runtime.images.reference import DEFAULT_REGISTRY, Reference

MOST_REDIRECTS = 5
ANSWER_BYTES = 1 << 20
_PARAMETER = re.compile(r'([a-zA-Z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


class Interrupted(Exception):
    """A failure that another attempt may mend."""

    def __init__(self, what: str, retry_after: float = 0.0) -> None:
        super().__init__(what)
        self.retry_after = retry_after


def is_loopback(host: str) -> bool:
    name = urlsplit(f"//{host}").hostname or ""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def challenge(header: str) -> tuple[str, dict[str, str]]:
    """The scheme (lower case) and parameters of a WWW-Authenticate header."""
    scheme, _, rest = header.strip().partition(" ")
    return scheme.lower(), {
        key.lower(): re.sub(r"\\(.)", r"\1", quoted) or plain for key, quoted, plain in _PARAMETER.findall(rest)
    }


class Session:
    """An open connection pool to the registry of one repository. Use as an async context manager."""

    def __init__(
        self, repository: Reference, auth: Credentials | None, *, insecure: Collection[str] = (), actions: str
    ) -> None:
        host = "registry-1.docker.io" if repository.registry == DEFAULT_REGISTRY else repository.registry
        self._plain = host in insecure or is_loopback(host)
        self._origin = f"{'http' if self._plain else 'https'}://{host}"
        self._base = f"{self._origin}/v2/{repository.path}/"
        self._scope = f"repository:{repository.path}:{actions}"
        self._auth = auth or Credentials()
        self._authorization = f"Bearer {self._auth.registry_token}" if self._auth.registry_token else ""
        self.where = f"{repository.registry}/{repository.path}"
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=None, connect=15, sock_read=30),
            auto_decompress=False,
            headers={"User-Agent": "sampan"},
            # A registry's cookies are nobody's business.
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._http is not None:
            await self._http.close()

    @asynccontextmanager
    async def get(
        self, path: str, *, accept: str = "*/*", start: int = 0
    ) -> AsyncIterator[tuple[aiohttp.ClientResponse, int]]:
        """The answer to a GET, and the offset at which its body begins (0 if the registry ignores ranges).

        Raises NotFound, RegistryError for good, Interrupted for now.
        """
        headers = {"Accept": accept}
        if start:
            headers["Range"] = f"bytes={start}-"
        try:
            answer = await self._request("GET", path, headers)
            try:
                await self._check(answer, path, (200, 206))
                offset = 0
                if answer.status == 206:
                    begin = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
                    if begin is None or int(begin.group(1)) != start:
                        raise RegistryError(self.where, "answers a range request with another range")
                    offset = start
                yield answer, offset
            finally:
                answer.close()
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            raise self._interrupted(error) from None

    async def exists(self, path: str) -> bool:
        """Whether the registry has it. Raises RegistryError."""
        try:
            answer = await self._request("HEAD", path, {})
            answer.close()
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            raise RegistryError(self.where, str(self._interrupted(error))) from None
        return answer.status == 200

    async def send(
        self,
        method: str,
        path: str,
        body: bytes | BinaryIO,
        *,
        size: int | None = None,
        media_type: str = "application/octet-stream",
        expect: tuple[int, ...],
    ) -> str:
        """A request with a body; returns the address given as Location, if any. Raises RegistryError, NotFound."""
        headers = {"Content-Type": media_type}
        if size is not None:
            headers["Content-Length"] = str(size)
        try:
            answer = await self._request(method, path, headers, body)
            try:
                await self._check(answer, path, expect)
                location = answer.headers.get("Location", "")
                return self._redirected(str(answer.url), location) if location else ""
            finally:
                answer.close()
        except Interrupted as error:
            raise RegistryError(self.where, str(error)) from None
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            raise RegistryError(self.where, str(self._interrupted(error))) from None

    def _interrupted(self, error: BaseException) -> Interrupted:
        return Interrupted(f"{self._origin}: {error or type(error).__name__}")

    async def _request(
        self, method: str, path: str, headers: dict[str, str], body: bytes | BinaryIO | None = None
    ) -> aiohttp.ClientResponse:
        """One request, authenticated when asked to be, redirects followed without handing on what they must not see."""
        assert self._http is not None
        address = urljoin(self._base, path)
        for attempt in (1, 2):
            target = address
            for _ in range(MOST_REDIRECTS):
                send = dict(headers)
                if self._authorization and target.startswith(f"{self._origin}/"):
                    send["Authorization"] = self._authorization
                if body is not None and not isinstance(body, bytes):
                    body.seek(0)
                answer = await self._http.request(method, target, headers=send, data=body, allow_redirects=False)
                if answer.status not in (301, 302, 303, 307, 308):
                    break
                answer.close()
                target = self._redirected(target, answer.headers.get("Location", ""))
            else:
                raise RegistryError(self.where, f"redirects more than {MOST_REDIRECTS} times")
            if answer.status != 401 or attempt == 2 or not target.startswith(f"{self._origin}/"):
                return answer
            answer.close()
            self._authorization = await self._authorize(answer.headers.getall("WWW-Authenticate", []))
        raise AssertionError("unreachable")

    def _redirected(self, address: str, location: str) -> str:
        target = urljoin(address, location)
        scheme = urlsplit(target).scheme
        if not location or scheme not in ("http", "https"):
            raise RegistryError(self.where, f"redirects to {location!r}")
        if scheme == "http" and urlsplit(address).scheme == "https":
            raise RegistryError(self.where, f"redirects from HTTPS to plain HTTP ({urlsplit(target).netloc})")
        return target

    async def _authorize(self, headers: list[str]) -> str:
        """The Authorization header that a challenge asks for. Raises RegistryError."""
        known = dict(challenge(header) for header in headers)
        if "bearer" in known:
            return f"Bearer {await self._token(known['bearer'])}"
        if "basic" in known:
            if not self._auth.username:
                raise RegistryError(self.where, "asks for a user and password", "give credentials", status=401)
            return self._auth.basic()
        raise RegistryError(self.where, f"asks for unknown authentication {', '.join(known) or '(none)'}", status=401)

    async def _token(self, parameters: dict[str, str]) -> str:
        assert self._http is not None
        realm = parameters.get("realm", "")
        parts = urlsplit(realm)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise RegistryError(self.where, f"names {realm!r} as its token service")
        if parts.scheme == "http" and not self._plain:
            raise RegistryError(self.where, f"wants credentials over plain HTTP at {parts.netloc}")
        query = {"service": parameters.get("service", ""), "scope": self._scope}
        query = {key: value for key, value in query.items() if value}
        if self._auth.identity_token:
            form = {
                **query,
                "grant_type": "refresh_token",
                "client_id": "sampan",
                "refresh_token": self._auth.identity_token,
            }
            request = self._http.post(realm, data=form, allow_redirects=False)
        else:
            basic = {"Authorization": self._auth.basic()} if self._auth.username else {}
            request = self._http.get(realm, params=query, headers=basic, allow_redirects=False)
        async with request as answer:
            if answer.status != 200:
                raise RegistryError(
                    self.where,
                    f"its token service {parts.netloc} answers {answer.status} {answer.reason}",
                    "check the credentials" if answer.status in (401, 403) else "",
                    status=answer.status,
                )
            value = await self._json(answer)
        token = value.get("token") or value.get("access_token")
        if not isinstance(token, str) or not token or "\n" in token or "\r" in token:
            raise RegistryError(self.where, f"its token service {parts.netloc} sent no token")
        return token

    async def _json(self, answer: aiohttp.ClientResponse) -> dict[str, Any]:
        import json

        content = await _at_most(answer, ANSWER_BYTES)
        try:
            value = json.loads(content)
        except (ValueError, RecursionError):
            value = None
        return value if isinstance(value, dict) else {}

    async def _check(self, answer: aiohttp.ClientResponse, path: str, expect: tuple[int, ...]) -> None:
        status = answer.status
        if status in expect:
            return
        detail = await self._detail(answer)
        what = f"answers {status} {answer.reason or ''}".rstrip() + (f": {detail}" if detail else "")
        if status == 404:
            raise NotFound(self.where, f"has no {path.replace('/', ' ', 1)}", "check the name and tag")
        if status in (401, 403):
            remedy = "check the credentials" if self._auth.username else "give credentials, or check the name"
            raise RegistryError(self.where, what, remedy, status=status)
        if status == 429 or status >= 500:
            after = answer.headers.get("Retry-After", "")
            raise Interrupted(f"{self._origin} {what}", float(after) if after.isdigit() else 0.0)
        raise RegistryError(self.where, what, status=status)

    async def _detail(self, answer: aiohttp.ClientResponse) -> str:
        try:
            errors = (await self._json(answer)).get("errors")
        except (aiohttp.ClientError, TimeoutError):
            return ""
        if not isinstance(errors, list):
            return ""
        found = [f"{e.get('code', '')} {e.get('message', '')}".strip() for e in errors[:3] if isinstance(e, dict)]
        return "; ".join(found)[:300]


async def _at_most(answer: aiohttp.ClientResponse, most: int) -> bytes:
    content = bytearray()
    async for chunk in answer.content.iter_chunked(1 << 16):
        content += chunk
        if len(content) > most:
            return b""
    return bytes(content)
