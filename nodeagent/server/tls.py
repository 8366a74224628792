"""The kubelet API's side of TLS: asks clients for certificates, and takes up a renewed certificate of its own.

Elsewhere: who renews it (nodeagent/certificates.py on a machine that joined, the supervisor of a local cluster).
"""

from __future__ import annotations

import logging
import os
import ssl
from typing import NoReturn

from nodeagent.config import TlsConfig
from sampan.clock import Clock
from sampan.logs import fields

log = logging.getLogger(__name__)

LOOK_SECONDS = 30.0
"""How often files that somebody else replaces are looked at."""


class ServingTls:
    """A context whose certificate may change while it serves. Raises OSError, ssl.SSLError for unusable files."""

    def __init__(self, config: TlsConfig) -> None:
        self._config = config
        self._stamp = self._look()
        self.context = self._fresh()

    def refresh(self) -> None:
        """Take up a pair that was replaced; connections that stand keep theirs."""
        try:
            stamp = self._look()
            if stamp == self._stamp:
                return
            self._fresh()  # a half replaced pair would spoil the context in use
            self.context.load_cert_chain(self._config.cert, self._config.key)
        except (OSError, ssl.SSLError) as error:  # the next look may find both halves
            log.warning("a changed serving certificate can't be used yet", extra=fields(error=error))
            return
        self._stamp = stamp
        log.info("a new serving certificate is in use", extra=fields(file=self._config.cert))

    async def follow(self, clock: Clock) -> NoReturn:
        """Refresh now and then. Until cancelled."""
        while True:
            await clock.sleep(LOOK_SECONDS)
            self.refresh()

    def _fresh(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self._config.cert, self._config.key)
        context.load_verify_locations(self._config.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _look(self) -> list[tuple[int, int]]:
        found = [os.stat(path) for path in (self._config.cert, self._config.key)]
        return [(status.st_ino, status.st_mtime_ns) for status in found]
