"""Everything put together: the core, the rooms in front of it, the sockets."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import orjson
from aiohttp import web

from apiserver import binds
from apiserver.admission.plugins import ALL as PLUGINS
from apiserver.app import App
from apiserver.authn import reviews as identity_reviews
from apiserver.authn.authenticate import Authenticate
from apiserver.authn.bootstrap import BootstrapTokens
from apiserver.authn.tokens import Tokens
from apiserver.authz import reviews as access_reviews
from apiserver.authz.authorize import Authorize
from apiserver.config import Config
from apiserver.core import Core
from apiserver.crds.serving import CustomKinds
from apiserver.endpoints import SHELF, Address, Presence, living
from apiserver.http.connection import Server
from apiserver.http.listen import listen, tls
from apiserver.http.request import Asked
from apiserver.http.response import respond
from apiserver.kind import User
from apiserver.kinds import ALL as KINDS
from apiserver.nodes.measure import Measures
from apiserver.nodes.proxy import NodeProxy, kubelet_tls
from apiserver.nodes.through import Through
from apiserver.openapi.documents import Documents
from apiserver.pages import SitePages
from apiserver.past import HISTORY_PATH, TRACE_PATH, history_page, trace_page
from apiserver.registry import Registry
from apiserver.startup import bootstrap
from sampan import kinds as known
from sampan.api.build import build
from sampan.clock import Clock
from sampan.errors import ApiError
from sampan.logs import fields

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
REPAIR_SECONDS = 5.0


class Site:
    """One API server."""

    def __init__(self, config: Config, *, clock: Clock | None = None) -> None:
        self.config = config
        self.registry = Registry(KINDS)
        self.core = Core(config, self.registry, clock=clock, admission=PLUGINS)
        self.pages = SitePages(self.core)
        self.authorize = Authorize(self.core)
        self.tokens = Tokens.load(self.core, config.signing_key, config.issuer) if config.signing_key else None
        kubelet = kubelet_tls(config.kubelet)
        self.nodes, self.through = NodeProxy(kubelet), Through(kubelet)
        self.bootstrap_tokens = BootstrapTokens(self.core)
        readers = (self.bootstrap_tokens, *((self.tokens,) if self.tokens else ()))
        self.app = App(self.core, Authenticate(*readers), self.authorize, self.pages)
        self._servers: list[asyncio.Server] = []
        self._http: Server | None = None
        self._tasks: list[asyncio.Future[None]] = []
        self._background: list[Callable[[], Awaitable[None]]] = []
        self._bootstrapped = False
        self._presence = (
            Presence(self.core, Address(config.advertise_address, config.advertise_port))
            if config.advertise_address
            else None
        )
        if self._presence is not None:
            self.when_ready(self._presence.run)
        self.pages.ready["bootstrap"] = self._bootstrap_check
        self._add_kinds()
        self.custom_kinds = CustomKinds(self.core)
        self.when_ready(self.custom_kinds.run)
        documents = Documents(self.registry)
        self.pages.add(HISTORY_PATH, history_page(self.core))
        self.pages.add(TRACE_PATH, trace_page(self.core))
        self.pages.add(binds.PATH, binds.page(self.core))
        self.pages.add("/openapi/v3", documents.page_v3, below=True)
        self.pages.add("/openapi/v2", documents.page_v2)

    def when_ready(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work` as a task once the cache is filled; it is cancelled at the end."""
        self._background.append(work)

    def _add_kinds(self) -> None:
        for kind in access_reviews.kinds(self.authorize):
            self.registry.add(kind)
        self.registry.extend(known.PODS, *self.nodes.subresources())
        for kind in Measures(self.nodes, self.core.clock).kinds():
            self.registry.add(kind)
        for resource, subresource in self.through.subresources().items():
            self.registry.extend(resource, subresource)
        if self.tokens is None:
            return
        for kind in identity_reviews.kinds(self.tokens, self.bootstrap_tokens):
            self.registry.add(kind)
        self.registry.extend(known.SERVICE_ACCOUNTS, identity_reviews.token_subresource(self.tokens))
        self.pages.add("/openid/v1/jwks", self._keys)
        self.pages.add("/.well-known/openid-configuration", self._openid)

    async def start(self) -> None:
        """Open the sockets once the cache is filled."""
        for kind in KINDS:
            build(kind.resource.model)  # here, and not in the first request for each
        await self.core.start()
        self.custom_kinds.sync()
        self._http = Server(self.app)
        self._servers = await listen(self._http, self.config.listen, self.config.listen_fds, tls(self.config.tls))
        self._tasks += [asyncio.ensure_future(work()) for work in (self._bootstrap, *self._background)]

    async def _bootstrap(self) -> None:
        """Make the first objects, and again what somebody deletes; the endpoints follow the servers that live."""
        loop = asyncio.get_running_loop()
        if self._presence is not None:
            await self._presence.announced.wait()
        while True:
            ring = self.core.cache.shelf(SHELF).ring
            position = ring.end
            try:
                await bootstrap(self.core, living(self.core))
            except ApiError as error:
                log.warning("the first objects could not be made", extra=fields(error=error))
            else:
                self._bootstrapped = True
            pause = REPAIR_SECONDS if self._bootstrapped else RETRY_SECONDS
            if ring.broken:
                await asyncio.sleep(RETRY_SECONDS)
            else:
                await ring.wait(position, loop.time() + pause)

    async def _bootstrap_check(self) -> str:
        return "" if self._bootstrapped else "the first objects are not made yet"

    async def stop(self, seconds: float) -> None:
        """Take no more connections, end watches, finish what is being answered."""
        for server in self._servers:
            server.close()
        for task in self._tasks:
            task.cancel()
        if self._presence is not None:
            await self._presence.leave()
        self.core.stopping = True
        self.core.cache.wake()
        if self._http is not None:
            await self._http.shutdown(seconds / 2)
        await self.nodes.close()
        await self.through.close()
        await self.core.stop()

    async def _keys(self, request: web.BaseRequest, asked: Asked, user: User | None) -> web.StreamResponse:
        assert self.tokens is not None
        return respond(orjson.dumps({"keys": [self.tokens.key.jwk()]}), media="application/jwk-set+json")

    async def _openid(self, request: web.BaseRequest, asked: Asked, user: User | None) -> web.StreamResponse:
        assert self.tokens is not None
        document = {
            "issuer": self.config.issuer,
            "jwks_uri": f"https://{self.config.advertise_address}:{self.config.advertise_port}/openid/v1/jwks",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [self.tokens.key.algorithm],
        }
        return respond(orjson.dumps(document))
