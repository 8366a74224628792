"""Bodies of requests, read whole before a request takes one of the places of those being worked on.

So a client that sends a byte a second holds its own bytes and nobody's turn. What all unfinished bodies hold together
is bounded too.
"""

from __future__ import annotations

from aiohttp import web

from sampan.errors import ApiError, Reason

MOST_BODY = 3 * 1024 * 1024
MOST_UNFINISHED = 256 * 1024 * 1024


def too_large() -> ApiError:
    """413 for a body."""
    return ApiError(
        413, Reason.TOO_LARGE, f"Request entity too large: limit is {MOST_BODY}", headers={"Connection": "close"}
    )


def too_many() -> ApiError:
    """429: come back in a second."""
    return ApiError(
        429, Reason.TOO_MANY_REQUESTS, "Too many requests, please try again later.", headers={"Retry-After": "1"}
    )


class Bodies:
    """Reads bodies and counts what the unfinished ones hold."""

    def __init__(self, most_unfinished: int = MOST_UNFINISHED) -> None:
        self._most = most_unfinished
        self.unfinished = 0
        """Bytes of bodies that have begun and not ended."""

    async def read(self, request: web.BaseRequest) -> bytes:
        """The whole body. Raises ApiError 413 and 429, ConnectionResetError."""
        length = request.content_length
        if length is not None and length > MOST_BODY:
            raise too_large()
        if not request.can_read_body:
            return b""
        if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        parts: list[bytes] = []
        size = 0
        try:
            while data := await request.content.readany():
                size += len(data)
                self.unfinished += len(data)
                if size > MOST_BODY:
                    raise too_large()
                if self.unfinished > self._most:
                    raise too_many()
                parts.append(data)
        except RuntimeError as error:  # aiohttp's word for a peer that was gone before we began
            raise ConnectionResetError(str(error)) from error
        finally:
            self.unfinished -= size
        return parts[0] if len(parts) == 1 else b"".join(parts)
