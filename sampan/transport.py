"""HTTP to a cluster's API servers: one keep-alive session, and the rule of what is tried again.

Always: reads are tried again when the connection or the server stumbles, with back-off; a write is tried again only
when the server has certainly not seen it (connection refused) or says so itself (429, or 503 with Retry-After).
One server is called until it fails; then the next one is, and streams from the failed one are begun anew there.
Elsewhere: the verbs and their types (client.py), who we are (kubeconfig.py), credentials that change (handshake.py).
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self
from urllib.parse import urlencode

import aiohttp
import orjson
from yarl import URL

from sampan import kubeconfig
from sampan.clock import Clock
from sampan.errors import ApiError, Reason, SampanError
from sampan.handshake import Handshake
from sampan.logs import fields
from sampan.servers import Servers

log = logging.getLogger(__name__)

IN_FLIGHT = 64
REQUEST_SECONDS = 60.0
CONNECT_SECONDS, CONNECT_SECONDS_OF_SEVERAL = 10.0, 4.0
READ_ATTEMPTS = 6
REFUSED_SECONDS = 20.0
FIRST_DELAY, MOST_DELAY = 0.05, 2.0
MOST_LINE_BYTES = 16 << 20
WATCH_SLACK_SECONDS = 30.0
KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 2),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 15_000),  # what is sent to a machine without power fails as soon
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
)


class Unreachable(SampanError):
    """The server could not be reached, or went away before it answered: whether a write took place is unknown."""


def _new_socket(address: tuple[Any, ...]) -> socket.socket:
    family, kind, protocol = address[0], address[1], address[2]
    made = socket.socket(family=family, type=kind, proto=protocol)
    for level, option, value in KEEPALIVE:
        made.setsockopt(level, option, value)
    return made


class Transport:
    """A session with the server of a kubeconfig's target. An async context manager."""

    def __init__(self, target: kubeconfig.Target, *, user_agent: str, clock: Clock, refused_seconds: float) -> None:
        self.target = target
        self.servers = Servers(target.servers)
        self._user_agent = user_agent
        self._clock = clock
        self._refused_seconds = refused_seconds
        self._in_flight = asyncio.Semaphore(IN_FLIGHT)
        self._session: aiohttp.ClientSession | None = None
        self._handshake: Handshake | None = None
        self._streams: set[aiohttp.ClientResponse] = set()
        self._streams_generation = 0
        self._generations: dict[aiohttp.ClientResponse, int] = {}

    @property
    def connect_seconds(self) -> float:
        """How long to wait for a connection: less where another server may have one at once."""
        return CONNECT_SECONDS_OF_SEVERAL if len(self.servers.urls) > 1 else CONNECT_SECONDS

    async def __aenter__(self) -> Self:
        self._handshake = Handshake(self.target)
        connector = aiohttp.TCPConnector(
            limit=0,  # watches hold one connection each; requests are bounded by IN_FLIGHT
            keepalive_timeout=90,
            socket_factory=_new_socket,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            headers={"User-Agent": self._user_agent},
            auto_decompress=True,
            raise_for_status=False,
            trust_env=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        fence: Callable[[], None] | None = None,
    ) -> bytes:
        """One call, with this module's rule of retries, asking `fence` before a write. Raises ApiError, Unreachable."""
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS, sock_connect=self.connect_seconds)
        headers = {} if body is None else {"Content-Type": content_type}
        attempt = 0
        while True:
            attempt += 1
            if fence is not None and method != "GET":
                fence()
            server = self.servers.current
            try:
                async with (
                    self._in_flight,
                    self.response(method, path, query or {}, accept, timeout, body, headers) as response,
                ):
                    return await response.read()
            except (ApiError, Unreachable) as error:
                wait = _wait_before_retry(error, method, attempt)
                if wait is None:
                    raise
                if isinstance(error, ApiError) and error.code == 503:
                    self._leave(server)  # it has lost its etcd, perhaps: another may have one
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                self._leave(server)
                if method != "GET" or attempt >= READ_ATTEMPTS:
                    raise Unreachable(f"{method} {server}{path}: {_plain(error)}") from error
                wait = _delay(attempt)
            await self._clock.sleep(wait)

    @asynccontextmanager
    async def response(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        accept: str,
        timeout: aiohttp.ClientTimeout,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer below 400, or ApiError. Waits `refused_seconds` for a server that does not listen yet."""
        if self._session is None or self._handshake is None:
            raise RuntimeError("the client is not open: use it as `async with Client(...) as client`")
        suffix = path + (f"?{urlencode(query)}" if query else "")
        sent = list(({"Accept": accept} | self.target.headers() | dict(headers or {})).items())
        sent += [("Impersonate-Group", group) for group in self.target.impersonate_groups]
        give_up = self._clock.monotonic() + self._refused_seconds
        attempt = 0
        while True:
            attempt += 1
            context = self._handshake.context()
            generation = self._handshake.generation
            if self._streams_generation != generation:
                self._let_go(generation)
            server = self.servers.current
            try:
                response = await self._session.request(
                    method,
                    URL(server + suffix, encoded=True),
                    data=body,
                    headers=sent,
                    timeout=timeout,
                    ssl=context if context is not None else True,
                    server_hostname=self.target.tls_server_name or None,
                    allow_redirects=False,
                )
                break
            except aiohttp.ClientConnectorCertificateError as error:
                raise Unreachable(
                    f"{server}: its certificate is not trusted ({_plain(error)}); check certificate-authority"
                ) from error
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
                others = self._leave(server)
                delay = 0.0 if others and attempt < len(self.servers.urls) else _delay(attempt)
                if self._clock.monotonic() + delay > give_up:
                    raise Unreachable(
                        f"{server}: no connection ({_plain(error)}); is the API server running?"
                    ) from error
                await self._clock.sleep(delay)
        try:
            if response.status >= 400:
                raise _error_of(response, await response.read())
            self._generations[response] = generation
            yield response
        finally:
            self._generations.pop(response, None)
            response.release()

    def _leave(self, server: str) -> bool:
        """Go on to the next server, and begin its streams there. Whether there is another."""
        before = self.servers.current
        others = self.servers.failed(server)
        if self.servers.current != before:
            log.info("going on to another server", extra=fields(server=before, next=self.servers.current))
            self._let_go(self._streams_generation)
        return others

    async def lines(self, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        """The complete lines of a streamed answer; it ends early when newer credentials than its own are in use,
        or another server.

        Raises Unreachable when it breaks off in the middle.
        """
        if self._generations.get(response) != self._streams_generation:
            return  # the credentials changed while it was opened
        self._streams.add(response)
        try:
            async for line in _lines(response):
                yield line
        except Unreachable:
            if response in self._streams:
                raise
        finally:
            self._streams.discard(response)

    def _let_go(self, generation: int) -> None:
        """End the streams of earlier credentials, which would otherwise outlast them; they are begun again anew."""
        self._streams_generation = generation
        streams = list(self._streams)
        self._streams.clear()
        for one in streams:
            one.close()


def _plain(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _delay(attempt: int) -> float:
    return min(MOST_DELAY, FIRST_DELAY * 2.0 ** min(attempt - 1, 16)) * random.uniform(0.75, 1.25)


def _wait_before_retry(error: SampanError, method: str, attempt: int) -> float | None:
    """Seconds to wait before the same call is made again, or None to give up."""
    if attempt >= READ_ATTEMPTS or not isinstance(error, ApiError):
        return None
    after = error.headers.get("Retry-After", "")
    if error.code == 429 or (error.code == 503 and after):
        # An eviction's 429 is an answer ("the budget says no"), not a request for patience.
        if not after and error.details.get("causes"):
            return None
        return min(float(after) if after.isdigit() else _delay(attempt), 30.0)
    if method == "GET" and error.code in (500, 502, 503, 504) and error.reason in ("", Reason.SERVICE_UNAVAILABLE):
        return _delay(attempt)
    return None


def _error_of(response: aiohttp.ClientResponse, body: bytes) -> ApiError:
    try:
        status = orjson.loads(body)
    except ValueError:
        status = None
    if isinstance(status, dict) and status.get("kind") == "Status":
        error = ApiError.from_status(status, response.status)
    else:
        text = body[:500].decode(errors="replace").strip() or response.reason or "no message"
        error = ApiError(response.status, "", f"{response.method} {response.url.path}: {response.status} {text}")
    error.headers = dict(response.headers)
    return error


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The complete lines of a streamed answer. Raises Unreachable when it breaks off in the middle."""
    kept = b""
    try:
        async for chunk in response.content.iter_any():
            *complete, kept = (kept + chunk).split(b"\n")
            for line in complete:
                if line:
                    yield line
            if len(kept) > MOST_LINE_BYTES:
                raise Unreachable(f"{response.url.path}: a watch event is over {MOST_LINE_BYTES} bytes long")
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Unreachable(f"{response.url.path}: the watch broke off: {_plain(error)}") from error
