"""Answers on the wire: headers, compression, warnings."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Sequence
from itertools import islice

from aiohttp import web

from apiserver.negotiate import JSON, encode
from sampan.errors import ApiError

COMPRESS_FROM = 128 * 1024
MOST_WARNINGS = 50
WARNING_LETTERS = 4096
"""Of all warnings of an answer together. What comes after that is left out: clients limit headers."""
LONGEST_WARNING = 1024
BASE = {"Cache-Control": "no-cache, private"}


def quoted(text: str) -> str:
    """A warning's text as the Warning header takes it (RFC 7234)."""
    clean = "".join(letter if letter.isprintable() else " " for letter in text)
    escaped = clean.replace("\\", "\\\\").replace('"', '\\"')
    return f'299 - "{escaped}"'


def respond(data: bytes, code: int = 200, media: str = JSON, warnings: Sequence[str] = ()) -> web.Response:
    """A whole answer."""
    response = web.Response(body=data, status=code, content_type=media, headers=BASE)
    left = WARNING_LETTERS
    for text in islice(dict.fromkeys(warnings), MOST_WARNINGS):
        header = quoted(text if len(text) <= LONGEST_WARNING else text[: LONGEST_WARNING - 3] + "...")
        left -= len(header)
        if left < 0:
            break
        response.headers.add("Warning", header)
    return response


def of_error(error: ApiError, media: str = JSON) -> web.Response:
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
