"""/podProxy: HTTP from the API server to a port of a pod of this node.

Only the pod's own address is ever asked. What the agent has to say itself carries REFUSED, so that nobody takes it for
the pod's answer. Elsewhere: the streams (sampan.relay, sampan.upgrade).
"""

from __future__ import annotations

import ssl

import aiohttp
import yarl
from aiohttp import web

from sampan.relay import RelayError, relay, session
from sampan.upgrade import UpgradeError, forward, is_upgrade

REFUSED = "Sampan-Refused"
SCHEMES = ("http", "https")


def refused(why: str) -> web.Response:
    """503 of the agent's own."""
    clean = "".join(letter if letter.isascii() and letter.isprintable() else " " for letter in why)
    return web.Response(status=503, text=f"{clean}\n", headers={REFUSED: clean[:500]})


class PodProxy:
    """Passes requests on to pods."""

    def __init__(self) -> None:
        self._client: aiohttp.ClientSession | None = None

    async def close(self, _: web.Application) -> None:
        """End the connections that are kept."""
        if self._client is not None:
            await self._client.close()

    async def send(self, request: web.Request, address: str) -> web.StreamResponse:
        """Pass a request on to a pod's address; scheme, port and path stand in the request's own path."""
        scheme, text = request.match_info["scheme"], request.match_info["port"]
        if scheme not in SCHEMES or not (text.isascii() and text.isdecimal() and 0 < int(text) < 65536):
            return refused(f"{scheme}:{text} is no scheme and port")
        if not address:
            return refused("the pod has no address: it is not running")
        tls = unverified() if scheme == "https" else None
        path = "/" + request.raw_path.split("/", 6)[6]  # /podProxy/NAMESPACE/POD/SCHEME/PORT/...
        host = f"[{address}]" if ":" in address else address
        try:
            if is_upgrade(request.headers):
                target = yarl.URL(f"http://{host}{path}", encoded=True).raw_path_qs
                return await forward(request, address, int(text), target, tls=tls)
            if self._client is None:
                self._client = session()
            return await relay(self._client, request, f"{scheme}://{host}:{text}{path}", tls=tls or False)
        except (RelayError, UpgradeError) as error:
            return refused(str(error))


def unverified() -> ssl.SSLContext:
    """TLS towards a pod, whose certificate nobody vouches for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
