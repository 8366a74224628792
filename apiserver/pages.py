"""The paths that are no resource: health, version, metrics, discovery, and what others add (OpenAPI).

Health endpoints, /version and nothing else answer anybody.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import orjson
from aiohttp import web

from apiserver import metrics
from apiserver.core import Core
from apiserver.discovery import Discovery
from apiserver.http.request import Asked
from apiserver.http.response import respond
from apiserver.kind import User
from apiserver.negotiate import JSON, YAML, encode, negotiate
from apiserver.statuses import no_such_path, not_allowed
from sampan.errors import ApiError
from sampan.version import GIT_VERSION

VERSION = {
    "major": "1",
    "minor": "37",
    "gitVersion": GIT_VERSION,
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z",
    "goVersion": "none (Python)",
    "compiler": "cpython",
    "platform": "linux/amd64",
}
HEALTH = ("/healthz", "/livez", "/readyz")
Page = Callable[[web.BaseRequest, Asked, User | None], Awaitable[web.StreamResponse]]
Check = Callable[[], Awaitable[str]]


class SitePages:
    """Pages by path, and by the beginning of a path."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.discovery = Discovery(
            core.registry, lambda: f"{core.config.advertise_address}:{core.config.advertise_port}"
        )
        self._exact: dict[str, Page] = {"/version": self._version, "/metrics": self._metrics}
        self._below: dict[str, Page] = dict.fromkeys(HEALTH, self._health)
        self.ready: dict[str, Check] = {"ping": self._fine, "etcd": self._etcd, "watch-cache": self._cache}
        """Name -> a check that returns what is wrong, or nothing."""
        self.live: dict[str, Check] = {"ping": self._fine}

    def add(self, path: str, page: Page, *, below: bool = False) -> None:
        """Serve a page at a path, or at everything below it too."""
        (self._below if below else self._exact)[path] = page

    def is_public(self, path: str) -> bool:
        """Whether anybody may ask it."""
        return path.rstrip("/") == "/version" or any(path == one or path.startswith(one + "/") for one in HEALTH)

    async def __call__(self, request: web.BaseRequest, asked: Asked, user: User | None) -> web.StreamResponse:
        """Answer. Raises ApiError 404."""
        path = asked.path.rstrip("/") or "/"
        found = self._exact.get(path)
        if found is None:
            found = next((page for one, page in self._below.items() if path == one or path.startswith(one + "/")), None)
        if found is not None:
            return await found(request, asked, user)
        if request.method != "GET":
            raise not_allowed(request.method) if self.discovery.get(path) else no_such_path()
        if path in ("/", ""):
            return self._index()
        form = negotiate(request.headers.get("Accept", ""))
        aggregated = form.form == "APIGroupDiscoveryList" and path.rstrip("/") in ("/api", "/apis")
        data = self.discovery.get(path, aggregated=aggregated)
        if data is None:
            raise no_such_path()
        media = f"{JSON};g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList" if aggregated else form.media
        return respond(encode(orjson.loads(data), YAML) if form.media == YAML else data, media=media)

    def _index(self) -> web.StreamResponse:
        paths = ["/api", "/api/v1", "/apis", *HEALTH, "/metrics", "/version", *self._exact, *self._below]
        for group, versions in self._core.registry.groups().items():
            if group:
                paths += [f"/apis/{group}", *(f"/apis/{group}/{version}" for version in versions)]
        return respond(orjson.dumps({"paths": sorted(set(paths))}))

    async def _version(self, request: web.BaseRequest, asked: Asked, user: User | None) -> web.StreamResponse:
        return respond(orjson.dumps(VERSION))

    async def _metrics(self, request: web.BaseRequest, asked: Asked, user: User | None) -> web.Response:
        return web.Response(body=metrics.text(), content_type="text/plain", charset="utf-8")

    async def _health(self, request: web.BaseRequest, asked: Asked, user: User | None) -> web.Response:
        root, _, rest = asked.path[1:].partition("/")
        checks = self.live if root == "livez" else self.ready
        excluded = asked.query.get("exclude", "")
        chosen = {name: check for name, check in checks.items() if name != excluded}
        if rest:
            if rest not in chosen:
                raise no_such_path()
            chosen = {rest: chosen[rest]}
        lines, failed = [], False
        for name, check in chosen.items():
            wrong = await check()
            failed = failed or bool(wrong)
            lines.append(f"[-]{name} failed: {wrong}" if wrong else f"[+]{name} ok")
        if failed:
            text = "\n".join([*lines, f"{root} check failed", ""])
        elif "verbose" in asked.query:
            text = "\n".join([*lines, f"{root} check passed", ""])
        else:
            text = "ok"
        return web.Response(text=text, status=500 if failed else 200)

    async def _fine(self) -> str:
        return ""

    async def _cache(self) -> str:
        return "" if self._core.cache.ready.is_set() else "not filled yet"

    async def _etcd(self) -> str:
        if self._core.stopping:
            return "the server is shutting down"
        try:
            await self._core.storage.revision()
        except ApiError as error:
            return error.message
        return ""
