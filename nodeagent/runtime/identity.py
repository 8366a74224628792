"""Who a container's process is: a user and groups, by number or by the names in the image's own files.

Read after the pivot, so that the files and any symlink to them are the container's. Files are hostile: only regular
ones are read, and only so much of them.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

_MOST_BYTES = 4 << 20
_MOST_ID = 2**32 - 2


class UnknownUser(Exception):
    """A user or group that the image does not know."""


@dataclass(frozen=True)
class Identity:
    """What to become. home is "" if the image names none."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


def _records(path: str, fields: int) -> Iterator[list[str]]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return
    with open(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return
        text = file.read(_MOST_BYTES).decode("utf-8", "replace")
    for line in text.splitlines():
        parts = line.split(":")
        if len(parts) >= fields and not line.startswith("#"):
            yield parts


def _number(text: str) -> int | None:
    if not (text.isascii() and text.isdigit()) or len(text) > 10:
        return None
    return int(text) if int(text) <= _MOST_ID else None


def resolve(wish: dict[str, Any], etc: str = "/etc") -> Identity:
    """Turn a wish into numbers.

    wish: "user" ("", "name", "uid", "name:group", "uid:gid"; an image config's form), or "uid" (over the user part),
    "gid" (over the group part), "groups" (more numbers), "merge" (whether the image's /etc/group adds to them).
    Raises UnknownUser when a name is not in the files.
    """
    name, _, group = str(wish.get("user") or "").partition(":")
    if wish.get("uid") is not None:
        name = str(wish["uid"])
    if wish.get("gid") is not None:
        group = str(wish["gid"])
    uid = _number(name) if name else 0
    record = next(
        (r for r in _records(f"{etc}/passwd", 6) if (r[2] == str(uid) if uid is not None else r[0] == name)), None
    )
    if uid is None:
        uid = _number(record[2]) if record else None
        if record is None or uid is None:
            raise UnknownUser(f"unable to find user {name}: no matching entries in passwd file")
    gid = (_number(record[3]) if record else None) or 0
    login = record[0] if record else None
    if group:
        wanted = _number(group)
        if wanted is None:
            found = next((r for r in _records(f"{etc}/group", 3) if r[0] == group), None)
            wanted = _number(found[2]) if found else None
            if wanted is None:
                raise UnknownUser(f"unable to find group {group}: no matching entries in group file")
        gid = wanted
    groups: list[int] = []
    if wish.get("merge", True) and login:
        groups = [g for g in _memberships(etc, login) if g is not None]
    more: Sequence[int] = wish.get("groups") or ()
    unique = tuple(dict.fromkeys((gid, *groups, *more)))
    return Identity(uid, gid, unique, record[5] if record else "")


def _memberships(etc: str, login: str) -> Iterator[int | None]:
    for record in _records(f"{etc}/group", 4):
        if login in record[3].split(","):
            yield _number(record[2])
