"""Which of a cluster's API servers to call first: the one that answered last time."""

from __future__ import annotations

import zlib

from kctl import cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from sampan.target import Target


def in_order(target: Target) -> Sequence[str]:
    """The servers, the one that answered last first."""
    if len(target.servers) < 2:
        return target.servers
    last = cache.read(_key(target))
    return sorted(target.servers, key=lambda server: server != last)


def answered(target: Target, server: str) -> None:
    """Remember it for the next call, if that makes a difference."""
    if len(target.servers) > 1 and in_order(target)[0] != server:
        cache.write(_key(target), server)


def _key(target: Target) -> str:
    return f"server-{zlib.crc32(repr(target.servers).encode()):08x}"
