"""How long ago, in kubectl's short form: 5s, 2m30s, 3h, 2d4h, 30d, 2y."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

UNKNOWN = "<unknown>"


def moment(text: str | None) -> datetime | None:
    """An RFC 3339 time; None if it is none."""
    try:
        found = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found and found.tzinfo is None else found


def human(seconds: float) -> str:
    """A duration with at most two units, as apimachinery's HumanDuration shows it."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 0:
        return "0s"
    if whole < 120:
        return f"{whole}s"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if minutes < 10:
        return _two(minutes, "m", whole % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if hours < 192:
        return _two(days, "d", hours % 24, "h")
    if days < 730:
        return f"{days}d"
    if days < 2920:
        return _two(days // 365, "y", days % 365, "d")
    return f"{days // 365}y"


def _two(large: int, unit: str, small: int, small_unit: str) -> str:
    return f"{large}{unit}{small}{small_unit}" if small else f"{large}{unit}"


def age(text: str | None, now: datetime | None = None) -> str:
    """How long ago a time was."""
    then = moment(text)
    return human(((now or datetime.now(UTC)) - then).total_seconds()) if then else UNKNOWN


def event_age(event: dict[str, Any]) -> str:
    """`5s`, or `5s (x3 over 2m)` for what happened again."""
    series = event.get("series") or {}
    first = event.get("firstTimestamp") or event.get("eventTime")
    last = series.get("lastObservedTime") or event.get("lastTimestamp") or first
    count = int(series.get("count") or event.get("count") or 1)
    if count > 1:
        return f"{age(last)} (x{count} over {age(first)})"
    return age(first) if first else age(last)
