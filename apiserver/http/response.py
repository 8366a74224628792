"""Answers on the wire: headers, compression, warnings.

An answer whose body is there when it begins is one piece of bytes: aiohttp's own Response makes headers out of a map,
serialises them and writes them apart from the body, which costs as much as a whole read of the cache.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Sequence
from functools import lru_cache
from http.client import responses
from itertools import islice

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.helpers import rfc822_formatted_time

from apiserver.http.connection import Connection
from apiserver.negotiate import JSON, encode
from sampan.errors import ApiError

COMPRESS_FROM = 128 * 1024
MOST_WARNINGS = 50
WARNING_LETTERS = 4096
"""Of all warnings of an answer together. What comes after that is left out: clients limit headers."""
LONGEST_WARNING = 1024
JOINED_TO = 64 * 1024
"""Bodies up to so many bytes are joined with their head: one write, one TLS record, for the price of a copy."""


@lru_cache(256)
def _opening(code: int, media: str) -> bytes:
    """The status line and the headers that are the same for all answers of a sort."""
    status = f"HTTP/1.1 {code} {responses.get(code, '')}"
    return f"{status}\r\nContent-Type: {media}\r\nCache-Control: no-cache, private\r\n".encode()


class Reply(web.StreamResponse):
    """A whole answer. What is put into `headers` comes after those that all answers have."""

    def __init__(self, data: bytes, code: int, media: str) -> None:
        super().__init__(status=code)
        self.body, self.media = data, media

    @property
    def keep_alive(self) -> bool | None:
        """Whether the connection goes on."""
        return self._stays

    _stays: bool | None = None

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Write it all. Raises ConnectionResetError when the client is gone, ValueError for a header in two lines."""
        head = _opening(self.status, self.media) + b"Content-Length: %d\r\nDate: %b\r\n" % (
            len(self.body),
            rfc822_formatted_time().encode(),
        )
        self._stays = bool(request.keep_alive)
        if self._headers:
            extra = "".join(f"{name}: {value}\r\n" for name, value in self._headers.items())
            if extra.count("\n") != len(self._headers) or extra.count("\r") != len(self._headers):
                raise ValueError(f"a header of the answer is in two lines: {extra!r}")
            head += extra.encode()
            self._stays = self._stays and self._headers.get("Connection", "").lower() != "close"
        if not self._stays and "Connection" not in self._headers:
            head += b"Connection: close\r\n"
        elif request.version < (1, 1):
            head += b"Connection: keep-alive\r\n"
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client is gone")
        if request.method == "HEAD":
            transport.write(head + b"\r\n")
        elif len(self.body) <= JOINED_TO:
            transport.write(b"%b\r\n%b" % (head, self.body))
        else:
            transport.writelines((head + b"\r\n", self.body))
        connection = request.protocol
        if isinstance(connection, Connection) and connection.paused:
            await connection.drained()
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """It is written already."""


def quoted(text: str) -> str:
    """A warning's text as the Warning header takes it (RFC 7234)."""
    clean = "".join(letter if letter.isprintable() else " " for letter in text)
    escaped = clean.replace("\\", "\\\\").replace('"', '\\"')
    return f'299 - "{escaped}"'


def respond(data: bytes, code: int = 200, media: str = JSON, warnings: Sequence[str] = ()) -> Reply:
    """A whole answer."""
    response = Reply(data, code, media)
    if not warnings:
        return response
    left = WARNING_LETTERS
    for text in islice(dict.fromkeys(warnings), MOST_WARNINGS):
        header = quoted(text if len(text) <= LONGEST_WARNING else text[: LONGEST_WARNING - 3] + "...")
        left -= len(header)
        if left < 0:
            break
        response.headers.add("Warning", header)
    return response


def of_error(error: ApiError, media: str = JSON) -> Reply:
    """A Status."""
    response = respond(encode(error.to_status(), media) + b"\n", error.code, media)
    for name, value in error.headers.items():
        response.headers[name] = value
    return response


async def compressed(data: bytes, accept_encoding: str) -> tuple[bytes, bool]:
    """The bytes, gzipped if they are many and the client takes that; done beside the event loop."""
    if len(data) < COMPRESS_FROM or "gzip" not in accept_encoding:
        return data, False
    return await asyncio.to_thread(_gzip, data), True


def _gzip(data: bytes) -> bytes:
    compressor = zlib.compressobj(1, zlib.DEFLATED, 31)
    return compressor.compress(data) + compressor.flush()
