"""The past of a cluster: what was there at a time, out of etcd's own history.

The server tells which revision was the newest at that time (/sampan/history); a list at exactly that revision is the
past. Both go back as far as the server keeps history: five minutes, and longer where little changes.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from kctl import flags
from kctl.errors import UsageError
from kctl.urls import quote
from sampan.api_error import ApiError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kctl.discovery import ApiResource
    from kctl.session import Session

PATH = "/sampan/history"


def moment(text: str, now: datetime | None = None) -> datetime:
    """`-5m` or `5m` (ago), or an RFC 3339 time. Raises UsageError."""
    now = now or datetime.now(UTC)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        pass
    else:
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    try:
        return now - timedelta(seconds=abs(flags.seconds(text)))
    except (UsageError, OverflowError) as error:
        raise UsageError(f'"{text}" is no time: give -5m, 90s, or an RFC 3339 time') from error


def revision_at(session: Session, text: str) -> str:
    """The resourceVersion that was the newest at a time. Raises UsageError where the server keeps no such record."""
    when = moment(text).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    try:
        found: dict[str, Any] = session.get(PATH, {"at": when})
    except ApiError as error:
        if error.is_not_found:
            raise UsageError("this server keeps no record of times; kctl can't tell what was then") from error
        raise
    return str(found["resourceVersion"])


def query_of(revision: str) -> dict[str, str]:
    """The query of a list at exactly this revision."""
    return {"resourceVersion": revision, "resourceVersionMatch": "Exact"}


def objects_at(
    session: Session, resource: ApiResource, namespace: str, revision: str, chosen: dict[str, str]
) -> list[dict[str, Any]]:
    """The objects of a kind as they were; `chosen` are selectors as the API takes them. Raises ApiError."""
    found = session.get(resource.path(quote(namespace)), {**chosen, **query_of(revision)}).get("items") or ()
    return [{"apiVersion": resource.api_version, "kind": resource.kind} | one for one in found]
