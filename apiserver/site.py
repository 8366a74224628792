"""Everything put together: the core, the rooms in front of it, the sockets."""

from __future__ import annotations

import asyncio
import importlib
import logging
from typing import Any

from apiserver.app import App
from apiserver.authn.authenticate import Authenticate
from apiserver.authz.authorize import Authorize
from apiserver.config import Config
from apiserver.core import Core
from apiserver.http.connection import Server
from apiserver.http.listen import listen, tls
from apiserver.kind import Admission, AnyKind, Kind
from apiserver.pages import SitePages
from apiserver.registry import Registry
from sampan.clock import Clock

log = logging.getLogger(__name__)


def kinds() -> tuple[AnyKind, ...]:
    """All built-in kinds."""
    try:
        from apiserver.kinds import ALL
    except ModuleNotFoundError:
        from sampan import kinds as known

        return tuple(
            Kind(one, status=one.kind == "Namespace")
            for one in (known.NAMESPACES, known.CONFIG_MAPS, known.SECRETS, known.PODS)
        )
    return tuple(ALL)


def admission() -> tuple[Admission, ...]:
    """All admission plugins, in order."""
    try:
        from apiserver.admission.plugins import ALL
    except ModuleNotFoundError:
        return ()
    return tuple(ALL)


class Site:
    """One API server."""

    def __init__(self, config: Config, *, clock: Clock | None = None) -> None:
        self.config = config
        self.registry = Registry(kinds())
        self.core = Core(config, self.registry, clock=clock, admission=admission())
        self.pages = SitePages(self.core)
        self.app = App(self.core, Authenticate(None), Authorize(self.core), self.pages)
        self._servers: list[asyncio.Server] = []
        self._http: Server | None = None

    async def start(self) -> None:
        """Open the sockets once the cache is filled."""
        await self.core.start()
        self._http = Server(self.app)
        self._servers = await listen(self._http, self.config.listen, self.config.listen_fds, tls(self.config.tls))

    async def stop(self, seconds: float) -> None:
        """Take no more connections, end watches, finish what is being answered."""
        for server in self._servers:
            server.close()
        self.core.stopping = True
        self.core.cache.wake()
        if self._http is not None:
            await self._http.shutdown(seconds / 2)
        await self.core.stop()


__all__ = ["Any", "Site", "importlib"]
