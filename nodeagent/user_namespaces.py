"""Which users of the machine a pod with hostUsers: false gets: a range of 65536, no other pod's and not the machine's.

Written into the pod's directory before anything uses it, so that a new agent finds it again; free once that is gone.
Source: KEP-127, "kubelet changes"; the record's form is the kubelet's.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from sampan.api import core_v1
from sampan.cri import api_pb2 as cri
from sampan.errors import SampanError
from sampan.logs import fields

log = logging.getLogger(__name__)

IDS_PER_POD = 65536
MOST_IDS = 2**32 - IDS_PER_POD
"""The last range stays free: its last number means "nobody"."""
RECORD = "userns"


class NoUsersLeft(SampanError):
    """A pod can't have a range of users."""


def free_range(taken: Collection[int], first: int, most: int) -> int:
    """Where the first of `most` ranges from `first` on begins that is not taken. Raises NoUsersLeft."""
    for number in range(most):
        start = first + number * IDS_PER_POD
        if start >= MOST_IDS:
            break
        if start not in taken:
            return start
    raise NoUsersLeft("can't allocate user namespace: could not find an empty slot to allocate a user namespace")


class UserNamespaces:
    """The ranges of this node's pods. `load()` before the first pod."""

    def __init__(self, pods: Path, *, first: int, most: int) -> None:
        self._pods = pods
        self._first = first
        self._most = most
        self._starts: dict[str, int] = {}

    def load(self) -> None:
        """Read what an earlier agent has given out. A record that can't be read is left out, with a warning."""
        for uid, path in self._records():
            try:
                self._starts[uid] = _start_of(json.loads(path.read_bytes()))
            except (OSError, ValueError) as error:
                log.warning("a record of users is damaged", extra=fields(path=path, error=error))

    def _records(self) -> Iterator[tuple[str, Path]]:
        for path in sorted(self._pods.glob(f"*/{RECORD}")):
            yield path.parent.name, path

    def of(self, pod: core_v1.Pod) -> cri.UserNamespace | None:
        """A pod's users, chosen the first time; None if they are the machine's. Raises NoUsersLeft, OSError."""
        if pod.spec.host_users is not False:
            return None
        uid = pod.metadata.uid or ""
        start = self._starts.get(uid)
        if start is None:
            start = free_range(self._starts.values(), self._first, self._most)
            self._record(uid, start)
            self._starts[uid] = start
        mapping = cri.IDMapping(host_id=start, container_id=0, length=IDS_PER_POD)
        return cri.UserNamespace(mode=cri.NamespaceMode.POD, uids=[mapping], gids=[mapping])

    def _record(self, uid: str, start: int) -> None:
        directory = self._pods / uid
        directory.mkdir(parents=True, exist_ok=True, mode=0o750)
        mapping = [{"hostId": start, "containerId": 0, "length": IDS_PER_POD}]
        temporary = directory / f"{RECORD}.new"
        temporary.write_text(json.dumps({"uidMappings": mapping, "gidMappings": mapping}))
        temporary.rename(directory / RECORD)

    def forget(self, uid: str) -> None:
        """Nothing of a pod is here any more: its range is free."""
        self._starts.pop(uid, None)


def _start_of(record: Any) -> int:
    """Raises ValueError for what is no record of ours."""
    try:
        uids, gids = record["uidMappings"], record["gidMappings"]
        start = uids[0]["hostId"]
    except (TypeError, KeyError, IndexError):
        raise ValueError("is no record of a pod's users") from None
    expected = [{"hostId": start, "containerId": 0, "length": IDS_PER_POD}]
    if not isinstance(start, int) or uids != expected or gids != expected:
        raise ValueError("is not one range of 65536")
    if start % IDS_PER_POD or not IDS_PER_POD <= start < MOST_IDS:
        raise ValueError(f"{start} begins no range that a pod may have")
    return start
