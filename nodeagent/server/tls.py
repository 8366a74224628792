"""The kubelet API's side of TLS: it asks clients for certificates.

Elsewhere: how a renewed certificate is taken up (sampan.serving), who renews it (nodeagent/certificates.py on a machine
that joined, the supervisor of a local cluster).
"""

from __future__ import annotations

import ssl

from nodeagent.config import TlsConfig
from sampan.serving import Serving


def serving_tls(config: TlsConfig) -> Serving:
    """TLS whose certificate may change while it serves. Raises OSError, ssl.SSLError for unusable files."""

    def make() -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(config.cert, config.key)
        context.load_verify_locations(config.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    return Serving(make, (config.cert, config.key, config.client_ca))
