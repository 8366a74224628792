"""The one HTTP request of a session: its head, bounded and checked, before the connection becomes something else."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

_MOST_HEAD_BYTES = 32 << 10
_HEAD_SECONDS = 10.0


class BadRequest(Exception):
    """Not a request that is served here; `status` is the HTTP answer to it."""

    def __init__(self, text: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """Header names are lower case; a repeated header's values are joined by commas (RFC 9110, 5.3)."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]

    def words(self, name: str) -> list[str]:
        """A comma-separated header's parts, without the space around them."""
        return [word.strip() for word in self.headers.get(name, "").split(",") if word.strip()]


def parse(head: bytes) -> Request:
    """A request's head, up to its empty line. Raises BadRequest."""
    lines = head.decode("latin-1").split("\r\n")
    parts = lines[0].split(" ")
    if len(parts) != 3 or parts[2] not in ("HTTP/1.1", "HTTP/1.0"):
        raise BadRequest("this is no HTTP/1.1 request")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        if not line:
            continue
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BadRequest("a header line is broken")
        key = name.lower()
        headers[key] = f"{headers[key]},{value.strip()}" if key in headers else value.strip()
    target = urlsplit(parts[1])
    return Request(parts[0], target.path, parse_qs(target.query), headers)


async def read(reader: asyncio.StreamReader) -> Request:
    """The next request's head. Raises BadRequest, EOFError."""
    try:
        async with asyncio.timeout(_HEAD_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        raise EOFError from None
    except asyncio.LimitOverrunError:
        raise BadRequest("the head is too long", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE) from None
    except TimeoutError:
        raise BadRequest("the head did not come in time", HTTPStatus.REQUEST_TIMEOUT) from None
    if len(head) > _MOST_HEAD_BYTES:
        raise BadRequest("the head is too long", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
    return parse(head)


def response(status: HTTPStatus, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """A whole response."""
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def refusal(status: HTTPStatus, text: str) -> bytes:
    """The answer to a request that is not served; the connection ends with it."""
    body = text.encode() + b"\n"
    headers = {"Content-Type": "text/plain", "Content-Length": str(len(body)), "Connection": "close"}
    return response(status, headers, body)
