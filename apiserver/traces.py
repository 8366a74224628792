"""When pods were received, admitted, stored and bound, as this server saw it: for kctl trace.

In memory, for the latest pods only, from one clock; another server over the same etcd tells its own.
Elsewhere: the page (past.py).
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime
from typing import Any

MOST = 4096
ADMITTED, STORED, SCHEDULED, BOUND = "admitted", "stored", "scheduled", "bound"
Marks = list[tuple[str, datetime, datetime]]


class Traces:
    """UID -> (step, begin, end) of the latest objects whose kind is traced."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._marks: OrderedDict[str, Marks] = OrderedDict()

    def created(self, uid: str, received: datetime, admitted: datetime, stored: datetime) -> None:
        """An object was created."""
        self._marks[uid] = [(ADMITTED, received, admitted), (STORED, admitted, stored)]
        if len(self._marks) > self._most:
            self._marks.popitem(last=False)

    def bound(self, uid: str, received: datetime, stored: datetime) -> None:
        """A pod's binding came, and was stored: it had been scheduled from its storing until then."""
        marks = self._marks.get(uid)
        if marks is not None:
            marks += [(SCHEDULED, marks[-1][2], received), (BOUND, received, stored)]

    def of(self, uid: str) -> list[dict[str, Any]]:
        """The steps as JSON, empty for an object that is not remembered."""
        return [
            {"step": step, "begin": _stamp(begin), "end": _stamp(end)} for step, begin, end in self._marks.get(uid, ())
        ]


def _stamp(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
