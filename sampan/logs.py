"""One log line an event: a timestamp, a level, a component, a message and key=value pairs, to standard error.

Use `log = logging.getLogger(__name__)` and `log.info("bound pod", extra=fields(pod="ns/name", node="n1"))`.
"""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime

ATTRIBUTE = "sampan_fields"


def fields(**values: object) -> dict[str, object]:
    """What a line is about, as `extra` of a logging call."""
    return {ATTRIBUTE: values}


def _quoted(value: object) -> str:
    text = str(value)
    plain = text and not any(c in ' "=\\' or ord(c) < 32 for c in text)
    if plain:
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'


class _Lines(logging.Formatter):
    def __init__(self, component: str) -> None:
        super().__init__()
        self._component = component

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        values: dict[str, object] = getattr(record, ATTRIBUTE, {})
        parts = [when, record.levelname, self._component, _quoted(record.getMessage())]
        parts += [f"{key}={_quoted(value)}" for key, value in values.items()]
        if record.exc_info:
            parts.append("exception=" + _quoted(self.formatException(record.exc_info)))
        return " ".join(parts)


def configure(component: str, level: str = "info") -> None:
    """Send all logging of this process to standard error. Call once, from a component's main."""
    target = logging.StreamHandler(sys.stderr)
    target.setFormatter(_Lines(component))
    root = logging.getLogger()
    root.handlers[:] = [target]
    root.setLevel(level.upper())
