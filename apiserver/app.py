"""A request's way through the rooms: HTTP and negotiation, authentication, authorization, then the verb.

Elsewhere: the verbs (verbs.py), paths that are no resource (pages.py).
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Protocol

from aiohttp import web

from apiserver import metrics
from apiserver.authn.impersonation import impersonated
from apiserver.core import Core
from apiserver.decode import bad
from apiserver.http.bodies import Bodies, too_many
from apiserver.http.connection import Connection
from apiserver.http.request import Asked, understand
from apiserver.http.response import of_error
from apiserver.kind import User
from apiserver.request import BODY, Authorizer, Request
from apiserver.statuses import no_such_path, not_allowed
from apiserver.verbs import VERBS
from sampan.errors import ApiError, Reason
from sampan.logs import fields

log = logging.getLogger(__name__)

REQUEST_SECONDS = 60.0
MOST_READING = 400
MOST_WRITING = 200


class Authenticator(Protocol):
    """Who asks."""

    async def __call__(self, request: web.BaseRequest) -> User | None:
        """None for nobody in particular. Raises ApiError 401 for credentials that are no good."""


class Pages(Protocol):
    """The paths that are no resource."""

    async def __call__(self, request: web.BaseRequest, asked: Asked, user: User | None) -> web.StreamResponse:
        """Raises ApiError 404."""

    def is_public(self, path: str) -> bool:
        """Whether anybody may ask it."""


class App:
    """The whole server, as one function of a request."""

    def __init__(self, core: Core, authenticate: Authenticator, authorize: Authorizer, pages: Pages) -> None:
        self.core = core
        self._authenticate, self._authorize, self._pages = authenticate, authorize, pages
        self._bodies = Bodies()
        self._in_flight = {"readOnly": 0, "mutating": 0}

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request."""
        started = time.perf_counter()
        connection = request.protocol
        if isinstance(connection, Connection):
            connection.asked()
        asked = understand(request.method, request.raw_path)
        try:
            response = await self._answer(request, asked)
        except ApiError as error:
            response = of_error(error)
        except ConnectionResetError as error:  # nobody is left to answer, and nothing is wrong with us
            log.debug("a client went away", extra=fields(path=asked.path, error=error))
            response = of_error(bad("the client went away"))
        except TimeoutError:
            response = of_error(
                ApiError(504, Reason.TIMEOUT, "Timeout: request did not complete within the allotted timeout")
            )
        except Exception as error:  # the server's edge: a bug in one request must not end the connection silently
            log.exception("a request failed", extra=fields(verb=request.method, path=asked.path))
            response = of_error(
                ApiError(500, Reason.INTERNAL_ERROR, f"Internal error occurred: {type(error).__name__}: {error}")
            )
        metrics.answered(asked.verb, asked.plural, response.status, time.perf_counter() - started)
        return response

    async def _answer(self, request: web.BaseRequest, asked: Asked) -> web.StreamResponse:
        public = not asked.plural and self._pages.is_public(asked.path)
        user = await self._authenticate(request)
        if user is None and not public:
            user = self._authorize.stranger(asked)
        if user is None and not public:
            raise ApiError(401, Reason.UNAUTHORIZED, "Unauthorized")
        if user is not None and any(name[:12].lower() == "impersonate-" for name in request.headers):
            user = impersonated(user, request)
        if user is not None and not public:
            await self._authorize(user, asked)
        if asked.long_running:
            return await self._dispatch(request, asked, user)
        group = "readOnly" if request.method == "GET" else "mutating"
        if group == "mutating":
            if request.content.is_eof():  # it has arrived: nobody to wait for, and a timer costs as much as the reading
                request[BODY] = await self._bodies.read(request)
            else:
                async with asyncio.timeout(REQUEST_SECONDS):
                    request[BODY] = await self._bodies.read(request)
        if self._in_flight[group] >= (MOST_READING if group == "readOnly" else MOST_WRITING):
            raise too_many()
        self._in_flight[group] += 1
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                return await self._dispatch(request, asked, user)
        finally:
            self._in_flight[group] -= 1

    async def _dispatch(self, request: web.BaseRequest, asked: Asked, user: User | None) -> web.StreamResponse:
        if not asked.plural or user is None:
            return await self._pages(request, asked, user)
        registry = self.core.registry
        kind = registry.find(asked.group, asked.version, asked.plural)
        if kind is None and "." in asked.group and registry.before_unknown is not None:
            await registry.before_unknown()
            kind = registry.find(asked.group, asked.version, asked.plural)
        if kind is None:
            return await self._pages(request, asked, user)
        plain = asked.subresource != "proxy"
        if (plain and request.method in ("HEAD", "OPTIONS")) or asked.verb not in VERBS:
            raise not_allowed(request.method)
        if kind.resource.namespaced and not asked.namespace and (asked.name or asked.verb == "create"):
            raise no_such_path() if kind.stored else not_allowed(request.method)
        if not kind.resource.namespaced and asked.namespace:
            raise no_such_path()
        return await VERBS[asked.verb](Request(self.core, kind, asked, user, request, self._authorize))
