"""Two pages: which resourceVersion was the newest at a time, and what is remembered of a pod's start.

/sampan/history tells how far back the past goes, too.

GET /sampan/history?at=RFC3339 answers {"kind": "History", "resourceVersion", "time", "oldest", "newest"}; without `at`
only the last two. The state of any kind at that time is then its list with resourceVersionMatch=Exact.
GET /sampan/trace?uid=UID answers {"steps": [{"step", "begin", "end"}]} of a pod (traces.py).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
from aiohttp import web

from apiserver.core import Core
from apiserver.decode import bad
from apiserver.history import Point
from apiserver.http.request import Asked
from apiserver.http.response import respond
from apiserver.kind import User
from apiserver.pages import Page
from apiserver.statuses import not_allowed
from sampan.errors import ApiError, Reason

HISTORY_PATH = "/sampan/history"
TRACE_PATH = "/sampan/trace"


def history_page(core: Core) -> Page:
    """The page of a server."""

    async def page(request: web.BaseRequest, asked: Asked, user: User | None) -> web.StreamResponse:
        if request.method != "GET":
            raise not_allowed(request.method)
        return respond(orjson.dumps(answer(core, asked.query.get("at", ""))))

    return page


def trace_page(core: Core) -> Page:
    """What this server remembers of a pod's start."""

    async def page(request: web.BaseRequest, asked: Asked, user: User | None) -> web.StreamResponse:
        if request.method != "GET":
            raise not_allowed(request.method)
        uid = asked.query.get("uid", "")
        found = core.traces.of(uid)
        if not found:
            raise ApiError(404, Reason.NOT_FOUND, f"this server remembers no pod of UID {uid!r}")
        return respond(orjson.dumps({"steps": found}))

    return page


def answer(core: Core, at: str) -> dict[str, Any]:
    """What the page says. Raises ApiError 400 for no time, 410 for one that is too long ago."""
    history = core.cache.history
    oldest, newest = history.oldest, history.newest
    if oldest is None or newest is None:
        raise ApiError(503, Reason.SERVICE_UNAVAILABLE, "no change has been seen yet, so no time is known; try again")
    found: dict[str, Any] = {
        "kind": "History",
        "apiVersion": "sampan.dev/v1",
        "oldest": _told(oldest),
        "newest": _told(newest),
    }
    if not at:
        return found
    when = moment(at)
    revision = history.at(when)
    if not revision:
        now = core.clock.now().timestamp()
        raise ApiError(
            410,
            Reason.EXPIRED,
            f"history goes back to {_stamp(oldest[0])}, {now - oldest[0]:.0f} s ago; what was at {_stamp(when)} is "
            "not kept any more",
        )
    return found | {"resourceVersion": str(revision), "time": _stamp(when)}


def moment(text: str) -> float:
    """An RFC 3339 time as seconds. Raises ApiError 400."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise bad(f"at: {text!r} is no RFC 3339 time, such as 2026-01-31T12:00:00Z") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _told(point: Point) -> dict[str, str]:
    return {"time": _stamp(point[0]), "resourceVersion": str(point[1])}


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
