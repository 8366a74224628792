"""pods/proxy, services/proxy and nodes/proxy: HTTP passed on to what runs in the cluster.

A pod is reached by its node's agent, which knows the pod's address and is on its network; the API server need not be.
Source: "Access services running on clusters"; the API reference, "Proxy Operations".
Elsewhere: what the name means (targets.py), the streams (sampan.relay, sampan.upgrade).
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import quote

import aiohttp
import yarl
from aiohttp import web
from multidict import CIMultiDict

from apiserver.kind import Call, Subresource
from apiserver.nodes.proxy import KUBELET_PORT, address_of
from apiserver.nodes.targets import (
    Place,
    Target,
    behind,
    number,
    of_pod,
    of_service,
    parse,
    relinked,
    relocated,
    unavailable,
)
from apiserver.statuses import not_found
from sampan.kinds import ENDPOINT_SLICES, NODES, PODS, SERVICES
from sampan.relay import RelayError, relay, session
from sampan.resource import Resource
from sampan.upgrade import UpgradeError, forward, is_upgrade

VERBS = ("create", "delete", "get", "patch", "update")
SERVICE_LABEL = "kubernetes.io/service-name"
REFUSED = "Sampan-Refused"
"""The header by which a node's agent says that the answer is its own, not the pod's."""


class Through:
    """The proxy subresources."""

    def __init__(self, tls: Callable[[], ssl.SSLContext | None]) -> None:
        self._tls = tls
        self._client: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """End the connections that are kept."""
        if self._client is not None:
            await self._client.close()

    def subresources(self) -> dict[Resource[Any], Subresource]:
        """What it adds to which kind."""
        return {
            PODS: Subresource("proxy", VERBS, self.pod, "PodProxyOptions", connect=True),
            SERVICES: Subresource("proxy", VERBS, self.service, "ServiceProxyOptions", connect=True),
            NODES: Subresource("proxy", VERBS, self.node, "NodeProxyOptions", connect=True),
        }

    async def pod(self, call: Call) -> web.StreamResponse:
        """A port of a pod. Raises ApiError 400, 404, 503."""
        target = parse(call.name)
        pod = call.server.peek(PODS, call.namespace, target.name)
        if pod is None:
            raise not_found(PODS, target.name)
        return await self._to(call, of_pod(pod, target))

    async def service(self, call: Call) -> web.StreamResponse:
        """A ready endpoint of a service. Raises ApiError 400, 404, 503."""
        target = parse(call.name)
        service = call.server.peek(SERVICES, call.namespace, target.name)
        if service is None:
            raise not_found(SERVICES, target.name)
        slices = (
            one
            for one in call.server.peek_all(ENDPOINT_SLICES, call.namespace)
            if one["metadata"].get("labels", {}).get(SERVICE_LABEL) == target.name
        )
        place = of_service(service, slices, target)
        if not place.pod:  # endpoints that somebody wrote by hand name no pods
            place = behind(place, call.server.peek_all(PODS, call.namespace))
        return await self._to(call, place)

    async def node(self, call: Call) -> web.StreamResponse:
        """The node's agent, or another port of the node. Raises ApiError 400, 404, 503."""
        target: Target = parse(call.name)
        host, port = self._agent(call, target.name)
        if target.port and number(target.port) not in (port, KUBELET_PORT):
            return await self._send(call, _url(target.scheme, host, number(target.port), _path(call)), False)
        return await self._send(call, self._agent_url(host, port, _path(call)), self._tls() or False)

    def _agent(self, call: Call, node: str) -> tuple[str, int]:
        found = call.server.peek(NODES, "", node)
        if found is None:
            raise not_found(NODES, node)
        return address_of(found)

    def _agent_url(self, host: str, port: int, path: str) -> str:
        return _url("https" if self._tls() else "http", host, port, path)

    async def _to(self, call: Call, place: Place) -> web.StreamResponse:
        if not place.pod or not place.node:
            return await self._send(call, _url(place.scheme, place.address, place.port, _path(call)), False)
        host, port = self._agent(call, place.node)
        where = "/".join(quote(part, safe="") for part in (call.namespace, place.pod, place.scheme, str(place.port)))
        return await self._send(
            call, self._agent_url(host, port, f"/podProxy/{where}{_path(call)}"), self._tls() or False
        )

    async def _send(self, call: Call, url: str, tls: ssl.SSLContext | bool) -> web.StreamResponse:
        request = call.request
        prefix, slash, _ = _split(call)
        if not slash and request.method in ("GET", "HEAD"):
            query = request.raw_path.partition("?")[2]
            return web.Response(status=301, headers={"Location": f"{prefix}/?{query}" if query else f"{prefix}/"})
        connection: Any = request.protocol
        connection.cancel_on_loss()
        try:
            if is_upgrade(request.headers):
                return await self._upgraded(request, url, tls)
            if self._client is None:
                self._client = session()
            if url.startswith("https:") and tls is False:
                tls = _unverified()

            def amend(headers: CIMultiDict[str]) -> None:
                if REFUSED in headers:
                    raise unavailable(f"error trying to reach service: {headers[REFUSED]}")
                if "Location" in headers:
                    headers["Location"] = relocated(headers["Location"], prefix)

            rewrite = partial(relinked, prefix=prefix)
            return await relay(self._client, request, url, tls=tls, amend=amend, rewrite=rewrite)
        except (RelayError, UpgradeError) as error:
            raise unavailable(f"error trying to reach service: {error}") from error
        finally:
            connection.cancel_on_loss(False)

    async def _upgraded(self, request: web.BaseRequest, url: str, tls: ssl.SSLContext | bool) -> web.StreamResponse:
        if url.startswith("https:") and tls is False:
            tls = _unverified()
        there = yarl.URL(url, encoded=True)
        context = tls if isinstance(tls, ssl.SSLContext) else None
        return await forward(request, there.host or "", there.port or 80, there.raw_path_qs, tls=context)


def _split(call: Call) -> tuple[str, bool, str]:
    """(the path up to /proxy, whether a slash follows, what comes after it), each as the client wrote it."""
    parts = call.request.raw_path.partition("?")[0].split("/")
    end = 8 if call.namespace else 6  # /api/v1/namespaces/NAMESPACE/pods/NAME/proxy, /api/v1/nodes/NAME/proxy
    return "/".join(parts[:end]), len(parts) > end, "/".join(parts[end:])


def _path(call: Call) -> str:
    query = call.request.raw_path.partition("?")[2]
    return f"/{_split(call)[2]}" + (f"?{query}" if query else "")


def _url(scheme: str, host: str, port: int, path: str) -> str:
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}{path}"


def _unverified() -> ssl.SSLContext:
    """TLS towards something in the cluster, whose certificate nobody vouches for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
