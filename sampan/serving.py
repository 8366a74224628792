"""A server's side of TLS whose files may change: a new connection is served by what they say now.

Files are looked at when a connection comes, so nothing polls; connections that stand keep what they began with. A pair
of which only one half is replaced is not taken: the old one serves until both halves fit.
Elsewhere: the client's side of the same (handshake.py), who renews the files.
"""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Callable, Sequence

from sampan.logs import fields

log = logging.getLogger(__name__)

Stamp = tuple[tuple[int, int, int], ...]


class Serving:
    """`context` is for the listener, for good. `make` reads the files; it raises OSError (ssl.SSLError is one)."""

    def __init__(self, make: Callable[[], ssl.SSLContext], files: Sequence[str | os.PathLike[str]]) -> None:
        self._make = make
        self._files = tuple(files)
        self._stamp = self._refused = stamp(self._files)
        self._newest = self.context = make()
        # The hook in which OpenSSL lets a server choose its certificate. It runs for clients that name no host too.
        self.context.sni_callback = self._choose

    def _choose(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        self.refresh()
        if self._newest is not connection.context:
            connection.context = self._newest

    def refresh(self) -> None:
        """Take up files that have changed."""
        now = stamp(self._files)
        if now in (self._stamp, self._refused):
            return
        try:
            self._newest = self._make()
        except OSError as error:
            self._refused = now
            log.warning("a changed certificate can't be used yet", extra=fields(file=self._files[0], error=error))
        else:
            self._stamp = self._refused = now
            log.info("a new certificate is in use", extra=fields(file=self._files[0]))


def stamp(files: Sequence[str | os.PathLike[str]]) -> Stamp:
    """What changes when one of some files does; a file that is missing has zeros."""
    found = []
    for path in files:
        try:
            status = os.stat(path)
        except OSError:
            found.append((0, 0, 0))
        else:
            found.append((status.st_ino, status.st_mtime_ns, status.st_size))
    return tuple(found)
