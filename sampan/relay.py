"""An HTTP request passed on to somebody else, and the answer passed back, both as streams.

What belongs to one connection only stays behind (RFC 9110, "Connection"), and so do the client's own credentials.
Elsewhere: connections that change their protocol (upgrade.py).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

import aiohttp
import yarl
from aiohttp import web
from multidict import CIMultiDict

STAYS = frozenset(
    {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "proxy-authorization", "expect"}
    | {"proxy-authenticate", "host", "authorization", "accept-encoding", "proxy-connection"}
)
OWN = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
CONNECT_SECONDS = 10.0
MOST_REWRITTEN = 4 * 1024 * 1024
"""A document that is longer is passed back as it is."""
BODILESS = ("GET", "HEAD", "OPTIONS", "TRACE")

Amend = Callable[[CIMultiDict[str]], None]
Rewrite = Callable[[bytes], bytes]


class RelayError(Exception):
    """The other side could not be reached, or answered no HTTP."""


def session() -> aiohttp.ClientSession:
    """A client that hands on what it gets: no cookies of its own, nothing decompressed, no redirect followed."""
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=OWN,
    )


def sent_along(headers: CIMultiDict[str]) -> CIMultiDict[str]:
    """The headers that travel on; whoever was impersonated stays between the client and us."""
    return CIMultiDict(
        (name, value)
        for name, value in headers.items()
        if name.lower() not in STAYS and not name.lower().startswith("impersonate-")
    )


async def relay(
    client: aiohttp.ClientSession,
    request: web.BaseRequest,
    url: str,
    *,
    tls: ssl.SSLContext | bool = False,
    amend: Amend | None = None,
    rewrite: Rewrite | None = None,
) -> web.StreamResponse:
    """Ask `url` (already quoted) what was asked of us and answer what it answers.

    `amend` changes the answer's headers in place; `rewrite` makes another document of an HTML one.
    Raises RelayError as long as nothing has been sent back.
    """
    has_body = request.can_read_body and (request.method not in BODILESS or bool(request.content_length))
    try:
        answer = await client.request(
            request.method,
            yarl.URL(url, encoded=True),
            headers=sent_along(CIMultiDict(request.headers)),
            data=request.content if has_body else None,
            allow_redirects=False,
            ssl=tls,
        )
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise RelayError(str(error) or type(error).__name__) from error
    async with answer:
        headers = sent_along(CIMultiDict(answer.headers))
        if amend is not None:
            amend(headers)
        whole = None
        if rewrite is not None and answer.content_type == "text/html" and "Content-Encoding" not in headers:
            whole, longer = await _beginning(answer.content)
            if not longer and request.method != "HEAD":
                headers.popall("Content-Length", None)
                return web.Response(status=answer.status, reason=answer.reason, headers=headers, body=rewrite(whole))
        response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
        if "Content-Length" not in headers and request.version >= (1, 1) and answer.status not in (204, 304):
            response.enable_chunked_encoding()
        await response.prepare(request)
        try:
            if whole:
                await response.write(whole)
            async for data in answer.content.iter_any():
                await response.write(data)
        except (aiohttp.ClientError, asyncio.IncompleteReadError):
            response.force_close()
            if request.transport is not None:
                request.transport.close()  # an answer that was cut short must not look like a whole one
            return response
        await response.write_eof()
        return response


async def _beginning(content: aiohttp.StreamReader) -> tuple[bytes, bool]:
    """Up to MOST_REWRITTEN bytes, and whether there may be more."""
    parts: list[bytes] = []
    size = 0
    while size < MOST_REWRITTEN and (data := await content.readany()):
        parts.append(data)
        size += len(data)
    return b"".join(parts), not content.at_eof()
