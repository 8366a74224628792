"""The TLS settings of new connections to a Target, made anew when its files change.

A certificate is renewed by replacing files (an agent's by itself, a local cluster's by its supervisor), and a client
that runs for longer than a certificate holds follows. Files are looked at when a connection may be needed: nothing
polls. A pair that is half replaced is not taken; the old one stays until both halves fit.
"""

from __future__ import annotations

import logging
import ssl

from sampan.logs import fields
from sampan.serving import Stamp, stamp
from sampan.target import KubeconfigError, Target

log = logging.getLogger(__name__)


class Handshake:
    """What a client's connections are opened with. `generation` grows with each change."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._stamp = stamp(target.files())
        self._context = target.ssl_context()
        self._refused: Stamp | None = None
        self.generation = 0

    def context(self) -> ssl.SSLContext | None:
        """For a new connection; None for plain HTTP."""
        now = stamp(self._target.files())
        if now not in (self._stamp, self._refused):
            try:
                self._context = self._target.reread().ssl_context()
            except KubeconfigError as error:
                self._refused = now
                log.warning("changed credentials can't be used yet", extra=fields(error=error))
            else:
                self._stamp, self._refused = now, None
                self.generation += 1
                log.info("new credentials are in use", extra=fields(server=self._target.server))
        return self._context
